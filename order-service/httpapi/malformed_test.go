package httpapi_test

import (
	"encoding/json"
	"strings"
	"testing"

	"ticketremaster/platform/fault"
)

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

func TestMalformedTransferNamesTheField(t *testing.T) {
	s := start(t)
	good := newTransfer()
	for _, c := range []struct {
		field  string
		values []any
	}{
		{"transfer_id", []any{nil, "A-1", 5}},
		{"seat_id", []any{nil, "A-1"}},
		{"event_id", []any{nil, "A-1"}},
		{"seller_user_id", []any{nil, "A-1"}},
		{"buyer_user_id", []any{nil, "A-1", good["seller_user_id"]}},
		{"initiated_by", []any{nil, newID()}},
		{"status", []any{nil, "COMPLETED", 1}},
		{"credits_amount", []any{nil, -1, 1.005, "12", 100000000}},
		{"expires_at", []any{nil, "soon"}},
	} {
		for _, value := range c.values {
			wantField(t, s.post("/transfers", good.with(body{c.field: value}), nil), c.field)
		}
	}
	wantField(t, s.post("/transfers", good.with(body{"status": "FAILED"}), nil), "failure_reason")
	id := "/transfers/" + newID() + "/"
	for _, c := range []struct {
		address, field string
		body           body
	}{
		{"otp-verified", "party", body{}},
		{"otp-verified", "party", body{"party": "both"}},
		{"otp-verified", "party", body{"party": 1}},
		{"abort-swap", "reason", body{}},
		{"fail", "reason", body{"reason": " "}},
		{"dispute", "dispute_id", body{"by": newID(), "reason": "x"}},
		{"dispute", "by", body{"dispute_id": newID(), "reason": "x"}},
		{"dispute", "reason", body{"dispute_id": newID(), "by": newID()}},
		{"dispute", "reason", body{"dispute_id": newID(), "by": newID(), "reason": strings.Repeat("x", 1001)}},
		{"end-dispute", "dispute_id", body{}},
		{"begin-reversal", "reversal_id", body{"reversal_id": "A-1"}},
		{"abort-reversal", "reversal_id", body{"reversal_id": 5}},
		{"reverse", "reversal_id", body{"reversal_id": nil}},
	} {
		wantField(t, s.post(id+c.address, c.body, nil), c.field)
	}
	for query, field := range map[string]string{
		"":                                     "user_id",
		"?role=seller":                         "user_id",
		"?role=seller&seat_id=" + newID():      "user_id",
		"?user_id=A-1":                         "user_id",
		"?seat_id=A-1":                         "seat_id",
		"?user_id=" + newID() + "&role=judge":  "role",
		"?user_id=" + newID() + "&status=LOST": "status",
		"?user_id=" + newID() + "&page=x":      "page",
		"/overdue?limit=0":                     "limit",
	} {
		wantField(t, s.get("/transfers"+query, nil), field)
	}
}
