package demo

import (
	"fmt"
	"net/http"
	"slices"

	"ticketremaster/platform/money"
)

// family has four seats side by side, held and paid for together, or not at all.
func (p *demo) family() {
	out, who := p.out, p.alice
	out.table("A family of four", "Alice asks for the best four seats of CAT4 side by side")
	best := map[string]any{"event_id": p.event.ID, "tier": "CAT4", "quantity": 4}
	a := p.post(who, "/reserve", best)
	var b struct {
		ID     string      `json:"booking_id"`
		Total  money.Cents `json:"total"`
		Orders []struct {
			ID     string `json:"order_id"`
			Seat   string `json:"seat_id"`
			Row    string `json:"row_number"`
			Number int    `json:"seat_number"`
		} `json:"orders"`
	}
	p.must(a.Into(&b))
	p.expect(len(b.Orders) == 4, "%d seats are held, want 4", len(b.Orders))
	var family []seat
	for _, o := range b.Orders {
		i := slices.IndexFunc(p.seats, func(s seat) bool { return s.ID == o.Seat })
		p.expect(i >= 0 && o.Row == b.Orders[0].Row, "seat %s%d is not free, or in another row", o.Row, o.Number)
		family = append(family, p.seats[i])
		p.seats = slices.Delete(slices.Clone(p.seats), i, i+1)
	}
	out.step("1", "Client → Orchestrator", "POST /reserve {event_id, tier: CAT4, quantity: 4}", 0)
	out.step("2", "Orchestrator → Inventory", "gRPC ReserveBest: chosen in memory, held by one statement", 0)
	for _, s := range family {
		p.seatIs(s, "HELD")
	}
	out.step("4", "Orchestrator → Client", fmt.Sprintf("200 OK, booking %s of four orders, %s in all", b.ID, b.Total), a.Took)
	a = p.ask(p.bob, http.MethodPost, "/reserve", map[string]any{"seat_ids": []string{p.seats[0].ID, family[1].ID}}, http.StatusConflict, "SEAT_UNAVAILABLE")
	out.step("", "Bob → Orchestrator", "POST /reserve {seat_ids}, one of them Alice's: "+refusal(a)+", none is held", a.Took)
	_, err := who.TopUp(p.ctx, b.Total)
	p.must(err)
	before := p.balance(who)
	a = p.post(who, "/pay", map[string]any{"booking_id": b.ID})
	p.expect(p.balance(who) == before-b.Total, "Alice was charged other than %s", b.Total)
	out.step("5–9", "Client → Orchestrator", "POST /pay {booking_id}: each step once for all four", a.Took)
	out.left("users_db", "%s's credit_balance %s → %s, in one movement", who.name, before, p.balance(who))
	for i, s := range family {
		p.seatIs(s, "SOLD")
		p.orderIs(who, b.Orders[i].ID, "CONFIRMED")
	}
}
