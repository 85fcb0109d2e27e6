package postgres

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	inventory "ticketremaster/inventory-service"
)

// What is asked for at once is decided as if it came one after the other.
func TestReservationsAtOnceAreDecidedInTheirOrder(t *testing.T) {
	s := openEmpty(t)
	event, _ := fillHall(t, s, 100)
	seats, err := s.Seats(t.Context(), event, "", 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	newID := func() uuid.UUID { return uuid.Must(uuid.NewV7()) }
	ann, bob, cat := newID(), newID(), newID()
	ask := func(seat, user uuid.UUID, most int) inventory.Reservation {
		return inventory.Reservation{Seats: []inventory.HeldSeat{{SeatID: seat, HoldID: newID()}}, UserID: user, PersonID: user, TTL: time.Minute, MaxHolds: most}
	}
	asked := []inventory.Reservation{
		0: ask(seats[0].ID, ann, 10),
		1: ask(seats[0].ID, bob, 10), // too late
		2: ask(seats[1].ID, bob, 1),
		3: ask(seats[2].ID, bob, 1),  // one too many
		4: ask(newID(), cat, 10),     // no such seat
		5: ask(seats[0].ID, ann, 10), // has it
		6: ask(seats[2].ID, cat, 10), // bob did not get it
	}
	answers, err := s.reserveAll(t.Context(), asked)
	if err != nil {
		t.Fatal(err)
	}
	var got [7]string
	for i, a := range answers {
		hold, err := a.hold(asked[i])
		switch {
		case errors.Is(err, inventory.ErrSeatUnavailable):
			got[i] = "taken"
		case errors.Is(err, inventory.ErrTooManyHolds):
			got[i] = "too many"
		case errors.Is(err, inventory.ErrSeatNotFound):
			got[i] = "no seat"
		case err != nil:
			t.Fatal(err)
		case hold.Seats[0].ID != asked[i].Seats[0].SeatID || hold.Seats[0].HeldBy != asked[i].UserID || hold.Remaining < 50*time.Second:
			t.Errorf("number %d got %+v", i, hold)
		case hold.Already && hold.Seats[0].HoldID == asked[0].Seats[0].HoldID:
			got[i] = "has it"
		case hold.Seats[0].HoldID == asked[i].Seats[0].HoldID:
			got[i] = "held"
		}
	}
	if want := [7]string{"held", "taken", "held", "too many", "no seat", "has it", "held"}; got != want {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

func TestApart(t *testing.T) {
	a, b, c, x, y, z := uuid.New(), uuid.New(), uuid.New(), uuid.New(), uuid.New(), uuid.New()
	r := func(seat, user uuid.UUID) inventory.Reservation {
		return inventory.Reservation{Seats: []inventory.HeldSeat{{SeatID: seat}}, UserID: user, PersonID: user}
	}
	for want, asked := range map[string][]inventory.Reservation{
		"[[0 1 2]]":     {r(a, x), r(b, y), r(c, z)},
		"[[0] [1] [2]]": {r(a, x), r(a, y), r(a, z)}, // one seat
		"[[0 2] [1]]":   {r(a, x), r(b, x), r(c, z)}, // one user
		"[[0] [1 2]]":   {r(a, x), r(a, y), r(b, x)}, // the third waits for its user's first, not for the second
	} {
		if got := fmt.Sprint(apart(asked)); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
