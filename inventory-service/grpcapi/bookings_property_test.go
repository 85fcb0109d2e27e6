package grpcapi_test

import (
	"flag"
	"testing"

	"pgregory.net/rapid"

	"ticketremaster/inventory-service/inventorytest"
	"ticketremaster/platform/fault"
	inventoryv1 "ticketremaster/proto/inventory/v1"
)

// row is one row of seats, and what the answers say of it.
type row struct {
	*inventorytest.Service
	t      *testing.T
	hall   []*inventoryv1.Seat
	users  []string
	holds  []*inventoryv1.ReserveSeatRequest // that were made, as they are paid for
	pins   []string                          // of each hold; "": not being paid
	state  map[string]byte                   // of each seat, by the answers: A, H or S
	worked map[string]int
}

// Whatever a few users reserve, together, one by one or the best, pay, give up and release, in any order: each seat is what the
// answers say, so that every booking is held, sold and undone whole.
func TestAnySequenceOfBookingsIsWhole(t *testing.T) {
	for name, value := range map[string]string{"rapid.checks": "30", "rapid.steps": "40", "rapid.shrinktime": "10s", "rapid.nofailfile": "true"} {
		if err := flag.Set(name, value); err != nil {
			t.Fatal(err)
		}
	}
	s := inventorytest.Start(t)
	worked := map[string]int{}
	rapid.Check(t, func(rt *rapid.T) {
		r := &row{Service: s, t: t, hall: s.Hall(t, 8), users: []string{newID(), newID()}, state: map[string]byte{}, worked: worked}
		for _, seat := range r.hall {
			r.state[seat.SeatId] = 'A'
		}
		rt.Repeat(map[string]func(*rapid.T){
			"book": r.book, "best": r.best, "pin": r.pin, "unpin": r.unpin, "sell": r.sell, "release": r.release, "": r.isAsAnswered,
		})
	})
	t.Logf("what worked: %v", worked)
	for _, what := range []string{"book", "best", "pin", "unpin", "sell", "release"} {
		if worked[what] == 0 {
			t.Errorf("in no sequence did anyone %s", what)
		}
	}
}

func (r *row) done(what string, err error) bool {
	if fault.Unknown(err) {
		r.t.Fatal(what, err)
	}
	if err == nil {
		r.worked[what]++
	}
	return err == nil
}

func (r *row) set(booking *inventoryv1.ReserveSeatRequest, state byte) {
	r.state[booking.SeatId] = state
	for _, seat := range booking.More {
		r.state[seat.SeatId] = state
	}
}

func (r *row) held(user string, res *inventoryv1.ReserveSeatResponse) {
	if res.AlreadyHeld {
		return
	}
	booking := &inventoryv1.ReserveSeatRequest{SeatId: res.Seat.SeatId, HoldId: res.Seat.HoldId, UserId: user}
	for _, seat := range res.More {
		booking.More = append(booking.More, &inventoryv1.HeldSeat{SeatId: seat.SeatId, HoldId: seat.HoldId})
	}
	r.holds, r.pins = append(r.holds, booking), append(r.pins, "")
	r.set(booking, 'H')
}

func (r *row) book(rt *rapid.T) {
	user := rapid.SampledFrom(r.users).Draw(rt, "user")
	seats := rapid.Permutation(r.hall).Draw(rt, "seats")[:rapid.IntRange(1, 4).Draw(rt, "number")]
	res, err := r.ReserveSeat(r.t.Context(), bookingOf(user, seats...))
	if r.done("book", err) {
		r.held(user, res)
	}
}

func (r *row) best(rt *rapid.T) {
	user := rapid.SampledFrom(r.users).Draw(rt, "user")
	ask := bestOf(r.hall[0].EventId, user, rapid.IntRange(1, 4).Draw(rt, "number"))
	ask.AllowSplit = rapid.Bool().Draw(rt, "split")
	res, err := r.ReserveBest(r.t.Context(), ask)
	if r.done("best", err) {
		r.held(user, res)
	}
}

// any draws a booking that is, or is not, being paid for.
func (r *row) any(rt *rapid.T, pinned bool) (int, bool) {
	var some []int
	for i, pin := range r.pins {
		if (pin != "") == pinned {
			some = append(some, i)
		}
	}
	if len(some) == 0 {
		return 0, false
	}
	return rapid.SampledFrom(some).Draw(rt, "booking"), true
}

func (r *row) pin(rt *rapid.T) {
	if i, ok := r.any(rt, false); ok {
		pin := newID()
		_, err := r.PinHold(r.t.Context(), pinOf(r.holds[i], pin))
		whole := true // unless a seat of it was released
		for _, seat := range append([]*inventoryv1.HeldSeat{{SeatId: r.holds[i].SeatId, HoldId: r.holds[i].HoldId}}, r.holds[i].More...) {
			now := r.Seat(r.t, seat.SeatId)
			whole = whole && now.HoldId == seat.HoldId && now.Status == inventoryv1.SeatStatus_HELD
		}
		if r.done("pin", err) != whole {
			r.t.Fatalf("pinned: %v, though the booking is whole: %v", err, whole)
		}
		if err == nil {
			r.pins[i] = pin
		}
	}
}

func (r *row) unpin(rt *rapid.T) {
	if i, ok := r.any(rt, true); ok {
		if _, err := r.UnpinHold(r.t.Context(), unpinOf(r.holds[i], r.pins[i])); r.done("unpin", err) {
			r.pins[i] = ""
		}
	}
}

func (r *row) sell(rt *rapid.T) {
	if i, ok := r.any(rt, true); ok {
		_, err := r.ConfirmSeat(r.t.Context(), saleOf(r.holds[i], r.pins[i]))
		if !r.done("sell", err) {
			r.t.Fatal(err)
		}
		r.set(r.holds[i], 'S')
		r.holds, r.pins = append(r.holds[:i:i], r.holds[i+1:]...), append(r.pins[:i:i], r.pins[i+1:]...)
	}
}

// release frees one seat of a booking.
func (r *row) release(rt *rapid.T) {
	i, ok := r.any(rt, rapid.Bool().Draw(rt, "being paid for"))
	if !ok {
		return
	}
	one := rapid.SampledFrom(append([]*inventoryv1.HeldSeat{{SeatId: r.holds[i].SeatId, HoldId: r.holds[i].HoldId}}, r.holds[i].More...)).Draw(rt, "seat")
	res, err := r.ReleaseSeat(r.t.Context(), &inventoryv1.ReleaseSeatRequest{SeatId: one.SeatId, HoldId: one.HoldId})
	if err != nil {
		r.t.Fatal(err)
	}
	if res.Outcome == inventoryv1.ReleaseOutcome_RELEASED {
		r.worked["release"]++
		r.state[one.SeatId] = 'A'
	}
	if (res.Outcome == inventoryv1.ReleaseOutcome_PINNED) != (r.pins[i] != "") {
		r.t.Fatalf("released with the outcome %v while being paid for: %v", res.Outcome, r.pins[i] != "")
	}
}

func (r *row) isAsAnswered(rt *rapid.T) {
	for i, letter := range statuses(r.t, r.Service, r.hall) {
		if want := rune(r.state[r.hall[i].SeatId]); letter != want {
			rt.Fatalf("seat %d is %c, and by the answers %c", i+1, letter, want)
		}
	}
}
