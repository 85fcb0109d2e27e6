package purchase

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"ticketremaster/orchestrator-service/clients"
	"ticketremaster/orchestrator-service/hold"
	"ticketremaster/orchestrator-service/sweep"
	"ticketremaster/platform/fault"
	inventoryv1 "ticketremaster/proto/inventory/v1"
)

// giveBack frees a hold after a failed reservation and fails its order if there is one; if that fails, both expire.
func (f *Flows) giveBack(ctx context.Context, seat, orderID uuid.UUID) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if _, err := f.endHold(ctx, seat, orderID, false, reasonNotOffered); err != nil && fault.Code(err) != errOrderNotFound.Code {
		slog.WarnContext(ctx, "a hold could not be given back; it will expire", "seat", seat, "order", orderID, "error", err)
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

// ExpireHold ends an expired hold and its order, for the broker's dead letters and for the sweep. A pinned hold belongs
// to its saga; one that was extended goes on.
func (f *Flows) ExpireHold(ctx context.Context, m hold.Message) error {
	order, err := f.endHold(ctx, m.SeatID, m.HoldID, true, errHoldExpired.Code)
	switch {
	case errors.Is(err, errNotDue) && order.HeldUntil.After(m.HeldUntil):
		m.HeldUntil = order.HeldUntil
		return f.goesOn(ctx, m)
	case errors.Is(err, errOrderConfirmed), errors.Is(err, errPayUnderWay):
		return nil
	case fault.Code(err) == errOrderNotFound.Code, fault.Code(err) == fault.CodeOrderInvalidState:
		return nil // never written, or over already
	}
	return err
}

// endHold frees the seat from the hold and then fails the order, but only if the hold is gone.
func (f *Flows) endHold(ctx context.Context, seat, orderID uuid.UUID, onlyIfExpired bool, reason string) (clients.Order, error) {
	res, err := f.Inventory.ReleaseSeat(ctx, &inventoryv1.ReleaseSeatRequest{
		SeatId: seat.String(), HoldId: orderID.String(), OnlyIfExpired: onlyIfExpired,
	})
	if err != nil {
		return clients.Order{}, err
	}
	switch res.Outcome {
	case inventoryv1.ReleaseOutcome_RELEASED, inventoryv1.ReleaseOutcome_GONE:
		return f.Orders.Fail(ctx, orderID, reason)
	case inventoryv1.ReleaseOutcome_PINNED:
		return clients.Order{}, errPayUnderWay
	case inventoryv1.ReleaseOutcome_BOUGHT:
		return clients.Order{}, errOrderConfirmed
	default: // NOT_DUE: the message came before the database's clock, or the hold was extended since
		return clients.Order{HeldUntil: res.HeldUntil.AsTime()}, errNotDue
	}
}

// Sweep returns the rounds that end expired holds whose message was lost, SweepGrace after their time.
func (f *Flows) Sweep() sweep.Round {
	overdue := func(ctx context.Context, limit int) ([]clients.Order, error) {
		return f.Orders.Overdue(ctx, f.SweepGrace, limit)
	}
	id := func(o clients.Order) uuid.UUID { return o.OrderID }
	return sweep.Of(overdue, id, func(ctx context.Context, o clients.Order) error {
		return f.ExpireHold(ctx, hold.Message{SeatID: o.SeatID, HoldID: o.OrderID, UserID: o.UserID, HeldUntil: o.HeldUntil})
	})
}
