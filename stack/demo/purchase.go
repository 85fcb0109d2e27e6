package demo

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"ticketremaster/platform/money"
)

// ticket is a seat that someone bought.
type ticket struct {
	seat  seat
	order string
}

// purchases is docs/architecture.md#purchase.
func (p *demo) purchases() {
	p.out.section("Scenario 1 · Ticket purchase", "Pessimistic locking, a distributed transaction, and recovery by RabbitMQ's dead letters.")
	p.aliceTicket = p.happyPath()
	p.family()
	p.carolTicket = p.tooLittleMoney()
	p.flaggedUser()
	if p.Operator == nil {
		p.out.table("Abandonment, and a crash in mid-payment", "")
		p.out.note("not shown here: they need a hold of a few seconds, and a kill -9 of the orchestrator")
		return
	}
	defer p.restoreSettings()
	p.crashInMidPayment()
	p.abandonment()
}

// order is what GET /orders/{id} shows of one.
type order struct {
	Status  string      `json:"status"`
	Price   money.Cents `json:"price"`
	Charged money.Cents `json:"credits_charged"`
	Reason  string      `json:"failure_reason"`
	Steps   []struct {
		Name string `json:"step"`
		What string `json:"what"`
		MS   int64  `json:"ms"`
	} `json:"steps"`
}

// orderIs requires an order's status and shows it.
func (p *demo) orderIs(who *person, id, want string) {
	var o order
	p.get(who, "/orders/"+id, &o)
	p.expect(o.Status == want, "order %s is %s, want %s", id, o.Status, want)
	text := fmt.Sprintf("order %s, price %s, charged %s", o.Status, o.Price, o.Charged)
	if o.Reason != "" {
		text += ", because " + o.Reason
	}
	p.out.left("orders_db", "%s", text)
}

// reserve plays steps 1 to 4: the seat is held, and the hold message is published.
func (p *demo) reserve(who *person, s seat, queue string) (orderID string) {
	out := p.out
	out.step("1", "Client → Orchestrator", fmt.Sprintf("POST /reserve {seat_id: %s, user_id: %s}", s, who.name), 0)
	a := p.post(who, "/reserve", map[string]any{"seat_id": s.ID, "user_id": who.ID})
	out.step("2", "Orchestrator → Inventory", "gRPC ReserveSeat, SELECT … FOR UPDATE NOWAIT", 0)
	p.seatIs(s, "HELD")
	out.step("3", "Orchestrator → RabbitMQ", "publish the hold message to "+queue, 0)
	p.queued(queue)
	orderID = a.Text("order_id")
	out.step("4", "Orchestrator → Client", "200 OK, order "+orderID, a.Took)
	p.orderIs(who, orderID, "PENDING")
	return orderID
}

// paySteps is how the output shows the steps of a payment's saga: number, way and action as in
// docs/architecture.md#paying.
var paySteps = map[string][3]string{
	"pin hold":       {"5a", "Orchestrator → Inventory", "gRPC PinHold: from here the expiry leaves the seat alone"},
	"deduct credits": {"6", "Orchestrator → User Svc", "POST /credits/deduct {user_id, amount}: balance ≥ amount"},
	"confirm order":  {"7", "Orchestrator → Order Svc", "POST /orders: CONFIRMED"},
	"confirm seat":   {"8", "Orchestrator → Inventory", "gRPC ConfirmSeat: SOLD, owner_user_id set"},
}

// pay plays steps 5 to 9.
func (p *demo) pay(who *person, s seat, orderID string) {
	out := p.out
	before := p.balance(who)
	out.step("5", "Client → Orchestrator", "POST /pay {order_id}", 0)
	a := p.post(who, "/pay", map[string]any{"order_id": orderID})
	p.steps(who, orderID, func(step string) {
		switch step {
		case "deduct credits":
			out.left("users_db", "%s's credit_balance %s → %s", who.name, before, p.balance(who))
		case "confirm order":
			p.orderIs(who, orderID, "CONFIRMED")
		case "confirm seat":
			p.seatIs(s, "SOLD")
		}
	})
	p.expect(p.balance(who) == before-s.Price, "%s was charged other than %s", who.name, s.Price)
	out.step("9", "Orchestrator → Client", fmt.Sprintf("200 %s, a QR code of %d characters", a.Text("status"), len(a.Text("qr_hash"))), a.Took)
}

// steps shows the steps of an order's payment, from the saga's trail, and the state that each left.
func (p *demo) steps(who *person, orderID string, left func(step string)) {
	var o order
	p.until(5*time.Second, "the payment's trail is written down", func() bool {
		p.get(who, "/orders/"+orderID, &o)
		return len(o.Steps) > 0
	})
	for _, s := range o.Steps {
		row, known := paySteps[s.Name]
		p.expect(known && s.What == "done", "the payment did %q: %s", s.Name, s.What)
		p.out.step(row[0], row[1], row[2], max(time.Duration(s.MS)*time.Millisecond, time.Microsecond))
		left(s.Name)
	}
}

