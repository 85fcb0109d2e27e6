package clients

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"

	"ticketremaster/platform/call"
	"ticketremaster/platform/gather"
	"ticketremaster/platform/money"
	"ticketremaster/platform/web"
)

// Orders is the order service.
type Orders struct {
	call.Client
	places gather.Group[Order, Order]
	sales  gather.Group[uuid.UUID, bool]
}

// Statuses of an order.
const (
	OrderPending   = "PENDING"
	OrderConfirmed = "CONFIRMED"
	OrderFailed    = "FAILED"
	OrderRefunded  = "REFUNDED"
)

// Order is a hold and its payment. Its id is the hold's.
type Order struct {
	OrderID        uuid.UUID   `json:"order_id"`
	UserID         uuid.UUID   `json:"user_id"`
	SeatID         uuid.UUID   `json:"seat_id"`
	EventID        uuid.UUID   `json:"event_id"`
	Status         string      `json:"status"`
	Price          money.Cents `json:"price"`
	CreditsCharged money.Cents `json:"credits_charged"`
	AttemptID      *uuid.UUID  `json:"attempt_id,omitempty"`
	HeldUntil      time.Time   `json:"held_until"`
	CreatedAt      time.Time   `json:"created_at,omitzero"`
	ConfirmedAt    *time.Time  `json:"confirmed_at"`
	FailureReason  string      `json:"failure_reason,omitempty"`
	Includes       []Included  `json:"includes,omitempty"` // fees and tax in the price
}

// Place records an order as PENDING; one that exists already is returned as it is. Concurrent calls are coalesced into
// one call and one commit.
func (o *Orders) Place(ctx context.Context, in Order) (Order, error) {
	in.Status = OrderPending
	out, err := o.places.Do(ctx, in, func(ctx context.Context, orders []Order) (placed []Order, err error) {
		err = o.Do(ctx, http.MethodPost, "/orders/batch", struct {
			Orders []Order `json:"orders"`
		}{orders}, &placed)
		if err == nil && len(placed) != len(orders) {
			err = fmt.Errorf("%d orders were answered by %d", len(orders), len(placed))
		}
		return placed, err
	})
	return out, late(o.Client, ctx, err)
}

// PlaceWithin is Place for a person who may have at most that many orders of the event; TICKET_LIMIT.
func (o *Orders) PlaceWithin(ctx context.Context, in Order, person uuid.UUID, rules Rules) (out Order, err error) {
	in.Status = OrderPending
	err = o.Do(ctx, http.MethodPost, "/orders/limited", struct {
		Order
		PersonID uuid.UUID `json:"person_id"`
		Most     int       `json:"max_per_customer"`
		Received bool      `json:"transfers_count"`
	}{in, person, *rules.MaxPerCustomer, rules.TransfersCount}, &out)
	return out, err
}

// Confirm records an order as CONFIRMED by its attempt and creates it if necessary.
func (o *Orders) Confirm(ctx context.Context, in Order) error {
	in.Status = OrderConfirmed
	return o.Do(ctx, http.MethodPost, "/orders", in, nil)
}

// UndoConfirm undoes an attempt's confirmation, or refuses it in advance if it has not arrived yet.
func (o *Orders) UndoConfirm(ctx context.Context, order, attempt uuid.UUID, reason string) error {
	return o.Do(ctx, http.MethodPost, "/orders/"+order.String()+"/undo-confirm", map[string]any{"attempt_id": attempt, "reason": reason}, nil)
}

// Fail ends a PENDING order.
func (o *Orders) Fail(ctx context.Context, order uuid.UUID, reason string) (out Order, err error) {
	err = o.Do(ctx, http.MethodPost, "/orders/"+order.String()+"/fail", map[string]any{"reason": reason}, &out)
	return out, err
}

// Extend notes that the hold of a PENDING order lasts longer.
func (o *Orders) Extend(ctx context.Context, order uuid.UUID, until time.Time) (out Order, err error) {
	err = o.Do(ctx, http.MethodPost, "/orders/"+order.String()+"/extend", map[string]any{"held_until": until.UTC()}, &out)
	return out, err
}

// Get reads an order.
func (o *Orders) Get(ctx context.Context, id uuid.UUID) (out Order, err error) {
	err = o.Do(ctx, http.MethodGet, "/orders/"+id.String(), nil, &out)
	return out, err
}

// OfUser lists a user's orders, newest first; status "" means all.
func (o *Orders) OfUser(ctx context.Context, user uuid.UUID, status string, page web.Page) (orders []Order, total int, err error) {
	q := pageQuery(page)
	q.Set("user_id", user.String())
	if status != "" {
		q.Set("status", status)
	}
	p, err := o.Page(ctx, http.MethodGet, "/orders?"+q.Encode(), nil, &orders)
	return orders, totalOf(p), err
}

// Confirmed reports whether the seat has a CONFIRMED order. Concurrent calls are coalesced into one.
func (o *Orders) Confirmed(ctx context.Context, seat uuid.UUID) (bool, error) {
	sold, err := o.sales.Do(ctx, seat, func(ctx context.Context, seats []uuid.UUID) ([]bool, error) {
		var sold []uuid.UUID
		if err := o.Do(ctx, http.MethodPost, "/orders/confirmed", map[string]any{"seat_ids": seats}, &sold); err != nil {
			return nil, err
		}
		confirmed := make([]bool, len(seats))
		for i, seat := range seats {
			confirmed[i] = slices.Contains(sold, seat)
		}
		return confirmed, nil
	})
	return sold, late(o.Client, ctx, err)
}

// Overdue lists PENDING orders whose hold ended at least olderThan ago.
func (o *Orders) Overdue(ctx context.Context, olderThan time.Duration, limit int) (orders []Order, err error) {
	q := url.Values{"older_than_ms": {strconv.FormatInt(olderThan.Milliseconds(), 10)}, "limit": {strconv.Itoa(limit)}}
	err = o.Do(ctx, http.MethodGet, "/orders/overdue?"+q.Encode(), nil, &orders)
	return orders, err
}
