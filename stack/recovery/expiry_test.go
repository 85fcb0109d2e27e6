package recovery

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"ticketremaster/stack/client"
)

const (
	releaseExchange = "seat.release.exchange"
	hastyQueue      = "seat.hold.queue.2000" // of shortLife
	parkedQueue     = "parked.queue"
)

// An expired hold is 410, the credits are untouched, and another user can have the seat.
func TestAnExpiredHold(t *testing.T) {
	t.Parallel()
	p, next, seat := person(t, 50_00), person(t, 50_00), freeSeat(t)
	order := reserve(t, via(p, hasty(t)), seat)
	eventually(t, "the hold cannot be paid any more", func() bool { return !heldNow(t, seat) })
	a, err := pay(t, p, order) // whether or not its order has ended by now
	refused(t, a, err, http.StatusGone, "HOLD_EXPIRED")
	ended(t, p, order, seat)
	a, err = pay(t, p, order)
	refused(t, a, err, http.StatusGone, "HOLD_EXPIRED")
	has(t, p, 50_00)
	a, err = pay(t, next, reserve(t, next, seat))
	must(t, a, err, http.StatusOK)
	a, err = pay(t, p, order)
	refused(t, a, err, http.StatusGone, "HOLD_EXPIRED")
	has(t, p, 50_00)
}

// A flagged user who never enters the one-time password does not keep a seat.
func TestAFlaggedUserAbandonsTheOTP(t *testing.T) {
	t.Parallel()
	p, seat := changed(t, person(t, 50_00), map[string]any{"is_flagged": true}), freeSeat(t)
	since := time.Now()
	order := reserve(t, via(p, hasty(t)), seat)
	if _, err := app.OTP(t.Context(), p.Phone, since); err != nil {
		t.Fatal(err)
	}
	a, err := pay(t, p, order)
	refused(t, a, err, http.StatusPreconditionRequired, "OTP_REQUIRED")
	ended(t, p, order, seat)
}

// A payment that begins in the hold's last moment keeps its seat although the hold expires and its dead letter arrives
// while it runs.
func TestAPaymentBegunInTheLastMoment(t *testing.T) {
	t.Parallel()
	p, seat := person(t, 50_00), freeSeat(t)
	order := reserve(t, via(p, hasty(t)), seat)
	answer := make(chan client.Answer, 1)
	whileLocked(t, "users_db", `SELECT FROM users WHERE user_id = $1 FOR UPDATE`, p.ID, func() { // so that the deduction waits
		go func() {
			a, err := pay(t, p, order)
			if err != nil {
				t.Error(err)
			}
			answer <- a
		}()
		eventually(t, "the hold is pinned", func() bool {
			return ask[bool](t, "seats_db", `SELECT pin_id IS NOT NULL FROM seats WHERE seat_id = $1`, seat)
		})
		eventually(t, "its time is long over", func() bool {
			return ask[bool](t, "seats_db", `SELECT held_until < now() - interval '1500 milliseconds' FROM seats WHERE seat_id = $1`, seat)
		})
		deadLetters(t, seat, order, 2) // and once more, when its time is over at the broker
		if got := orderStatus(t, p, order); got != "PENDING" || seatStatus(t, seat) != "HELD" {
			t.Errorf("while it is being paid the order is %s and the seat %s", got, seatStatus(t, seat))
		}
	})
	if a := <-answer; a.Status != http.StatusOK && a.Status != http.StatusAccepted {
		t.Errorf("%d %s", a.Status, a.Raw)
	}
	eventually(t, "the order is paid", func() bool { return orderStatus(t, p, order) == "CONFIRMED" })
	eventually(t, "the seat is sold", func() bool { return seatStatus(t, seat) == "SOLD" })
	owns(t, p, seat)
	has(t, p, 30_00)
}

// The credits do not suffice and the hold ends meanwhile: the seat is free at once, not after the sweep.
func TestARefusedPaymentAfterTheHoldsEndFreesTheSeat(t *testing.T) {
	t.Parallel()
	p, next, seat := person(t, 50_00), person(t, 0), freeSeat(t)
	order := reserve(t, via(p, hasty(t)), seat)
	whileLocked(t, "users_db", `SELECT FROM users WHERE user_id = $1 FOR UPDATE`, p.ID, func() {
		go func() { _, _ = pay(t, p, order) }()
		eventually(t, "the hold is pinned and over", func() bool {
			return ask[bool](t, "seats_db", `SELECT pin_id IS NOT NULL AND held_until < now() FROM seats WHERE seat_id = $1`, seat)
		})
		addr, err := own.Addr("order-service") // the order is ended behind the saga's back, so that the saga turns
		if err != nil {
			t.Fatal(err)
		}
		a, err := (&client.App{Gateway: "http://" + addr}).Do(t.Context(), client.Call{
			Method: http.MethodPost, Path: "/orders/" + order + "/fail", Token: own.Secret("ORDER_TOKEN"), Body: map[string]string{"reason": "CANCELLED"},
		})
		must(t, a, err, http.StatusOK)
	})
	ended(t, p, order, seat)
	has(t, p, 50_00)
	reserve(t, next, seat)
}

