package recovery

import (
	"fmt"
	"net/http"
	"testing"

	"ticketremaster/stack/client"
)

// bookingOf reserves so many seats together.
func bookingOf(t *testing.T, p *client.Person, n int) (id string, seats, orders []string) {
	t.Helper()
	for range n {
		seats = append(seats, freeSeat(t))
	}
	a, err := p.Post(t.Context(), "/reserve", map[string]any{"seat_ids": seats})
	var held struct {
		ID     string `json:"booking_id"`
		Orders []struct {
			ID string `json:"order_id"`
		} `json:"orders"`
	}
	if err := must(t, a, err, http.StatusOK).Into(&held); err != nil {
		t.Fatal(err)
	}
	for _, o := range held.Orders {
		orders = append(orders, o.ID)
	}
	return held.ID, seats, orders
}

func payBooking(t *testing.T, p *client.Person, id string) (client.Answer, error) {
	t.Helper()
	return p.Post(t.Context(), "/pay", map[string]any{"booking_id": id})
}

// booking is a purchase of three seats: all of it, whenever the orchestrator dies.
func booking(t *testing.T) (func(*client.App) (client.Answer, error), func(*testing.T)) {
	p := person(t, 70_00)
	id, seats, orders := bookingOf(t, p, 3)
	return func(through *client.App) (client.Answer, error) { return payBooking(t, via(p, through), id) }, func(t *testing.T) {
		for i := range seats {
			eventually(t, "an order is paid", func() bool { return orderStatus(t, p, orders[i]) == "CONFIRMED" })
			eventually(t, "its seat is sold", func() bool { return seatStatus(t, seats[i]) == "SOLD" })
			owns(t, p, seats[i])
		}
		has(t, p, 10_00)
		a, err := payBooking(t, p, id)
		refused(t, a, err, http.StatusConflict, "ORDER_ALREADY_CONFIRMED")
	}
}

func bookingTooDear(t *testing.T) (func(*client.App) (client.Answer, error), func(*testing.T)) {
	p := person(t, 55_00) // two of three
	id, _, _ := bookingOf(t, p, 3)
	return func(through *client.App) (client.Answer, error) { return payBooking(t, via(p, through), id) }, func(t *testing.T) {
		sagaEnds(t, id, "UNDONE")
		has(t, p, 55_00)
		if _, err := p.TopUp(t.Context(), 5_00); err != nil {
			t.Fatal(err)
		}
		a, err := payBooking(t, p, id) // the holds stayed
		must(t, a, err, http.StatusOK)
		has(t, p, 0)
	}
}

// bookingOrderEnded is orderEnded with one of three orders.
func bookingOrderEnded(t *testing.T) (func(*client.App) (client.Answer, error), func(*testing.T)) {
	p := person(t, 70_00)
	id, seats, orders := bookingOf(t, p, 3)
	return func(through *client.App) (client.Answer, error) {
			whileLocked(t, "users_db", `SELECT FROM users WHERE user_id = $1 FOR UPDATE`, p.ID, func() {
				go func() { _, _ = payBooking(t, via(p, through), id) }()
				eventually(t, "the holds are pinned", func() bool {
					return ask[bool](t, "seats_db", `SELECT pin_id IS NOT NULL FROM seats WHERE seat_id = $1`, seats[2])
				})
				endOrder(t, orders[1])
			})
			return client.Answer{}, fmt.Errorf("nobody waits for the answer")
		}, func(t *testing.T) {
			sagaEnds(t, id, "UNDONE")
			has(t, p, 70_00)
			for i, want := range []string{"PENDING", "FAILED", "PENDING"} {
				if got := orderStatus(t, p, orders[i]); got != want {
					t.Errorf("order %d is %s", i, got)
				}
			}
			for _, order := range orders { // the holds stayed, and go back one by one
				a, err := p.Post(t.Context(), "/orders/"+order+"/cancel", nil)
				must(t, a, err, http.StatusOK)
			}
		}
}
