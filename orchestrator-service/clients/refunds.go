package clients

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/google/uuid"

	"ticketremaster/platform/fault"
	"ticketremaster/platform/money"
	"ticketremaster/platform/web"
)

// Kinds of a refund.
const (
	RefundWhole = "WHOLE" // the ticket goes with the money
	RefundPart  = "PART"
)

// RefundRequest is a refund to be recorded.
type RefundRequest struct {
	RefundID   uuid.UUID   `json:"refund_id"`
	OrderID    uuid.UUID   `json:"order_id"`
	Kind       string      `json:"kind"`
	Amount     money.Cents `json:"amount,omitzero"` // of a part
	FeePercent int         `json:"fee_percent,omitzero"`
	ToUserID   uuid.UUID   `json:"to_user_id"`
	By         uuid.UUID   `json:"refunded_by,omitzero"` // none: the event was cancelled
	Reason     string      `json:"reason"`
}

// RefundResult is a recorded refund, or why there is none.
type RefundResult struct {
	Refund *struct {
		Amount   money.Cents `json:"amount"`
		ToUserID uuid.UUID   `json:"to_user_id"`
	} `json:"refund"`
	ErrorCode string            `json:"error_code"`
	Message   string            `json:"message"`
	Details   map[string]string `json:"details"`
}

// Refusal gives why there is no refund, nil if there is one.
func (r RefundResult) Refusal() *fault.Error {
	if r.Refund != nil {
		return nil
	}
	return &fault.Error{Kind: fault.Conflict, Code: r.ErrorCode, Message: r.Message, Details: r.Details}
}

// Refund records refunds of different orders, 150 at most, each by itself; the results are in the order of the requests.
func (o *Orders) Refund(ctx context.Context, refunds []RefundRequest) (results []RefundResult, err error) {
	err = o.Do(ctx, http.MethodPost, "/refunds", map[string]any{"refunds": refunds}, &results)
	if err == nil && len(results) != len(refunds) {
		err = fmt.Errorf("%d refunds were answered by %d", len(refunds), len(results))
	}
	return results, err
}

// FailPending ends all unpaid orders of an event.
func (o *Orders) FailPending(ctx context.Context, event uuid.UUID, reason string) error {
	return o.Do(ctx, http.MethodPost, "/events/"+event.String()+"/fail-pending", map[string]any{"reason": reason}, nil)
}

// Unsettled lists the seats of an event whose tickets cannot be refunded yet.
func (o *Orders) Unsettled(ctx context.Context, event uuid.UUID) (seats []uuid.UUID, err error) {
	err = o.Do(ctx, http.MethodGet, "/events/"+event.String()+"/unsettled", nil, &seats)
	return seats, err
}

// LiveTransfers lists transfers of an event that nobody has confirmed yet, 100 at most.
func (o *Orders) LiveTransfers(ctx context.Context, event uuid.UUID) (transfers []Transfer, err error) {
	err = o.Do(ctx, http.MethodGet, "/events/"+event.String()+"/live-transfers", nil, &transfers)
	return transfers, err
}

// EndListings ends offers of an event's tickets that nobody has bought, some at a time, and tells how many.
func (o *Orders) EndListings(ctx context.Context, event uuid.UUID, reason string) (int, error) {
	var done struct{ Ended int }
	err := o.Do(ctx, http.MethodPost, "/listings/end", map[string]any{"event_id": event, "reason": reason}, &done)
	return done.Ended, err
}

// TicketRefund gives credits back for a ticket.
type TicketRefund struct {
	RefundID uuid.UUID   `json:"operation_id"`
	UserID   uuid.UUID   `json:"user_id"`
	Amount   money.Cents `json:"amount"`
	OrderID  uuid.UUID   `json:"reference_id"`
}

// RefundTickets gives credits back, 150 at most: all or none.
func (u *Users) RefundTickets(ctx context.Context, refunds []TicketRefund) error {
	return u.Do(ctx, http.MethodPost, "/credits/refunds", map[string]any{"refunds": refunds}, nil)
}

// RefundsOf lists an order's refunds, oldest first, as the order service writes them.
func (o *Orders) RefundsOf(ctx context.Context, order uuid.UUID) (refunds json.RawMessage, err error) {
	err = o.Do(ctx, http.MethodGet, "/orders/"+order.String()+"/refunds", nil, &refunds)
	return refunds, err
}

// OrderFilter narrows a list of orders; a zero field lets all through.
type OrderFilter struct {
	OrderID, UserID, SeatID, EventID, BookingID uuid.UUID
	Status                                      string
}

// Find lists a page of orders, newest first; one of user, seat, event and booking must be given. An order that is held by itself
// is the booking of its own id.
func (o *Orders) Find(ctx context.Context, f OrderFilter, page web.Page) (orders []Order, total int, err error) {
	q := pageQuery(page)
	for field, id := range map[string]uuid.UUID{"user_id": f.UserID, "seat_id": f.SeatID, "event_id": f.EventID, "booking_id": f.BookingID} {
		if id != uuid.Nil {
			q.Set(field, id.String())
		}
	}
	if f.Status != "" {
		q.Set("status", f.Status)
	}
	p, err := o.Page(ctx, http.MethodGet, "/orders?"+q.Encode(), nil, &orders)
	return orders, totalOf(p), err
}
