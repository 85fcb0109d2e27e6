package httpapi_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	order "ticketremaster/order-service"
)

func pendingOrder() body {
	return body{
		"status": "PENDING", "order_id": newID(), "user_id": newID(), "seat_id": newID(), "event_id": newID(),
		"price": 199.9, "held_until": time.Now().Add(5 * time.Minute).UTC(),
	}
}

func (s *service) place(b body) (o order.Order) {
	s.t.Helper()
	if err := s.post("/orders", b, &o); err != nil {
		s.t.Fatal(err)
	}
	return o
}

func (s *service) failOrder(b body) error {
	return s.post("/orders/"+b["order_id"].(string)+"/fail", body{"reason": "the hold ended"}, nil)
}

func (s *service) statusOf(b body) order.Status {
	s.t.Helper()
	var o order.Order
	if err := s.get("/orders/"+b["order_id"].(string), &o); err != nil {
		s.t.Fatal(err)
	}
	return o.Status
}

func TestPendingOrderIsAnsweredWhole(t *testing.T) {
	s := start(t)
	b := pendingOrder()
	o := s.place(b)
	if o.ID.String() != b["order_id"] || o.UserID.String() != b["user_id"] || o.SeatID.String() != b["seat_id"] || o.EventID.String() != b["event_id"] ||
		o.Status != order.Pending || o.Price != 199_90 || o.CreditsCharged != 0 || o.ConfirmedAt != nil || o.AttemptID != nil || o.FailureReason != nil {
		t.Errorf("answered %+v", o)
	}
	if d := o.HeldUntil.Sub(b["held_until"].(time.Time)); d.Abs() > time.Microsecond {
		t.Errorf("held_until is off by %v", d)
	}
	var raw map[string]json.RawMessage
	if err := s.get("/orders/"+o.ID.String(), &raw); err != nil {
		t.Fatal(err)
	}
	if got := string(raw["price"]); got != "199.9" {
		t.Errorf("price on the wire is %s", got)
	}
	if got := string(raw["created_at"]); !strings.HasSuffix(got, `Z"`) {
		t.Errorf("created_at on the wire is %s, not UTC", got)
	}
	for _, field := range strings.Fields("order_id user_id seat_id event_id status price credits_charged held_until created_at confirmed_at failure_reason attempt_id") {
		if _, ok := raw[field]; !ok {
			t.Errorf("%s is missing", field)
		}
	}
}

// Orders of several users are recorded together and answered in their order; one that exists already is answered as it
// is.
func TestOrdersPlacedTogether(t *testing.T) {
	s := start(t)
	first, second, third := pendingOrder(), pendingOrder(), pendingOrder()
	s.place(second)
	s.place(paid(second))
	var placed []order.Order
	if err := s.post("/orders/batch", body{"orders": []body{first, second, third.with(body{"price": 0}), first}}, &placed); err != nil {
		t.Fatal(err)
	}
	if len(placed) != 4 {
		t.Fatalf("%d are answered", len(placed))
	}
	for i, want := range []struct {
		b      body
		status order.Status
	}{{first, order.Pending}, {second, order.Confirmed}, {third, order.Pending}, {first, order.Pending}} {
		if placed[i].ID.String() != want.b["order_id"] || placed[i].UserID.String() != want.b["user_id"] || placed[i].Status != want.status || s.statusOf(want.b) != want.status {
			t.Errorf("place %d: %+v, want order %s", i, placed[i], want.b["order_id"])
		}
	}
	// All or none.
	fresh := pendingOrder()
	for name, b := range map[string]body{
		"seat_id": {"orders": []body{fresh, pendingOrder().with(body{"seat_id": "x"})}}, "price": {"orders": []body{fresh, pendingOrder().with(body{"price": -1})}},
		"held_until": {"orders": []body{fresh, pendingOrder().with(body{"held_until": nil})}}, "orders": {"orders": []body{}},
	} {
		wantField(t, s.post("/orders/batch", b, nil), name)
	}
	want(t, s.get("/orders/"+fresh["order_id"].(string), nil), "ORDER_NOT_FOUND")
	many := make([]body, 101)
	for i := range many {
		many[i] = pendingOrder()
	}
	wantField(t, s.post("/orders/batch", body{"orders": many}, nil), "orders")
}

func TestWhichSeatsAreSold(t *testing.T) {
	s := start(t)
	sold, pending, refunded := paid(pendingOrder()), pendingOrder(), paid(pendingOrder())
	s.place(sold)
	s.place(pending)
	s.place(refunded)
	if err := s.undo(refunded); err != nil {
		t.Fatal(err)
	}
	var seats []string
	if err := s.post("/orders/confirmed", body{"seat_ids": []any{pending["seat_id"], sold["seat_id"], newID(), refunded["seat_id"]}}, &seats); err != nil {
		t.Fatal(err)
	}
	if len(seats) != 1 || seats[0] != sold["seat_id"] {
		t.Errorf("sold are %v, want %s", seats, sold["seat_id"])
	}
	wantField(t, s.post("/orders/confirmed", body{"seat_ids": []string{}}, nil), "seat_ids")
	wantField(t, s.post("/orders/confirmed", body{"seat_ids": []string{"x"}}, nil), "seat_ids")
	wantField(t, s.post("/orders/confirmed", body{"seat_ids": make([]string, 101)}, nil), "seat_ids")
}

