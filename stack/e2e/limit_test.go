package e2e

import (
	"fmt"
	"sync"
	"testing"

	"ticketremaster/stack/client"
)

// One person, with however many accounts, holds and buys as many as the event allows.
func TestOnePersonOneLimit(t *testing.T) {
	n := made.Add(1)
	phone := fmt.Sprintf("+65%s%03d", run[4:], n%1000)
	var accounts []*client.Person
	for i := range 2 {
		p, err := app.Register(t.Context(), fmt.Sprintf("twin%d-%d-%s@example.com", i, n, run), phone, password)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.TopUp(t.Context(), 100_00); err != nil {
			t.Fatal(err)
		}
		accounts = append(accounts, p)
	}
	e := newEvent(t, 8, func(m map[string]any) {
		m["max_per_customer"], m["includes"] = 2, []object{{"name": "Booking fee", "amount": 5}, {"name": "GST", "percent": 9}}
	})
	codes, mu := map[string]int{}, sync.Mutex{}
	var all sync.WaitGroup
	for i, seat := range e.Seats {
		all.Go(func() {
			a, err := accounts[i%2].Post(t.Context(), "/reserve", object{"seat_id": seat.ID})
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			codes[a.Code]++
			mu.Unlock()
		})
	}
	all.Wait()
	if codes[""] != 2 || codes["TICKET_LIMIT"] != 6 {
		t.Errorf("of eight reservations at once: %v", codes)
	}
	everywhere(t, "the other seats are free", func() bool {
		free := 0
		for _, s := range readEvent(t, e.ID).Seats {
			if s.Status == "AVAILABLE" {
				free++
			}
		}
		return free == 6
	})
	// Other customers are not affected, and the order keeps what the price includes.
	other := person(t, 100_00)
	var free string
	for _, s := range readEvent(t, e.ID).Seats {
		if s.Status == "AVAILABLE" && s.Category == "CAT1" {
			free = s.ID
		}
	}
	names := map[string]string{"order": reserve(t, other, free)}
	play(t, names, []row{
		{by: other, call: "GET /orders/$order", want: "200", reads: "price=60 includes.[0].name includes.[0].amount=5"},
	})
}
