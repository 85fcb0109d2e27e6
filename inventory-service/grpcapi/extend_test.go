package grpcapi_test

import (
	"strings"
	"testing"
	"time"

	"ticketremaster/platform/fault"
	inventoryv1 "ticketremaster/proto/inventory/v1"

	"ticketremaster/inventory-service/inventorytest"
)

// extends asks for the extension of the users' holds that end within a minute, by five.
func extends(t *testing.T, s *inventorytest.Service, users ...string) []*inventoryv1.Seat {
	t.Helper()
	in := &inventoryv1.ExtendHoldsRequest{WithinMs: 60_000, ByMs: 300_000}
	for _, user := range users {
		in.Holders = append(in.Holders, &inventoryv1.Holder{UserId: user, PersonId: user})
	}
	res, err := s.ExtendHolds(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	return res.Seats
}

// holdFor holds a seat for so long.
func holdFor(t *testing.T, s *inventorytest.Service, seat, user string, ttl time.Duration) *inventoryv1.Seat {
	t.Helper()
	res, err := s.ReserveSeat(t.Context(), &inventoryv1.ReserveSeatRequest{SeatId: seat, UserId: user, HoldId: newID(), HoldTtlMs: ttl.Milliseconds(), MaxHolds: 10})
	if err != nil {
		t.Fatal(err)
	}
	return res.Seat
}

func TestAHoldThatEndsSoonIsExtendedOnce(t *testing.T) {
	s := inventorytest.Start(t)
	seats := s.Hall(t, 6)
	payer, other := newID(), newID()
	soon := holdFor(t, s, seats[0].SeatId, payer, 50*time.Second)
	holdFor(t, s, seats[1].SeatId, payer, 3*time.Minute)
	holdFor(t, s, seats[2].SeatId, other, 50*time.Second)
	pinned := holdFor(t, s, seats[3].SeatId, payer, 50*time.Second)
	if _, err := s.PinHold(t.Context(), &inventoryv1.PinHoldRequest{SeatId: pinned.SeatId, HoldId: pinned.HoldId, UserId: payer, PinId: newID()}); err != nil {
		t.Fatal(err)
	}
	over := holdFor(t, s, seats[4].SeatId, payer, 50*time.Second)
	s.Expire(t, over.SeatId, time.Second)

	extended := extends(t, s, payer, newID())
	if len(extended) != 1 || extended[0].SeatId != soon.SeatId || extended[0].HoldId != soon.HoldId ||
		extended[0].HeldUntil.AsTime().Sub(soon.HeldUntil.AsTime()) != 5*time.Minute {
		t.Fatalf("extended %v, want %v alone, by five minutes", extended, soon)
	}
	res, err := s.ReleaseSeat(t.Context(), &inventoryv1.ReleaseSeatRequest{SeatId: soon.SeatId, HoldId: soon.HoldId, OnlyIfExpired: true})
	if err != nil || res.Outcome != inventoryv1.ReleaseOutcome_NOT_DUE || !res.HeldUntil.AsTime().Equal(extended[0].HeldUntil.AsTime()) {
		t.Fatalf("%v %v", res, err)
	}
	s.Expire(t, soon.SeatId, -30*time.Second) // it ends soon again
	if again := extends(t, s, payer); len(again) != 0 {
		t.Fatalf("extended twice: %v", again)
	}
	s.Expire(t, soon.SeatId, time.Minute)
	next := holdFor(t, s, soon.SeatId, other, 50*time.Second) // the seat's next hold has its own extension
	if extended := extends(t, s, other); len(extended) != 2 || next.HoldId == soon.HoldId {
		t.Fatalf("extended %v", extended)
	}
}

func TestExtensionsAtOnce(t *testing.T) {
	s := inventorytest.Start(t)
	user := newID()
	held := holdFor(t, s, s.Hall(t, 1)[0].SeatId, user, 50*time.Second)
	times := make(chan int, 20)
	codes := together(cap(times), func(int) error {
		res, err := s.ExtendHolds(t.Context(), &inventoryv1.ExtendHoldsRequest{Holders: []*inventoryv1.Holder{{UserId: user, PersonId: user}}, WithinMs: 60_000, ByMs: 300_000})
		times <- len(res.GetSeats())
		return err
	})
	all := 0
	for range cap(times) {
		all += <-times
	}
	if all != 1 || codes[""] != cap(times) || s.Seat(t, held.SeatId).HeldUntil.AsTime().Sub(held.HeldUntil.AsTime()) != 5*time.Minute {
		t.Fatalf("extended %d times, %v", all, codes)
	}
}

func TestMalformedExtensions(t *testing.T) {
	s := inventorytest.Start(t)
	one := []*inventoryv1.Holder{{UserId: newID(), PersonId: newID()}}
	for field, in := range map[string]*inventoryv1.ExtendHoldsRequest{
		"holders":   {WithinMs: 1, ByMs: 1_000},
		"within_ms": {Holders: one, ByMs: 1_000},
		"by_ms":     {Holders: one, WithinMs: 1, ByMs: 1 << 62},
		"user_id":   {Holders: []*inventoryv1.Holder{{UserId: "x", PersonId: newID()}}, WithinMs: 1, ByMs: 1_000},
	} {
		if _, err := s.ExtendHolds(t.Context(), in); fault.From(err).Kind != fault.Invalid || !strings.Contains(fault.From(err).Message, field) {
			t.Errorf("%s: %v", field, err)
		}
	}
}
