package purchase

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"ticketremaster/orchestrator-service/clients"
	"ticketremaster/orchestrator-service/hold"
	"ticketremaster/platform/fault"
	inventoryv1 "ticketremaster/proto/inventory/v1"
)

// extendBefore is how long before its end a hold is extended, at the most: many rounds of the sweep.
const extendBefore = time.Minute

// ExtendHolds is a round of the sweep: it extends the holds that are about to end while their holder's top-up is under
// way, each once and by another HoldTTL (docs/adr/extended-holds.md). An order whose new end could not be noted gets it
// when the hold's message comes back.
func (f *Flows) ExtendHolds(ctx context.Context) error {
	var failed error
	for after := uuid.Nil; ; {
		payers, err := f.Users.Payers(ctx, after)
		if err != nil || len(payers) == 0 {
			return errors.Join(failed, err)
		}
		in := &inventoryv1.ExtendHoldsRequest{WithinMs: min(extendBefore, f.HoldTTL/2).Milliseconds(), ByMs: f.HoldTTL.Milliseconds()}
		for _, p := range payers {
			in.Holders = append(in.Holders, &inventoryv1.Holder{UserId: p.UserID.String(), PersonId: p.PersonID.String()})
		}
		res, err := f.Inventory.ExtendHolds(ctx, in)
		failed = errors.Join(failed, err)
		for _, seat := range res.GetSeats() {
			failed = errors.Join(failed, f.extendOrder(ctx, clients.ID(seat.HoldId), seat.HeldUntil.AsTime()))
		}
		if len(payers) < clients.MostPayers {
			return failed
		}
		after = payers[len(payers)-1].UserID
	}
}

// extendOrder notes an order's new end. A hold whose order was not written, or is over, ends by itself.
func (f *Flows) extendOrder(ctx context.Context, order uuid.UUID, until time.Time) error {
	_, err := f.Orders.Extend(ctx, order, until)
	if code := fault.Code(err); code == fault.CodeOrderNotFound || code == fault.CodeOrderInvalidState {
		return nil
	}
	return err
}

// goesOn has an extended hold come back at its new end: its first message has come back just now, so that another one
// of the same TTL is right.
func (f *Flows) goesOn(ctx context.Context, m hold.Message) error {
	if err := f.extendOrder(ctx, m.HoldID, m.HeldUntil); err != nil {
		return err
	}
	f.Holds.Publish(ctx, m)
	return nil
}
