package e2e

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"ticketremaster/stack/client"
)

func TestPurchase(t *testing.T) {
	e := newEvent(t, 40)
	p := person(t, 100_00)
	a, err := p.Post(t.Context(), "/api/reserve", map[string]any{"seat_id": e.Seats[0].ID, "user_id": p.ID})
	must(t, a, err, http.StatusOK)
	if a.Text("status") != "HELD" || field(a, "otp_required") != false || field(a, "ttl_seconds").(float64) < 1 {
		t.Errorf("reserved: %s", a.Data)
	}
	order := a.Text("order_id")
	if again := reserve(t, p, e.Seats[0].ID); again != order {
		t.Errorf("reserving one's own hold again gives another order: %s, %s", again, order)
	}
	a, err = p.Post(t.Context(), "/pay", map[string]any{"order_id": order})
	must(t, a, err, http.StatusOK)
	if a.Text("status") != "CONFIRMED" || a.Text("seat_id") != e.Seats[0].ID || field(a, "credits_charged") != 60.0 || field(a, "remaining_balance") != 40.0 || len(a.Text("qr_hash")) < 100 {
		t.Errorf("paid: %s", a.Data)
	}
	if b := balance(t, p); b != 40_00 {
		t.Errorf("the balance is %s", b)
	}
	a, err = p.Get(t.Context(), "/tickets")
	must(t, a, err, http.StatusOK)
	var tickets []struct {
		SeatID string `json:"seat_id"`
		Status string `json:"status"`
	}
	if err := a.Into(&tickets); err != nil || len(tickets) != 1 || tickets[0].SeatID != e.Seats[0].ID || tickets[0].Status != "SOLD" {
		t.Errorf("tickets: %s", a.Data)
	}
	stranger := person(t, 0)
	a, err = stranger.Post(t.Context(), "/reserve", map[string]any{"seat_id": e.Seats[0].ID})
	refused(t, a, err, http.StatusConflict, "SEAT_ALREADY_SOLD")
}

func TestAFreeTicket(t *testing.T) {
	e := newEvent(t, 4, func(body map[string]any) { body["pricing_tiers"] = map[string]any{"FREE": 0} })
	p := person(t, 5_00)
	order := reserve(t, p, e.Seats[0].ID)
	a, err := p.Post(t.Context(), "/pay", map[string]any{"order_id": order})
	must(t, a, err, http.StatusOK)
	if field(a, "credits_charged") != 0.0 || field(a, "remaining_balance") != 5.0 {
		t.Errorf("paid: %s", a.Data)
	}
}

func TestOneSeatFiftyClients(t *testing.T) {
	e := newEvent(t, 2)
	people := make([]*client.Person, 10) // each five times: the same person's calls are one hold
	for i := range people {
		people[i] = person(t, 0)
	}
	var mu sync.Mutex
	won, lost := map[string]int{}, 0
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			p := people[i%len(people)]
			a, err := p.Post(t.Context(), "/reserve", map[string]any{"seat_id": e.Seats[0].ID})
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err != nil:
				t.Error(err)
			case a.Status == http.StatusOK:
				won[p.ID]++
			case a.Status == http.StatusConflict && a.Code == "SEAT_UNAVAILABLE" && a.Message != "":
				lost++
			default:
				t.Errorf("%d %s", a.Status, a.Raw)
			}
		})
	}
	all.Wait()
	if len(won) != 1 || lost < 45 {
		t.Errorf("%d people hold the seat, %d calls were refused", len(won), lost)
	}
}

func TestPayingTwiceChargesOnce(t *testing.T) {
	e := newEvent(t, 4)
	p := person(t, 200_00)
	order := buy(t, p, e.Seats[0].ID)
	a, err := p.Post(t.Context(), "/pay", map[string]any{"order_id": order})
	refused(t, a, err, http.StatusConflict, "ORDER_ALREADY_CONFIRMED")

	order = reserve(t, p, e.Seats[1].ID)
	var all sync.WaitGroup
	answers := make([]client.Answer, 10)
	for i := range answers {
		all.Go(func() {
			a, err := p.Post(t.Context(), "/pay", map[string]any{"order_id": order})
			if err != nil {
				t.Error(err)
			}
			answers[i] = a
		})
	}
	all.Wait()
	paid := 0
	for _, a := range answers {
		if a.Status == http.StatusOK {
			paid++
		} else if a.Code != "ORDER_ALREADY_CONFIRMED" {
			t.Errorf("%d %s", a.Status, a.Raw)
		}
	}
	if b := balance(t, p); paid != 1 || b != 80_00 {
		t.Errorf("%d payments succeeded, the balance is %s", paid, b)
	}
}

func TestTooLittleMoneyThenTopUpThenPay(t *testing.T) {
	e := newEvent(t, 4)
	p := person(t, 10_00)
	order := reserve(t, p, e.Seats[0].ID)
	for range 2 {
		a, err := p.Post(t.Context(), "/pay", map[string]any{"order_id": order})
		refused(t, a, err, http.StatusPaymentRequired, "INSUFFICIENT_CREDITS")
	}
	if b := balance(t, p); b != 10_00 {
		t.Errorf("a refused payment changed the balance to %s", b)
	}
	if _, err := p.TopUp(t.Context(), 50_00); err != nil {
		t.Fatal(err)
	}
	a, err := p.Post(t.Context(), "/pay", map[string]any{"order_id": order})
	must(t, a, err, http.StatusOK)
	if b := balance(t, p); b != 0 {
		t.Errorf("the balance is %s", b)
	}
}

