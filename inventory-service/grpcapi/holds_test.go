package grpcapi_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"ticketremaster/platform/fault"
	inventoryv1 "ticketremaster/proto/inventory/v1"

	"ticketremaster/inventory-service/inventorytest"
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

// together runs f n times at once and returns the errors' codes, counted. What could not be answered in time on a busy
// machine is asked again, as callers do.
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
	// What waits for the lock, on the other hand, gives up after a second and says that it may be tried again.
	start = time.Now()
	_, err = s.Store.Release(t.Context(), uuid.MustParse(seat), uuid.New(), false)
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

	// The same user gets a new hold then, not the one that is over.
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

// Many rounds on warm connections: in any one of them chance alone may keep the reservations apart.
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
	// A hold one has already is not one more; one that is over makes room; one that is paid for late does not.
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

	// Nothing takes a pinned seat away, though its time is over.
	s.Expire(t, seats[0].SeatId, time.Hour)
	wantStatus(t, s.Seat(t, seats[0].SeatId), inventoryv1.SeatStatus_HELD)
	_, err := s.Reserve(t.Context(), seats[0].SeatId, newID())
	wantCode(t, err, "SEAT_UNAVAILABLE")
	for _, onlyExpired := range []bool{false, true} {
		wantOutcome(t, s, seats[0].SeatId, hold, onlyExpired, inventoryv1.ReleaseOutcome_PINNED)
	}
	wantCode(t, request(as), "")

	// Its time was over before it was pinned: too late.
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

	// The undoing overtakes the pin, which then comes too late.
	overtaken := newID()
	unpin(seats[0].SeatId, hold, overtaken)
	wantCode(t, pinned(seats[0].SeatId, hold, overtaken), "OPERATION_VOIDED")

	// After its time the seat is free at once; and the repeat says so too.
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

	// A message of an older hold frees neither the newer one nor the ticket.
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

// A payment that begins in the hold's last moment keeps its seat or is refused; a seat is never both freed and pinned.
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

// All accounts of a person share the number of holds.
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

// A person cannot hold a seat for ever by holding it again and again, under whatever account: others have it first.
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
