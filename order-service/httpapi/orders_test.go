package httpapi_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	order "ticketremaster/order-service"
	"ticketremaster/platform/fault"
)

func pendingOrder() body {
	return body{
		"status": "PENDING", "order_id": newID(), "user_id": newID(), "seat_id": newID(), "event_id": newID(),
		"price": 199.9, "held_until": time.Now().Add(5 * time.Minute).UTC(),
	}
}

// paid is the confirmation of an order by a new attempt.
func paid(b body) body {
	return b.with(body{"status": "CONFIRMED", "attempt_id": newID(), "credits_charged": b["price"]})
}

func (s *service) place(b body) (o order.Order) {
	s.t.Helper()
	if err := s.post("/orders", b, &o); err != nil {
		s.t.Fatal(err)
	}
	return o
}

func (s *service) undo(b body) error {
	return s.post("/orders/"+b["order_id"].(string)+"/undo-confirm", body{"attempt_id": b["attempt_id"], "reason": "the seat was lost"}, nil)
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

// Orders of several users are written down together: each is answered in its place, one that exists already as it is.
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

// Of twenty attempts at once to pay for one order one wins, and the rest learn that it is paid.
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

// Payment and expiry of one order at once: one of them wins, and the other learns what is.
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

// A confirmation and its undo at once: whatever comes first, the order is not confirmed in the end, and never will be
// by this attempt.
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

func TestOrdersList(t *testing.T) {
	s := start(t)
	user, event, seat := newID(), newID(), newID()
	var ids []string
	for range 5 {
		b := pendingOrder().with(body{"user_id": user, "event_id": event})
		s.place(b)
		ids = append([]string{b["order_id"].(string)}, ids...)
	}
	sold := paid(pendingOrder().with(body{"seat_id": seat, "event_id": event}))
	s.place(sold)
	s.place(pendingOrder())
	soldID := sold["order_id"].(string)
	for _, c := range []struct {
		query string
		want  []string
		total int
	}{
		{"user_id=" + user, ids, 5},
		{"user_id=" + user + "&per_page=2", ids[:2], 5},
		{"user_id=" + user + "&per_page=2&page=3", ids[4:], 5},
		{"user_id=" + user + "&per_page=5", ids, 5},
		{"user_id=" + user + "&per_page=2&page=9", nil, 5},
		{"user_id=" + user + "&status=CONFIRMED", nil, 0},
		{"user_id=" + newID(), nil, 0},
		{"seat_id=" + seat + "&status=CONFIRMED", []string{soldID}, 1},
		{"seat_id=" + seat + "&status=PENDING", nil, 0},
		{"event_id=" + event, append([]string{soldID}, ids...), 6},
		{"event_id=" + event + "&user_id=" + user + "&status=PENDING", ids, 5},
		{"event_id=" + newID() + "&user_id=" + user, nil, 0},
	} {
		var orders []order.Order
		page, err := s.Page(t.Context(), http.MethodGet, "/orders?"+c.query, nil, &orders)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, o := range orders {
			got = append(got, o.ID.String())
		}
		if !reflect.DeepEqual(got, c.want) || page.Total != c.total {
			t.Errorf("%s: %v of %d, want %v of %d", c.query, got, page.Total, c.want, c.total)
		}
	}
}

func TestOverdueOrders(t *testing.T) {
	s := start(t)
	held := func(ago time.Duration) body {
		b := pendingOrder().with(body{"held_until": time.Now().Add(-ago)})
		s.place(b)
		return b
	}
	old, older, failed := held(time.Minute), held(time.Hour), held(2*time.Hour)
	held(-time.Minute)
	if err := s.failOrder(failed); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		query string
		want  []any
	}{
		{"", []any{older["order_id"], old["order_id"]}},
		{"?older_than_ms=1800000", []any{older["order_id"]}},
		{"?limit=1", []any{older["order_id"]}},
		{"?older_than_ms=86400000", nil},
	} {
		var orders []order.Order
		if err := s.get("/orders/overdue"+c.query, &orders); err != nil {
			t.Fatal(err)
		}
		var got []any
		for _, o := range orders {
			got = append(got, o.ID.String())
		}
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %v, want %v", c.query, got, c.want)
		}
	}
}

