package grpcapi_test

import (
	"crypto/sha256"
	"encoding/hex"
	"testing"
	"time"

	"ticketremaster/inventory-service/inventorytest"
	"ticketremaster/platform/fault"
	inventoryv1 "ticketremaster/proto/inventory/v1"
)

func TestPin(t *testing.T) {
	s := inventorytest.Start(t)
	seats := s.Hall(t, 3)
	user, pin := newID(), newID()
	hold := s.Hold(t, seats[0].SeatId, user)
	request := func(change func(*inventoryv1.PinHoldRequest)) error {
		r := &inventoryv1.PinHoldRequest{SeatId: seats[0].SeatId, HoldId: hold, UserId: user, PinId: pin}
		change(r)
		_, err := s.PinHold(t.Context(), r)
		return err
	}
	as := func(*inventoryv1.PinHoldRequest) {}
	wantCode(t, request(func(r *inventoryv1.PinHoldRequest) { r.UserId = newID() }), "SEAT_NOT_HELD")
	wantCode(t, request(func(r *inventoryv1.PinHoldRequest) { r.HoldId = newID() }), "HOLD_EXPIRED") // not the present hold
	wantCode(t, request(func(r *inventoryv1.PinHoldRequest) { r.SeatId = seats[1].SeatId }), "SEAT_NOT_HELD")
	wantCode(t, request(func(r *inventoryv1.PinHoldRequest) { r.SeatId = newID() }), "SEAT_NOT_FOUND")
	wantCode(t, request(as), "")
	wantCode(t, request(as), "") // a repeat
	wantCode(t, request(func(r *inventoryv1.PinHoldRequest) { r.UserId = newID() }), "SEAT_NOT_HELD")
	wantCode(t, request(func(r *inventoryv1.PinHoldRequest) { r.PinId = newID() }), "PAYMENT_IN_PROGRESS")
	wantCode(t, request(func(r *inventoryv1.PinHoldRequest) {
		r.SeatId, r.HoldId = seats[1].SeatId, s.Hold(t, seats[1].SeatId, user)
	}), "VALIDATION_ERROR")

	// Nothing releases a pinned seat, even after its hold's time.
	s.Expire(t, seats[0].SeatId, time.Hour)
	wantStatus(t, s.Seat(t, seats[0].SeatId), inventoryv1.SeatStatus_HELD)
	_, err := s.Reserve(t.Context(), seats[0].SeatId, newID())
	wantCode(t, err, "SEAT_UNAVAILABLE")
	for _, onlyExpired := range []bool{false, true} {
		wantOutcome(t, s, seats[0].SeatId, hold, onlyExpired, inventoryv1.ReleaseOutcome_PINNED)
	}
	wantCode(t, request(as), "")

	// A hold that has expired cannot be pinned.
	late := s.Hold(t, seats[2].SeatId, user)
	s.Expire(t, seats[2].SeatId, 0)
	wantCode(t, request(func(r *inventoryv1.PinHoldRequest) { r.SeatId, r.HoldId, r.PinId = seats[2].SeatId, late, newID() }), "HOLD_EXPIRED")
}

func wantOutcome(t *testing.T, s *inventorytest.Service, seat, hold string, onlyExpired bool, want inventoryv1.ReleaseOutcome) {
	t.Helper()
	got, err := s.ReleaseSeat(t.Context(), &inventoryv1.ReleaseSeatRequest{SeatId: seat, HoldId: hold, OnlyIfExpired: onlyExpired})
	if err != nil {
		t.Fatal(err)
	}
	if got.Outcome != want {
		t.Fatalf("release (only if expired: %v): %v, want %v", onlyExpired, got.Outcome, want)
	}
}