func (p *demo) happyPath() ticket {
	s := p.take("CAT1")
	p.out.table("Happy path", fmt.Sprintf("Alice buys seat %s, %s, %s", s, s.Category, s.Price))
	orderID := p.reserve(p.alice, s, "seat.hold.queue")
	p.pay(p.alice, s, orderID)
	out := p.out
	out.note("and what is refused then:")
	a := p.ask(p.bob, http.MethodPost, "/reserve", map[string]any{"seat_id": s.ID}, http.StatusConflict, "SEAT_ALREADY_SOLD")
	out.step("", "Bob → Orchestrator", "POST /reserve, the same seat: "+refusal(a), a.Took)
	a = p.ask(p.alice, http.MethodPost, "/pay", map[string]any{"order_id": orderID}, http.StatusConflict, "ORDER_ALREADY_CONFIRMED")
	out.step("", "Alice → Orchestrator", "POST /pay, once more: "+refusal(a)+", charged once", a.Took)
	return ticket{s, orderID}
}

// tooLittleMoney has the top-up in the middle: a payment intent, the card, and Stripe's signed webhook.
func (p *demo) tooLittleMoney() ticket {
	s, out, who := p.take("CAT2"), p.out, p.carol
	out.table("Too little money", fmt.Sprintf("Carol, new and without credits, buys seat %s, %s", s, s.Price))
	orderID := p.reserve(who, s, "seat.hold.queue")
	out.step("5", "Client → Orchestrator", "POST /pay {order_id}", 0)
	a := p.ask(who, http.MethodPost, "/pay", map[string]any{"order_id": orderID}, http.StatusPaymentRequired, "INSUFFICIENT_CREDITS")
	out.step("6", "Orchestrator → User Svc", "POST /credits/deduct: "+refusal(a)+", the hold stays", a.Took)
	p.seatIs(s, "HELD")
	began := time.Now()
	intent, err := who.TopUp(p.ctx, 250_00)
	p.must(err)
	out.step("+", "Client → User Svc", "POST /credits/topup {amount: 250}: a PaymentIntent at Stripe", 0)
	out.step("+", "Stripe → User Svc", "POST /webhooks/stripe, signed: payment_intent.succeeded", time.Since(began))
	out.left("users_db", "%s credited once, Carol's credit_balance %s", intent, p.balance(who))
	p.pay(who, s, orderID)
	var ledger []struct {
		Kind    string      `json:"type"`
		Amount  money.Cents `json:"amount"`
		Balance money.Cents `json:"balance_after"`
	}
	p.get(who, "/credits/transactions", &ledger)
	out.note("Carol's ledger, GET /credits/transactions, newest first:")
	sum := money.Cents(0)
	for _, entry := range ledger {
		out.step("", entry.Kind, fmt.Sprintf("%12s   balance after %10s", signed(entry.Amount), entry.Balance), 0)
		sum += entry.Amount
	}
	p.expect(len(ledger) == 2 && sum == p.balance(who), "the ledger has %d entries that sum to %s, the balance is %s", len(ledger), sum, p.balance(who))
	return ticket{s, orderID}
}

func signed(amount money.Cents) string {
	if amount > 0 {
		return "+" + amount.String()
	}
	return strings.Replace(amount.String(), "-", "−", 1)
}

func (p *demo) flaggedUser() {
	s, out, who := p.take("CAT3"), p.out, p.frank
	out.table("High-risk user, mandatory OTP", fmt.Sprintf("Frank, is_flagged, buys seat %s, %s", s, s.Price))
	since := time.Now()
	orderID := p.reserve(who, s, "seat.hold.queue")
	out.note("step 3 is not put off until the OTP: an abandoned one would lock the seat for ever")
	out.step("2a", "Orchestrator → User Svc", "GET /users/{user_id}/risk: is_flagged, so the answer says otp_required", 0)
	code := p.code(who, since)
	out.step("2b", "User Svc → SMU API", "POST /sendOTP {phone}", 0)
	out.left("SMU", "%s got code %s", who.Phone, code)
	a := p.ask(who, http.MethodPost, "/pay", map[string]any{"order_id": orderID}, http.StatusPreconditionRequired, "OTP_REQUIRED")
	out.step("", "Client → Orchestrator", "POST /pay, too early: "+refusal(a), a.Took)
	a = p.post(who, "/verify-otp", map[string]any{"otp_code": code, "reference_id": orderID})
	out.step("2c", "Client → Orchestrator", "POST /verify-otp {otp_code: "+code+"}", 0)
	out.step("2d", "User Svc → SMU API", "POST /verifyOTP {otp_code}: verified", a.Took)
	p.pay(who, s, orderID)
}
