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

// giveBack frees the holds of a failed reservation and fails their orders if there are any; if that fails, they expire.
func (f *Flows) giveBack(ctx context.Context, booking []hold.Held) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	for _, h := range booking {
		if _, err := f.endHold(ctx, h.SeatID, h.HoldID, false, reasonNotOffered); err != nil && fault.Code(err) != errOrderNotFound.Code {
			slog.WarnContext(ctx, "a hold could not be given back; it will expire", "seat", h.SeatID, "order", h.HoldID, "error", err)
		}
	}
}

// Cancel gives unpaid holds back: that of an order, or all of a booking. Cancelling again answers the same.
func (f *Flows) Cancel(ctx context.Context, user, id uuid.UUID) (orders []clients.Order, err error) {
	if orders, err = f.ownOrders(ctx, user, id); err != nil {
		return nil, err
	}
	for i, order := range orders {
		if orders[i], err = f.cancel(ctx, order); err != nil {
			return nil, err
		}
	}
	return orders, nil
}

func (f *Flows) cancel(ctx context.Context, order clients.Order) (clients.Order, error) {
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
	for _, h := range m.Holds() {
		if err := f.expire(ctx, h, m); err != nil {
			return err
		}
	}
	return nil
}

func (f *Flows) expire(ctx context.Context, h hold.Held, m hold.Message) error {
	order, err := f.endHold(ctx, h.SeatID, h.HoldID, true, errHoldExpired.Code)
	switch {
	case errors.Is(err, errNotDue) && order.HeldUntil.After(m.HeldUntil):
		return f.goesOn(ctx, hold.Message{Held: h, UserID: m.UserID, HeldUntil: order.HeldUntil})
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
		return f.ExpireHold(ctx, hold.Message{Held: hold.Held{SeatID: o.SeatID, HoldID: o.OrderID}, UserID: o.UserID, HeldUntil: o.HeldUntil})
	})
}