func TestUnpin(t *testing.T) {
	s := inventorytest.Start(t)
	seats := s.Hall(t, 3)
	user, pin := newID(), newID()
	hold := s.Hold(t, seats[0].SeatId, user)
	unpin := func(seat, hold, pin string) bool {
		t.Helper()
		got, err := s.UnpinHold(t.Context(), &inventoryv1.UnpinHoldRequest{SeatId: seat, HoldId: hold, PinId: pin})
		if err != nil {
			t.Fatal(err)
		}
		return got.Released
	}
	pinned := func(seat, hold, pin string) error {
		_, err := s.PinHold(t.Context(), &inventoryv1.PinHoldRequest{SeatId: seat, HoldId: hold, UserId: user, PinId: pin})
		return err
	}
	wantCode(t, pinned(seats[0].SeatId, hold, pin), "")
	if unpin(seats[0].SeatId, hold, newID()) || s.Seat(t, seats[0].SeatId).PinId != pin {
		t.Fatal("another pin's undoing touched the seat")
	}
	for range 2 {
		if unpin(seats[0].SeatId, hold, pin) {
			t.Fatal("the hold's time is not over: nothing to free")
		}
	}
	wantStatus(t, s.Seat(t, seats[0].SeatId), inventoryv1.SeatStatus_HELD)
	wantCode(t, pinned(seats[0].SeatId, hold, pin), "OPERATION_VOIDED")
	_, err := s.ConfirmSeat(t.Context(), &inventoryv1.ConfirmSeatRequest{SeatId: seats[0].SeatId, HoldId: hold, UserId: user, PinId: pin})
	wantCode(t, err, "SEAT_NOT_HELD")

	// UnpinHold arrives before PinHold, which is then refused.
	overtaken := newID()
	unpin(seats[0].SeatId, hold, overtaken)
	wantCode(t, pinned(seats[0].SeatId, hold, overtaken), "OPERATION_VOIDED")

	// After the hold's time the seat is released at once, and a repeat says so too.
	second := newID()
	wantCode(t, pinned(seats[0].SeatId, hold, second), "")
	s.Expire(t, seats[0].SeatId, time.Second)
	for range 2 {
		if !unpin(seats[0].SeatId, hold, second) {
			t.Fatal("not released though the hold's time is over")
		}
	}
	var status string
	if err := s.SQL.QueryRow(t.Context(), `SELECT status::text FROM seats WHERE seat_id = $1`, seats[0].SeatId).Scan(&status); err != nil || status != "AVAILABLE" {
		t.Fatalf("row is %s (%v)", status, err)
	}

	if unpin(newID(), newID(), newID()) {
		t.Fatal("an unknown seat was released")
	}
	bought, by := s.Buy(t, seats[1].SeatId, user)
	_, err = s.UnpinHold(t.Context(), &inventoryv1.UnpinHoldRequest{SeatId: seats[1].SeatId, HoldId: bought, PinId: by})
	wantCode(t, err, "SEAT_ALREADY_SOLD")
	wantStatus(t, s.Seat(t, seats[1].SeatId), inventoryv1.SeatStatus_SOLD)
}

func TestConfirm(t *testing.T) {
	s := inventorytest.Start(t)
	seats := s.Hall(t, 2)
	user, pin := newID(), newID()
	hold := s.Hold(t, seats[0].SeatId, user)
	sum := sha256.Sum256([]byte("the first QR"))
	sale := &inventoryv1.ConfirmSeatRequest{SeatId: seats[0].SeatId, HoldId: hold, UserId: user, PinId: pin, PriceCents: 35_050, QrSha256: sum[:5]}
	_, err := s.ConfirmSeat(t.Context(), sale)
	wantCode(t, err, fault.CodeValidation)
	sale.QrSha256 = sum[:]
	_, err = s.ConfirmSeat(t.Context(), sale)
	wantCode(t, err, "SEAT_NOT_HELD") // not pinned
	if _, err := s.PinHold(t.Context(), &inventoryv1.PinHoldRequest{SeatId: seats[0].SeatId, HoldId: hold, UserId: user, PinId: pin}); err != nil {
		t.Fatal(err)
	}
	_, err = s.ConfirmSeat(t.Context(), &inventoryv1.ConfirmSeatRequest{SeatId: seats[0].SeatId, HoldId: hold, UserId: user, PinId: newID(), PriceCents: 1})
	wantCode(t, err, "SEAT_NOT_HELD") // under another pin
	s.Expire(t, seats[0].SeatId, time.Hour)

	if got := together(20, func(int) error { _, err := s.ConfirmSeat(t.Context(), sale); return err }); got[""] != 20 {
		t.Fatalf("outcomes %v: each repeat answers the same", got)
	}
	seat := s.Seat(t, seats[0].SeatId)
	wantStatus(t, seat, inventoryv1.SeatStatus_SOLD)
	var hash string
	if err := s.SQL.QueryRow(t.Context(), `SELECT qr_code_hash FROM seats WHERE seat_id = $1`, seat.SeatId).Scan(&hash); err != nil || hash != hex.EncodeToString(sum[:]) {
		t.Errorf("the first QR's hash is %q, %v", hash, err)
	}
	if seat.OwnerUserId != user || seat.PricePaidCents != 35_050 || seat.HoldId != hold || seat.OwnershipVersion != 1 || seat.SoldAt == nil ||
		seat.HeldByUserId != "" || seat.HeldUntil != nil || seat.PinId != "" {
		t.Fatalf("sold seat: %v", seat)
	}
	chain, err := s.ListOwnership(t.Context(), &inventoryv1.ListOwnershipRequest{SeatId: seat.SeatId})
	if err != nil {
		t.Fatal(err)
	}
	if len(chain.Changes) != 1 || chain.Changes[0].OperationId != hold || chain.Changes[0].ToUserId != user || chain.Changes[0].Cause != "PURCHASE" {
		t.Fatalf("chain of custody: %v", chain.Changes)
	}

	// A repeat succeeds also after the ticket was transferred and used; another user's does not.
	buyer := newID()
	if _, err := s.UpdateOwner(t.Context(), &inventoryv1.UpdateOwnerRequest{SeatId: seat.SeatId, ExpectedOwnerUserId: user, NewOwnerUserId: buyer, OperationId: newID(), Cause: "TRANSFER"}); err != nil {
		t.Fatal(err)
	}
	_, err = s.ConfirmSeat(t.Context(), sale)
	wantCode(t, err, "")
	if result := checkIn(t, s, seat.SeatId, buyer, 2).Result; result != inventoryv1.ScanResult_SUCCESS {
		t.Fatalf("check-in: %v", result)
	}
	again, err := s.ConfirmSeat(t.Context(), sale)
	if err != nil {
		t.Fatal(err)
	}
	wantStatus(t, again.Seat, inventoryv1.SeatStatus_CHECKED_IN)
	_, err = s.ConfirmSeat(t.Context(), &inventoryv1.ConfirmSeatRequest{SeatId: seat.SeatId, HoldId: hold, UserId: newID(), PinId: pin, PriceCents: 35_050})
	wantCode(t, err, "SEAT_NOT_HELD")

	_, err = s.ConfirmSeat(t.Context(), &inventoryv1.ConfirmSeatRequest{SeatId: newID(), HoldId: hold, UserId: user, PinId: pin})
	wantCode(t, err, "SEAT_NOT_FOUND")
	for _, cents := range []int64{-1, 10_000_000_000} {
		_, err = s.ConfirmSeat(t.Context(), &inventoryv1.ConfirmSeatRequest{SeatId: seats[1].SeatId, HoldId: hold, UserId: user, PinId: pin, PriceCents: cents})
		wantCode(t, err, "VALIDATION_ERROR")
	}
}

