package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// endpoint is an address with a body that it takes, and who may call it: nobody in particular (""), a person or a
// service.
type endpoint struct {
	method, path, who string
	body              obj
}

func endpoints(p person) []endpoint {
	id := newID()
	return []endpoint{
		{"POST", "/auth/register", "", obj{"email": "x@example.com", "phone": "+6591234567", "password": "correct horse"}},
		{"POST", "/auth/verify-registration", "", obj{"user_id": id, "otp_code": "123456"}},
		{"POST", "/auth/resend-otp", "", obj{"user_id": id}},
		{"POST", "/auth/login", "", obj{"email": "x@example.com", "password": "correct horse"}},
		{"POST", "/auth/password/reset-request", "", obj{"email": "x@example.com"}},
		{"POST", "/auth/password/reset", "", obj{"email": "x@example.com", "otp_code": "123456", "new_password": "correct horse"}},
		{"POST", "/auth/password/change", "person", obj{"old_password": "correct horse", "new_password": "another horse"}},
		{"POST", "/auth/totp/enroll", "person", obj{"password": "correct horse"}},
		{"POST", "/auth/totp/activate", "person", obj{"otp_code": "123456"}},
		{"POST", "/auth/totp/remove", "person", obj{"password": "correct horse"}},
		{"PATCH", "/users/" + p.id, "person", obj{"password": "correct horse"}},
		{"POST", "/credits/topup", "person", obj{"amount": 10}},
		{"POST", "/users/lookup", "service", obj{}},
		{"PATCH", "/internal/users/" + p.id, "service", obj{}},
		{"POST", "/credits/deduct", "service", obj{"operation_id": id, "user_id": p.id, "amount": 1}},
		{"POST", "/credits/return", "service", obj{"operation_id": id}},
		{"POST", "/credits/escrow", "service", obj{"operation_id": id, "user_id": p.id, "amount": 1}},
		{"POST", "/credits/escrow/return", "service", obj{"operation_id": id}},
		{"POST", "/credits/escrow/release", "service", obj{"operation_id": id, "user_id": p.id}},
		{"POST", "/credits/freeze", "service", obj{"operation_id": id, "user_id": p.id, "amount": 1}},
		{"POST", "/credits/unfreeze", "service", obj{"operation_id": id}},
		{"POST", "/credits/freeze/escrow", "service", obj{"operation_id": id, "dispute_id": id}},
		{"POST", "/credits/freeze/escrow/return", "service", obj{"operation_id": id}},
		{"POST", "/otp/send", "service", obj{"user_id": p.id, "purpose": "purchase", "reference_id": id, "message": "m"}},
		{"POST", "/otp/verify", "service", obj{"user_id": p.id, "otp_code": "123456"}},
		{"POST", "/otp/cancel", "service", obj{"user_id": p.id, "purpose": "purchase", "reference_id": id}},
	}
}

// reading are the endpoints without a body.
func reading(p person) []endpoint {
	return []endpoint{
		{"POST", "/auth/logout", "person", nil},
		{"GET", "/users/" + p.id, "person", nil},
		{"GET", "/credits/balance", "person", nil},
		{"GET", "/credits/transactions", "person", nil},
		{"GET", "/users/" + p.id + "/risk", "service", nil},
		{"GET", "/internal/users", "service", nil},
		{"GET", "/internal/revocations", "service", nil},
	}
}

func (e endpoint) bearer(p person) string {
	return map[string]string{"person": p.access, "service": serviceToken}[e.who]
}

