package recovery

import (
	"net/http"
	"slices"
	"time"

	"pgregory.net/rapid"
)

// book buys two or three seats together, chosen or the best that are free; at times one of them is given back first. Who cannot pay
// gives the rest back too.
func (c *users) book(rt *rapid.T) {
	show, ok := c.anyShow(rt)
	if !ok {
		return
	}
	who, at, n := c.one(rt), time.Now(), rapid.IntRange(2, 3).Draw(rt, "seats")
	p := c.people[who]
	body := map[string]any{"event_id": show.id, "tier": "CAT1", "quantity": n, "allow_split": true}
	if rapid.Bool().Draw(rt, "chosen") {
		var seats []string
		for range n {
			if seat, ok := pick(rt, &show.free); ok {
				seats = append(seats, seat)
			}
		}
		if len(seats) < 2 {
			return
		}
		body = map[string]any{"seat_ids": seats}
	}
	a, done := c.does(rt, "book", p, "/reserve", body)
	if !done {
		return
	}
	var b struct {
		ID     string `json:"booking_id"`
		Orders []struct {
			ID   string `json:"order_id"`
			Seat string `json:"seat_id"`
		} `json:"orders"`
	}
	if err := a.Into(&b); err != nil {
		rt.Fatal(err)
	}
	for _, o := range b.Orders {
		show.free = slices.DeleteFunc(show.free, func(seat string) bool { return seat == o.Seat })
	}
	if rapid.IntRange(0, 3).Draw(rt, "give one back") == 0 {
		if a, done := c.does(rt, "cancel", p, "/orders/"+b.Orders[0].ID+"/cancel", nil); !done {
			rt.Fatalf("cancelling one of a booking: %s", a.Raw)
		}
		b.Orders = b.Orders[1:]
	}
	pay := func() { a, done = c.does(rt, "pay together", p, "/pay", map[string]any{"booking_id": b.ID}) }
	pay()
	if a.Code == "OTP_REQUIRED" {
		if code, err := app.OTP(c.t.Context(), p.Phone, at); err != nil {
			rt.Fatal(err)
		} else if _, proved := c.does(rt, "prove a purchase", p, "/verify-otp", map[string]any{"otp_code": code, "reference_id": b.ID}); proved {
			pay()
		}
	}
	switch {
	case done:
		for _, o := range b.Orders {
			c.gets(o.Seat, who)
			c.bought[o.Seat] = o.ID
		}
	case a.Status == http.StatusPaymentRequired, a.Code == "OTP_REQUIRED", a.Code == "RATE_LIMITED":
		if a, done := c.does(rt, "give a booking back", p, "/orders/"+b.ID+"/cancel", nil); !done {
			rt.Fatalf("giving a booking back: %s", a.Raw)
		}
	default:
		rt.Fatalf("paying a booking: %d %s", a.Status, a.Raw)
	}
}