// A transfer that nobody confirms expires and frees the seat for another.
func TestATransferExpires(t *testing.T) {
	t.Parallel()
	seller, buyer := person(t, price), person(t, 10_00)
	seat := ticket(t, seller)
	quick := hasty(t)
	id, confirmation := offer(t, via(seller, quick), via(buyer, quick), seat, 10_00)
	eventually(t, "it has expired", func() bool { return transferStatus(t, buyer, id) == "FAILED" })
	a, err := buyer.Post(t.Context(), "/transfer/confirm", confirmation)
	refused(t, a, err, http.StatusConflict, "TRANSFER_INVALID_STATE")
	has(t, buyer, 10_00)
	handOver(t, seller, buyer, seat, 10_00)
	has(t, buyer, 0)
}

// A transfer confirmed in the instant in which it expires is done or not done, as a whole.
func TestConfirmRacesTheExpiry(t *testing.T) {
	t.Parallel()
	quick := hasty(t)
	for _, late := range []time.Duration{-120, -60, -30, 0, 60, 240} { // the sweep comes within 300 ms
		t.Run(fmt.Sprint(late*time.Millisecond), func(t *testing.T) {
			t.Parallel()
			seller, buyer := person(t, price), person(t, 10_00)
			seat := ticket(t, seller)
			id, confirmation := offer(t, via(seller, quick), via(buyer, quick), seat, 10_00)
			left := ask[float64](t, "orders_db", `SELECT extract(epoch FROM expires_at - clock_timestamp())::float8 FROM transfers WHERE transfer_id = $1`, id)
			<-time.After(time.Duration(left*float64(time.Second)) + late*time.Millisecond)
			a, err := buyer.Post(t.Context(), "/transfer/confirm", confirmation)
			if err != nil {
				t.Fatal(err)
			}
			if a.Status == http.StatusOK {
				has(t, seller, 10_00)
				has(t, buyer, 0)
				owns(t, buyer, seat)
				return
			}
			if a.Status != http.StatusConflict && a.Status != http.StatusGone {
				t.Errorf("%d %s", a.Status, a.Raw)
			}
			eventually(t, "it has expired", func() bool { return transferStatus(t, buyer, id) == "FAILED" })
			has(t, seller, 0)
			has(t, buyer, 10_00)
			owns(t, seller, seat)
		})
	}
}

// Late and repeated release messages free only their own hold.
func TestLateAndRepeatedReleaseMessages(t *testing.T) {
	t.Parallel()
	p, next := person(t, 50_00), person(t, 50_00)
	ch := channel(t)
	inAll := func() int {
		return waiting(t, ch, parkedQueue) + ask[int](t, "sagas_db", `SELECT count(*) FROM messages`)
	}
	parked := inAll()
	taken, sold := freeSeat(t), freeSeat(t)
	late := reserve(t, via(p, hasty(t)), taken)
	ended(t, p, late, taken)
	newer := reserve(t, next, taken)
	bought := reserve(t, next, sold)
	a, err := pay(t, next, bought)
	must(t, a, err, http.StatusOK)
	for range 2 {
		deadLetters(t, taken, late, 1)
		deadLetters(t, sold, bought, 1)
		deadLetters(t, sold, late, 1)
		deadLetters(t, "0193a5c0-0000-7000-8000-000000000001", late, 1)
	}
	eventually(t, "the messages are worked off", func() bool {
		return waiting(t, ch, "seat.release.queue") == 0 && waiting(t, ch, "order.expiry.queue") == 0
	})
	if got := seatStatus(t, taken); got != "HELD" || orderStatus(t, next, newer) != "PENDING" {
		t.Errorf("the newer hold is %s", got)
	}
	if got := seatStatus(t, sold); got != "SOLD" || orderStatus(t, next, bought) != "CONFIRMED" {
		t.Errorf("the ticket is %s", got)
	}
	if n := inAll(); n != parked {
		t.Errorf("%d harmless messages were parked", n-parked)
	}
	a, err = pay(t, next, newer)
	must(t, a, err, http.StatusOK)
}

