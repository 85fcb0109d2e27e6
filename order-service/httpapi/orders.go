package httpapi

import (
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"github.com/google/uuid"

	order "ticketremaster/order-service"
	"ticketremaster/platform/fault"
	"ticketremaster/platform/money"
	"ticketremaster/platform/web"
)

// maxOlderThan bounds ?older_than_ms: a day.
const maxOlderThan = 24 * time.Hour

// booked answers the orders of a booking: the first, and the further ones.
type booked struct {
	order.Order
	More []order.Order `json:"more,omitempty"`
}

// placeOrConfirm serves POST /orders: a pending order, or the paid ones of a booking.
func (s server) placeOrConfirm(w http.ResponseWriter, r *http.Request) error {
	requests, payment, err := readOrders(r)
	if err != nil {
		return err
	}
	if payment == nil {
		o, err := s.ledger.Place(r.Context(), requests[0])
		if err != nil {
			return err
		}
		return web.Answer(w, http.StatusCreated, o)
	}
	orders, err := s.ledger.Confirm(r.Context(), requests, *payment)
	if err != nil {
		return err
	}
	return web.Answer(w, http.StatusCreated, booked{orders[0], orders[1:]})
}

// placeAll serves POST /orders/batch: pending orders, usually of different users.
func (s server) placeAll(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Orders []orderJSON `json:"orders"`
	}
	if err := web.Decode(r, &in); err != nil {
		return err
	}
	if len(in.Orders) == 0 || len(in.Orders) > maxTogether {
		return fault.Field("orders", "must be 1 to %d orders", maxTogether)
	}
	var f fields
	requests := make([]order.Request, len(in.Orders))
	for i, o := range in.Orders {
		requests[i] = o.request(&f)
	}
	if f.err != nil {
		return f.err
	}
	orders, err := s.ledger.PlaceAll(r.Context(), requests)
	if err != nil {
		return err
	}
	return web.Answer(w, http.StatusCreated, orders)
}

// placeWithin serves POST /orders/limited: a booking of a person who may have so many orders of the event.
func (s server) placeWithin(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		bookingJSON
		PersonID string `json:"person_id"`
		Most     int    `json:"max_per_customer"`
		Received bool   `json:"transfers_count"`
	}
	if err := web.Decode(r, &in); err != nil {
		return err
	}
	var f fields
	requests, limit := in.requests(&f), order.Limit{PersonID: f.uuid("person_id", in.PersonID), Most: in.Most, Received: in.Received}
	if in.Most < 1 {
		f.fail(fault.Field("max_per_customer", "must be at least 1"))
	}
	if f.err != nil {
		return f.err
	}
	orders, err := s.ledger.PlaceWithin(r.Context(), requests, limit)
	if err != nil {
		return err
	}
	return web.Answer(w, http.StatusCreated, booked{orders[0], orders[1:]})
}

// confirmed serves POST /orders/confirmed: which of the seats have a CONFIRMED order.
func (s server) confirmed(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		SeatIDs []string `json:"seat_ids"`
	}
	if err := web.Decode(r, &in); err != nil {
		return err
	}
	if len(in.SeatIDs) == 0 || len(in.SeatIDs) > maxTogether {
		return fault.Field("seat_ids", "must be 1 to %d seats", maxTogether)
	}
	var f fields
	seats := make([]uuid.UUID, len(in.SeatIDs))
	for i, id := range in.SeatIDs {
		seats[i] = f.uuid("seat_ids", id)
	}
	if f.err != nil {
		return f.err
	}
	sold, err := s.ledger.Confirmed(r.Context(), seats)
	if err != nil {
		return err
	}
	return web.OK(w, sold)
}

// orderJSON is a request for an order; status, attempt and charge are used by POST /orders only.
type orderJSON struct {
	OrderID        string          `json:"order_id"`
	UserID         string          `json:"user_id"`
	SeatID         string          `json:"seat_id"`
	EventID        string          `json:"event_id"`
	Price          json.RawMessage `json:"price"`
	HeldUntil      string          `json:"held_until"`
	Status         order.Status    `json:"status"`
	AttemptID      string          `json:"attempt_id"`
	CreditsCharged json.RawMessage `json:"credits_charged"`
	Includes       json.RawMessage `json:"includes"`
	BookingID      *string         `json:"booking_id"`
}

// bookingJSON is a request for the orders of a booking: the first, and the further ones.
type bookingJSON struct {
	orderJSON
	More []orderJSON `json:"more"`
}

func (in orderJSON) request(f *fields) order.Request {
	r := order.Request{
		ID:        f.uuid("order_id", in.OrderID),
		UserID:    f.uuid("user_id", in.UserID),
		SeatID:    f.uuid("seat_id", in.SeatID),
		EventID:   f.uuid("event_id", in.EventID),
		Price:     f.amount("price", in.Price),
		HeldUntil: f.time("held_until", in.HeldUntil),
		Includes:  in.Includes,
	}
	if in.BookingID != nil {
		id := f.uuid("booking_id", *in.BookingID)
		r.BookingID = &id
	}
	return r
}

