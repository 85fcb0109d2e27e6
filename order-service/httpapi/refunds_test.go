package httpapi_test

import (
	"fmt"
	"net/http"
	"sync"
	"testing"

	order "ticketremaster/order-service"
	"ticketremaster/platform/fault"
)

// answer is what POST /refunds says of one refund.
type answer struct {
	Refund    *order.Refund `json:"refund"`
	ErrorCode string        `json:"error_code"`
}

func whole(b body) body {
	return body{"refund_id": newID(), "order_id": b["order_id"], "kind": "WHOLE", "to_user_id": b["user_id"], "refunded_by": newID(), "reason": "asked for"}
}

func part(b body, amount any) body { return whole(b).with(body{"kind": "PART", "amount": amount}) }

func (s *service) refund(refunds ...body) (answers []answer) {
	s.t.Helper()
	if err := s.post("/refunds", body{"refunds": refunds}, &answers); err != nil {
		s.t.Fatal(err)
	}
	return answers
}

// sold is a confirmed order of 199.90.
func (s *service) sold() body {
	s.t.Helper()
	b := paid(pendingOrder())
	s.place(b)
	return b
}

func TestRefundsNeverReturnMoreThanWasPaid(t *testing.T) {
	s := start(t)
	b := s.sold()
	first := part(b, 50)
	for range 2 {
		if a := s.refund(first)[0]; a.Refund == nil || a.Refund.Amount != 50_00 || a.Refund.Kind != order.Part {
			t.Fatalf("a part: %+v", a)
		}
	}
	if s.statusOf(b) != order.Confirmed {
		t.Errorf("after a part the order is %s", s.statusOf(b))
	}
	if a := s.refund(part(b, 149.91))[0]; a.ErrorCode != "REFUND_TOO_LARGE" {
		t.Errorf("more than is left: %+v", a)
	}
	all := whole(b).with(body{"fee_percent": 10})
	for range 2 {
		if a := s.refund(all)[0]; a.Refund == nil || a.Refund.Amount != 134_91 {
			t.Fatalf("the rest, less a tenth: %+v", a)
		}
	}
	if s.statusOf(b) != order.Refunded {
		t.Errorf("the order is %s", s.statusOf(b))
	}
	for name, again := range map[string]body{"whole": whole(b), "part": part(b, 1)} {
		if a := s.refund(again)[0]; a.ErrorCode != "ORDER_INVALID_STATE" {
			t.Errorf("%s once more: %+v", name, a)
		}
	}
	// A late repeat of the payment that confirmed it is no refusal: its saga would give the credits back a second time.
	if err := s.post("/orders", b, nil); err != nil {
		t.Errorf("the confirmation repeated: %v", err)
	}
	var list []order.Refund
	if err := s.get("/orders/"+b["order_id"].(string)+"/refunds", &list); err != nil || len(list) != 2 || list[0].Kind != order.Part || list[1].RefundedBy == nil {
		t.Errorf("refunds %+v (%v)", list, err)
	}
	for _, sql := range []string{
		fmt.Sprintf(`INSERT INTO order_refunds (refund_id, order_id, kind, amount, to_user_id, reason) VALUES (gen_random_uuid(), '%s', 'PART', 1, gen_random_uuid(), 'x')`, b["order_id"]),
		`DELETE FROM order_refunds`, `UPDATE order_refunds SET amount = 0`,
	} {
		if _, err := s.pool.Exec(t.Context(), sql); err == nil {
			t.Errorf("the database takes %s", sql)
		}
	}
}

func TestRefundsOfSeveralAreDecidedOneByOne(t *testing.T) {
	s := start(t)
	a, pending, b := s.sold(), pendingOrder(), s.sold()
	s.place(pending)
	answers := s.refund(whole(a), whole(pending), whole(pendingOrder()), whole(b))
	for i, want := range []string{"", "ORDER_INVALID_STATE", "ORDER_NOT_FOUND", ""} {
		if answers[i].ErrorCode != want || (answers[i].Refund != nil) != (want == "") {
			t.Errorf("refund %d: %+v, want %q", i, answers[i], want)
		}
	}
	for field, in := range map[string]body{
		"order_id": whole(a).with(body{"order_id": "A-1"}), "refund_id": whole(a).with(body{"refund_id": nil}), "to_user_id": whole(a).with(body{"to_user_id": nil}),
		"kind": whole(a).with(body{"kind": "ALL"}), "amount": part(a, 0), "reason": whole(a).with(body{"reason": ""}), "fee_percent": whole(a).with(body{"fee_percent": 101}),
	} {
		if err := s.post("/refunds", body{"refunds": []body{in}}, nil); fault.From(err).Fields[field] == "" {
			t.Errorf("%s: %v", field, err)
		}
	}
	if err := s.post("/refunds", body{"refunds": []body{whole(a), whole(a)}}, nil); fault.From(err).Fields["order_id"] == "" {
		t.Errorf("an order twice: %v", err)
	}
}

func TestTwentyRefundsOfOneOrderMakeOne(t *testing.T) {
	s := start(t)
	b := s.sold()
	var all sync.WaitGroup
	won := make(chan bool, 20)
	for range 20 {
		all.Go(func() {
			var answers []answer
			if err := s.post("/refunds", body{"refunds": []body{whole(b)}}, &answers); err != nil {
				t.Error(err)
			} else if answers[0].Refund != nil {
				won <- true
			}
		})
	}
	all.Wait()
	if len(won) != 1 {
		t.Errorf("%d refunds of one order", len(won))
	}
}

