package recovery

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ticketremaster/stack/client"
)

// Each part is killed with kill -9 and started again while users buy: the system recovers by itself, nobody has a
// ticket without having paid or paid without a ticket, and the audit of all five databases finds nothing.
func TestEveryPartIsKilledDuringAPurchaseStorm(t *testing.T) {
	clean(t)
	const buyers = 3
	s := &storm{stop: make(chan struct{})}
	var running sync.WaitGroup
	people := make([]*client.Person, buyers)
	for i := range people {
		people[i] = person(t, 10_000_00)
		_, seats := newEvent(t, 1500)
		running.Go(func() { s.buy(t, people[i], seats) })
	}
	stop := sync.OnceFunc(func() { close(s.stop); running.Wait() })
	defer stop()
	for _, part := range []string{
		"orchestrator-service", "inventory-service", "user-service", "order-service", "event-service",
		"seats-db", "users-db", "orders-db", "events-db", "sagas-db", "rabbitmq", "api-gateway",
	} {
		healed := t.Run(part, func(t *testing.T) {
			s.progress(t, 2)
			whileDead(t, part, func() {
				if part == "rabbitmq" { // without the broker seats are held all the same, and the sweeps end what is abandoned
					p, seat := person(t, 0), freeSeat(t)
					ended(t, p, reserve(t, via(p, hasty(t)), seat), seat)
					s.progress(t, 2)
				}
			})
			s.progress(t, 2*buyers)
		})
		if !healed {
			break // the others would only wait
		}
	}
	stop()
	eventually(t, "every payment has ended", func() bool {
		return ask[int](t, "sagas_db", `SELECT count(*) FROM sagas WHERE status IN ('RUNNING', 'COMPENSATING')`) == 0
	})
	for i, p := range people {
		sold := ask[int](t, "seats_db", `SELECT count(*) FROM seats WHERE owner_user_id = $1`, p.ID)
		spent := ask[int](t, "users_db", `SELECT (10000 - credit_balance)::int FROM users WHERE user_id = $1`, p.ID)
		if spent != sold*20 {
			t.Errorf("buyer %d paid %d credits for %d tickets", i, spent, sold)
		}
		if confirmed := ask[int](t, "orders_db", `SELECT count(*) FROM orders WHERE user_id = $1 AND status = 'CONFIRMED'`, p.ID); confirmed != sold {
			t.Errorf("buyer %d has %d paid orders and %d tickets", i, confirmed, sold)
		}
	}
	t.Logf("%d tickets were bought, %d calls failed meanwhile", s.bought.Load(), s.failed.Load())
}

type storm struct {
	stop           chan struct{}
	bought, failed atomic.Int64
}

// buy buys seat after seat, twenty a second at most. It repeats what fails while something is down, as an app would.
func (s *storm) buy(t *testing.T, p *client.Person, seats []string) {
	ctx := context.WithoutCancel(t.Context())
	pace := time.NewTicker(50 * time.Millisecond)
	defer pace.Stop()
	for _, seat := range seats {
		for done := false; !done; {
			select {
			case <-s.stop:
				return
			case <-pace.C:
			}
			done = s.try(ctx, t, p, seat)
		}
		s.bought.Add(1)
	}
}

func (s *storm) try(ctx context.Context, t *testing.T, p *client.Person, seat string) (done bool) {
	a, err := p.Post(ctx, "/reserve", map[string]any{"seat_id": seat})
	if err != nil || a.Status != http.StatusOK {
		s.fails(t, "/reserve", a, err)
		return a.Code == "SEAT_ALREADY_SOLD" // by the payment whose answer was lost
	}
	a, err = p.Post(ctx, "/pay", map[string]any{"order_id": a.Text("order_id")})
	if err != nil || a.Status != http.StatusOK {
		s.fails(t, "/pay", a, err)
		return a.Code == "ORDER_ALREADY_CONFIRMED"
	}
	return true
}

// fails counts failures that are allowed while a part is down, and reports others.
func (s *storm) fails(t *testing.T, call string, a client.Answer, err error) {
	s.failed.Add(1)
	switch {
	case err != nil, a.Status == http.StatusAccepted, a.Status == http.StatusServiceUnavailable, a.Status == http.StatusBadGateway:
	case a.Code == "SEAT_ALREADY_SOLD", a.Code == "ORDER_ALREADY_CONFIRMED": // the answer before was lost
	case a.Code == "SEAT_UNAVAILABLE", a.Code == "HOLD_EXPIRED", a.Code == "SEAT_NOT_HELD": // a lock of a call that was cut, or a hold given back
	default:
		t.Errorf("%s: %d %s", call, a.Status, a.Raw)
	}
}

// progress waits until more tickets have been bought.
func (s *storm) progress(t *testing.T, more int) {
	t.Helper()
	from := s.bought.Load()
	eventually(t, fmt.Sprintf("%d more tickets are bought", more), func() bool { return s.bought.Load() >= from+int64(more) })
}
