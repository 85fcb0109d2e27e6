package postgres

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"

	"ticketremaster/platform/testenv"

	inventory "ticketremaster/inventory-service"
)

// A decision that is asked for again is not answered before the first is safe: where all standbys are gone, a reader sees
// what can still be lost.
func TestARepeatIsAsSafeAsTheFirst(t *testing.T) {
	server := testenv.ReplicatedPostgres(t)
	s, err := Open(t.Context(), server.URL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	ctx := context.WithoutCancel(t.Context())
	ann, bob, pinID, handed, rows := uuid.New(), uuid.New(), uuid.New(), uuid.New(), uuid.New()
	plan := inventory.Plan{EventID: uuid.New(), Total: 10, SeatsPerRow: 10, Tiers: []string{"CAT1"}}
	var seat uuid.UUID
	hold := inventory.Reservation{Seats: make([]inventory.HeldSeat, 1), UserID: ann, PersonID: ann, TTL: time.Minute, MaxHolds: 10}
	pinned := inventory.Pin{UserID: ann, PinID: pinID}
	for _, step := range []struct {
		what string
		do   func() error
	}{
		{"a hall", func() error { _, err := s.CreateSeats(ctx, plan); return err }},
		{"rows of a hall", func() error {
			_, err := s.AddRows(ctx, inventory.Addition{OperationID: rows, EventID: plan.EventID, Tier: "CAT1", Rows: 1, SeatsPerRow: 10})
			return err
		}},
		{"a hold", func() error {
			if seat == uuid.Nil {
				seats, err := s.Seats(ctx, plan.EventID, "", 0, 1)
				if err != nil {
					return err
				}
				seat = seats[0].ID
				hold.Seats[0] = inventory.HeldSeat{SeatID: seat, HoldID: uuid.New()}
				pinned.Seats = hold.Seats
			}
			_, err := s.Reserve(ctx, hold)
			return err
		}},
		{"a pin", func() error { _, err := s.Pin(ctx, pinned); return err }},
		{"a sale", func() error {
			_, err := s.Confirm(ctx, inventory.Sale{Pin: pinned, Terms: []inventory.Terms{{Price: 10_00}}})
			return err
		}},
		{"a change of owner", func() error {
			_, err := s.HandOver(ctx, inventory.Handover{SeatID: seat, From: ann, To: bob, OperationID: handed, Cause: "TRANSFER"})
			return err
		}},
	} {
		if err := step.do(); err != nil {
			t.Fatalf("%s: %v", step.what, err)
		}
		server.Unanswered(step.what, step.do)
	}
}
