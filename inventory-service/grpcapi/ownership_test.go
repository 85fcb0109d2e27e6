package grpcapi_test

import (
	"sync/atomic"
	"testing"

	inventoryv1 "ticketremaster/proto/inventory/v1"

	"ticketremaster/inventory-service/inventorytest"
)

func TestUpdateOwner(t *testing.T) {
	s := inventorytest.Start(t)
	seats, a, b, c := s.Hall(t, 4), newID(), newID(), newID()
	sold := seats[0].SeatId
	s.Buy(t, sold, a)
	move := func(seat, from, to, operation, cause string) (*inventoryv1.Seat, error) {
		got, err := s.UpdateOwner(t.Context(), &inventoryv1.UpdateOwnerRequest{SeatId: seat, ExpectedOwnerUserId: from, NewOwnerUserId: to, OperationId: operation, Cause: cause})
		return got.GetSeat(), err
	}
	refused := func(code, seat, from, to, operation, cause string) {
		t.Helper()
		_, err := move(seat, from, to, operation, cause)
		wantCode(t, err, code)
	}
	first := newID()
	refused("NOT_SEAT_OWNER", sold, b, c, first, "TRANSFER")
	refused("SEAT_NOT_FOUND", newID(), a, b, first, "TRANSFER")
	refused("SEAT_UNAVAILABLE", seats[1].SeatId, a, b, first, "TRANSFER") // nobody's
	refused("VALIDATION_ERROR", sold, a, a, first, "TRANSFER")
	refused("VALIDATION_ERROR", sold, a, b, first, "PURCHASE")

	got, err := move(sold, a, b, first, "TRANSFER")
	if err != nil {
		t.Fatal(err)
	}
	if got.OwnerUserId != b || got.OwnershipVersion != 2 || got.Status != inventoryv1.SeatStatus_SOLD || got.PricePaidCents != 12_050 {
		t.Fatalf("handed over: %v", got)
	}
	second := newID()
	if _, err := move(sold, b, c, second, "TRANSFER"); err != nil {
		t.Fatal(err)
	}
	// A repeat of the first changes nothing and returns the present owner.
	if got, err = move(sold, a, b, first, "TRANSFER"); err != nil || got.OwnerUserId != c || got.OwnershipVersion != 3 {
		t.Fatalf("repeat: %v (%v)", got, err)
	}
	// An operation's id is valid for one change only, of this seat or any other.
	refused("VALIDATION_ERROR", sold, c, a, first, "TRANSFER")
	s.Buy(t, seats[2].SeatId, a)
	refused("VALIDATION_ERROR", seats[2].SeatId, a, b, first, "TRANSFER")
	if _, err := move(sold, c, b, newID(), "REVERSAL"); err != nil {
		t.Fatal(err)
	}

	owner, err := s.GetSeatOwner(t.Context(), &inventoryv1.GetSeatOwnerRequest{SeatId: sold})
	if err != nil || owner.OwnerUserId != b {
		t.Fatalf("%v (%v)", owner, err)
	}
	chain, err := s.ListOwnership(t.Context(), &inventoryv1.ListOwnershipRequest{SeatId: sold})
	if err != nil || len(chain.Changes) != 4 {
		t.Fatalf("%v (%v)", chain, err)
	}
	for i, want := range []struct{ from, to, cause string }{{"", a, "PURCHASE"}, {a, b, "TRANSFER"}, {b, c, "TRANSFER"}, {c, b, "REVERSAL"}} {
		if got := chain.Changes[i]; got.FromUserId != want.from || got.ToUserId != want.to || got.Cause != want.cause || got.Version != int64(i+1) {
			t.Fatalf("link %d of the chain is %v, want %v", i, got, want)
		}
	}
	if _, err := s.ListOwnership(t.Context(), &inventoryv1.ListOwnershipRequest{SeatId: newID()}); err == nil {
		t.Fatal("an unknown seat has a chain of custody")
	}

	checkIn(t, s, sold, b, 4)
	refused("SEAT_UNAVAILABLE", sold, b, c, newID(), "TRANSFER")
	if got, err = move(sold, a, b, first, "TRANSFER"); err != nil || got.Status != inventoryv1.SeatStatus_CHECKED_IN {
		t.Fatalf("repeat after the check-in: %v (%v)", got, err)
	}
}

func TestOwnersRace(t *testing.T) {
	s := inventorytest.Start(t)
	for _, seat := range s.Hall(t, 5) {
		owner := newID()
		s.Buy(t, seat.SeatId, owner)
		// Twenty buyers, one ticket: one gets it, under its own operation only.
		got := together(20, func(int) error {
			_, err := s.UpdateOwner(t.Context(), &inventoryv1.UpdateOwnerRequest{SeatId: seat.SeatId, ExpectedOwnerUserId: owner, NewOwnerUserId: newID(), OperationId: newID(), Cause: "TRANSFER"})
			return err
		})
		if got[""] != 1 || got["NOT_SEAT_OWNER"] != 19 {
			t.Fatalf("outcomes %v", got)
		}
		// Twenty repeats of one operation: all the same answer, one change.
		present, to, operation := s.Seat(t, seat.SeatId).OwnerUserId, newID(), newID()
		got = together(20, func(int) error {
			_, err := s.UpdateOwner(t.Context(), &inventoryv1.UpdateOwnerRequest{SeatId: seat.SeatId, ExpectedOwnerUserId: present, NewOwnerUserId: to, OperationId: operation, Cause: "TRANSFER"})
			return err
		})
		if now := s.Seat(t, seat.SeatId); got[""] != 20 || now.OwnerUserId != to || now.OwnershipVersion != 3 {
			t.Fatalf("outcomes %v, seat %v", got, now)
		}
	}
}

// A ticket is either transferred or used: a seller who is admitted has not sold it.
func TestCheckInRacesUpdateOwner(t *testing.T) {
	s := inventorytest.Start(t)
	for _, seat := range s.Hall(t, 20) {
		owner, buyer := newID(), newID()
		s.Buy(t, seat.SeatId, owner)
		var entered atomic.Bool
		got := together(2, func(i int) error {
			if i == 0 {
				_, err := s.UpdateOwner(t.Context(), &inventoryv1.UpdateOwnerRequest{SeatId: seat.SeatId, ExpectedOwnerUserId: owner, NewOwnerUserId: buyer, OperationId: newID(), Cause: "TRANSFER"})
				return err
			}
			answer, err := s.MarkCheckedIn(t.Context(), &inventoryv1.MarkCheckedInRequest{OwnerUserId: owner, OwnershipVersion: 1,
				Scan: &inventoryv1.Scan{ScanId: newID(), SeatId: seat.SeatId, StaffId: newID()}})
			entered.Store(answer.GetResult() == inventoryv1.ScanResult_SUCCESS)
			return err
		})
		now := s.Seat(t, seat.SeatId)
		if entered.Load() && (got["SEAT_UNAVAILABLE"] != 1 || now.OwnerUserId != owner) || !entered.Load() && (got[""] != 2 || now.OwnerUserId != buyer) {
			t.Fatalf("entered %v, outcomes %v, seat %v", entered.Load(), got, now)
		}
	}
}