// A message that no consumer can handle waits for an administrator, who has it tried again, or drops it. Both consumers
// park it, and the one that is tried again is parked anew.
func TestAParkedMessageIsDecided(t *testing.T) {
	ch := channel(t)
	type parked struct {
		ID                   string `json:"message_id"`
		Queue, Because, Body string
	}
	list := func(status string) (all []parked) {
		a, err := admin.Get(t.Context(), "/admin/messages?status="+status)
		if err != nil || a.Status != http.StatusOK {
			t.Fatalf("%d %s, %v", a.Status, a.Raw, err)
		}
		if err := a.Into(&all); err != nil {
			t.Fatal(err)
		}
		return all
	}
	decide := func(how string, ids ...string) {
		t.Helper()
		operate(t, append([]string{"messages", how, "--reason", "it is a test's"}, ids...)...)
	}
	if err := ch.PublishWithContext(t.Context(), releaseExchange, "hold", true, false, amqp.Publishing{DeliveryMode: amqp.Persistent, Body: []byte(`{"seat_id":"A1"}`)}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "both are parked", func() bool { return len(list("PARKED")) == 2 })
	both := list("PARKED")
	if both[0].Queue == both[1].Queue || both[0].Body != `{"seat_id":"A1"}` || both[0].Because == "" {
		t.Errorf("%+v", both)
	}
	decide("replay", both[0].ID)
	decide("drop", both[1].ID)
	eventually(t, "it is parked anew", func() bool {
		again := list("PARKED")
		return len(again) == 1 && again[0].Queue == both[0].Queue && again[0].ID != both[0].ID
	})
	decide("drop", "--all")
	if a, b, c := list("PARKED"), list("REPLAYED"), list("DROPPED"); len(a) != 0 || len(b) != 1 || len(c) != 2 {
		t.Errorf("parked %v, replayed %v, dropped %v", a, b, c)
	}
}

// The broker's dead letter alone releases seat and order; no sweep runs.
func TestTheDeadLetterReleases(t *testing.T) {
	clean(t)
	never := []string{"SWEEP_GRACE=1h", "SWEEP_INTERVAL=1h"}
	for _, part := range []string{"inventory-service", "orchestrator-service"} {
		restart(t, part, never...)
		defer restart(t, part)
	}
	_, quick := replica(t, append(never, "HOLD_TTL="+shortLife.String())...)
	p, seat := person(t, 50_00), freeSeat(t)
	began := time.Now()
	order := reserve(t, via(p, quick), seat)
	ended(t, p, order, seat)
	if took := time.Since(began); took < shortLife {
		t.Errorf("it was released after %s", took)
	}
}

// If the hold's message is lost, the sweeps alone release seat and order.
func TestTheSweepsReleaseWhatTheMessageLost(t *testing.T) {
	clean(t)
	p, seat := person(t, 50_00), freeSeat(t)
	ch := channel(t)
	order := reserve(t, via(p, hasty(t)), seat)
	eventually(t, "the message is lost", func() bool {
		n, err := ch.QueuePurge(hastyQueue, false)
		if err != nil {
			t.Fatal(err)
		}
		return n == 1
	})
	ended(t, p, order, seat)
}

// deadLetters sends a hold's message as the broker does when its time is over.
func deadLetters(t *testing.T, seat, hold string, times int) {
	t.Helper()
	body, err := json.Marshal(map[string]any{"seat_id": seat, "hold_id": hold, "user_id": hold, "held_until": time.Now().UTC()})
	if err != nil {
		t.Fatal(err)
	}
	ch := channel(t)
	for range times {
		if err := ch.PublishWithContext(t.Context(), releaseExchange, "hold", true, false, amqp.Publishing{DeliveryMode: amqp.Persistent, Body: body}); err != nil {
			t.Fatal(err)
		}
	}
}

// heldNow reports whether a hold is live, by its database's clock.
func heldNow(t *testing.T, seat string) bool {
	t.Helper()
	return ask[bool](t, "seats_db", `SELECT status = 'HELD' AND held_until > now() FROM seats WHERE seat_id = $1`, seat)
}

// ended waits for an abandoned hold to be gone from the seat itself, and its order to be FAILED.
func ended(t *testing.T, p *client.Person, order, seat string) {
	t.Helper()
	eventually(t, "the order has failed", func() bool { return orderStatus(t, p, order) == "FAILED" })
	eventually(t, "the seat is free", func() bool { return seatStatus(t, seat) == "AVAILABLE" })
}
