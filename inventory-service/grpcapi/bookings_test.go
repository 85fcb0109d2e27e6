package grpcapi_test

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ticketremaster/inventory-service/inventorytest"
	"ticketremaster/platform/fault"
	inventoryv1 "ticketremaster/proto/inventory/v1"
)

// bookingOf asks for seats together, each under a new hold.
func bookingOf(user string, seats ...*inventoryv1.Seat) *inventoryv1.ReserveSeatRequest {
	r := &inventoryv1.ReserveSeatRequest{SeatId: seats[0].SeatId, UserId: user, HoldId: newID(), HoldTtlMs: 60_000, MaxHolds: 10}
	for _, s := range seats[1:] {
		r.More = append(r.More, &inventoryv1.HeldSeat{SeatId: s.SeatId, HoldId: newID()})
	}
	return r
}

// pinOf and saleOf are the payment's steps for what was reserved.
func pinOf(r *inventoryv1.ReserveSeatRequest, pin string) *inventoryv1.PinHoldRequest {
	return &inventoryv1.PinHoldRequest{SeatId: r.SeatId, HoldId: r.HoldId, UserId: r.UserId, PinId: pin, More: r.More}
}

func unpinOf(r *inventoryv1.ReserveSeatRequest, pin string) *inventoryv1.UnpinHoldRequest {
	return &inventoryv1.UnpinHoldRequest{SeatId: r.SeatId, HoldId: r.HoldId, PinId: pin, More: r.More}
}

func saleOf(r *inventoryv1.ReserveSeatRequest, pin string) *inventoryv1.ConfirmSeatRequest {
	sale := &inventoryv1.ConfirmSeatRequest{SeatId: r.SeatId, HoldId: r.HoldId, UserId: r.UserId, PinId: pin, PriceCents: 1_00}
	for i, s := range r.More {
		sale.More = append(sale.More, &inventoryv1.HeldSeat{SeatId: s.SeatId, HoldId: s.HoldId, PriceCents: int64(i+2) * 1_00})
	}
	return sale
}

// statuses reads the seats as one word, a letter for each.
func statuses(t *testing.T, s *inventorytest.Service, seats []*inventoryv1.Seat) string {
	t.Helper()
	var word strings.Builder
	for _, seat := range seats {
		word.WriteString(s.Seat(t, seat.SeatId).Status.String()[:1])
	}
	return word.String()
}

func wantStatuses(t *testing.T, s *inventorytest.Service, seats []*inventoryv1.Seat, want string) {
	t.Helper()
	if got := statuses(t, s, seats); got != want {
		t.Fatalf("the seats are %s, want %s", got, want)
	}
}

func TestABookingIsHeldWholeOrNotAtAll(t *testing.T) {
	s := inventorytest.Start(t)
	hall, other := s.Hall(t, 8), s.Hall(t, 1)
	user := newID()
	first := bookingOf(user, hall[3], hall[0], hall[2])
	held, err := s.ReserveSeat(t.Context(), first)
	if err != nil {
		t.Fatal(err)
	}
	all := append([]*inventoryv1.Seat{held.Seat}, held.More...)
	for i, seat := range []*inventoryv1.Seat{hall[3], hall[0], hall[2]} { // in the order asked, until one moment
		if all[i].SeatId != seat.SeatId || all[i].HeldUntil.AsTime() != all[0].HeldUntil.AsTime() || all[i].HeldByUserId != user {
			t.Errorf("seat %d is %v", i, all[i])
		}
	}
	if all[0].HoldId != first.HoldId || all[2].HoldId != first.More[1].HoldId || held.AlreadyHeld {
		t.Errorf("held %v", held)
	}
	again, err := s.ReserveSeat(t.Context(), bookingOf(user, hall[0], hall[2], hall[3]))
	if err != nil || !again.AlreadyHeld || again.Seat.HoldId != first.More[0].HoldId || again.More[1].HoldId != first.HoldId {
		t.Errorf("asked again: %v, %v", again, err)
	}
	gone := func(r *inventoryv1.ReserveSeatRequest, seats ...*inventoryv1.Seat) {
		t.Helper()
		_, err := s.ReserveSeat(t.Context(), r)
		wantCode(t, err, "SEAT_UNAVAILABLE")
		named := strings.Split(fault.From(err).Details["seat_ids"], ",")
		for _, seat := range seats {
			if !slices.Contains(named, seat.SeatId) || len(named) != len(seats) {
				t.Errorf("it names %v, want %d seats", named, len(seats))
			}
		}
	}
	gone(bookingOf(newID(), hall[1], hall[2], hall[3], hall[4]), hall[2], hall[3])
	gone(bookingOf(user, hall[0], hall[1]), hall[0]) // one's own holds are not taken into another booking
	s.Buy(t, hall[7].SeatId, newID())
	gone(bookingOf(newID(), hall[6], hall[7]), hall[7])
	wantStatuses(t, s, hall, "HAHHAAAS")

	_, err = s.ReserveSeat(t.Context(), bookingOf(newID(), hall[1], other[0]))
	wantField(t, err, "seat_ids")
	_, err = s.ReserveSeat(t.Context(), bookingOf(newID(), hall[1], hall[1]))
	wantField(t, err, "seat_ids")
	_, err = s.ReserveSeat(t.Context(), bookingOf(newID(), slices.Repeat(hall[4:7], 7)...))
	wantField(t, err, "seat_ids")
	_, err = s.ReserveSeat(t.Context(), bookingOf(newID(), hall[1], &inventoryv1.Seat{SeatId: newID()}))
	wantCode(t, err, "SEAT_NOT_FOUND")
	few := bookingOf(newID(), hall[1], hall[4], hall[5])
	few.MaxHolds = 2
	_, err = s.ReserveSeat(t.Context(), few)
	wantCode(t, err, "TOO_MANY_HOLDS")
	few = bookingOf(user, hall[4], hall[5])
	few.MaxHolds = 4 // three are held
	_, err = s.ReserveSeat(t.Context(), few)
	wantCode(t, err, "TOO_MANY_HOLDS")
	wantStatuses(t, s, hall, "HAHHAAAS")
	wantStatuses(t, s, other, "A")
}

