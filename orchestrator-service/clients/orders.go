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
	"ticketremaster/platform/fault"
	"ticketremaster/platform/gather"
	"ticketremaster/platform/money"
	"ticketremaster/platform/web"
)

// Orders is the order service.
type Orders struct {
	call.Client
	places gather.Group[[]Order, []Order]
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
	Includes       []Included  `json:"includes,omitempty"`   // fees and tax in the price
	BookingID      *uuid.UUID  `json:"booking_id,omitempty"` // with which it is held and paid for; nil: by itself
}

// Booking returns the id under which the order is paid for: its booking's, or its own.
func (o Order) Booking() uuid.UUID {
	if o.BookingID != nil {
		return *o.BookingID
	}
	return o.OrderID
}

// booked is a booking's orders on the wire: the first, and the further ones.
type booked struct {
	Order
	More []Order `json:"more,omitempty"`
}

// withStatus returns the orders of a booking as they are sent.
func withStatus(orders []Order, status string) booked {
	orders = slices.Clone(orders)
	for i := range orders {
		orders[i].Status = status
	}
	return booked{orders[0], orders[1:]}
}

// all returns the answer to a call about so many orders. A service of a former release answers the first alone: then nothing
// is known of the others.
func (o *Orders) all(b booked, asked int) ([]Order, error) {
	if len(b.More) != asked-1 {
		return nil, fault.Unreachable(o.Name, fmt.Errorf("%d orders were answered by %d", asked, 1+len(b.More)))
	}
	return append([]Order{b.Order}, b.More...), nil
}

// Place records the orders of a booking as PENDING; those that exist already are returned as they are. Concurrent calls are
// coalesced into one call and one commit.
func (o *Orders) Place(ctx context.Context, orders []Order) ([]Order, error) {
	out, err := o.places.Do(ctx, orders, func(ctx context.Context, bookings [][]Order) ([][]Order, error) {
		var all, placed []Order
		for _, orders := range bookings {
			for _, order := range orders {
				order.Status = OrderPending
				all = append(all, order)
			}
		}
		err := o.Do(ctx, http.MethodPost, "/orders/batch", struct {
			Orders []Order `json:"orders"`
		}{all}, &placed)
		if err == nil && len(placed) != len(all) {
			err = fmt.Errorf("%d orders were answered by %d", len(all), len(placed))
		}
		if err != nil {
			return nil, err
		}
		answers := make([][]Order, len(bookings))
		for i, orders := range bookings {
			answers[i], placed = placed[:len(orders):len(orders)], placed[len(orders):]
		}
		return answers, nil
	})
	return out, late(o.Client, ctx, err)
}

// PlaceWithin is Place for a person who may have at most that many orders of the event; TICKET_LIMIT.
func (o *Orders) PlaceWithin(ctx context.Context, orders []Order, person uuid.UUID, rules Rules) ([]Order, error) {
	var out booked
	err := o.Do(ctx, http.MethodPost, "/orders/limited", struct {
		booked
		PersonID uuid.UUID `json:"person_id"`
		Most     int       `json:"max_per_customer"`
		Received bool      `json:"transfers_count"`
	}{withStatus(orders, OrderPending), person, *rules.MaxPerCustomer, rules.TransfersCount}, &out)
	if err != nil {
		return nil, err
	}
	return o.all(out, len(orders))
}

// Confirm records the orders of a booking as CONFIRMED by their attempt, all or none. A single one is created if necessary.
func (o *Orders) Confirm(ctx context.Context, orders []Order) error {
	var out booked
	err := o.Do(ctx, http.MethodPost, "/orders", withStatus(orders, OrderConfirmed), &out)
	if err == nil {
		_, err = o.all(out, len(orders))
	}
	return err
}

// OfBooking lists the orders of a user's booking, in no order; none if the user has no such booking.
func (o *Orders) OfBooking(ctx context.Context, user, booking uuid.UUID) (orders []Order, err error) {
	orders, _, err = o.Find(ctx, OrderFilter{UserID: user, BookingID: booking}, web.Page{Number: 1, Size: MaxBooking})
	return orders, err
}

// MaxBooking is the most orders of a booking.
const MaxBooking = 20

// UndoConfirm undoes an attempt's confirmation of a booking, or refuses it in advance if it has not arrived yet.
func (o *Orders) UndoConfirm(ctx context.Context, booking, attempt uuid.UUID, reason string) error {
	return o.Do(ctx, http.MethodPost, "/orders/"+booking.String()+"/undo-confirm", map[string]any{"attempt_id": attempt, "reason": reason}, nil)
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