// requests reads the orders of a booking, which must be different ones of one user, one event and one booking.
func (in bookingJSON) requests(f *fields) []order.Request {
	if len(in.More) >= order.MaxBooking {
		f.fail(fault.Field("more", "must be fewer than %d orders", order.MaxBooking))
		return nil
	}
	requests := []order.Request{in.request(f)}
	first := requests[0]
	for _, one := range in.More {
		r := one.request(f)
		if r.UserID != first.UserID || r.EventID != first.EventID || r.BookingID == nil || first.BookingID == nil || *r.BookingID != *first.BookingID ||
			slices.ContainsFunc(requests, func(o order.Request) bool { return o.ID == r.ID || o.SeatID == r.SeatID }) {
			f.fail(fault.Field("more", "must be different orders of one booking"))
		}
		requests = append(requests, r)
	}
	return requests
}

// readOrders reads the body of POST /orders; without a payment the order is pending.
func readOrders(r *http.Request) ([]order.Request, *order.Payment, error) {
	var in bookingJSON
	if err := web.Decode(r, &in); err != nil {
		return nil, nil, err
	}
	var f fields
	requests := in.requests(&f)
	switch in.Status {
	case order.Pending:
		if len(in.More) > 0 {
			f.fail(fault.Field("more", "is for paid orders: several are placed at /orders/batch"))
		}
		return requests, nil, f.err
	case order.Confirmed:
		payment := &order.Payment{AttemptID: f.uuid("attempt_id", in.AttemptID), CreditsCharged: []money.Cents{f.amount("credits_charged", in.CreditsCharged)}}
		for _, one := range in.More {
			payment.CreditsCharged = append(payment.CreditsCharged, f.amount("credits_charged", one.CreditsCharged))
		}
		return requests, payment, f.err
	}
	f.fail(fault.Field("status", "must be PENDING or CONFIRMED"))
	return requests, nil, f.err
}

func (s server) undoConfirm(w http.ResponseWriter, r *http.Request) error {
	id, err := web.PathUUID(r, "id")
	if err != nil {
		return err
	}
	var in struct {
		AttemptID string `json:"attempt_id"`
		Reason    string `json:"reason"`
	}
	if err := web.Decode(r, &in); err != nil {
		return err
	}
	var f fields
	attempt, reason := f.uuid("attempt_id", in.AttemptID), f.text("reason", in.Reason, maxFailureReason)
	if f.err != nil {
		return f.err
	}
	o, err := s.ledger.UndoConfirm(r.Context(), id, attempt, reason)
	if err != nil {
		return err
	}
	if o == nil { // only the mark was written
		return web.OK(w, nil)
	}
	return web.OK(w, o)
}

// extendOrder serves POST /orders/{id}/extend: the order's hold lasts longer.
func (s server) extendOrder(w http.ResponseWriter, r *http.Request) error {
	id, err := web.PathUUID(r, "id")
	if err != nil {
		return err
	}
	var in struct {
		HeldUntil string `json:"held_until"`
	}
	if err := web.Decode(r, &in); err != nil {
		return err
	}
	var f fields
	until := f.time("held_until", in.HeldUntil)
	if f.err != nil {
		return f.err
	}
	o, err := s.ledger.Extend(r.Context(), id, until)
	if err != nil {
		return err
	}
	return web.OK(w, o)
}

func (s server) orders(w http.ResponseWriter, r *http.Request) error {
	filter, err := readOrderFilter(r)
	if err != nil {
		return err
	}
	page, err := web.ReadPage(r)
	if err != nil {
		return err
	}
	orders, total, err := s.ledger.Orders(r.Context(), filter, page)
	if err != nil {
		return err
	}
	return web.List(w, orders, page, total)
}

func readOrderFilter(r *http.Request) (order.Filter, error) {
	var f fields
	filter := order.Filter{
		UserID:    f.queryUUID(r, "user_id"),
		SeatID:    f.queryUUID(r, "seat_id"),
		EventID:   f.queryUUID(r, "event_id"),
		BookingID: f.queryUUID(r, "booking_id"),
		Status:    order.Status(r.URL.Query().Get("status")),
	}
	if filter.Status != "" && !filter.Status.Valid() {
		f.fail(fault.Field("status", "must be PENDING, CONFIRMED, FAILED or REFUNDED"))
	}
	if filter.UserID == nil && filter.SeatID == nil && filter.EventID == nil && filter.BookingID == nil {
		f.fail(fault.Field("user_id", "is required, or seat_id, event_id or booking_id"))
	}
	return filter, f.err
}

func (s server) overdueOrders(w http.ResponseWriter, r *http.Request) error {
	age, err := web.QueryInt(r, "older_than_ms", 0, 0, int(maxOlderThan/time.Millisecond))
	if err != nil {
		return err
	}
	limit, err := web.QueryInt(r, "limit", defaultOverdue, 1, maxOverdue)
	if err != nil {
		return err
	}
	orders, err := s.ledger.Overdue(r.Context(), time.Duration(age)*time.Millisecond, limit)
	if err != nil {
		return err
	}
	return web.OK(w, orders)
}
