package e2e

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"ticketremaster/platform/money"
	"ticketremaster/stack/client"
)

type booking struct {
	ID          string      `json:"booking_id"`
	Total       money.Cents `json:"total"`
	TTL         int         `json:"ttl_seconds"`
	OTPRequired bool        `json:"otp_required"`
	Orders      []struct {
		ID     string      `json:"order_id"`
		SeatID string      `json:"seat_id"`
		Row    string      `json:"row_number"`
		Number int         `json:"seat_number"`
		Price  money.Cents `json:"price"`
		QR     string      `json:"qr_hash"`
	} `json:"orders"`
}

// book reserves seats together.
func book(t *testing.T, p *client.Person, seats ...seat) (b booking) {
	t.Helper()
	a, err := p.Post(t.Context(), "/reserve", map[string]any{"seat_ids": ids(seats)})
	if err := must(t, a, err, http.StatusOK).Into(&b); err != nil {
		t.Fatal(err)
	}
	return b
}

func ids(seats []seat) []string {
	all := make([]string, len(seats))
	for i, s := range seats {
		all[i] = s.ID
	}
	return all
}

func payBooking(t *testing.T, p *client.Person, id string) (client.Answer, error) {
	t.Helper()
	return p.Post(t.Context(), "/pay", map[string]any{"booking_id": id})
}

func TestAFamilyBuysTogether(t *testing.T) {
	e := newEvent(t, 40)
	p := person(t, 200_00)
	family := []seat{e.Seats[19], e.Seats[20], e.Seats[18], e.Seats[21]} // of two tiers: 60, 25.50, 60, 25.50
	b := book(t, p, family...)
	if len(b.Orders) != 4 || b.Total != 171_00 || b.TTL < 1 || b.OTPRequired {
		t.Fatalf("reserved %+v", b)
	}
	for i, o := range b.Orders {
		if o.SeatID != family[i].ID || o.Row != family[i].Row || o.Number != family[i].Number || o.Price != family[i].Price {
			t.Errorf("order %d is %+v, want %+v", i, o, family[i])
		}
	}
	if again := book(t, p, family...); again.ID != b.ID || len(again.Orders) != 4 {
		t.Errorf("asked again: %+v", again)
	}
	if order := reserve(t, p, family[1].ID); order != b.Orders[1].ID {
		t.Errorf("one of the seats, asked for by itself, is order %s", order)
	}
	a, err := p.Post(t.Context(), "/pay", map[string]any{"order_id": b.Orders[1].ID})
	if e := refused(t, a, err, http.StatusConflict, "ORDER_OF_BOOKING"); !strings.Contains(string(e.Raw), b.ID) {
		t.Errorf("it does not name the booking: %s", e.Raw)
	}
	stranger, e0 := person(t, 0), e.Seats[0].ID
	a, err = stranger.Post(t.Context(), "/reserve", map[string]any{"seat_ids": ids([]seat{e.Seats[0], family[2], e.Seats[1], family[3]})})
	if e := refused(t, a, err, http.StatusConflict, "SEAT_UNAVAILABLE"); !strings.Contains(string(e.Raw), family[2].ID) || !strings.Contains(string(e.Raw), family[3].ID) || strings.Contains(string(e.Raw), e0) {
		t.Errorf("it does not name the seats that are gone: %s", e.Raw)
	}
	a, err = payBooking(t, stranger, b.ID)
	refused(t, a, err, http.StatusNotFound, "ORDER_NOT_FOUND")
	a, err = stranger.Get(t.Context(), "/orders?booking_id="+b.ID)
	refused(t, a, err, http.StatusNotFound, "ORDER_NOT_FOUND")

	a, err = payBooking(t, p, b.ID)
	var paid booking
	if err := must(t, a, err, http.StatusOK).Into(&paid); err != nil {
		t.Fatal(err)
	}
	if a.Text("status") != "CONFIRMED" || field(a, "credits_charged") != 171.0 || field(a, "remaining_balance") != 29.0 || len(paid.Orders) != 4 {
		t.Errorf("paid: %s", a.Data)
	}
	for _, o := range paid.Orders {
		if len(o.QR) < 100 {
			t.Errorf("no QR code: %+v", o)
		}
	}
	a, err = payBooking(t, p, b.ID)
	refused(t, a, err, http.StatusConflict, "ORDER_ALREADY_CONFIRMED")
	a, err = p.Get(t.Context(), "/orders?booking_id="+b.ID)
	var orders []struct {
		Status  string `json:"status"`
		Booking string `json:"booking_id"`
	}
	if err := must(t, a, err, http.StatusOK).Into(&orders); err != nil || len(orders) != 4 || orders[3].Status != "CONFIRMED" || orders[3].Booking != b.ID {
		t.Errorf("orders: %s", a.Data)
	}
	a, err = p.Get(t.Context(), "/credits/transactions")
	if strings.Count(string(must(t, a, err, http.StatusOK).Data), b.ID) != 1 {
		t.Errorf("it was not charged once: %s", a.Data)
	}
}

