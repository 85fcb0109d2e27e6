package httpapi_test

import (
	"testing"

	order "ticketremaster/order-service"
	"ticketremaster/platform/fault"
)

// bookingOf are n pending orders of one user, together.
func bookingOf(n int) (orders []body) {
	first := pendingOrder().with(body{"booking_id": newID()})
	for range n {
		orders = append(orders, first.with(body{"order_id": newID(), "seat_id": newID()}))
	}
	return orders
}

// asOne is a booking as one body: the first order, and the further ones.
func asOne(orders []body) body { return orders[0].with(body{"more": orders[1:]}) }

func (s *service) placeBooking(n int) []body {
	s.t.Helper()
	orders := bookingOf(n)
	if err := s.post("/orders/batch", body{"orders": orders}, nil); err != nil {
		s.t.Fatal(err)
	}
	return orders
}

// paidBooking is a booking's payment under an attempt.
func paidBooking(orders []body, attempt string) body {
	var all []body
	for _, o := range orders {
		all = append(all, o.with(body{"status": "CONFIRMED", "attempt_id": attempt, "credits_charged": o["price"]}))
	}
	return asOne(all)
}

func (s *service) wantAll(orders []body, status order.Status) {
	s.t.Helper()
	for i, o := range orders {
		if got := s.statusOf(o); got != status {
			s.t.Errorf("order %d is %s, want %s", i, got, status)
		}
	}
}

func TestABookingIsPaidWhole(t *testing.T) {
	s := start(t)
	orders, attempt := s.placeBooking(3), newID()
	for range 2 { // a repeat answers the same
		var o struct {
			order.Order
			More []order.Order `json:"more"`
		}
		if err := s.post("/orders", paidBooking(orders, attempt), &o); err != nil {
			t.Fatal(err)
		}
		if o.ID.String() != orders[0]["order_id"] || len(o.More) != 2 || o.More[1].ID.String() != orders[2]["order_id"] || o.More[1].CreditsCharged != 199_90 ||
			o.More[1].BookingID.String() != orders[0]["booking_id"] || o.More[1].AttemptID.String() != attempt {
			t.Fatalf("%+v", o)
		}
	}
	s.wantAll(orders, order.Confirmed)
	e := want(t, s.post("/orders", paidBooking(orders, newID()), nil), fault.CodeOrderInvalidState)
	if e.Details["status"] != "CONFIRMED" {
		t.Errorf("%v", e.Details)
	}
	var found []order.Order
	if err := s.get("/orders?booking_id="+orders[0]["booking_id"].(string), &found); err != nil || len(found) != 3 {
		t.Errorf("%d orders of the booking, %v", len(found), err)
	}
	single := pendingOrder()
	s.place(single)
	if err := s.get("/orders?booking_id="+single["order_id"].(string), &found); err != nil || len(found) != 1 { // by itself it is one too
		t.Errorf("%d orders of a single one, %v", len(found), err)
	}
	if err := s.get("/orders?booking_id="+orders[0]["order_id"].(string), &found); err != nil || len(found) != 0 {
		t.Errorf("%d orders by the id of one of a booking, %v", len(found), err)
	}
}

// One order that cannot be paid keeps the others from it.
func TestABookingIsNotPaidInPart(t *testing.T) {
	s := start(t)
	orders, attempt := s.placeBooking(3), newID()
	if err := s.failOrder(orders[1]); err != nil {
		t.Fatal(err)
	}
	e := want(t, s.post("/orders", paidBooking(orders, attempt), nil), fault.CodeOrderInvalidState)
	if e.Details["status"] != "FAILED" {
		t.Errorf("%v", e.Details)
	}
	rest := []body{orders[0], orders[2]}
	s.wantAll(rest, order.Pending)
	if err := s.post("/orders", paidBooking(rest, attempt), nil); err != nil { // what was not given back is paid
		t.Fatal(err)
	}

	orders = s.placeBooking(2)
	want(t, s.post("/orders", paidBooking([]body{orders[0], orders[1].with(body{"seat_id": newID()})}, newID()), nil), fault.CodeOrderInvalidState)
	want(t, s.post("/orders", paidBooking([]body{orders[0], orders[1].with(body{"order_id": newID()})}, newID()), nil), fault.CodeOrderInvalidState) // never placed
	taken := pendingOrder().with(body{"seat_id": orders[1]["seat_id"]})
	if err := s.post("/orders", paid(taken), nil); err != nil {
		t.Fatal(err)
	}
	want(t, s.post("/orders", paidBooking(orders, newID()), nil), fault.CodeOrderInvalidState) // one seat is sold
	s.wantAll(orders, order.Pending)
	if n := s.count(`SELECT count(*) FROM order_attempts WHERE order_id = $1`, orders[0]["booking_id"]); n != 0 {
		t.Errorf("%d marks of payments that were refused", n)
	}
}

