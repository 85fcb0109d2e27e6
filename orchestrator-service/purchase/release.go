package purchase

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"ticketremaster/orchestrator-service/clients"
	"ticketremaster/orchestrator-service/sweep"
	"ticketremaster/platform/fault"
	inventoryv1 "ticketremaster/proto/inventory/v1"
)

// giveBack frees a hold that leads nowhere, and fails its order if it was written; failing that both expire.
func (f *Flows) giveBack(ctx context.Context, seat, holdID uuid.UUID) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if _, err := f.endHold(ctx, seat, holdID, false, reasonNotOffered); err != nil && fault.Code(err) != errOrderNotFound.Code {
		slog.WarnContext(ctx, "a hold could not be given back; it will expire", "seat", seat, "hold", holdID, "error", err)
	}
}

// giveBackUnknown frees a hold whose making was not answered: we said 503, so nothing may stay, yet the call may still come
// about when its service catches up. So it asks until it was answered twice, a second apart: the first answer may be faster
// than the late call. It lets go of a hold that has an order: the user has asked again and was given it.
func (f *Flows) giveBackUnknown(ctx context.Context, seat, holdID uuid.UUID) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for answered := 0; answered < 2; {
		if _, err := f.Orders.Get(ctx, holdID); err == nil {
			return
		}
		_, err := f.endHold(ctx, seat, holdID, false, reasonNotOffered)
		if !fault.Unknown(err) {
			answered++
		}
		select {
		case <-ctx.Done():
			slog.WarnContext(ctx, "a hold could not be given back; it will expire", "seat", seat, "hold", holdID, "error", err)
			return
		case <-time.After(time.Second):
		}
	}
}

// Cancel gives an unpaid hold back. Cancelling again answers the same.
func (f *Flows) Cancel(ctx context.Context, user, orderID uuid.UUID) (clients.Order, error) {
	order, err := f.OwnOrder(ctx, user, orderID)
	if err != nil {
		return order, err
	}
	switch order.Status {
	case clients.OrderConfirmed:
		return order, errOrderConfirmed
	case clients.OrderPending:
	default:
		return order, nil // over already
	}
	return f.endHold(ctx, order.SeatID, order.OrderID, false, reasonCancelled)
}

// ExpireHold ends a hold whose time is over, and its order with it; the broker's dead letters and the sweep
// both come here. A pinned hold belongs to its saga.
func (f *Flows) ExpireHold(ctx context.Context, seat, holdID uuid.UUID) error {
	_, err := f.endHold(ctx, seat, holdID, true, errHoldExpired.Code)
	switch {
	case errors.Is(err, errOrderConfirmed), errors.Is(err, errPayUnderWay):
		return nil
	case fault.Code(err) == errOrderNotFound.Code, fault.Code(err) == clients.CodeOrderInvalidState:
		return nil // never written, or over already
	}
	return err
}

// endHold frees the seat from the hold and then fails its order, but only if the hold is truly gone.
func (f *Flows) endHold(ctx context.Context, seat, holdID uuid.UUID, onlyIfExpired bool, reason string) (clients.Order, error) {
	res, err := f.Inventory.ReleaseSeat(ctx, &inventoryv1.ReleaseSeatRequest{
		SeatId: seat.String(), HoldId: holdID.String(), OnlyIfExpired: onlyIfExpired,
	})
	if err != nil {
		return clients.Order{}, err
	}
	switch res.Outcome {
	case inventoryv1.ReleaseOutcome_RELEASED, inventoryv1.ReleaseOutcome_GONE:
		return f.Orders.Fail(ctx, holdID, reason)
	case inventoryv1.ReleaseOutcome_PINNED:
		return clients.Order{}, errPayUnderWay
	case inventoryv1.ReleaseOutcome_BOUGHT:
		return clients.Order{}, errOrderConfirmed
	default: // NOT_DUE: the message was faster than the clock
		return clients.Order{}, errNotDue
	}
}

// Sweep ends the holds whose time is over and whose message was lost. It comes after the broker: SweepGrace later.
func (f *Flows) Sweep(ctx context.Context) error {
	orders, err := f.Orders.Overdue(ctx, f.SweepGrace, sweep.AtOnce)
	if err != nil {
		return err
	}
	for _, o := range orders {
		if err := f.ExpireHold(ctx, o.SeatID, o.OrderID); err != nil {
			return err
		}
	}
	return nil
}
