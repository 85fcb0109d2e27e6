package refund

import (
	"context"

	"github.com/google/uuid"

	"ticketremaster/orchestrator-service/clients"
	"ticketremaster/orchestrator-service/saga"
	"ticketremaster/platform/fault"
	"ticketremaster/platform/web"
)

// Share is the refund of one order of a booking, or why there is none.
type Share struct {
	Order   clients.Order
	Outcome saga.Outcome[Ticket]
	Refusal *fault.Error
}

// RefundBooking refunds all paid orders of a booking as an administrator decides, each by itself: one that is refused (its ticket
// was used, for example) leaves the others alone. An error means that none is refunded.
func (f *Flows) RefundBooking(ctx context.Context, admin, booking uuid.UUID, r Request) ([]Share, error) {
	return f.refundEach(ctx, booking, func(o clients.Order) (saga.Outcome[Ticket], error) {
		one := r
		one.OrderID = o.OrderID
		return f.Refund(ctx, admin, "", one)
	})
}

// GiveBackBooking is GiveBack for all tickets of the booking with which the ticket was bought, as far as they are the holder's.
func (f *Flows) GiveBackBooking(ctx context.Context, holder, seatID uuid.UUID) ([]Share, error) {
	seat, _, err := f.ticketOf(ctx, seatID)
	switch {
	case err != nil:
		return nil, err
	case seat.OwnerUserId != holder.String():
		return nil, errNotYours
	}
	order, err := f.Orders.Get(ctx, clients.ID(seat.HoldId))
	if err != nil {
		return nil, err
	}
	return f.refundEach(ctx, order.Booking(), func(o clients.Order) (saga.Outcome[Ticket], error) { return f.GiveBack(ctx, holder, o.SeatID) })
}

func (f *Flows) refundEach(ctx context.Context, booking uuid.UUID, refund func(clients.Order) (saga.Outcome[Ticket], error)) ([]Share, error) {
	orders, _, err := f.Orders.Find(ctx, clients.OrderFilter{BookingID: booking, Status: clients.OrderConfirmed}, web.Page{Number: 1, Size: clients.MaxBooking})
	if err != nil {
		return nil, err
	}
	if len(orders) == 0 {
		return nil, errNothingPaid
	}
	shares := make([]Share, len(orders))
	refunded := 0
	for i, o := range orders {
		out, err := refund(o)
		shares[i] = Share{Order: o, Outcome: out}
		if err != nil {
			shares[i].Refusal = fault.From(err)
		} else {
			refunded++
		}
	}
	if refunded == 0 {
		return nil, shares[0].Refusal
	}
	return shares, nil
}