// wantField fails unless err is a 400 that names the field.
func wantField(t *testing.T, err error, field string) {
	t.Helper()
	wantCode(t, err, fault.CodeValidation)
	if !strings.HasPrefix(fault.From(err).Message, field) {
		t.Errorf("%v, want %s named", err, field)
	}
}

func TestABookingIsPaidWholeOrNotAtAll(t *testing.T) {
	s := inventorytest.Start(t)
	hall := s.Hall(t, 3)
	user, pin := newID(), newID()
	r := bookingOf(user, hall...)
	if _, err := s.ReserveSeat(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	foreign := pinOf(r, newID())
	foreign.More = []*inventoryv1.HeldSeat{r.More[0], {SeatId: r.More[1].SeatId, HoldId: newID()}}
	_, err := s.PinHold(t.Context(), foreign) // one hold is another's
	wantCode(t, err, "HOLD_EXPIRED")
	for _, seat := range hall {
		if s.Seat(t, seat.SeatId).PinId != "" {
			t.Fatal("a seat is pinned by a payment that was refused")
		}
	}
	for range 2 { // a repeat answers the same
		pinned, err := s.PinHold(t.Context(), pinOf(r, pin))
		if err != nil || pinned.Seat.PinId != pin || len(pinned.More) != 2 || pinned.More[1].PinId != pin {
			t.Fatalf("%v, %v", pinned, err)
		}
	}
	_, err = s.PinHold(t.Context(), pinOf(r, newID()))
	wantCode(t, err, "PAYMENT_IN_PROGRESS")
	released, err := s.ReleaseSeat(t.Context(), &inventoryv1.ReleaseSeatRequest{SeatId: r.More[0].SeatId, HoldId: r.More[0].HoldId})
	if err != nil || released.Outcome != inventoryv1.ReleaseOutcome_PINNED {
		t.Errorf("%v, %v", released, err)
	}
	_, err = s.ConfirmSeat(t.Context(), saleOf(r, newID()))
	wantCode(t, err, "SEAT_NOT_HELD")
	wantStatuses(t, s, hall, "HHH")
	for range 2 {
		sold, err := s.ConfirmSeat(t.Context(), saleOf(r, pin))
		if err != nil || sold.Seat.PricePaidCents != 1_00 || sold.More[0].PricePaidCents != 2_00 || sold.More[1].PricePaidCents != 3_00 {
			t.Fatalf("%v, %v", sold, err)
		}
	}
	wantStatuses(t, s, hall, "SSS")
	_, err = s.UnpinHold(t.Context(), unpinOf(r, pin))
	wantCode(t, err, "SEAT_ALREADY_SOLD")

	// One of the tickets is given back and sold to another; the sale of the booking stays what it was.
	refund := newID()
	if _, err := s.VoidTicket(t.Context(), &inventoryv1.VoidTicketRequest{SeatId: r.More[0].SeatId, OrderId: r.More[0].HoldId, RefundId: refund}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.FreeTicket(t.Context(), &inventoryv1.FreeTicketRequest{SeatId: r.More[0].SeatId, RefundId: refund}); err != nil {
		t.Fatal(err)
	}
	s.Buy(t, r.More[0].SeatId, newID())
	if _, err := s.ConfirmSeat(t.Context(), saleOf(r, pin)); err != nil {
		t.Errorf("a late repeat: %v", err)
	}
}

// One hold of a booking that ended keeps the whole from being paid, and undoing a payment lets all of it go.
func TestAPaymentOfABookingIsUndoneWhole(t *testing.T) {
	s := inventorytest.Start(t)
	hall := s.Hall(t, 3)
	r := bookingOf(newID(), hall...)
	if _, err := s.ReserveSeat(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	early, pin := newID(), newID()
	if u, err := s.UnpinHold(t.Context(), unpinOf(r, early)); err != nil || u.More != 2 { // before it came
		t.Fatalf("%v, %v", u, err)
	}
	_, err := s.PinHold(t.Context(), pinOf(r, early))
	wantCode(t, err, "OPERATION_VOIDED")
	if _, err := s.PinHold(t.Context(), pinOf(r, pin)); err != nil {
		t.Fatal(err)
	}
	for _, seat := range hall {
		s.Expire(t, seat.SeatId, time.Second)
	}
	wantStatuses(t, s, hall, "HHH")
	for range 2 {
		if u, err := s.UnpinHold(t.Context(), unpinOf(r, pin)); err != nil || !u.Released {
			t.Fatalf("%v, %v", u, err)
		}
	}
	wantStatuses(t, s, hall, "AAA")

	r = bookingOf(newID(), hall...)
	if _, err := s.ReserveSeat(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	s.Expire(t, r.More[1].SeatId, time.Second)
	_, err = s.PinHold(t.Context(), pinOf(r, newID()))
	wantCode(t, err, "HOLD_EXPIRED")
	for _, seat := range hall {
		if s.Seat(t, seat.SeatId).PinId != "" {
			t.Error("a seat is pinned")
		}
	}
}

// Of overlapping bookings at once one wins whole, whatever the order in which each names its seats; no one holds a part.
func TestOverlappingBookingsAtOnce(t *testing.T) {
	s := inventorytest.Start(t)
	for range 10 {
		hall := s.Hall(t, 5)
		asked := make([]*inventoryv1.ReserveSeatRequest, 40)
		got := together(len(asked), func(i int) error {
			seats := []*inventoryv1.Seat{hall[i%5], hall[(i+1)%5], hall[(i+2)%5]} // any two share a seat
			if i%2 == 0 {
				slices.Reverse(seats)
			}
			if asked[i] == nil {
				asked[i] = bookingOf(newID(), seats...)
			}
			_, err := s.ReserveSeat(t.Context(), asked[i])
			return err
		})
		if got[""] != 1 || got["SEAT_UNAVAILABLE"] != len(asked)-1 {
			t.Fatalf("outcomes %v, want 1 winner", got)
		}
		holders := map[string]int{}
		for _, seat := range hall {
			if now := s.Seat(t, seat.SeatId); now.HeldByUserId != "" {
				holders[now.HeldByUserId]++
			}
		}
		for holder, n := range holders {
			if n != 3 || len(holders) != 1 {
				t.Fatalf("%s holds %d seats of %d holders'", holder, n, len(holders))
			}
		}
	}
}

// All of a person's reservations at once, single and together, never hold more than the person may.
func TestBookingsAtOnceKeepThePersonsLimit(t *testing.T) {
	s := inventorytest.Start(t)
	hall := s.Hall(t, 60)
	person := newID()
	var mu sync.Mutex
	held := 0
	together(20, func(i int) error {
		r := bookingOf(newID(), hall[3*i:3*i+1+i%3]...)
		r.PersonId = person
		_, err := s.ReserveSeat(t.Context(), r)
		if err == nil {
			mu.Lock()
			defer mu.Unlock()
			held += 1 + len(r.More)
		}
		return err
	})
	if held > 10 || held < 8 {
		t.Errorf("%d seats are held", held)
	}
}