// An order that ends while its booking is being paid is waited for: all are paid, or none.
func TestABookingWaitsForAnOrderThatEnds(t *testing.T) {
	s := start(t)
	orders := s.placeBooking(3)
	err := s.afterwards(func() error { return s.post("/orders", paidBooking(orders, newID()), nil) },
		`UPDATE orders SET status = 'FAILED', failure_reason = 'x' WHERE order_id = $1`, orders[2]["order_id"])
	want(t, err, fault.CodeOrderInvalidState)
	s.wantAll(orders[:2], order.Pending)
}

func TestAPaidBookingIsUndoneWhole(t *testing.T) {
	s := start(t)
	orders, attempt := s.placeBooking(3), newID()
	undo := func(attempt string) error {
		return s.post("/orders/"+orders[0]["booking_id"].(string)+"/undo-confirm", body{"attempt_id": attempt, "reason": "x"}, nil)
	}
	early := newID()
	if err := undo(early); err != nil { // before it came
		t.Fatal(err)
	}
	want(t, s.post("/orders", paidBooking(orders, early), nil), fault.CodeOperationVoided)
	s.wantAll(orders, order.Pending)
	if err := s.post("/orders", paidBooking(orders, attempt), nil); err != nil {
		t.Fatal(err)
	}
	if err := undo(newID()); err != nil { // another attempt's undoing changes nothing
		t.Fatal(err)
	}
	s.wantAll(orders, order.Confirmed)
	for range 2 {
		if err := undo(attempt); err != nil {
			t.Fatal(err)
		}
	}
	s.wantAll(orders, order.Refunded)
	want(t, s.post("/orders", paidBooking(orders, attempt), nil), fault.CodeOperationVoided)
}

// A person's limit counts all seats of a booking, also of those that come at once.
func TestABookingWithinAPersonsLimit(t *testing.T) {
	s := start(t)
	person, event, user := newID(), newID(), newID()
	limited := func(n, most int) body {
		orders := bookingOf(n)
		for i := range orders {
			orders[i] = orders[i].with(body{"event_id": event, "user_id": user})
		}
		return asOne(orders).with(body{"person_id": person, "max_per_customer": most})
	}
	results := atOnce(6, func() error { return s.post("/orders/limited", limited(3, 7), nil) })
	placed := 0
	for _, err := range results {
		if err == nil {
			placed++
		} else {
			want(t, err, fault.CodeTicketLimit)
		}
	}
	if n := s.count(`SELECT count(*) FROM orders WHERE event_id = $1`, event); placed != 2 || n != 6 {
		t.Errorf("%d bookings, %d orders", placed, n)
	}
	one := limited(1, 7)
	for range 2 { // a repeat is not counted twice
		if err := s.post("/orders/limited", one, nil); err != nil {
			t.Error(err)
		}
	}
	want(t, s.post("/orders/limited", limited(1, 7), nil), fault.CodeTicketLimit)
}

func TestABookingThatIsNone(t *testing.T) {
	s := start(t)
	orders := bookingOf(3)
	for name, bad := range map[string][]body{
		"twice the same seat": {orders[0], orders[1].with(body{"seat_id": orders[0]["seat_id"]})},
		"twice the same":      {orders[0], orders[0]},
		"of two events":       {orders[0], orders[1].with(body{"event_id": newID()})},
		"of two users":        {orders[0], orders[1].with(body{"user_id": newID()})},
		"of two bookings":     {orders[0], orders[1].with(body{"booking_id": newID()})},
		"of no booking":       {orders[0].with(body{"booking_id": nil}), orders[1].with(body{"booking_id": nil})},
		"too many":            bookingOf(order.MaxBooking + 1),
	} {
		t.Run(name, func(t *testing.T) {
			wantField(t, s.post("/orders", paidBooking(bad, newID()), nil), "more")
			wantField(t, s.post("/orders/limited", asOne(bad).with(body{"person_id": newID(), "max_per_customer": 50}), nil), "more")
		})
	}
	wantField(t, s.post("/orders", asOne(orders), nil), "more") // pending ones are placed at another address
	want(t, s.get("/orders?booking_id=A-1", nil), fault.CodeInvalidUUID)
	s.placeBooking(1)
	s.refuses("orders_immutable", `UPDATE orders SET booking_id = gen_random_uuid(), status = 'FAILED', failure_reason = 'x' WHERE booking_id IS NOT NULL`)
}