func TestABookingThatIsMalformed(t *testing.T) {
	e, other := newEvent(t, 8, func(b map[string]any) { b["max_per_booking"] = 3 }), newEvent(t, 4)
	p := person(t, 0)
	for name, c := range map[string]struct {
		body map[string]any
		code string
	}{
		"none":                {map[string]any{"seat_ids": []string{}}, "VALIDATION_ERROR"},
		"twice the same":      {map[string]any{"seat_ids": []string{e.Seats[0].ID, e.Seats[0].ID}}, "VALIDATION_ERROR"},
		"more than any event": {map[string]any{"seat_ids": slices.Repeat([]string{e.Seats[0].ID}, 21)}, "VALIDATION_ERROR"},
		"more than this one":  {map[string]any{"seat_ids": ids(e.Seats[:4])}, "VALIDATION_ERROR"},
		"of two events":       {map[string]any{"seat_ids": []string{e.Seats[0].ID, other.Seats[0].ID}}, "VALIDATION_ERROR"},
		"a seat and seats":    {map[string]any{"seat_id": e.Seats[0].ID, "seat_ids": ids(e.Seats[:2])}, "VALIDATION_ERROR"},
		"no id":               {map[string]any{"seat_ids": []string{"A-1"}}, "INVALID_UUID"},
		"numbers":             {map[string]any{"seat_ids": []int{1}}, "VALIDATION_ERROR"},
	} {
		t.Run(name, func(t *testing.T) {
			a, err := p.Post(t.Context(), "/reserve", c.body)
			refused(t, a, err, http.StatusBadRequest, c.code)
		})
	}
	for _, s := range append(readEvent(t, e.ID).Seats, readEvent(t, other.ID).Seats...) {
		if s.Status != "AVAILABLE" {
			t.Errorf("%s%d is %s", s.Row, s.Number, s.Status)
		}
	}
	a, err := p.Post(t.Context(), "/pay", map[string]any{"booking_id": "A-1"})
	refused(t, a, err, http.StatusBadRequest, "INVALID_UUID")
	a, err = p.Post(t.Context(), "/pay", map[string]any{"booking_id": e.ID, "order_id": e.ID})
	refused(t, a, err, http.StatusBadRequest, "VALIDATION_ERROR")
}

// Of a booking one seat is given back before it is paid, one ticket after, the rest by its holder together; and another whole.
func TestABookingIsGivenBack(t *testing.T) {
	e := newEvent(t, 20, func(b map[string]any) { b["refund_hours_before"], b["refund_fee_percent"] = 1, 10 })
	p := person(t, 240_00)
	b := book(t, p, e.Seats[0:4]...)
	a, err := p.Post(t.Context(), "/orders/"+b.Orders[3].ID+"/cancel", nil)
	must(t, a, err, http.StatusOK)
	a, err = payBooking(t, p, b.ID)
	must(t, a, err, http.StatusOK)
	if got := balance(t, p); got != 60_00 {
		t.Fatalf("the balance is %s", got)
	}
	a, err = p.Post(t.Context(), "/orders/"+b.ID+"/cancel", nil)
	refused(t, a, err, http.StatusConflict, "ORDER_ALREADY_CONFIRMED")
	a, err = p.Post(t.Context(), "/tickets/"+b.Orders[0].SeatID+"/refund", nil)
	must(t, a, err, http.StatusOK)
	a, err = p.Post(t.Context(), "/tickets/"+b.Orders[1].SeatID+"/refund?booking=true", nil)
	must(t, a, err, http.StatusOK)
	if got := balance(t, p); got != 60_00+3*54_00 {
		t.Errorf("the balance is %s: %s", got, a.Data)
	}
	a, err = p.Post(t.Context(), "/tickets/"+b.Orders[1].SeatID+"/refund?booking=yes", nil)
	refused(t, a, err, http.StatusBadRequest, "VALIDATION_ERROR")

	b = book(t, p, e.Seats[5:8]...)
	a, err = p.Post(t.Context(), "/orders/"+b.ID+"/cancel", nil)
	must(t, a, err, http.StatusOK)
	a, err = payBooking(t, p, b.ID)
	refused(t, a, err, http.StatusConflict, "SEAT_NOT_HELD")

	b = book(t, p, e.Seats[8:10]...)
	a, err = payBooking(t, p, b.ID)
	must(t, a, err, http.StatusOK)
	before := balance(t, p)
	a, err = admin.Post(t.Context(), "/admin/orders/"+b.ID+"/refund", map[string]any{"reason": "sorry"})
	must(t, a, err, http.StatusOK)
	if got := balance(t, p); got != before+120_00 {
		t.Errorf("the balance is %s: %s", got, a.Data)
	}
	for _, s := range readEvent(t, e.ID).Seats[:10] {
		if s.Status != "AVAILABLE" {
			t.Errorf("%s%d is %s", s.Row, s.Number, s.Status)
		}
	}
}

