package recovery

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"ticketremaster/stack/client"
)

// outages are the two ways to be down: the process is gone, or it is stopped and does not answer.
var outages = map[string]func(t *testing.T, part string, what func()){"dead": whileDead, "stopped": whileStopped}

// While a dependency is down requests are answered 503 within the deadline, and they change nothing.
func TestADependencyIsDown(t *testing.T) {
	clean(t)
	for _, part := range []string{"order-service", "user-service", "inventory-service"} {
		for how, while := range outages {
			t.Run(part+" is "+how, func(t *testing.T) {
				p, next, seat := person(t, 50_00), person(t, 50_00), freeSeat(t)
				order := reserve(t, p, freeSeat(t))
				paid := 0
				while(t, part, func() {
					a, err := p.Post(t.Context(), "/reserve", map[string]any{"seat_id": seat})
					refused(t, a, err, http.StatusServiceUnavailable, "SERVICE_UNAVAILABLE")
					quick(t, a)
					a, err = pay(t, p, order)
					if part == "inventory-service" { // the payment is written down by then: it goes on by itself
						paid = must(t, a, err, http.StatusAccepted).Status
						if a.Text("status") != "PENDING" {
							t.Errorf("202 says %s", a.Data)
						}
					} else {
						refused(t, a, err, http.StatusServiceUnavailable, "SERVICE_UNAVAILABLE")
					}
					quick(t, a)
				})
				if paid == 0 {
					eventually(t, "it can be paid", func() bool { a, err := pay(t, p, order); return err == nil && a.Status == http.StatusOK })
				}
				eventually(t, "the order is paid", func() bool { return orderStatus(t, p, order) == "CONFIRMED" })
				has(t, p, 30_00)
				eventually(t, "the seat is another's to have", func() bool {
					a, err := next.Post(t.Context(), "/reserve", map[string]any{"seat_id": seat})
					return err == nil && a.Status == http.StatusOK
				})
			})
		}
	}
}

// One of the three services that the gate asks is down: 503 in under a second, nothing is marked, and the scan can be
// repeated.
func TestTheGateWithoutOneOfItsServices(t *testing.T) {
	clean(t)
	gate := staff(t)
	for _, part := range []string{"inventory-service", "order-service", "event-service"} {
		for how, while := range outages {
			t.Run(part+" is "+how, func(t *testing.T) {
				p := person(t, price)
				seat := ticket(t, p)
				scan := map[string]any{"qr_payload": owns(t, p, seat), "hall_id": "H1"}
				while(t, part, func() {
					a, err := gate.Post(t.Context(), "/verify", scan)
					refused(t, a, err, http.StatusServiceUnavailable, "SERVICE_UNAVAILABLE")
					if a.Took >= time.Second {
						t.Errorf("the queue waited %s", a.Took)
					}
				})
				if got := seatStatus(t, seat); got != "SOLD" {
					t.Errorf("after a scan that failed the seat is %s", got)
				}
				eventually(t, "the scan is decided", func() bool {
					a, err := gate.Post(t.Context(), "/verify", scan)
					if err == nil && a.Status == http.StatusOK && a.Text("result") != "SUCCESS" {
						t.Fatalf("the repeat: %s", a.Data)
					}
					return err == nil && a.Status == http.StatusOK
				})
				if n := ask[int](t, "seats_db", `SELECT count(*) FROM entry_logs WHERE presented_seat_id = $1`, seat); n != 1 {
					t.Errorf("%d rows in the log", n)
				}
			})
		}
	}
}

