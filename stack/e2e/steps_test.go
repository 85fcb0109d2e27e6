package e2e

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"ticketremaster/platform/money"
	"ticketremaster/stack/client"
)

// hall is the event whose tickets these tests use; the cheapest seats are taken first.
var hall struct {
	sync.Mutex
	event event
	taken int
}

func nextSeat(t *testing.T) string {
	t.Helper()
	hall.Lock()
	defer hall.Unlock()
	if hall.event.ID == "" {
		hall.event = newEvent(t, 600)
	}
	hall.taken++
	return hall.event.Seats[len(hall.event.Seats)-hall.taken].ID
}

// ticket buys a ticket for 25.50 credits and returns its seat.
func ticket(t *testing.T, owner *client.Person) string {
	t.Helper()
	s := nextSeat(t)
	buy(t, owner, s)
	return s
}

// offer initiates a transfer as the buyer, and reads both parties' codes.
func offer(t *testing.T, seller, buyer *client.Person, seatID string, price money.Cents) (id, sellerCode, buyerCode string) {
	t.Helper()
	since := time.Now()
	a, err := buyer.Post(t.Context(), "/transfer/initiate", map[string]any{"seat_id": seatID, "seller_id": seller.ID, "buyer_id": buyer.ID, "credits_amount": price})
	id = must(t, a, err, http.StatusCreated).Text("transfer_id")
	sellerCode, buyerCode = codes(t, seller, buyer, since)
	return id, sellerCode, buyerCode
}

func codes(t *testing.T, seller, buyer *client.Person, since time.Time) (sellerCode, buyerCode string) {
	t.Helper()
	sellerCode, err := app.OTP(t.Context(), seller.Phone, since)
	if err == nil {
		buyerCode, err = app.OTP(t.Context(), buyer.Phone, since)
	}
	if err != nil {
		t.Fatal(err)
	}
	return sellerCode, buyerCode
}

// confirm sends one or both codes; an empty one is left out.
func confirm(t *testing.T, by *client.Person, id, sellerCode, buyerCode string) (client.Answer, error) {
	t.Helper()
	body := map[string]any{"transfer_id": id}
	if sellerCode != "" {
		body["seller_otp"] = sellerCode
	}
	if buyerCode != "" {
		body["buyer_otp"] = buyerCode
	}
	return by.Post(t.Context(), "/transfer/confirm", body)
}

// handOver transfers a ticket from beginning to end.
func handOver(t *testing.T, seller, buyer *client.Person, seatID string, price money.Cents) (id string) {
	t.Helper()
	id, sellerCode, buyerCode := offer(t, seller, buyer, seatID, price)
	a, err := confirm(t, buyer, id, sellerCode, buyerCode)
	if must(t, a, err, http.StatusOK).Text("status") != "COMPLETED" {
		t.Fatalf("confirmed: %s", a.Data)
	}
	return id
}

func transferStatus(t *testing.T, party *client.Person, id string) string {
	t.Helper()
	a, err := party.Get(t.Context(), "/transfers/"+id)
	return must(t, a, err, http.StatusOK).Text("status")
}

// inbox returns the messages that a person's phone got since then, newest first.
func inbox(t *testing.T, p *client.Person, since time.Time) (texts []string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, app.Sandbox+"/inbox?phone="+url.QueryEscape(p.Phone), nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := app.HTTP.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var all []struct {
		Text string    `json:"message"`
		Sent time.Time `json:"sent_at"`
	}
	if err := json.NewDecoder(res.Body).Decode(&all); err != nil {
		t.Fatal(err)
	}
	for _, m := range all {
		if !m.Sent.Before(since) {
			texts = append(texts, m.Text)
		}
	}
	return texts
}

func qrOf(t *testing.T, owner *client.Person, seatID string) string {
	t.Helper()
	a, err := owner.Get(t.Context(), "/tickets/"+seatID+"/qr")
	return must(t, a, err, http.StatusOK).Text("qr_payload")
}

func scan(t *testing.T, staff *client.Person, payload, hall string) client.Answer {
	t.Helper()
	a, err := staff.Post(t.Context(), "/verify", map[string]any{"qr_payload": payload, "hall_id": hall, "staff_id": staff.ID})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func seatsIn(t *testing.T, p *client.Person, path string) (ids []string) {
	t.Helper()
	a, err := p.Get(t.Context(), path)
	must(t, a, err, http.StatusOK)
	var list []seat
	if err := a.Into(&list); err != nil {
		t.Fatal(err)
	}
	for _, s := range list {
		ids = append(ids, s.ID)
	}
	return ids
}

// history returns a seat's chain of custody as "CAUSE:owner CAUSE:owner".
func history(t *testing.T, p *client.Person, seatID string) string {
	t.Helper()
	a, err := p.Get(t.Context(), "/tickets/"+seatID+"/history")
	must(t, a, err, http.StatusOK)
	var chain []struct {
		Cause string `json:"cause"`
		To    string `json:"to_user_id"`
	}
	if err := a.Into(&chain); err != nil {
		t.Fatal(err)
	}
	var words []string
	for _, c := range chain {
		words = append(words, c.Cause+":"+c.To)
	}
	return strings.Join(words, " ")
}

func expectBalances(t *testing.T, a *client.Person, wantA money.Cents, b *client.Person, wantB money.Cents) {
	t.Helper()
	if gotA, gotB := balance(t, a), balance(t, b); gotA != wantA || gotB != wantB {
		t.Errorf("balances %s and %s, want %s and %s", gotA, gotB, wantA, wantB)
	}
}