func TestAnOrderThatExistsIsAnsweredAsItIs(t *testing.T) {
	s := start(t)
	b := pendingOrder()
	first := s.place(b)
	if again := s.place(b.with(body{"price": 1, "user_id": newID()})); !reflect.DeepEqual(again, first) {
		t.Errorf("the repeat answered %+v, first %+v", again, first)
	}
	s.place(paid(b))
	if again := s.place(b); again.Status != order.Confirmed {
		t.Errorf("a late repeat answered %s", again.Status)
	}
}

func TestFailEndsOnlyPending(t *testing.T) {
	s := start(t)
	b := pendingOrder()
	want(t, s.failOrder(b), "ORDER_NOT_FOUND")
	s.place(b)
	for range 2 {
		if err := s.failOrder(b); err != nil {
			t.Fatal(err)
		}
	}
	if e := want(t, s.post("/orders", paid(b), nil), "ORDER_INVALID_STATE"); e.Details["status"] != "FAILED" {
		t.Errorf("a late payment learns %v", e.Details)
	}
	p := paid(pendingOrder())
	s.place(p)
	if e := want(t, s.failOrder(p), "ORDER_INVALID_STATE"); e.Details["status"] != "CONFIRMED" {
		t.Errorf("a late failure learns %v", e.Details)
	}
	if err := s.undo(p); err != nil {
		t.Fatal(err)
	}
	if e := want(t, s.failOrder(p), "ORDER_INVALID_STATE"); e.Details["status"] != "REFUNDED" {
		t.Errorf("a failure after the refund learns %v", e.Details)
	}
}

// An order that waits may wait longer, as its hold does; one that is over or paid may not.
func TestAnOrdersHoldIsExtended(t *testing.T) {
	s := start(t)
	b := pendingOrder()
	until := b["held_until"].(time.Time).Truncate(time.Microsecond)
	extend := func(b body, until any) (o order.Order, err error) {
		err = s.post("/orders/"+b["order_id"].(string)+"/extend", body{"held_until": until}, &o)
		return o, err
	}
	_, err := extend(b, until)
	want(t, err, "ORDER_NOT_FOUND")
	s.place(b)
	later := until.Add(5 * time.Minute)
	for _, asked := range []time.Time{later, later, until} { // a repeat, and what is late, change nothing
		if o, err := extend(b, asked); err != nil || !o.HeldUntil.Equal(later) || o.Status != order.Pending {
			t.Errorf("%+v %v, want %s", o, err, later)
		}
	}
	for _, bad := range []any{nil, "soon", later.Add(2 * time.Hour)} {
		_, err := extend(b, bad)
		wantField(t, err, "held_until")
	}
	p := paid(pendingOrder())
	s.place(p)
	_, err = extend(p, later)
	want(t, err, "ORDER_INVALID_STATE")
	if err := s.failOrder(b); err != nil {
		t.Fatal(err)
	}
	if _, err := extend(b, later.Add(time.Minute)); want(t, err, "ORDER_INVALID_STATE").Details["status"] != "FAILED" {
		t.Error("it does not say that the order is over")
	}
}

func TestASeatIsSoldOnceUntilRefunded(t *testing.T) {
	s := start(t)
	first, second := pendingOrder(), pendingOrder()
	second["seat_id"] = first["seat_id"]
	s.place(second)
	p := paid(first)
	s.place(p)
	want(t, s.post("/orders", paid(second), nil), "ORDER_INVALID_STATE")
	want(t, s.post("/orders", paid(pendingOrder()).with(body{"seat_id": first["seat_id"]}), nil), "ORDER_INVALID_STATE")
	if err := s.undo(p); err != nil {
		t.Fatal(err)
	}
	if o := s.place(paid(second)); o.Status != order.Confirmed {
		t.Errorf("after the refund: %s", o.Status)
	}
}

func TestTwentyOrdersOneSeatOneOwner(t *testing.T) {
	s := start(t)
	seat, won := newID(), 0
	for _, err := range atOnce(20, func() error { return s.post("/orders", paid(pendingOrder()).with(body{"seat_id": seat}), nil) }) {
		if err == nil {
			won++
		} else {
			want(t, err, "ORDER_INVALID_STATE")
		}
	}
	if won != 1 {
		t.Errorf("%d orders own the seat", won)
	}
}