// A disputed ticket's refund waits; a refunded ticket cannot be disputed; what is offered of it ends.
func TestRefundsAndTransfers(t *testing.T) {
	s := start(t)
	handedOn := func(o body) body {
		return s.reach(newTransfer().with(body{"seat_id": o["seat_id"], "event_id": o["event_id"]}), "COMPLETED")
	}
	b := s.sold()
	s.must(s.dispute(handedOn(b), newID()))
	if a := s.refund(whole(b))[0]; a.ErrorCode != "TICKET_DISPUTED" {
		t.Errorf("disputed: %+v", a)
	}
	var seats []string
	if err := s.get("/events/"+b["event_id"].(string)+"/unsettled", &seats); err != nil || len(seats) != 1 || seats[0] != b["seat_id"] {
		t.Errorf("unsettled %v (%v)", seats, err)
	}

	other := s.sold()
	past := handedOn(other)
	live := s.reach(onward(past), "PENDING_OTP")
	var transfers []order.Transfer
	if err := s.get("/events/"+other["event_id"].(string)+"/live-transfers", &transfers); err != nil || len(transfers) != 1 || transfers[0].ID.String() != live["transfer_id"] {
		t.Errorf("live transfers %v (%v)", transfers, err)
	}
	if a := s.refund(whole(other))[0]; a.Refund == nil {
		t.Fatalf("with a live transfer: %+v", a)
	}
	if left := s.transferOf(live); left.Status != order.TransferFailed {
		t.Errorf("the live transfer is %s", left.Status)
	}
	want(t, s.dispute(past, newID()), "TRANSFER_INVALID_STATE")

	swapping := s.sold()
	s.reach(newTransfer().with(body{"seat_id": swapping["seat_id"], "event_id": swapping["event_id"]}), "swapping")
	if a := s.refund(whole(swapping))[0]; a.ErrorCode != "TRANSFER_IN_PROGRESS" {
		t.Errorf("while it changes hands: %+v", a)
	}
}

// Of a dispute and a refund at once one comes about.
func TestDisputeAndRefundRace(t *testing.T) {
	s := start(t)
	for range 10 {
		b := s.sold()
		past := s.reach(newTransfer().with(body{"seat_id": b["seat_id"], "event_id": b["event_id"]}), "COMPLETED")
		var refunded []answer
		results := atOnce(1, func() error { return s.dispute(past, newID()) },
			func() error { return s.post("/refunds", body{"refunds": []body{whole(b)}}, &refunded) })
		if disputed := results[0] == nil; results[1] != nil || disputed == (refunded[0].Refund != nil) {
			t.Fatalf("the dispute: %v, the refund: %+v (%v)", results[0], refunded, results[1])
		}
	}
}

func TestAnEventsUnpaidOrdersFail(t *testing.T) {
	s := start(t)
	a, b, other := pendingOrder(), s.sold(), pendingOrder()
	a["event_id"] = b["event_id"]
	s.place(a)
	s.place(other)
	for _, want := range []int{1, 0} {
		var done struct{ Failed int }
		if err := s.Do(t.Context(), http.MethodPost, "/events/"+b["event_id"].(string)+"/fail-pending", body{"reason": "EVENT_CANCELLED"}, &done); err != nil || done.Failed != want {
			t.Errorf("%d failed, want %d (%v)", done.Failed, want, err)
		}
	}
	if s.statusOf(a) != order.Failed || s.statusOf(b) != order.Confirmed || s.statusOf(other) != order.Pending {
		t.Errorf("the orders are %s, %s and %s", s.statusOf(a), s.statusOf(b), s.statusOf(other))
	}
}

func limited(b body, person string, most int) body {
	return b.with(body{"person_id": person, "max_per_customer": most})
}

// All accounts of a person count together: orders that are paid and holds that are not over.
func TestOrdersWithinALimit(t *testing.T) {
	s := start(t)
	person, event := newID(), newID()
	next := func() body { return pendingOrder().with(body{"event_id": event}) }
	var all sync.WaitGroup
	won := make(chan bool, 20)
	for range 20 {
		all.Go(func() {
			if err := s.post("/orders/limited", limited(next(), person, 3), nil); err == nil {
				won <- true
			} else if fault.Code(err) != "TICKET_LIMIT" {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if len(won) != 3 {
		t.Fatalf("%d orders within a limit of 3", len(won))
	}
	s.exec(`UPDATE orders SET status = 'FAILED', failure_reason = 'x' WHERE order_id IN (SELECT order_id FROM orders WHERE event_id = $1 LIMIT 1)`, event)
	last := next()
	for range 2 { // the repeat is the same order
		s.must(s.post("/orders/limited", limited(last, person, 3), nil))
	}
	want(t, s.post("/orders/limited", limited(next(), person, 3), nil), "TICKET_LIMIT")
	s.must(s.post("/orders/limited", limited(next(), newID(), 1), nil)) // another person

	// Tickets received by transfer count where the event says so, as long as they are not handed on.
	buyer, seat := newID(), newID()
	got := s.reach(newTransfer().with(body{"event_id": event, "seat_id": seat, "buyer_user_id": buyer}), "COMPLETED")
	counting := limited(next().with(body{"user_id": buyer}), newID(), 1).with(body{"transfers_count": true})
	want(t, s.post("/orders/limited", counting, nil), "TICKET_LIMIT")
	s.reach(onward(got), "COMPLETED")
	s.must(s.post("/orders/limited", counting, nil))
}