func TestRelease(t *testing.T) {
	s := inventorytest.Start(t)
	seat := s.Hall(t, 1)[0].SeatId
	first := s.Hold(t, seat, newID())
	wantOutcome(t, s, seat, first, true, inventoryv1.ReleaseOutcome_NOT_DUE)
	wantOutcome(t, s, seat, newID(), false, inventoryv1.ReleaseOutcome_GONE)
	wantStatus(t, s.Seat(t, seat), inventoryv1.SeatStatus_HELD)
	s.Expire(t, seat, 0)
	wantOutcome(t, s, seat, first, true, inventoryv1.ReleaseOutcome_RELEASED)
	wantOutcome(t, s, seat, first, true, inventoryv1.ReleaseOutcome_GONE)

	// A message of an older hold releases neither the newer hold nor the ticket.
	user := newID()
	second := s.Hold(t, seat, user)
	wantOutcome(t, s, seat, first, false, inventoryv1.ReleaseOutcome_GONE)
	wantOutcome(t, s, seat, second, false, inventoryv1.ReleaseOutcome_RELEASED)
	third, _ := s.Buy(t, seat, user)
	wantOutcome(t, s, seat, second, false, inventoryv1.ReleaseOutcome_GONE)
	wantOutcome(t, s, seat, third, false, inventoryv1.ReleaseOutcome_BOUGHT)
	wantOutcome(t, s, newID(), newID(), true, inventoryv1.ReleaseOutcome_GONE)
	wantStatus(t, s.Seat(t, seat), inventoryv1.SeatStatus_SOLD)
}

// A payment that begins in the hold's last moment keeps its seat or is refused; a seat is never both released and
// pinned.
func TestPinRacesRelease(t *testing.T) {
	s := inventorytest.Start(t)
	for _, seat := range s.Hall(t, 30) {
		user := newID()
		hold := s.Hold(t, seat.SeatId, user)
		var pinned bool
		var outcome inventoryv1.ReleaseOutcome
		together(2, func(i int) error {
			if i == 0 {
				_, err := s.PinHold(t.Context(), &inventoryv1.PinHoldRequest{SeatId: seat.SeatId, HoldId: hold, UserId: user, PinId: newID()})
				pinned = err == nil
				return err
			}
			got, err := s.ReleaseSeat(t.Context(), &inventoryv1.ReleaseSeatRequest{SeatId: seat.SeatId, HoldId: hold})
			outcome = got.GetOutcome()
			return err
		})
		now := s.Seat(t, seat.SeatId)
		if pinned && (outcome != inventoryv1.ReleaseOutcome_PINNED || now.Status != inventoryv1.SeatStatus_HELD) ||
			!pinned && (outcome != inventoryv1.ReleaseOutcome_RELEASED || now.Status != inventoryv1.SeatStatus_AVAILABLE) {
			t.Fatalf("pinned %v, release %v, seat %v", pinned, outcome, now)
		}
	}
}
