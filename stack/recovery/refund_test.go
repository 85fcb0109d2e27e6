package recovery

import (
	"net/http"
	"testing"

	"ticketremaster/platform/money"
	"ticketremaster/stack/client"
)

// boughtSeats buys seats of an event for a person who has just the credits.
func boughtSeats(t *testing.T, seats ...string) (p *client.Person, orders []string) {
	t.Helper()
	p = person(t, price*money.Cents(len(seats)))
	for _, seat := range seats {
		order := reserve(t, p, seat)
		a, err := pay(t, p, order)
		must(t, a, err, http.StatusOK)
		orders = append(orders, order)
	}
	return p, orders
}

// refundedTicket is one ticket's refund as an administrator asks for it.
func refundedTicket(t *testing.T) (func(*client.App) (client.Answer, error), func(*testing.T)) {
	seat := freeSeat(t)
	p, orders := boughtSeats(t, seat)
	refund := func(through *client.App) (client.Answer, error) {
		return via(admin, through).Post(t.Context(), "/admin/orders/"+orders[0]+"/refund", map[string]any{"reason": "asked for"})
	}
	return refund, func(t *testing.T) {
		eventually(t, "the order is refunded", func() bool { return orderStatus(t, p, orders[0]) == "REFUNDED" })
		eventually(t, "the seat is free", func() bool { return seatStatus(t, seat) == "AVAILABLE" })
		has(t, p, price)
		eventually(t, "once more is the same refund", func() bool {
			a, err := refund(app)
			return err == nil && a.Status == http.StatusOK // 202 while the saga's end is not written
		})
		has(t, p, price)
	}
}

// refundRefused is the refund of a ticket that is disputed: what was void is valid again.
func refundRefused(t *testing.T) (func(*client.App) (client.Answer, error), func(*testing.T)) {
	seat := freeSeat(t)
	seller, _ := boughtSeats(t, seat)
	buyer := person(t, 10_00)
	id := handOver(t, seller, buyer, seat, 10_00)
	a, err := buyer.Post(t.Context(), "/transfer/dispute", map[string]any{"transfer_id": id, "reason": "not what was agreed"})
	must(t, a, err, http.StatusOK)
	order := ask[string](t, "orders_db", `SELECT order_id::text FROM orders WHERE seat_id = $1 AND status = 'CONFIRMED'`, seat)
	refund := func(through *client.App) (client.Answer, error) {
		return via(admin, through).Post(t.Context(), "/admin/orders/"+order+"/refund", map[string]any{"reason": "asked for"})
	}
	return refund, func(t *testing.T) {
		sagaEnds(t, order, "UNDONE")
		if void := ask[bool](t, "seats_db", `SELECT void_id IS NOT NULL FROM seats WHERE seat_id = $1`, seat); void {
			t.Error("the ticket stays void")
		}
		owns(t, buyer, seat)
	}
}

// cancelled is an event with tickets, one of them handed on, and a hold, and its cancellation.
func cancelled(t *testing.T) (cancel func(*client.App) (client.Answer, error), right func(*testing.T)) {
	event, seats := newEvent(t, 8)
	p, _ := boughtSeats(t, seats[:3]...)
	q := person(t, 0)
	handOver(t, p, q, seats[0], 0)
	holder := person(t, 0)
	held := reserve(t, holder, seats[4])
	a, err := admin.Post(t.Context(), "/admin/events/"+event+"/cancel/preview", map[string]any{})
	code := must(t, a, err, http.StatusOK).Text("code")
	cancel = func(through *client.App) (client.Answer, error) {
		return via(admin, through).Post(t.Context(), "/admin/events/"+event+"/cancel", map[string]any{"code": code, "reason": "storm"})
	}
	return cancel, func(t *testing.T) {
		eventually(t, "the cancellation is done", func() bool {
			a, err := app.Do(t.Context(), client.Call{Method: http.MethodGet, Path: "/admin/events/" + event + "/cancel", Token: admin.Access})
			return err == nil && a.Text("status") == "DONE"
		})
		has(t, p, 2*price)
		has(t, q, price)
		if orderStatus(t, holder, held) != "FAILED" || seatStatus(t, seats[4]) != "AVAILABLE" {
			t.Errorf("the hold's order is %s, its seat %s", orderStatus(t, holder, held), seatStatus(t, seats[4]))
		}
		a, err := holder.Post(t.Context(), "/reserve", map[string]any{"seat_id": seats[4]})
		refused(t, a, err, http.StatusConflict, "SEAT_UNAVAILABLE")
	}
}

// cancelledInBatches is a cancellation that is answered before its batches begin: its answer does not show the crash
// that the test waits for.
func cancelledInBatches(t *testing.T) (func(*client.App) (client.Answer, error), func(*testing.T)) {
	cancel, right := cancelled(t)
	return func(through *client.App) (client.Answer, error) {
		a, err := cancel(through)
		if err == nil && a.Status == http.StatusAccepted {
			a.Status = http.StatusBadGateway
		}
		return a, err
	}, right
}

// Two orchestrators at once refund an event of four batches. The first dies in a batch; the second ends that one and dies in
// the next, which it has begun itself; and so do two more. The last two live. Each ticket is refunded once.
func TestACancellationIsKilledInTheMiddle(t *testing.T) {
	clean(t)
	event, seats := newEvent(t, 460)
	var people []*client.Person
	for i := range 46 {
		p, _ := boughtSeats(t, seats[i*10:i*10+10]...)
		people = append(people, p)
	}
	a, err := admin.Post(t.Context(), "/admin/events/"+event+"/cancel/preview", map[string]any{})
	code := must(t, a, err, http.StatusOK).Text("code")
	kill(t, "orchestrator-service")
	for _, pair := range [][2]string{
		{"void tickets:after", "refund orders:after"}, {"return credits:after", "settle tickets:before"},
	} {
		var dying [2]string
		var through *client.App
		for i, at := range pair {
			dying[i], through = replica(t, "SAGA_CRASH_AT=refund-batch:"+at)
		}
		_, _ = via(admin, through).Post(t.Context(), "/admin/events/"+event+"/cancel", map[string]any{"code": code, "reason": "storm"})
		eventually(t, "both are dead", func() bool {
			_, first := own.Running(dying[0])
			_, second := own.Running(dying[1])
			return !first && !second
		})
	}
	start(t, "orchestrator-service")
	replica(t)
	eventually(t, "the cancellation is done", func() bool {
		a, err := app.Do(t.Context(), client.Call{Method: http.MethodGet, Path: "/admin/events/" + event + "/cancel", Token: admin.Access})
		return err == nil && a.Text("status") == "DONE"
	})
	for _, p := range people {
		has(t, p, 10*price)
	}
}
