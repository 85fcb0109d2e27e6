package refund

import (
	"context"
	"encoding/json"
	"time"

	"github.com/google/uuid"

	"ticketremaster/orchestrator-service/clients"
	"ticketremaster/orchestrator-service/repeat"
	"ticketremaster/orchestrator-service/saga"
	"ticketremaster/platform/money"
	inventoryv1 "ticketremaster/proto/inventory/v1"
)

// wholeSteps refund a ticket. It is voided first, so that it cannot be used or transferred while its owner is paid.
func (f *Flows) wholeSteps() []saga.Step[Ticket] {
	return []saga.Step[Ticket]{
		{Name: "void ticket", Do: f.voidTicket, Undo: f.restoreTicket},
		{Name: "refund order", Do: f.refundOrder},
		{Name: "return credits", Do: f.returnCredits},
		{Name: "free seat", Do: f.freeSeat},
	}
}

// partSteps refund a part of the price; the ticket stays valid.
func (f *Flows) partSteps() []saga.Step[Ticket] {
	return []saga.Step[Ticket]{
		{Name: "refund order", Do: f.refundOrder},
		{Name: "return credits", Do: f.returnCredits},
	}
}

// Ticket is the state of one ticket's refund.
type Ticket struct {
	RefundID   uuid.UUID     `json:"refund_id"`
	Order      clients.Order `json:"order"`
	Part       money.Cents   `json:"part"` // 0: the whole
	FeePercent int           `json:"fee_percent"`
	ToUserID   uuid.UUID     `json:"to_user_id"` // the ticket's owner
	By         uuid.UUID     `json:"by"`
	Reason     string        `json:"reason"`
	Block      bool          `json:"block"` // the seat is not put on sale again
	// What the steps learn.
	Amount money.Cents `json:"amount"`
}

func (f *Flows) voidTicket(ctx context.Context, t *Ticket) error {
	res, err := f.Inventory.VoidTicket(ctx, &inventoryv1.VoidTicketRequest{
		SeatId: t.Order.SeatID.String(), OrderId: t.Order.OrderID.String(), RefundId: t.RefundID.String(),
	})
	if owner := clients.ID(res.GetSeat().GetOwnerUserId()); owner != uuid.Nil && res.GetSeat().GetVoidId() == t.RefundID.String() {
		t.ToUserID = owner // custody decides, and a void ticket does not change hands any more
	}
	return err
}

func (f *Flows) restoreTicket(ctx context.Context, t *Ticket) error {
	_, err := f.Inventory.RestoreTickets(ctx, &inventoryv1.RestoreTicketsRequest{
		SeatIds: []string{t.Order.SeatID.String()}, RefundIds: []string{t.RefundID.String()},
	})
	return err
}

func (f *Flows) refundOrder(ctx context.Context, t *Ticket) error {
	r := clients.RefundRequest{RefundID: t.RefundID, OrderID: t.Order.OrderID, Kind: clients.RefundWhole, FeePercent: t.FeePercent, ToUserID: t.ToUserID, By: t.By, Reason: t.Reason}
	if t.Part > 0 {
		r.Kind, r.Amount = clients.RefundPart, t.Part
	}
	results, err := f.Orders.Refund(ctx, []clients.RefundRequest{r})
	if err != nil {
		return err
	}
	if refusal := results[0].Refusal(); refusal != nil {
		return refusal
	}
	t.Amount, t.ToUserID = results[0].Refund.Amount, results[0].Refund.ToUserID
	return nil
}

func (f *Flows) returnCredits(ctx context.Context, t *Ticket) error {
	if t.Amount == 0 {
		return nil
	}
	return f.Users.RefundTickets(ctx, []clients.TicketRefund{{RefundID: t.RefundID, UserID: t.ToUserID, Amount: t.Amount, OrderID: t.Order.OrderID}})
}

func (f *Flows) freeSeat(ctx context.Context, t *Ticket) error {
	_, err := f.Inventory.FreeTicket(ctx, &inventoryv1.FreeTicketRequest{SeatId: t.Order.SeatID.String(), RefundId: t.RefundID.String(), Blocked: t.Block})
	return err
}

