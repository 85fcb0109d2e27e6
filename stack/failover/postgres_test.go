package failover

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"ticketremaster/stack/client"
	"ticketremaster/stack/native"
)

const (
	buyers = 4
	pace   = 100 * time.Millisecond // between a buyer's purchases
	// longestGap is how long nothing may be sold when a primary's node dies.
	longestGap = 20 * time.Second
)

// sales are what people were told to have bought.
type sales struct {
	mu     sync.Mutex
	orders []string
	at     []time.Time
	failed map[int]int // other answers, by status; 0: none came
}

// buy buys one seat after the other, each until it is known whether it was bought.
func (s *sales) buy(ctx context.Context, p *client.Person, seats <-chan string) {
	for seat := range seats {
		a, err := p.Post(ctx, "/reserve", map[string]any{"seat_id": seat})
		if err == nil && a.Status == http.StatusOK {
			order := a.Text("order_id")
			if a, err = p.Post(ctx, "/pay", map[string]any{"order_id": order}); err == nil && a.Status == http.StatusOK {
				s.mu.Lock()
				s.orders, s.at = append(s.orders, order), append(s.at, time.Now())
				s.mu.Unlock()
			}
		}
		if err != nil || a.Status != http.StatusOK {
			s.mu.Lock()
			s.failed[a.Status]++
			s.mu.Unlock()
		}
		time.Sleep(pace)
	}
}

func (s *sales) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.orders)
}

// gap is the longest time without a sale.
func (s *sales) gap() (longest time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := 1; i < len(s.at); i++ {
		longest = max(longest, s.at[i].Sub(s.at[i-1]))
	}
	return longest
}

// The node of a primary dies while people buy: another one takes over, sales go on, and nothing that was answered is
// lost. The node comes back as a standby.
func TestThePrimarysNodeDies(t *testing.T) {
	people := make([]*client.Person, buyers)
	for i := range people {
		people[i] = person(t, i)
	}
	for name, cluster := range map[string]*native.Patroni{"seats_db": seats, "users_db": book} {
		t.Run(name, func(t *testing.T) {
			check(t, cluster.AwaitWhole(t.Context()))
			free := make(chan string)
			ctx, end := context.WithCancel(t.Context())
			var running sync.WaitGroup
			stopBuying := sync.OnceFunc(func() { end(); running.Wait() })
			defer stopBuying()
			all := newEvent(t, 3_000)
			running.Go(func() {
				defer close(free)
				for _, seat := range all {
					select {
					case free <- seat:
					case <-ctx.Done():
						return
					}
				}
			})
			s := &sales{failed: map[int]int{}}
			for _, p := range people {
				running.Go(func() { s.buy(context.WithoutCancel(t.Context()), p, free) })
			}
			eventually(t, "sales before the kill", 30*time.Second, func() bool { return s.count() >= 30 })
			primary, err := cluster.Primary(t.Context())
			check(t, err)
			check(t, cluster.KillNode(primary))
			before := s.count()
			eventually(t, "sales go on", 2*time.Minute, func() bool { return s.count() >= before+60 })
			check(t, cluster.StartNode(primary))
			whole, stop := context.WithTimeout(t.Context(), 2*time.Minute)
			defer stop()
			check(t, cluster.AwaitWhole(whole))
			after := s.count()
			eventually(t, "sales go on beside the node that came back", time.Minute, func() bool { return s.count() >= after+20 })
			stopBuying()

			kept := ask[int](t, "orders_db", `SELECT count(*) FROM orders WHERE order_id::text = ANY($1) AND status = 'CONFIRMED'`, s.orders)
			sold := ask[int](t, "seats_db", `SELECT count(*) FROM seats WHERE hold_id::text = ANY($1) AND status = 'SOLD'`, s.orders)
			charged := ask[int](t, "users_db", `SELECT count(*) FROM movements WHERE kind = 'purchase' AND reference_id::text = ANY($1)`, s.orders)
			slices.Sort(s.orders)
			if n := len(s.orders); kept != n || sold != n || charged != n {
				t.Errorf("of %d purchases that were answered %d orders, %d tickets and %d charges are there", n, kept, sold, charged)
			}
			t.Logf("%s: %d purchases answered, 0 lost, longest time without a sale %.1f s, other answers by status %v", name, len(s.orders), s.gap().Seconds(), s.failed)
			if s.gap() > longestGap {
				t.Errorf("nothing was sold for %s, limit %s", s.gap(), longestGap)
			}
		})
	}
	audited(t)
}
