package orchestrator

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"ticketremaster/orchestrator-service/clients"
	"ticketremaster/orchestrator-service/hold"
	"ticketremaster/platform/fault"
	inventoryv1 "ticketremaster/proto/inventory/v1"
)

// Reservation is a seat that is held for a user, waiting to be paid.
type Reservation struct {
	Order       clients.Order
	TTL         time.Duration // what is left of the hold
	OTPRequired bool
}

// Reserve holds a seat for a user. Nothing is logged: a hold expires by itself. A seat that the user holds
// already gives the same order, and repairs what a crash left out of it. Who comes too late for a seat costs one
// call: the rest is asked, side by side, once the seat is held.
func (f *Flows) Reserve(ctx context.Context, user, seatID uuid.UUID) (Reservation, error) {
	proposed := newID()
	held, err := f.Inventory.ReserveSeat(ctx, &inventoryv1.ReserveSeatRequest{
		SeatId: seatID.String(), UserId: user.String(), HoldId: proposed.String(),
		HoldTtlMs: f.HoldTTL.Milliseconds(), MaxHolds: int32(f.MaxHolds),
	})
	if err != nil {
		if fault.Unknown(err) {
			go f.giveBackUnknown(context.WithoutCancel(ctx), seatID, proposed)
		}
		return Reservation{}, err
	}
	holdID := optionalID(held.Seat.HoldId)
	f.Holds.Publish(ctx, hold.Message{SeatID: seatID, HoldID: holdID, UserID: user, HeldUntil: held.Seat.HeldUntil.AsTime()})
	var order clients.Order
	var risk clients.Risk
	both, bothCtx := errgroup.WithContext(ctx)
	both.Go(func() (err error) { order, err = f.writeOrder(bothCtx, user, held.Seat); return err })
	both.Go(func() (err error) { risk, err = f.Users.Risk(bothCtx, user, holdID); return err })
	if err := both.Wait(); err != nil {
		if !held.AlreadyHeld {
			f.giveBack(ctx, seatID, holdID)
		}
		return Reservation{}, err
	}
	r := Reservation{Order: order, TTL: time.Duration(held.RemainingMs) * time.Millisecond, OTPRequired: risk.IsFlagged && !risk.OTPVerified}
	if r.OTPRequired {
		go f.sendPurchaseOTP(context.WithoutCancel(ctx), order) // off the path: /pay sends it again if this fails
	}
	return r, nil
}

// writeOrder records a hold's order at the price of the seat's tier.
func (f *Flows) writeOrder(ctx context.Context, user uuid.UUID, seat *inventoryv1.Seat) (clients.Order, error) {
	event, err := f.Events.Recent(ctx, optionalID(seat.EventId))
	switch price, priced := event.PricingTiers[seat.Tier]; {
	case fault.Code(err) == codeEventNotFound, err == nil && !event.Published():
		return clients.Order{}, errSeatNotForSale
	case err != nil:
		return clients.Order{}, err
	case !event.EventDate.After(time.Now()):
		return clients.Order{}, errEventEnded
	case !priced:
		return clients.Order{}, errSeatNotForSale
	default:
		return f.Orders.Place(ctx, clients.Order{
			OrderID: optionalID(seat.HoldId), UserID: user, SeatID: optionalID(seat.SeatId), EventID: event.EventID,
			Price: price, HeldUntil: seat.HeldUntil.AsTime(),
		})
	}
}

// giveBack frees a hold that leads nowhere, and fails its order if it was written; failing that both expire.
func (f *Flows) giveBack(ctx context.Context, seat, holdID uuid.UUID) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if _, err := f.endHold(ctx, seat, holdID, false, "NOT_OFFERED"); err != nil && fault.Code(err) != errOrderNotFound.Code {
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
		_, err := f.endHold(ctx, seat, holdID, false, "NOT_OFFERED")
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

// reasonCancelled is why an order failed that its owner gave back.
const reasonCancelled = "CANCELLED"

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
	case fault.Code(err) == errOrderNotFound.Code, fault.Code(err) == "ORDER_INVALID_STATE":
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
		return clients.Order{}, fault.New(fault.Unavailable, fault.CodeUnavailable, "the hold's time is not over yet")
	}
}
