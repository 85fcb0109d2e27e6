package demo

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"ticketremaster/platform/money"
)

const (
	resalePrice money.Cents = 10_00 // what a ticket of the small event cost
	approveSoon             = "1s"  // MARKETPLACE_APPROVE_WITHIN for the purchase that lapses
)

// market plays docs/architecture.md#marketplace: a listing that is bought and approved, buyers who come too late, and a
// seller who does not answer.
func (p *demo) market() {
	out := p.out
	out.section("Marketplace", "An owner lists a ticket; the buyer's credits wait in escrow until the seller approves by one-time password.")
	registered, err := p.App.Register(p.ctx, fmt.Sprintf("seller-%d@ticketremaster.example", time.Now().UnixNano()), fmt.Sprintf("+658%07d", rand.IntN(10_000_000)), p.Password)
	p.must(err)
	mia := &person{registered, "Mia", "customer"}
	_, err = mia.TopUp(p.ctx, 2*resalePrice)
	p.must(err)
	show := p.smallEvent("Resale Night, made at "+time.Now().Format("15:04:05"), nil)
	seat, other := p.buy(mia, show.seats[0]), p.buy(mia, show.seats[1])

	out.table("Sold on", "Mia lists her ticket, Dave buys it, Bob comes too late")
	listing := p.list(mia, seat)
	a := p.ask(nil, http.MethodGet, "/marketplace/listings?status=ACTIVE", nil, http.StatusOK, "")
	out.step("", "Guest → Gateway", "GET /marketplace/listings?status=ACTIVE", a.Took)
	before, dave, since := p.balance(mia), p.balance(p.dave), time.Now()
	about := map[string]any{"listing_id": listing}
	a = p.post(p.dave, "/marketplace/buy", about)
	out.step("", "Buyer → Gateway", "POST /marketplace/buy: "+a.Text("status"), a.Took)
	out.left("users_db", "Dave %s → %s: the price is in escrow", dave, p.balance(p.dave))
	p.expect(p.balance(p.dave) == dave-resalePrice && p.balance(mia) == before, "the price is not in escrow")
	a = p.ask(p.bob, http.MethodPost, "/marketplace/buy", about, http.StatusConflict, "LISTING_UNAVAILABLE")
	out.step("", "Late buyer → Gateway", "POST /marketplace/buy: "+refusal(a), a.Took)
	a = p.ask(mia, http.MethodGet, "/tickets/"+seat+"/qr", nil, http.StatusConflict, "SEAT_UNAVAILABLE")
	out.step("", "Seller → Gateway", "GET /tickets/…/qr until the end: "+refusal(a), a.Took)
	a = p.post(mia, "/marketplace/approve", map[string]any{"listing_id": listing, "otp_code": p.code(mia, since)})
	out.step("", "Seller → Gateway", "POST /marketplace/approve {listing_id, otp_code}: "+a.Text("message"), a.Took)
	p.expect(p.balance(mia) == before+resalePrice, "Mia is not paid")
	out.left("users_db", "Mia %s → %s", before, p.balance(mia))
	p.ticketQR(p.dave, seat)

	if p.Operator == nil {
		return // a seller has a day
	}
	out.table("A seller who does not answer", fmt.Sprintf("MARKETPLACE_APPROVE_WITHIN=%s instead of a day", approveSoon))
	p.must(p.Operator.Restart(p.ctx, []string{orchestrator}, "MARKETPLACE_APPROVE_WITHIN="+approveSoon))
	listing, dave = p.list(mia, other), p.balance(p.dave)
	a = p.post(p.dave, "/marketplace/buy", map[string]any{"listing_id": listing})
	out.step("", "Buyer → Gateway", "POST /marketplace/buy: "+a.Text("status"), a.Took)
	took := p.until(15*time.Second, "the purchase lapses", func() bool { return p.balance(p.dave) == dave })
	out.step("", "Orchestrator", "the time is over: the purchase ends, the escrow goes back", took)
	out.left("users_db", "Dave %s, as before", p.balance(p.dave))
	p.ticketQR(mia, other)
	p.must(p.Operator.Restart(p.ctx, []string{orchestrator}))
}

// list offers a ticket of the small event for what it cost.
func (p *demo) list(who *person, seat string) (listing string) {
	a := p.ask(who, http.MethodPost, "/marketplace/list", map[string]any{"seat_id": seat, "asking_price": resalePrice + 1}, http.StatusBadRequest, "VALIDATION_ERROR")
	p.out.step("", "Seller → Gateway", "POST /marketplace/list above the event's cap: "+refusal(a), a.Took)
	a = p.ask(who, http.MethodPost, "/marketplace/list", map[string]any{"seat_id": seat, "asking_price": resalePrice}, http.StatusCreated, "")
	p.out.step("", "Seller → Gateway", "POST /marketplace/list {seat_id, asking_price}", a.Took)
	return a.Text("listing_id")
}
