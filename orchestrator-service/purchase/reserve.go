package purchase

import (
	"context"
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

// Reserve holds a seat for a user (docs/architecture.md#reserving); the holds of all accounts of a person are counted together. It is no saga, because a hold expires by itself.
// Reserving a seat that the user holds already returns the same order and repairs what a crash left out. A losing
// request costs one call: the others are made, in parallel, once the seat is held.
func (f *Flows) Reserve(ctx context.Context, user, person, seatID uuid.UUID) (Reservation, error) {
	proposed := uuid.Must(uuid.NewV7())
	held, err := f.Inventory.ReserveSeat(ctx, &inventoryv1.ReserveSeatRequest{
		SeatId: seatID.String(), UserId: user.String(), HoldId: proposed.String(),
		HoldTtlMs: f.HoldTTL.Milliseconds(), MaxHolds: int32(f.MaxHolds), PersonId: person.String(), HoldPauseMs: f.HoldPause.Milliseconds(),
	})
	if err != nil {
		if fault.Unknown(err) {
			f.lost.add(ctx, seatID, proposed)
		}
		return Reservation{}, err
	}
	orderID := clients.ID(held.Seat.HoldId)
	if held.RemainingMs <= f.HoldTTL.Milliseconds() { // else it was extended: a message would come back before its end, and its first one is followed by another
		f.Holds.Publish(ctx, hold.Message{SeatID: seatID, HoldID: orderID, UserID: user, HeldUntil: held.Seat.HeldUntil.AsTime()})
	}
	var order clients.Order
	var risk clients.Risk
	both, bothCtx := errgroup.WithContext(ctx)
	both.Go(func() (err error) { order, err = f.writeOrder(bothCtx, user, held.Seat); return err })
	both.Go(func() (err error) { risk, err = f.Users.Risk(bothCtx, user, orderID); return err })
	if err := both.Wait(); err != nil {
		if !held.AlreadyHeld {
			f.giveBack(ctx, seatID, orderID)
		}
		return Reservation{}, err
	}
	r := Reservation{Order: order, TTL: time.Duration(held.RemainingMs) * time.Millisecond, OTPRequired: risk.IsFlagged && !risk.OTPVerified}
	if r.OTPRequired {
		f.sendOTP(ctx, order)
	}
	return r, nil
}

// writeOrder records a hold's order at the price of the seat's tier.
func (f *Flows) writeOrder(ctx context.Context, user uuid.UUID, seat *inventoryv1.Seat) (clients.Order, error) {
	event, err := f.Events.Recent(ctx, clients.ID(seat.EventId))
	if fault.Code(err) == fault.CodeEventNotFound {
		return clients.Order{}, errSeatNotForSale
	}
	if err == nil {
		err = onSale(event, time.Now())
	}
	switch price, priced := event.PricingTiers[seat.Tier]; {
	case err != nil:
		return clients.Order{}, err
	case !priced:
		return clients.Order{}, errSeatNotForSale
	default:
		order := clients.Order{
			OrderID: clients.ID(seat.HoldId), UserID: user, SeatID: clients.ID(seat.SeatId), EventID: event.EventID,
			Price: price, HeldUntil: seat.HeldUntil.AsTime(), Includes: event.Breakdown(price),
		}
		if event.MaxPerCustomer == nil {
			return f.Orders.Place(ctx, order)
		}
		risk, err := f.Users.Risk(ctx, user, order.OrderID) // whose accounts are one person's
		if err != nil {
			return clients.Order{}, err
		}
		return f.Orders.PlaceWithin(ctx, order, risk.PersonID, event.Rules)
	}
}

// onSale refuses an event that is not on sale at that time: from sales_start, or its publication, until sales_end, or
// its beginning.
func onSale(e clients.Event, now time.Time) error {
	switch {
	case !e.Public():
		return errSeatNotForSale
	case e.Status == clients.EventCancelled:
		return errEventCancelled
	case e.SalesEnd != nil && !now.Before(*e.SalesEnd), e.SalesEnd == nil && !now.Before(e.EventDate):
		return errEventEnded
	case e.SalesStart != nil && now.Before(*e.SalesStart):
		start := e.SalesStart.UTC().Format(time.RFC3339)
		return fault.New(fault.Conflict, clients.CodeSalesNotOpen, "Sales begin at %s", start).With("sales_start", start)
	}
	return nil
}