// Request is an administrator's refund of one order.
type Request struct {
	OrderID uuid.UUID   `json:"order_id"`
	Part    money.Cents `json:"part"` // 0: the whole
	Block   bool        `json:"block"`
	Reason  string      `json:"reason"`
}

// Refund refunds an order as an administrator decides, to who owns its ticket now. The whole of an order is refunded
// once; of a part, the same key, or without one the same request within half a minute, is the same refund.
func (f *Flows) Refund(ctx context.Context, admin uuid.UUID, key string, r Request) (saga.Outcome[Ticket], error) {
	var none saga.Outcome[Ticket]
	order, err := f.Orders.Get(ctx, r.OrderID)
	if err != nil {
		return none, err
	}
	seat, event, err := f.ticketOf(ctx, order.SeatID)
	if err != nil {
		return none, err
	}
	t := Ticket{
		RefundID: uuid.Must(uuid.NewV7()), Order: order, Part: r.Part, ToUserID: clients.ID(seat.OwnerUserId), By: admin, Reason: r.Reason,
		Block: r.Block || event.Status == clients.EventCancelled,
	}
	if r.Part == 0 {
		return f.refundWhole(ctx, t)
	}
	switch {
	case seat.HoldId != order.OrderID.String() || seat.OwnerUserId == "":
		return none, errRefunded
	case seat.Status == inventoryv1.SeatStatus_CHECKED_IN:
		return none, errUsed
	}
	raw, err := json.Marshal(r)
	if err != nil {
		return none, err
	}
	request := repeat.Request{Admin: admin, What: "refund " + r.OrderID.String(), Key: key, Body: raw}
	return repeat.Do(ctx, f.Requests, request, func(id uuid.UUID) (saga.Outcome[Ticket], error) {
		t.RefundID = id
		return f.parts.Settle(ctx, id, id.String(), t)
	})
}

// refundWhole refunds an order once: who asks again gets the outcome of the first.
func (f *Flows) refundWhole(ctx context.Context, t Ticket) (saga.Outcome[Ticket], error) {
	return f.wholes.Settle(ctx, t.RefundID, t.Order.OrderID.String(), t)
}

// GiveBack refunds a ticket to its holder, if the event's policy allows it: until refund_until of a postponed event,
// without a fee; else until refund_hours_before it begins, less its fee. The seat is for sale again.
func (f *Flows) GiveBack(ctx context.Context, holder, seatID uuid.UUID) (saga.Outcome[Ticket], error) {
	var none saga.Outcome[Ticket]
	seat, event, err := f.ticketOf(ctx, seatID)
	switch {
	case err != nil:
		return none, err
	case seat.OwnerUserId != holder.String():
		return none, errNotYours
	}
	fee, allowed := policy(event, time.Now())
	if !allowed {
		return none, errNoRefund
	}
	order, err := f.Orders.Get(ctx, clients.ID(seat.HoldId))
	if err != nil {
		return none, err
	}
	return f.refundWhole(ctx, Ticket{
		RefundID: uuid.Must(uuid.NewV7()), Order: order, FeePercent: fee, ToUserID: holder, By: holder, Reason: "given back by its holder",
	})
}

// policy returns whether a holder may return a ticket at that time, and the percentage that is kept.
func policy(e clients.Event, now time.Time) (fee int, allowed bool) {
	switch {
	case !e.Stands():
		return 0, false // a cancelled event's tickets are refunded by themselves
	case e.Status == clients.EventPostponed && e.RefundUntil != nil && !now.After(*e.RefundUntil):
		return 0, true
	case e.RefundHoursBefore != nil && !now.After(e.EventDate.Add(-time.Duration(*e.RefundHoursBefore)*time.Hour)):
		return e.RefundFeePercent, true
	}
	return 0, false
}

func (f *Flows) ticketOf(ctx context.Context, seat uuid.UUID) (*inventoryv1.Seat, clients.Event, error) {
	res, err := f.Inventory.GetSeatOwner(ctx, &inventoryv1.GetSeatOwnerRequest{SeatId: seat.String()})
	if err != nil {
		return nil, clients.Event{}, err
	}
	event, err := f.Events.Get(ctx, clients.ID(res.Seat.EventId))
	return res.Seat, event, err
}
