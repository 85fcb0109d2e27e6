package e2e

import (
	"net/http"
	"testing"

	"ticketremaster/stack/client"
)

// All accounts with one phone together hold as many seats as one account may, and none of them may hold a seat at once
// that another has just released.
func TestHoldsOfOnePersonsAccounts(t *testing.T) {
	first := person(t, 0)
	second, err := app.Register(t.Context(), "other-"+first.Email, first.Phone, first.Password)
	if err != nil {
		t.Fatal(err)
	}
	e := newEvent(t, 13)
	for i, s := range e.Seats[:10] {
		reserve(t, []*client.Person{first, second}[i%2], s.ID)
	}
	for _, p := range []*client.Person{first, second} {
		a, err := p.Post(t.Context(), "/reserve", object{"seat_id": e.Seats[11].ID})
		refused(t, a, err, http.StatusTooManyRequests, "TOO_MANY_HOLDS")
	}
	order := reserve(t, first, e.Seats[0].ID) // has it already
	a, err := first.Post(t.Context(), "/orders/"+order+"/cancel", nil)
	must(t, a, err, http.StatusOK)
	a, err = second.Post(t.Context(), "/reserve", object{"seat_id": e.Seats[0].ID})
	refused(t, a, err, http.StatusConflict, "SEAT_UNAVAILABLE")
	reserve(t, second, e.Seats[12].ID)
	reserve(t, person(t, 0), e.Seats[0].ID)
}