func TestMalformedOrderNamesTheField(t *testing.T) {
	s := start(t)
	good := paid(pendingOrder())
	for _, c := range []struct {
		field  string
		values []any
	}{
		{"order_id", []any{nil, "", "A-1", 7, "00000000-0000-0000-0000-000000000000"}},
		{"user_id", []any{nil, "A-1"}},
		{"seat_id", []any{nil, "A-1"}},
		{"event_id", []any{nil, "A-1"}},
		{"status", []any{nil, "FAILED", "REFUNDED", "pending", 1}},
		{"price", []any{nil, -1, 1.005, "12", 1e9, json.RawMessage("1e3"), body{}}},
		{"held_until", []any{nil, "", "soon", "2027-12-31", 5}},
		{"attempt_id", []any{nil, "A-1"}},
		{"credits_charged", []any{nil, -0.01, 100000000}},
	} {
		for _, value := range c.values {
			wantField(t, s.post("/orders", good.with(body{c.field: value}), nil), c.field)
		}
	}
	id := "/orders/" + newID()
	for _, c := range []struct {
		path, field string
		body        body
	}{
		{id + "/undo-confirm", "attempt_id", body{"reason": "x"}},
		{id + "/undo-confirm", "reason", body{"attempt_id": newID()}},
		{id + "/fail", "reason", body{}},
		{id + "/fail", "reason", body{"reason": strings.Repeat("x", 501)}},
		{id + "/fail", "reason", body{"reason": "a\x00b"}},
		{id + "/fail", "reason", body{"reason": 5}},
	} {
		wantField(t, s.post(c.path, c.body, nil), c.field)
	}
	for query, field := range map[string]string{
		"":                                      "user_id",
		"?status=PENDING":                       "user_id",
		"?user_id=A-1":                          "user_id",
		"?seat_id=A-1":                          "seat_id",
		"?event_id=A-1":                         "event_id",
		"?user_id=" + newID() + "&status=LOST":  "status",
		"?user_id=" + newID() + "&page=0":       "page",
		"?user_id=" + newID() + "&per_page=101": "per_page",
		"/overdue?older_than_ms=-1":             "older_than_ms",
		"/overdue?older_than_ms=86400001":       "older_than_ms",
		"/overdue?limit=0":                      "limit",
		"/overdue?limit=1001":                   "limit",
	} {
		wantField(t, s.get("/orders"+query, nil), field)
	}
	want(t, s.post("/orders", body{"x": strings.Repeat("x", 70_000)}, nil), fault.CodeTooLarge)
	want(t, s.post("/orders", nil, nil), fault.CodeValidation)
	want(t, s.post("/orders", []int{1}, nil), fault.CodeValidation)
	if n := s.count(`SELECT count(*) FROM orders`); n != 0 {
		t.Errorf("%d orders were written down", n)
	}
}

// The ledger is immutable, whatever a faulty service might try.
func TestSchemaGuardsOrders(t *testing.T) {
	s := start(t)
	make := map[string]func() body{
		"PENDING":   func() body { b := pendingOrder(); s.place(b); return b },
		"CONFIRMED": func() body { b := paid(pendingOrder()); s.place(b); return b },
		"FAILED":    func() body { b := pendingOrder(); s.place(b); _ = s.failOrder(b); return b },
		"REFUNDED":  func() body { b := paid(pendingOrder()); s.place(b); _ = s.undo(b); return b },
	}
	allowed := map[string]bool{"PENDING CONFIRMED": true, "PENDING FAILED": true, "CONFIRMED REFUNDED": true}
	for from := range make {
		for to := range make {
			if allowed[from+" "+to] {
				continue
			}
			s.refuses("orders_transition", `UPDATE orders SET status = $2 WHERE order_id = $1`, make[from]()["order_id"], to)
		}
	}
	for _, to := range []string{"FAILED", "REFUNDED"} {
		s.refuses("orders_transition", `INSERT INTO orders (order_id, user_id, seat_id, event_id, status, price, held_until)
			VALUES (gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), $1, 1, now())`, to)
	}
	paidID, pendingID := make["CONFIRMED"]()["order_id"], make["PENDING"]()["order_id"]
	for _, change := range []string{
		"order_id = gen_random_uuid()", "user_id = gen_random_uuid()", "seat_id = gen_random_uuid()", "event_id = gen_random_uuid()", "price = 1",
		"held_until = now()", "created_at = now() + interval '1s'", "credits_charged = 1", "attempt_id = gen_random_uuid()", "confirmed_at = now() + interval '1s'",
	} {
		s.refuses("orders_immutable", fmt.Sprintf(`UPDATE orders SET status = 'REFUNDED', failure_reason = 'x', %s WHERE order_id = $1`, change), paidID)
	}
	s.refuses("orders_paid_or_not", `UPDATE orders SET status = 'CONFIRMED' WHERE order_id = $1`, pendingID)
	s.refuses("orders_paid_or_not", `UPDATE orders SET status = 'FAILED', failure_reason = 'x', credits_charged = 1 WHERE order_id = $1`, pendingID)
	s.refuses("orders_reason_if_ended", `UPDATE orders SET status = 'FAILED' WHERE order_id = $1`, pendingID)
	s.refuses("orders_reason_length", `UPDATE orders SET status = 'FAILED', failure_reason = repeat('x', 501) WHERE order_id = $1`, pendingID)
	s.refuses("orders_amounts_not_negative", `UPDATE orders SET status = 'CONFIRMED', attempt_id = gen_random_uuid(), confirmed_at = now(), credits_charged = -1 WHERE order_id = $1`, pendingID)
	s.refuses("orders_never_deleted", `DELETE FROM orders WHERE order_id = $1`, paidID)
	s.refuses("orders_never_deleted", `TRUNCATE orders CASCADE`)
	s.refuses("order_attempts_never_deleted", `DELETE FROM order_attempts`)
	s.refuses("order_attempts_stay", `UPDATE order_attempts SET outcome = 'CONFIRMED' WHERE outcome = 'VOIDED'`)
	s.refuses("order_attempts_stay", `UPDATE order_attempts SET outcome = 'VOIDED', order_id = gen_random_uuid()`)
}
