package grpcapi_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"ticketremaster/inventory-service/inventorytest"
	"ticketremaster/platform/fault"
	inventoryv1 "ticketremaster/proto/inventory/v1"
)

var newID = inventorytest.NewID

// wantCode fails unless err is a fault of that code ("" for none).
func wantCode(t *testing.T, err error, code string) {
	t.Helper()
	if got := fault.Code(err); got != code {
		t.Fatalf("error %v (%s), want %q", err, got, code)
	}
}

func wantStatus(t *testing.T, s *inventoryv1.Seat, want inventoryv1.SeatStatus) {
	t.Helper()
	if s.Status != want {
		t.Fatalf("seat is %v, want %v (%v)", s.Status, want, s)
	}
}

// together runs f n times at once and returns the errors' codes, counted. Calls that are not answered in time on a busy
// machine are repeated, as callers do.
func together(n int, f func(i int) error) map[string]int {
	codes, all := make([]string, n), sync.WaitGroup{}
	start := make(chan struct{})
	for i := range n {
		all.Go(func() {
			<-start
			for deadline := time.Now().Add(30 * time.Second); ; {
				codes[i] = fault.Code(f(i))
				if codes[i] != fault.CodeUnavailable || time.Now().After(deadline) {
					return
				}
			}
		})
	}
	close(start)
	all.Wait()
	count := map[string]int{}
	for _, c := range codes {
		count[c]++
	}
	return count
}

func TestFiftyUsersOneSeatOneWinner(t *testing.T) {
	s := inventorytest.Start(t)
	for _, seat := range s.Hall(t, 5) {
		got := together(50, func(int) error {
			_, err := s.Reserve(t.Context(), seat.SeatId, newID())
			return err
		})
		if got[""] != 1 || got["SEAT_UNAVAILABLE"] != 49 {
			t.Fatalf("outcomes %v, want 1 winner and 49 × SEAT_UNAVAILABLE", got)
		}
	}
}

func TestFiftyUsersOneSeatWhoseHoldIsOver(t *testing.T) {
	s := inventorytest.Start(t)
	for _, seat := range s.Hall(t, 3) {
		s.Hold(t, seat.SeatId, newID())
		s.Expire(t, seat.SeatId, time.Second)
		got := together(50, func(int) error {
			_, err := s.Reserve(t.Context(), seat.SeatId, newID())
			return err
		})
		if got[""] != 1 || got["SEAT_UNAVAILABLE"] != 49 {
			t.Fatalf("outcomes %v, want 1 winner and 49 × SEAT_UNAVAILABLE", got)
		}
	}
}

func TestReserveAnswersAtOnceWhenTheRowIsLocked(t *testing.T) {
	s := inventorytest.Start(t)
	seat := s.Hall(t, 1)[0].SeatId
	tx, err := s.SQL.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.Background()) }()
	if _, err := tx.Exec(t.Context(), `SELECT FROM seats WHERE seat_id = $1 FOR UPDATE`, seat); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	_, err = s.Reserve(t.Context(), seat, newID())
	wantCode(t, err, "SEAT_UNAVAILABLE")
	// Waiting for lock_timeout would take a second.
	if took := time.Since(start); took > 500*time.Millisecond {
		t.Fatalf("it waited %s for the lock", took)
	}
	// A call that waits for the lock gives up after a second and may be repeated.
	start = time.Now()
	_, _, err = s.Store.Release(t.Context(), uuid.MustParse(seat), uuid.New(), false)
	wantCode(t, err, "SERVICE_UNAVAILABLE")
	if took := time.Since(start); took > 5*time.Second {
		t.Fatalf("it waited %s for the lock", took)
	}
}

func TestReserve(t *testing.T) {
	s := inventorytest.Start(t)
	seats := s.Hall(t, 4)
	user, hold := newID(), newID()
	request := &inventoryv1.ReserveSeatRequest{SeatId: seats[0].SeatId, UserId: user, HoldId: hold, HoldTtlMs: 60_000, MaxHolds: 10}
	first, err := s.ReserveSeat(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	got := first.Seat
	wantStatus(t, got, inventoryv1.SeatStatus_HELD)
	if got.HoldId != hold || got.HeldByUserId != user || got.OwnerUserId != "" || got.PinId != "" || first.AlreadyHeld {
		t.Fatalf("held seat: %v", first)
	}
	if first.RemainingMs < 55_000 || first.RemainingMs > 60_000 {
		t.Fatalf("remaining %d ms of 60,000", first.RemainingMs)
	}

	request.HoldId = newID()
	again, err := s.ReserveSeat(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	if !again.AlreadyHeld || again.Seat.HoldId != hold || !again.Seat.HeldUntil.AsTime().Equal(got.HeldUntil.AsTime()) {
		t.Fatalf("the same user's hold must be answered again: %v", again)
	}

	_, err = s.Reserve(t.Context(), seats[0].SeatId, newID())
	wantCode(t, err, "SEAT_UNAVAILABLE")
	_, err = s.Reserve(t.Context(), newID(), user)
	wantCode(t, err, "SEAT_NOT_FOUND")
	s.Buy(t, seats[1].SeatId, newID())
	_, err = s.Reserve(t.Context(), seats[1].SeatId, user)
	wantCode(t, err, "SEAT_ALREADY_SOLD")
}

func TestAHoldWhoseTimeIsOverCountsAsAvailable(t *testing.T) {
	s := inventorytest.Start(t)
	seat := s.Hall(t, 1)[0]
	user := newID()
	old := s.Hold(t, seat.SeatId, user)
	s.Expire(t, seat.SeatId, time.Millisecond)

	read := s.Seat(t, seat.SeatId)
	wantStatus(t, read, inventoryv1.SeatStatus_AVAILABLE)
	if read.HeldByUserId != "" || read.HoldId != "" || read.HeldUntil != nil {
		t.Fatalf("reads as held: %v", read)
	}
	list, err := s.ListSeats(t.Context(), &inventoryv1.ListSeatsRequest{EventId: seat.EventId})
	if err != nil {
		t.Fatal(err)
	}
	wantStatus(t, list.Seats[0], inventoryv1.SeatStatus_AVAILABLE)
	counts, err := s.CountSeats(t.Context(), &inventoryv1.CountSeatsRequest{EventIds: []string{seat.EventId}})
	if err != nil {
		t.Fatal(err)
	}
	if c := counts.Counts[0]; c.Available != 1 || c.Held != 0 {
		t.Fatalf("counts %v", c)
	}

	// The same user then gets a new hold, not the expired one.
	again, err := s.Reserve(t.Context(), seat.SeatId, user)
	if err != nil {
		t.Fatal(err)
	}
	if again.AlreadyHeld || again.Seat.HoldId == old {
		t.Fatalf("answered the hold that is over: %v", again)
	}
	_, err = s.PinHold(t.Context(), &inventoryv1.PinHoldRequest{SeatId: seat.SeatId, HoldId: old, UserId: user, PinId: newID()})
	wantCode(t, err, "HOLD_EXPIRED")
}
