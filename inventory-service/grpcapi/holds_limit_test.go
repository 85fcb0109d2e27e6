package grpcapi_test

import (
	"testing"
	"time"

	"ticketremaster/inventory-service/inventorytest"
	"ticketremaster/platform/fault"
	inventoryv1 "ticketremaster/proto/inventory/v1"
)

// Many rounds, on open connections: in a single one the reservations might not overlap.
func TestMaxHoldsIsStrictAtOnce(t *testing.T) {
	s := inventorytest.Start(t)
	const atOnce = 12
	seats := s.Hall(t, 40*atOnce)
	for len(seats) > 0 {
		round, user := seats[:atOnce], newID()
		seats = seats[atOnce:]
		got := together(atOnce, func(i int) error {
			_, err := s.ReserveSeat(t.Context(), &inventoryv1.ReserveSeatRequest{SeatId: round[i].SeatId, UserId: user, HoldId: newID(), HoldTtlMs: 60_000, MaxHolds: 2})
			return err
		})
		if got[""] != 2 || got["TOO_MANY_HOLDS"] != atOnce-2 {
			t.Fatalf("outcomes %v, want 2 holds and %d × TOO_MANY_HOLDS", got, atOnce-2)
		}
	}
}

func TestMaxHoldsIsStrict(t *testing.T) {
	s := inventorytest.Start(t)
	seats := s.Hall(t, 40)
	user := newID()
	reserve := func(seat string) error {
		_, err := s.ReserveSeat(t.Context(), &inventoryv1.ReserveSeatRequest{SeatId: seat, UserId: user, HoldId: newID(), HoldTtlMs: 60_000, MaxHolds: 3})
		return err
	}
	got := together(len(seats), func(i int) error { return reserve(seats[i].SeatId) })
	if got[""] != 3 || got["TOO_MANY_HOLDS"] != 37 {
		t.Fatalf("outcomes %v, want 3 holds and 37 × TOO_MANY_HOLDS", got)
	}
	var mine []string
	for _, seat := range seats {
		if now := s.Seat(t, seat.SeatId); now.HeldByUserId == user {
			mine = append(mine, now.SeatId)
		}
	}
	if len(mine) != 3 {
		t.Fatalf("the user holds %d seats", len(mine))
	}
	// A hold that the user has already does not count again; an expired one does not count; an expired one that is being
	// paid for does.
	wantCode(t, reserve(mine[0]), "")
	hold := s.Seat(t, mine[1]).HoldId
	if _, err := s.PinHold(t.Context(), &inventoryv1.PinHoldRequest{SeatId: mine[1], HoldId: hold, UserId: user, PinId: newID()}); err != nil {
		t.Fatal(err)
	}
	var rest []string
	for _, seat := range seats {
		if s.Seat(t, seat.SeatId).Status == inventoryv1.SeatStatus_AVAILABLE {
			rest = append(rest, seat.SeatId)
		}
	}
	s.Expire(t, mine[1], time.Second)
	wantCode(t, reserve(rest[0]), "TOO_MANY_HOLDS")
	s.Expire(t, mine[2], time.Second)
	wantCode(t, reserve(rest[0]), "")
	wantCode(t, reserve(rest[1]), "TOO_MANY_HOLDS")
}

// The number of holds is limited per person, over all their accounts.
func TestHoldsOfAPerson(t *testing.T) {
	s := inventorytest.Start(t)
	seats, person := s.Hall(t, 60), newID()
	got := together(40, func(i int) error {
		_, err := s.ReserveSeat(t.Context(), &inventoryv1.ReserveSeatRequest{
			SeatId: seats[i].SeatId, UserId: newID(), PersonId: person, HoldId: newID(), HoldTtlMs: 60_000, MaxHolds: 3,
		})
		return err
	})
	if got[""] != 3 || got["TOO_MANY_HOLDS"] != 37 {
		t.Fatalf("outcomes %v, want 3 holds and 37 × TOO_MANY_HOLDS", got)
	}
	_, err := s.Reserve(t.Context(), seats[50].SeatId, newID())
	wantCode(t, err, "")
}

// A person cannot keep a seat by holding it again and again, with any account: others can have it first.
func TestAPauseBetweenHoldsOfOneSeat(t *testing.T) {
	s := inventorytest.Start(t)
	seats, person := s.Hall(t, 8), newID()
	reserve := func(seat, person string, pause time.Duration) (string, error) {
		r, err := s.ReserveSeat(t.Context(), &inventoryv1.ReserveSeatRequest{
			SeatId: seat, UserId: newID(), PersonId: person, HoldId: newID(), HoldTtlMs: 60_000, MaxHolds: 10, HoldPauseMs: pause.Milliseconds(),
		})
		return r.GetSeat().GetHoldId(), err
	}
	for name, end := range map[string]func(seat, hold string){
		"given back": func(seat, hold string) {
			if _, err := s.ReleaseSeat(t.Context(), &inventoryv1.ReleaseSeatRequest{SeatId: seat, HoldId: hold}); err != nil {
				t.Fatal(err)
			}
		},
		"expired, not released": func(seat, _ string) { s.Expire(t, seat, time.Second) },
		"expired and released": func(seat, hold string) {
			s.Expire(t, seat, time.Second)
			if _, err := s.ReleaseSeat(t.Context(), &inventoryv1.ReleaseSeatRequest{SeatId: seat, HoldId: hold, OnlyIfExpired: true}); err != nil {
				t.Fatal(err)
			}
		},
	} {
		seat := seats[0].SeatId
		seats = seats[1:]
		hold, err := reserve(seat, person, time.Minute)
		wantCode(t, err, "")
		end(seat, hold)
		if _, err := reserve(seat, person, time.Minute); fault.Code(err) != fault.CodeSeatUnavailable {
			t.Errorf("%s: the same person gets %v", name, err)
		}
		if _, err := reserve(seats[0].SeatId, person, time.Minute); err != nil { // another seat is another matter
			t.Errorf("%s: another seat: %v", name, err)
		}
		seats = seats[1:]
		if _, err := reserve(seat, newID(), time.Minute); err != nil {
			t.Errorf("%s: another person gets %v", name, err)
		}
	}
	hold, err := reserve(seats[0].SeatId, person, time.Minute)
	wantCode(t, err, "")
	if _, err := s.ReleaseSeat(t.Context(), &inventoryv1.ReleaseSeatRequest{SeatId: seats[0].SeatId, HoldId: hold}); err != nil {
		t.Fatal(err)
	}
	_, err = reserve(seats[0].SeatId, person, 0) // the pause is over
	wantCode(t, err, "")
	for _, pause := range []time.Duration{-time.Millisecond, time.Hour + time.Millisecond} {
		_, err := reserve(seats[0].SeatId, person, pause)
		wantCode(t, err, fault.CodeValidation)
	}
}