func TestMalformedInput(t *testing.T) {
	w := startWorld(t)
	p := w.join()
	for _, e := range endpoints(p) {
		t.Run(e.method+" "+e.path, func(t *testing.T) {
			for _, raw := range []string{"", "{", "[]", `"x"`, "null x", "{}}", "\x00", strings.Repeat("[", 5000), `{"a":` + strings.Repeat(`"x`, 10)} {
				if a := w.call(e.method, e.path, e.bearer(p), raw); a.status != http.StatusBadRequest {
					t.Errorf("%.20q: %s", raw, a.raw)
				}
			}
			w.call(e.method, e.path, e.bearer(p), `{"x":"`+strings.Repeat("x", 70_000)+`"}`).want(t, 413, "PAYLOAD_TOO_LARGE")
			for field := range e.body {
				for _, wrong := range []any{obj{"a": 1}, []int{1}, true, -1.5, "\x00", strings.Repeat("9", 400)} {
					body := obj{}
					for k, v := range e.body {
						body[k] = v
					}
					body[field] = wrong
					a := w.call(e.method, e.path, e.bearer(p), body)
					if a.status < 400 && field != "email" && field != "message" || a.status >= 500 {
						t.Errorf("%s = %.20v: %s", field, wrong, a.raw)
					}
					if a.code() == "VALIDATION_ERROR" && !strings.Contains(a.raw, field) {
						t.Errorf("%s = %.20v: the field is not named: %s", field, wrong, a.raw)
					}
				}
			}
		})
	}
	for _, path := range []string{"/users/x", "/users/" + strings.Repeat("0", 36), "/users/00000000-0000-0000-0000-000000000000"} {
		w.call("GET", path, p.access, nil).want(t, 400, "INVALID_UUID")
		w.internal("GET", path+"/risk", nil).want(t, 400, "INVALID_UUID")
	}
	w.internal("GET", "/users/"+p.id+"/risk?reference_id=x", nil).want(t, 400, "INVALID_UUID")
	w.internal("GET", "/internal/revocations?after=-1", nil).want(t, 400, "VALIDATION_ERROR")
	w.internal("GET", "/internal/users?email=%00%ff", nil).want(t, 200, "")
	w.call("GET", "/nothing", "", nil).want(t, 404, "NOT_FOUND")
	w.call("DELETE", "/credits/balance", "", nil).want(t, 405, "METHOD_NOT_ALLOWED")
	w.booksAreRight()
}

// Every endpoint refuses all but its own callers.
func TestWhoMayCallWhat(t *testing.T) {
	w := startWorld(t)
	p := w.join()
	for _, e := range append(endpoints(p), reading(p)...) {
		if e.who == "" {
			continue
		}
		wrong := map[string]string{"nobody": "", "another service": "the-order-services-secret", "garbage": "x.y.z"}
		if e.who == "service" {
			wrong["a person"] = p.access
		} else {
			wrong["a service"] = serviceToken
		}
		for who, bearer := range wrong {
			if a := w.call(e.method, e.path, bearer, e.body); a.status != http.StatusUnauthorized {
				t.Errorf("%s %s by %s: %s", e.method, e.path, who, a.raw)
			}
		}
	}
}

// Whatever is sent, the answer is in the envelope and not 5xx. Only an outage of Stripe or SMU is 503, and neither is
// called here.
func FuzzEndpoints(f *testing.F) {
	for _, seed := range []string{`{}`, `null`, `{"operation_id":null,"amount":1e-2}`, `{"amount":-0}`, `{"user_id":"","otp_code":"١٢٣٤"}`, `{"email":"a@\u0000b.c"}`, "\xff\xfe", `{"amount":99999999.99}`, `{"ids":[null],"emails":[""]}`} {
		for i := range endpoints(person{}) {
			f.Add(uint8(i), seed)
		}
	}
	w := startWorldFor(f)
	p := w.join()
	f.Fuzz(func(t *testing.T, which uint8, body string) {
		list := endpoints(p)
		e := list[int(which)%len(list)]
		a, err := w.try(e.method, e.path, e.bearer(p), body)
		if err != nil || a.status >= 500 && a.status != http.StatusServiceUnavailable || a.body["success"] != (a.status < 400) {
			t.Fatalf("%s %s %q: %v %s", e.method, e.path, body, err, a.raw)
		}
	})
}

func TestAmounts(t *testing.T) {
	w := startWorld(t)
	p := w.rich("10")
	for _, raw := range []string{`-0.01`, `-1`, `0.001`, `1e1`, `NaN`, `Infinity`, `100000000`, `"1"`, `null`, `[1]`, `{}`, `1.`, `.5`, `+1`, `01x`} {
		body := fmt.Sprintf(`{"operation_id":"%s","user_id":"%s","amount":%s}`, newID(), p.id, raw)
		if a := w.internal("POST", "/credits/deduct", body); a.status != http.StatusBadRequest {
			t.Errorf("%s: %s", raw, a.raw)
		}
	}
	w.has(p, 10_00)
}