// A flagged user enters one code for a booking; it names the booking, or nothing.
func TestAFlaggedBookingTakesOneCode(t *testing.T) {
	e := newEvent(t, 6)
	p := flag(t, person(t, 200_00))
	since := time.Now()
	b := book(t, p, e.Seats[0:3]...)
	if !b.OTPRequired {
		t.Errorf("%+v", b)
	}
	a, err := payBooking(t, p, b.ID)
	refused(t, a, err, http.StatusPreconditionRequired, "OTP_REQUIRED")
	code, err := app.OTP(t.Context(), p.Phone, since)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the code holds", func() bool { // its SMS may arrive before it is noted as sent
		a, err = p.Post(t.Context(), "/verify-otp", map[string]any{"otp_code": code, "context": "purchase", "reference_id": b.Orders[1].ID})
		return err == nil && a.Code != "VALIDATION_ERROR"
	})
	must(t, a, err, http.StatusOK)
	a, err = payBooking(t, p, b.ID)
	must(t, a, err, http.StatusOK)
}

func TestTheBestAvailable(t *testing.T) {
	e := newEvent(t, 80, func(b map[string]any) { b["no_single_seats"] = true }) // rows of 20: two of each tier
	p := person(t, 0)
	best := func(p *client.Person, n int, more ...string) (client.Answer, error) {
		t.Helper()
		body := map[string]any{"event_id": e.ID, "tier": "CAT1", "quantity": n}
		for _, field := range more {
			body[field] = true
		}
		return p.Post(t.Context(), "/reserve", body)
	}
	var b booking
	a, err := best(p, 4)
	if err := must(t, a, err, http.StatusOK).Into(&b); err != nil || len(b.Orders) != 4 || b.Total != 240_00 {
		t.Fatalf("%s, %v", a.Data, err)
	}
	for i, o := range b.Orders {
		if o.Row != "A" || o.Number != 9+i {
			t.Errorf("seat %d is %s%d", i, o.Row, o.Number)
		}
	}
	var again booking
	a, err = best(p, 4)
	if err := must(t, a, err, http.StatusOK).Into(&again); err != nil || again.ID != b.ID || len(again.Orders) != 4 {
		t.Errorf("asked again: %s, %v", a.Data, err)
	}
	// A7 alone would leave A8; A7 and A8 leave none.
	other := person(t, 0)
	a, err = other.Post(t.Context(), "/reserve", map[string]any{"seat_id": e.Seats[6].ID})
	if r := refused(t, a, err, http.StatusConflict, "SINGLE_SEAT_LEFT"); !strings.Contains(string(r.Raw), e.Seats[7].ID) {
		t.Errorf("it does not name what it would leave: %s", r.Raw)
	}
	book(t, person(t, 0), e.Seats[6:8]...)
	a, err = best(other, 19)
	refused(t, a, err, http.StatusBadRequest, "VALIDATION_ERROR")
	for field, wrong := range map[string]any{"quantity": 0, "tier": "CAT9", "event_id": "A-1"} {
		body := map[string]any{"event_id": e.ID, "tier": "CAT1", "quantity": 2}
		body[field] = wrong
		a, err = other.Post(t.Context(), "/reserve", body)
		if err != nil || a.Status != http.StatusBadRequest {
			t.Errorf("%s: %d %s, %v", field, a.Status, a.Raw, err)
		}
	}
	a, err = other.Post(t.Context(), "/reserve", map[string]any{"event_id": "0197a5c0-0000-7000-8000-000000000009", "tier": "CAT1", "quantity": 2})
	refused(t, a, err, http.StatusNotFound, "EVENT_NOT_FOUND")
	a, err = other.Post(t.Context(), "/reserve", map[string]any{"event_id": e.ID, "tier": "CAT1", "quantity": 2, "seat_id": e.Seats[0].ID})
	refused(t, a, err, http.StatusBadRequest, "VALIDATION_ERROR")
}