// When the key is changed, the current one becomes the previous and no ticket fails. Codes are unreadable only once
// their key is neither.
func TestTheQRKeyIsChanged(t *testing.T) {
	clean(t)
	gate := staff(t)
	p := person(t, 60_00)
	first, second, third := owns(t, p, ticket(t, p)), owns(t, p, ticket(t, p)), owns(t, p, ticket(t, p))
	current := own.Secret("QR_ENCRYPTION_KEY")
	const next = "9f0e0d0c0b0a09080706050403020100f0e0d0c0b0a090807060504030201000"
	defer restart(t, "orchestrator-service")
	verify := func(payload string) client.Answer {
		a, err := gate.Post(t.Context(), "/verify", map[string]any{"qr_payload": payload, "hall_id": "H1"})
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	restart(t, "orchestrator-service", "QR_ENCRYPTION_KEY="+next, "QR_PREVIOUS_KEY="+current)
	if a := verify(first); a.Text("result") != "SUCCESS" {
		t.Errorf("a code of the previous key: %s", a.Raw)
	}
	restart(t, "orchestrator-service", "QR_ENCRYPTION_KEY="+next)
	refused(t, verify(second), nil, http.StatusBadRequest, "QR_INVALID")
	restart(t, "orchestrator-service", "QR_ENCRYPTION_KEY="+current, "QR_PREVIOUS_KEY="+next)
	if a := verify(third); a.Text("result") != "SUCCESS" {
		t.Errorf("a code of the current key: %s", a.Raw)
	}
}

// An event that has begun, and then is over: what can still be done with its tickets.
func TestAnEventThatHasBegunAndOneThatIsOver(t *testing.T) {
	clean(t)
	gate := staff(t)
	event, seats := newEvent(t, 4)
	p, next := person(t, 100_00), person(t, 50_00)
	bought := func(seat string) {
		a, err := pay(t, p, reserve(t, p, seat))
		must(t, a, err, http.StatusOK)
	}
	bought(seats[0])
	bought(seats[1])
	transferred := handOver(t, p, next, seats[0], 5_00)
	shift(t, event, "-1 minute", "6 hours")
	var a client.Answer
	var err error
	eventually(t, "the event's new time is known", func() bool { // events are cached for seconds
		a, err = p.Post(t.Context(), "/reserve", map[string]any{"seat_id": seats[2]})
		return err == nil && a.Status == http.StatusGone
	})
	refused(t, a, err, http.StatusGone, "EVENT_ENDED")
	a, err = p.Post(t.Context(), "/reserve", map[string]any{"seat_id": seats[3]})
	refused(t, a, err, http.StatusGone, "EVENT_ENDED")
	if free := seatStatus(t, seats[3]); free != "AVAILABLE" {
		t.Errorf("a refused reservation left the seat %s", free)
	}
	a, err = p.Post(t.Context(), "/transfer/dispute", map[string]any{"transfer_id": transferred, "reason": "too late"})
	if err != nil || a.Status != http.StatusConflict {
		t.Errorf("a dispute after the beginning: %d %s %v", a.Status, a.Raw, err)
	}
	handOver(t, p, next, seats[1], 1_00) // at the entrance, while the event runs
	shift(t, event, "-7 hours", "-1 minute")
	a, err = gate.Post(t.Context(), "/verify", map[string]any{"qr_payload": owns(t, next, seats[0]), "hall_id": "H1"})
	if must(t, a, err, http.StatusOK).Text("result") != "EXPIRED" {
		t.Errorf("a ticket of an event that is over: %s", a.Data)
	}
	eventually(t, "the event is known to be over", func() bool {
		a, err = p.Post(t.Context(), "/transfer/initiate", map[string]any{"seat_id": seats[0], "seller_id": next.ID, "buyer_id": p.ID, "credits_amount": 1})
		ended := err == nil && a.Status == http.StatusGone
		if !ended {
			time.Sleep(2 * time.Second) // of refused offers one has only so many
		}
		return ended
	})
	refused(t, a, err, http.StatusGone, "EVENT_ENDED")
}

// shift moves an event in time, instead of waiting.
func shift(t *testing.T, event, begins, ends string) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	conn, err := pgx.Connect(ctx, own.DSN("events_db"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, `UPDATE events SET event_date = now() + $2::text::interval, ends_at = now() + $3::text::interval WHERE event_id = $1`, event, begins, ends); err != nil {
		t.Fatal(err)
	}
}

// An orchestrator stops in the middle of a payment for longer than its lease, another one ends it, and then the first
// continues where it was: two drivers of one saga do no harm.
func TestAnOrchestratorThatWakesUpLate(t *testing.T) {
	clean(t)
	p, seat := person(t, 50_00), freeSeat(t)
	order := reserve(t, p, seat)
	slow, through := replica(t)
	pid, _ := own.Running(slow)
	answer := make(chan error, 1)
	whileStopped(t, "inventory-service", func() { // so that the saga stays at its first step
		go func() {
			a, err := pay(t, via(p, through), order)
			if err == nil && a.Status != http.StatusOK && a.Status != http.StatusAccepted {
				err = fmt.Errorf("%d %s", a.Status, a.Raw)
			}
			answer <- err
		}()
		eventually(t, "the payment is written down", func() bool {
			return ask[int](t, "sagas_db", `SELECT count(*) FROM sagas WHERE subject = $1 AND status = 'RUNNING'`, order) == 1
		})
		halt(t, pid)
	})
	eventually(t, "another ends it", func() bool { return orderStatus(t, p, order) == "CONFIRMED" && seatStatus(t, seat) == "SOLD" })
	has(t, p, 30_00)
	if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if err := <-answer; err != nil {
		t.Error(err)
	}
	has(t, p, 30_00)
	sagaEnds(t, order, "DONE")
	owns(t, p, seat)
}

// A saga that was parked in the middle of a payment continues when an administrator says so: it completes, or is
// compensated.
func TestAParkedSagaGoesOn(t *testing.T) {
	for _, c := range []struct{ how, ends string }{{"resume", "DONE"}, {"compensate", "UNDONE"}} {
		t.Run(c.how, func(t *testing.T) {
			clean(t)
			p, seat := person(t, 50_00), freeSeat(t)
			order := reserve(t, p, seat)
			inventory, _ := own.Running("inventory-service")
			halt(t, inventory) // so that the saga stays at its first step
			go func() { _, _ = pay(t, p, order) }()
			eventually(t, "the payment is written down", func() bool {
				return ask[int](t, "sagas_db", `SELECT count(*) FROM sagas WHERE subject = $1 AND status = 'RUNNING'`, order) == 1
			})
			var id string
			whileDead(t, "orchestrator-service", func() { // a driver parks only what it does not drive any more
				id = ask[string](t, "sagas_db", `UPDATE sagas SET status = 'PARKED', parked_from = 'RUNNING',
					refusal = '{"code": "SAGA_STALLED", "message": "This made no progress for too long"}' WHERE subject = $1 AND status = 'RUNNING' RETURNING saga_id::text`, order)
				signal(t, inventory, syscall.SIGCONT)
			})
			operate(t, "saga", c.how, id, "--reason", "the disk was full")
			sagaEnds(t, order, c.ends)
			if c.ends == "DONE" {
				has(t, p, 30_00)
				owns(t, p, seat)
			} else {
				has(t, p, 50_00)
			}
			trail := ask[string](t, "sagas_db", `SELECT trail::text FROM sagas WHERE saga_id = $1`, id)
			if !strings.Contains(trail, "the disk was full") || !strings.Contains(trail, admin.ID) {
				t.Errorf("the trail does not tell who and why: %s", trail)
			}
		})
	}
}

// quick checks that an answer came within the deadline.
func quick(t *testing.T, a client.Answer) {
	t.Helper()
	if a.Took > soon {
		t.Errorf("the client waited %s for its %d", a.Took, a.Status)
	}
}
