package httpapi_test

import (
	"reflect"
	"testing"

	order "ticketremaster/order-service"
	"ticketremaster/platform/fault"
)

// paid is the confirmation of an order by a new attempt.
func paid(b body) body {
	return b.with(body{"status": "CONFIRMED", "attempt_id": newID(), "credits_charged": b["price"]})
}

func (s *service) undo(b body) error {
	return s.post("/orders/"+b["order_id"].(string)+"/undo-confirm", body{"attempt_id": b["attempt_id"], "reason": "the seat was lost"}, nil)
}

func TestConfirmPaysOnce(t *testing.T) {
	s := start(t)
	b := pendingOrder()
	s.place(b)
	p := paid(b)
	first := s.place(p)
	if first.Status != order.Confirmed || first.CreditsCharged != 199_90 || first.ConfirmedAt == nil || first.AttemptID.String() != p["attempt_id"] {
		t.Errorf("answered %+v", first)
	}
	if again := s.place(p); !reflect.DeepEqual(again, first) {
		t.Errorf("the repeat answered %+v, first %+v", again, first)
	}
	e := want(t, s.post("/orders", paid(b), nil), "ORDER_INVALID_STATE")
	if e.Details["status"] != "CONFIRMED" {
		t.Errorf("another attempt learns %v", e.Details)
	}
}

func TestConfirmMakesTheOrderIfNeedBe(t *testing.T) {
	s := start(t)
	p := paid(pendingOrder())
	if o := s.place(p); o.Status != order.Confirmed || s.statusOf(p) != order.Confirmed {
		t.Errorf("answered %+v", o)
	}
}

func TestConfirmOfAnotherUsersOrSeatsOrder(t *testing.T) {
	s := start(t)
	b := pendingOrder()
	s.place(b)
	for _, field := range []string{"user_id", "seat_id"} {
		want(t, s.post("/orders", paid(b).with(body{field: newID()}), nil), "ORDER_INVALID_STATE")
	}
	if got := s.statusOf(b); got != order.Pending {
		t.Errorf("the order is %s", got)
	}
}

func TestUndoRefundsAndRefusesTheLateConfirm(t *testing.T) {
	s := start(t)
	b := pendingOrder()
	s.place(b)
	p := paid(b)
	confirmed := s.place(p)
	for range 2 {
		if err := s.undo(p); err != nil {
			t.Fatal(err)
		}
	}
	var o order.Order
	if err := s.get("/orders/"+confirmed.ID.String(), &o); err != nil {
		t.Fatal(err)
	}
	if o.Status != order.Refunded || o.CreditsCharged != confirmed.CreditsCharged || *o.FailureReason != "the seat was lost" {
		t.Errorf("after the undo: %+v", o)
	}
	want(t, s.post("/orders", p, nil), "OPERATION_VOIDED")
	want(t, s.post("/orders", paid(b), nil), "ORDER_INVALID_STATE")
}

func TestUndoOfWhatNeverCame(t *testing.T) {
	s := start(t)
	unknown := paid(pendingOrder())
	if err := s.undo(unknown); err != nil {
		t.Fatal(err)
	}
	want(t, s.post("/orders", unknown, nil), "OPERATION_VOIDED")
	want(t, s.get("/orders/"+unknown["order_id"].(string), nil), "ORDER_NOT_FOUND")

	b := pendingOrder()
	s.place(b)
	p := paid(b)
	if err := s.undo(p); err != nil {
		t.Fatal(err)
	}
	want(t, s.post("/orders", p, nil), "OPERATION_VOIDED")
	if got := s.statusOf(b); got != order.Pending {
		t.Errorf("the order is %s", got)
	}
	if o := s.place(paid(b)); o.Status != order.Confirmed {
		t.Errorf("the next attempt: %s", o.Status)
	}
}

func TestUndoOfAnotherAttemptChangesNothing(t *testing.T) {
	s := start(t)
	b := pendingOrder()
	p := paid(b)
	s.place(p)
	if err := s.undo(paid(b)); err != nil {
		t.Fatal(err)
	}
	if got := s.statusOf(b); got != order.Confirmed {
		t.Errorf("the order is %s", got)
	}
	other := pendingOrder()
	s.place(other)
	wantField(t, s.undo(other.with(body{"attempt_id": p["attempt_id"]})), "attempt_id")
	if o := s.place(p); o.Status != order.Confirmed {
		t.Errorf("the attempt was voided under another order's name: %s", o.Status)
	}
}

// Of twenty concurrent attempts to pay for one order one succeeds; the others learn that it is paid.
func TestTwentyAttemptsOneWins(t *testing.T) {
	s := start(t)
	b := pendingOrder()
	s.place(b)
	won := 0
	for _, err := range atOnce(20, func() error { return s.post("/orders", paid(b), nil) }) {
		if err == nil {
			won++
		} else if e := want(t, err, "ORDER_INVALID_STATE"); e.Details["status"] != "CONFIRMED" {
			t.Errorf("a loser learns %v", e.Details)
		}
	}
	if won != 1 {
		t.Errorf("%d attempts won", won)
	}
	if n := s.count(`SELECT count(*) FROM order_attempts WHERE outcome = 'CONFIRMED'`); n != 1 {
		t.Errorf("%d attempts are marked as confirming", n)
	}
}

func TestTwentyRepeatsOfOneAttemptAllSucceed(t *testing.T) {
	s := start(t)
	p := paid(pendingOrder())
	for _, err := range atOnce(20, func() error { return s.post("/orders", p, nil) }) {
		if err != nil {
			t.Error(err)
		}
	}
	if n := s.count(`SELECT count(*) FROM orders`); n != 1 {
		t.Errorf("%d orders", n)
	}
}

// Payment and expiry of one order at once: one succeeds, the other learns the order's status.
func TestPaymentRacesExpiry(t *testing.T) {
	s := start(t)
	for range 10 {
		b := pendingOrder()
		s.place(b)
		p := paid(b)
		results := atOnce(10, func() error { return s.post("/orders", p, nil) }, func() error { return s.failOrder(b) })
		for i, err := range results {
			pays := i%2 == 0
			if won := pays == (s.statusOf(b) == order.Confirmed); won && err != nil || !won && fault.Code(err) != "ORDER_INVALID_STATE" {
				t.Fatalf("order %s; payment %v answered %v", s.statusOf(b), pays, err)
			}
		}
	}
}

// A confirmation and its undo at once: whichever is first, the order is not confirmed in the end, and this attempt can
// no longer confirm it.
func TestConfirmRacesItsUndo(t *testing.T) {
	s := start(t)
	for range 20 {
		b := pendingOrder()
		s.place(b)
		p := paid(b)
		for i, err := range atOnce(5, func() error { return s.post("/orders", p, nil) }, func() error { return s.undo(p) }) {
			if undo := i%2 == 1; err != nil && (undo || fault.Code(err) != "OPERATION_VOIDED") {
				t.Fatalf("undo %v: %v", undo, err)
			}
		}
		if got := s.statusOf(b); got == order.Confirmed {
			t.Fatal("confirmed by an attempt that was undone")
		}
		want(t, s.post("/orders", p, nil), "OPERATION_VOIDED")
	}
}