func TestAStrangerCannotPaySeeOrCancel(t *testing.T) {
	e := newEvent(t, 4)
	p, stranger := person(t, 100_00), person(t, 100_00)
	order := reserve(t, p, e.Seats[0].ID)
	a, err := stranger.Post(t.Context(), "/pay", map[string]any{"order_id": order})
	refused(t, a, err, http.StatusNotFound, "ORDER_NOT_FOUND")
	a, err = stranger.Post(t.Context(), "/pay", map[string]any{"order_id": order, "user_id": p.ID})
	refused(t, a, err, http.StatusForbidden, "FORBIDDEN")
	a, err = stranger.Post(t.Context(), "/reserve", map[string]any{"seat_id": e.Seats[1].ID, "user_id": p.ID})
	refused(t, a, err, http.StatusForbidden, "FORBIDDEN")
	a, err = stranger.Post(t.Context(), "/orders/"+order+"/cancel", nil)
	refused(t, a, err, http.StatusNotFound, "ORDER_NOT_FOUND")
	a, err = stranger.Get(t.Context(), "/orders/"+order)
	refused(t, a, err, http.StatusNotFound, "ORDER_NOT_FOUND")
	if b := balance(t, stranger); b != 100_00 {
		t.Errorf("the stranger was charged: %s", b)
	}
}

func TestCancelGivesTheSeatBack(t *testing.T) {
	e := newEvent(t, 4)
	p, next := person(t, 100_00), person(t, 0)
	order := reserve(t, p, e.Seats[0].ID)
	for range 2 {
		a, err := p.Post(t.Context(), "/orders/"+order+"/cancel", nil)
		if must(t, a, err, http.StatusOK).Text("status") != "FAILED" {
			t.Errorf("cancelled: %s", a.Data)
		}
	}
	a, err := p.Post(t.Context(), "/pay", map[string]any{"order_id": order})
	refused(t, a, err, http.StatusConflict, "SEAT_NOT_HELD")
	reserve(t, next, e.Seats[0].ID)
	sold := buy(t, p, e.Seats[1].ID)
	a, err = p.Post(t.Context(), "/orders/"+sold+"/cancel", nil)
	refused(t, a, err, http.StatusConflict, "ORDER_ALREADY_CONFIRMED")
}

func TestNoBotParksAHall(t *testing.T) {
	e := newEvent(t, 30)
	p := person(t, 0)
	var mu sync.Mutex
	held, refusedCalls := 0, 0
	var all sync.WaitGroup
	for _, s := range e.Seats {
		all.Go(func() {
			a, err := p.Post(t.Context(), "/reserve", map[string]any{"seat_id": s.ID})
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err != nil:
				t.Error(err)
			case a.Status == http.StatusOK:
				held++
			case a.Status == http.StatusTooManyRequests && a.Code == "TOO_MANY_HOLDS":
				refusedCalls++
			default:
				t.Errorf("%d %s", a.Status, a.Raw)
			}
		})
	}
	all.Wait()
	if held != 10 || refusedCalls != 20 {
		t.Errorf("%d seats held, %d refused", held, refusedCalls)
	}
}

func TestAFlaggedUserMustProveThePurchase(t *testing.T) {
	e := newEvent(t, 4)
	p := flag(t, person(t, 200_00))
	since := time.Now()
	a, err := p.Post(t.Context(), "/reserve", map[string]any{"seat_id": e.Seats[0].ID})
	must(t, a, err, http.StatusOK)
	order := a.Text("order_id")
	if field(a, "otp_required") != true {
		t.Errorf("reserved: %s", a.Data)
	}
	code, err := app.OTP(t.Context(), p.Phone, since)
	if err != nil {
		t.Fatal(err)
	}
	a, err = p.Post(t.Context(), "/pay", map[string]any{"order_id": order})
	refused(t, a, err, http.StatusPreconditionRequired, "OTP_REQUIRED")
	wrong := "000000"
	if code == wrong {
		wrong = "000001"
	}
	eventually(t, "the code is in force", func() bool { // the SMS can be faster
		a, err = p.Post(t.Context(), "/verify-otp", map[string]any{"otp_code": wrong, "reference_id": order})
		return err == nil && a.Status != http.StatusBadRequest
	})
	for range 2 { // the app refreshes and repeats: one try
		a, err = p.Post(t.Context(), "/verify-otp", map[string]any{"otp_code": wrong, "reference_id": order})
		refused(t, a, err, http.StatusUnauthorized, "OTP_INVALID")
	}
	a, err = p.Post(t.Context(), "/verify-otp", map[string]any{"otp_code": code})
	must(t, a, err, http.StatusOK)
	a, err = p.Post(t.Context(), "/pay", map[string]any{"order_id": order})
	must(t, a, err, http.StatusOK)
	if b := balance(t, p); b != 140_00 {
		t.Errorf("the balance is %s", b)
	}
}
