package e2e

import (
	"net/http"
	"strings"
	"testing"

	"ticketremaster/stack/client"
)

// The check fails for an answer that is not as described.
func TestTheDescriptionIsHeldTo(t *testing.T) {
	const id = "0197a5c0-0000-7000-8000-000000000001"
	good := `{"success":true,"data":{"credit_balance":12.5}}`
	body := object{"order_id": id}
	for _, c := range []struct {
		name, method, path string
		body               any
		status             int
		answer             string
		problem            string // "" for none
	}{
		{"as described", "GET", "/credits/balance", nil, 200, good, ""},
		{"under /api", "GET", "/api/credits/balance", nil, 200, good, ""},
		{"an endpoint that is missing", "GET", "/credits/debts", nil, 200, good, "not described"},
		{"a method that is missing", "DELETE", "/credits/balance", nil, 200, good, "not described"},
		{"a status that is missing", "GET", "/credits/balance", nil, 418, good, "as is not described"},
		{"an amount that is text", "GET", "/credits/balance", nil, 200, `{"success":true,"data":{"credit_balance":"12.5"}}`, "as is not described"},
		{"a field that is missing", "GET", "/credits/balance", nil, 200, `{"success":true,"data":{}}`, "as is not described"},
		{"a field too many", "GET", "/credits/balance", nil, 200, `{"success":true,"data":{"credit_balance":1,"debt":2}}`, "as is not described"},
		{"a code that is missing", "POST", "/pay", body, 402, `{"success":false,"error_code":"POOR","message":"x"}`, "as is not described"},
		{"a code of another status", "POST", "/pay", body, 409, `{"success":false,"error_code":"HOLD_EXPIRED","message":"x"}`, "as is not described"},
		{"a time with a zone", "POST", "/reserve", object{"seat_id": id}, 200, `{"success":true,"data":{"order_id":"` + id + `","seat_id":"` + id +
			`","status":"HELD","held_until":"2027-12-31T20:00:00+08:00","ttl_seconds":1,"price":1,"otp_required":false,"message":"x"}}`, "as is not described"},
		{"a request that is not described, taken", "POST", "/auth/resend-otp", object{"user_id": 5}, 200, `{"success":true,"data":{"message":"x"}}`, "takes what"},
		{"a request that is not described, refused", "POST", "/auth/resend-otp", object{"user_id": 5}, 400, `{"success":false,"error_code":"VALIDATION_ERROR","message":"x"}`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			header := http.Header{"Content-Type": {"application/json"}}
			_, problem := described.check(client.Call{Method: c.method, Path: c.path, Body: c.body}, client.Answer{Status: c.status, Header: header, Raw: []byte(c.answer)})
			if (problem == "") != (c.problem == "") || !strings.Contains(problem, c.problem) {
				t.Errorf("%q, want %q", problem, c.problem)
			}
		})
	}
}
