package demo

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"ticketremaster/platform/money"
	"ticketremaster/stack/client"
)

// shortHold is the TTL of the hold that is abandoned. Meanwhile the sweeps' grace is so long that only the dead letter
// can release it.
const (
	shortHold  = "4s"
	sweepsWait = "60s"
	shortQueue = "seat.hold.queue.4000" // one queue per TTL: a queue expires from its head only
)

// crash is a payment that was interrupted.
type crash struct {
	ticket
	before money.Cents
	at     time.Time
}

const orchestrator = "orchestrator-service"

// restoreSettings restores five-minute holds, also when the demo was interrupted.
func (p *demo) restoreSettings() {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(p.ctx), 90*time.Second)
	defer cancel()
	p.must(p.Operator.Restart(ctx, []string{"inventory-service", orchestrator}))
}

// crashInMidPayment kills the orchestrator between deducting the credits and confirming the order, and leaves it down.
func (p *demo) crashInMidPayment() {
	s, out, who := p.take("CAT4"), p.out, p.alice
	out.table("A crash in mid-payment", fmt.Sprintf("Alice pays for seat %s, %s; after step 6 the orchestrator dies by kill -9", s, s.Price))
	a := p.post(who, "/reserve", map[string]any{"seat_id": s.ID, "user_id": who.ID})
	p.crash = crash{ticket: ticket{s, a.Text("order_id")}, before: p.balance(who)}
	out.step("1–4", "Client → Orchestrator", "POST /reserve, as above", a.Took)
	p.must(p.Operator.Restart(p.ctx, []string{orchestrator}, "SAGA_CRASH_AT=purchase:deduct credits:after"))
	died, err := p.App.Do(p.ctx, client.Call{Method: http.MethodPost, Path: "/pay", Token: who.Access, Body: map[string]any{"order_id": p.crash.order}})
	p.must(err)
	p.crash.at = time.Now()
	p.expect(died.Status >= 500, "the orchestrator was to die, and answers %d", died.Status)
	p.until(5*time.Second, "the orchestrator is dead", func() bool { // its connections go first
		runs, err := p.Operator.Running(p.ctx, orchestrator)
		p.must(err)
		return !runs
	})
	out.step("5–6", "Client → Orchestrator", fmt.Sprintf("POST /pay: the process is gone, the gateway says %d", died.Status), died.Took)
	balance := p.balance(who)
	p.expect(balance == p.crash.before-s.Price, "the money is not taken: %s", balance)
	out.left("users_db", "Alice's credit_balance %s → %s: the money is taken …", p.crash.before, balance)
	p.seatIs(s, "HELD")
	var status, saga string
	p.must(p.stores.read(p.ctx, "orders_db", `SELECT status::text FROM orders WHERE order_id = $1`, []any{p.crash.order}, &status))
	out.left("orders_db", "order %s: … and nothing given for it", status)
	p.must(p.stores.read(p.ctx, "sagas_db", `SELECT status FROM sagas WHERE kind = 'purchase' AND subject = $1`, []any{p.crash.order}, &saga))
	p.expect(saga == "RUNNING", "the saga is %s", saga)
	out.left("sagas_db", "saga %s: it is written down, and will be taken up when its lease of 10 s is over", saga)
	out.note("The demo goes on meanwhile. The section Recovery shows how the payment ended.")
}

// abandonment plays a reservation that is not paid.
func (p *demo) abandonment() {
	s, out, who := p.take("CAT4"), p.out, p.bob
	out.table("Abandonment, TTL expiry", fmt.Sprintf("Bob reserves seat %s and leaves; HOLD_TTL=%s, and no sweep for %s", s, shortHold, sweepsWait))
	p.must(p.Operator.Restart(p.ctx, []string{"inventory-service", orchestrator}, "HOLD_TTL="+shortHold, "SWEEP_GRACE="+sweepsWait))
	before := p.balance(who)
	began := time.Now()
	orderID := p.reserve(who, s, shortQueue)
	p.until(15*time.Second, "the dead letter releases the seat", func() bool {
		var status string
		p.must(p.stores.read(p.ctx, "seats_db", `SELECT status::text FROM seats WHERE seat_id = $1`, []any{s.ID}, &status))
		return status == "AVAILABLE"
	})
	released := time.Since(began)
	waiting, err := p.stores.waiting(p.ctx, shortQueue)
	p.must(err)
	out.step("5", "RabbitMQ", "the message's TTL is over: dead-lettered to seat.release.queue", released)
	out.left("RabbitMQ", "%s holds %s", shortQueue, messages(waiting))
	out.step("6", "RabbitMQ → Inventory", "seat.release.queue: the same code as gRPC ReleaseSeat", 0)
	p.seatIs(s, "AVAILABLE")
	out.step("7", "RabbitMQ → Orchestrator", "order.expiry.queue: the pending order has failed", 0)
	p.until(10*time.Second, "the order fails", func() bool {
		var o order
		p.get(who, "/orders/"+orderID, &o)
		return o.Status != "PENDING"
	})
	p.orderIs(who, orderID, "FAILED")
	a := p.ask(who, http.MethodPost, "/pay", map[string]any{"order_id": orderID}, http.StatusGone, "HOLD_EXPIRED")
	out.step("", "Client → Orchestrator", "POST /pay, too late: "+refusal(a), a.Took)
	p.expect(p.balance(who) == before, "Bob was charged")
	out.left("users_db", "Bob's credit_balance %s, untouched", before)
}

// recovery shows the outcome of the payment that the crash interrupted.
func (p *demo) recovery() {
	if p.Operator == nil {
		return
	}
	out, who := p.out, p.alice
	out.section("Recovery", fmt.Sprintf("What became of Alice's payment for seat %s, cut short in Scenario 1.", p.crash.seat))
	out.print("")
	var o order
	p.until(30*time.Second, "the payment is taken up and ended", func() bool {
		p.get(who, "/orders/"+p.crash.order, &o)
		return o.Status != "PENDING"
	})
	var after float64
	p.must(p.stores.read(p.ctx, "orders_db", `SELECT extract(epoch FROM confirmed_at - $2)::float8 FROM orders WHERE order_id = $1`,
		[]any{p.crash.order, p.crash.at}, &after))
	out.step("", "Orchestrator", "takes the saga up and runs it again: nothing is done twice", time.Duration(after*float64(time.Second)))
	p.steps(who, p.crash.order, func(step string) {
		switch step {
		case "deduct credits":
			balance := p.balance(who)
			p.expect(balance == p.crash.before-p.crash.seat.Price, "Alice was charged other than once: %s", balance)
			out.left("users_db", "Alice's credit_balance %s → %s: charged once, though asked for twice", p.crash.before, balance)
		case "confirm order":
			p.orderIs(who, p.crash.order, "CONFIRMED")
		case "confirm seat":
			p.seatIs(p.crash.seat, "SOLD")
		}
	})
}
