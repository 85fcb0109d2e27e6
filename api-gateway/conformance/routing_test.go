package conformance

import (
	"net/http"
	"strings"
	"testing"
)

// public is one public endpoint: which service answers, and what it takes to get there.
type public struct {
	method, path string
	upstream     string
	token        bool // the jwt plugin stands before it
	apiKey       bool // key-auth does too, when it is on
}

const id = "0197a5c0-0000-7000-8000-000000000000"

// endpoints is every public path of the system (docs/architecture.md#services-and-data), bare. Each is served under /api too.
var endpoints = []public{
	{"POST", "/auth/register", "user", false, false},
	{"POST", "/auth/login", "user", false, false},
	{"POST", "/auth/verify-registration", "user", false, false},
	{"POST", "/auth/resend-otp", "user", false, false},
	{"POST", "/auth/password/reset-request", "user", false, false},
	{"POST", "/auth/password/reset", "user", false, false},
	{"POST", "/auth/refresh", "user", false, false},
	{"POST", "/auth/logout", "user", true, false},
	{"POST", "/auth/password/change", "user", true, false},
	{"POST", "/auth/totp/enroll", "user", true, false},
	{"POST", "/auth/totp/activate", "user", true, false},
	{"POST", "/auth/totp/remove", "user", true, false},
	{"POST", "/webhooks/stripe", "user", false, false},
	{"GET", "/credits/balance", "user", true, true},
	{"GET", "/credits/transactions", "user", true, true},
	{"POST", "/credits/topup", "user", true, true},
	{"GET", "/credits/topups/" + id, "user", true, true},
	{"GET", "/users/" + id, "user", true, true},
	{"PATCH", "/users/" + id, "user", true, true},
	{"GET", "/events", "orchestrator", false, false},
	{"GET", "/events/" + id, "orchestrator", false, false},
	{"GET", "/events/A-1", "orchestrator", false, false}, // not a UUID: the service's to say
	{"GET", "/health", "orchestrator", false, false},
	{"GET", "/docs", "orchestrator", false, false},
	{"GET", "/docs/openapi.json", "orchestrator", false, false},
	{"POST", "/verify", "orchestrator", true, false},
	{"POST", "/verify-otp", "orchestrator", true, true},
	{"POST", "/reserve", "orchestrator", true, true},
	{"POST", "/pay", "orchestrator", true, true},
	{"GET", "/orders", "orchestrator", true, true},
	{"GET", "/orders/" + id, "orchestrator", true, true},
	{"POST", "/orders/" + id + "/cancel", "orchestrator", true, true},
	{"GET", "/tickets", "orchestrator", true, true},
	{"GET", "/tickets/sold", "orchestrator", true, true},
	{"GET", "/tickets/" + id + "/qr", "orchestrator", true, true},
	{"GET", "/tickets/" + id + "/history", "orchestrator", true, true},
	{"GET", "/transfers", "orchestrator", true, true},
	{"GET", "/transfers/" + id, "orchestrator", true, true},
	{"POST", "/transfer/initiate", "orchestrator", true, true},
	{"POST", "/transfer/confirm", "orchestrator", true, true},
	{"POST", "/transfer/dispute", "orchestrator", true, true},
	{"POST", "/transfer/withdraw", "orchestrator", true, true},
	{"POST", "/transfer/reject", "orchestrator", true, true},
	{"POST", "/transfer/reverse", "orchestrator", true, true},
	{"POST", "/admin/events", "orchestrator", true, true},
	{"GET", "/admin/events", "orchestrator", true, true},
	{"GET", "/admin/events/" + id, "orchestrator", true, true},
	{"GET", "/admin/events/" + id + "/dashboard", "orchestrator", true, true},
	{"GET", "/admin/events/" + id + "/scans", "orchestrator", true, true},
	{"GET", "/admin/sagas", "orchestrator", true, true},
	{"POST", "/admin/sagas/" + id + "/resume", "orchestrator", true, true},
	{"POST", "/admin/sagas/" + id + "/compensate", "orchestrator", true, true},
	{"GET", "/admin/users", "orchestrator", true, true},
	{"PATCH", "/admin/users/" + id, "orchestrator", true, true},
}

// spellings of a bare path that the gateway serves.
func spellings(path string) []string { return []string{path, "/api" + path} }

func body(method string) *strings.Reader {
	if method == http.MethodGet {
		return strings.NewReader("")
	}
	return strings.NewReader("{}")
}

func TestEveryPublicPathReachesItsService(t *testing.T) {
	for _, e := range endpoints {
		for _, path := range spellings(e.path) {
			t.Run(e.method+path, func(t *testing.T) {
				headers := []string{"Content-Type", "application/json"}
				if e.token {
					headers = append(headers, "Authorization", front.bearer(t))
				}
				got := front.ask(t, e.method, path+"?page=2&per_page=5", body(e.method), headers...)
				for status := range texts {
					if got.byGateway(status) {
						t.Fatalf("refused at the door: %d %s", got.status, got.body)
					}
				}
				if got.status == http.StatusBadGateway || got.status == http.StatusGatewayTimeout {
					t.Fatalf("no service behind it: %d %s", got.status, got.body)
				}
				if !front.echoes {
					return
				}
				h := got.heard(t)
				if h.Upstream != e.upstream || h.Method != e.method || h.Path != e.path || h.Query != "page=2&per_page=5" {
					t.Errorf("reached %s as %s %s?%s", h.Upstream, h.Method, h.Path, h.Query)
				}
			})
		}
	}
}

func TestTokenIsDemandedWhereItMust(t *testing.T) {
	for _, e := range endpoints {
		for _, path := range spellings(e.path) {
			if e.token {
				t.Run(e.method+path, func(t *testing.T) {
					front.ask(t, e.method, path, body(e.method)).wantError(t, 401, "UNAUTHORIZED")
				})
			}
		}
	}
}

func TestNothingElseIsReachable(t *testing.T) {
	good := front.bearer(t)
	for _, request := range []string{
		"POST /credits/deduct", "POST /api/credits/deduct", "POST //credits/deduct", "POST /credits//deduct",
		"POST /credits/./deduct", "POST /credits/x/../deduct", "POST /credits/balance/../deduct", "POST /credits/%64educt",
		"POST /credits/%2e%2e/credits/deduct", "POST /api/%2E%2E/credits/deduct", "POST /credits%2fdeduct", "POST /Credits/Deduct",
		"POST /credits/deduct/", "POST /api/api/credits/deduct", "POST /credits/balance%2f..%2fdeduct", "POST /credits/deduct?x=/credits/topup",
		"POST /credits", "POST /credits/refund", "POST /credits/escrow", "POST /credits/escrow/release", "POST /credits/return",
		"POST /credits/freeze", "POST /credits/unfreeze", "POST /users/lookup", "GET /internal/users", "GET /internal/revocations",
		"POST /transfers/" + id + "/complete", "POST /orders/" + id + "/fail", "GET /sagas",
		"POST /orders", "POST /api/orders", "POST //orders", "POST /orders/", "PUT /orders/" + id, "DELETE /orders/" + id, "PATCH /orders/" + id,
		"GET /orders/" + id + "/", "GET /orders/" + id + "/cancel", "POST /orders/" + id + "/confirm",
		"GET /internal", "POST /internal/audit", "GET /api/internal", "POST /otp", "POST /otp/send", "POST /api/otp/verify", "POST /otp/cancel", "POST /sendOTP",
		"GET /users", "POST /users", "GET /users/" + id + "/risk", "GET /users/" + id + "/", "DELETE /users/" + id, "PUT /users/" + id,
		"GET /apiary", "GET /apievents", "GET /api", "GET /api/", "GET /api/api/events", "GET /", "GET /..", "GET /%2e%2e/etc/passwd",
		"GET /events/", "GET /Events", "GET /EVENTS", "GET /API/events", "GET /events%2f", "GET /events;x=1", "GET /events%20", "GET /events.json",
		"GET /events%2f" + id, "POST /auth%2flogin", "GET /%2565vents", "GET /%2fevents", "GET /x%2f..%2fevents",
		"GET /events/" + id + "/seats", "POST /events", "DELETE /events/" + id, "GET /events/a%2fb", "GET /events/a.b", "GET /events/%c3%bc",
		"GET /reserve", "POST /reserve/", "POST /Reserve", "POST /reserve/x", "GET /verify", "PUT /pay",
		"GET /auth/login", "POST /auth", "POST /auth/", "POST /auth/login/", "POST /auth/sessions", "POST /auth/login/../internal", "GET /webhooks/stripe",
		"POST /webhooks", "POST /webhooks/stripe/", "GET /tickets/" + id, "GET /tickets/" + id + "/qr/", "GET /tickets//qr",
		"DELETE /admin/events", "GET /admin/users/" + id, "GET /metrics", "GET /debug/pprof/", "GET /docs/", "GET /docs/openapi_json", "GET /docs/../internal", "GET /admin", "POST /admin/users",
		"DELETE /admin/events/" + id, "GET /admin/sagas/" + id, "POST /admin/sagas", "POST /transfers", "GET /transfer/confirm", "HEAD /internal", "OPTIONS /internal",
	} {
		t.Run(request, func(t *testing.T) {
			method, path, _ := strings.Cut(request, " ")
			got := front.ask(t, method, path, body(method), "Authorization", good)
			if method == http.MethodHead {
				if got.status != 404 {
					t.Errorf("status %d", got.status)
				}
				return
			}
			got.wantError(t, 404, "NOT_FOUND")
			if !got.byGateway(404) {
				t.Errorf("a service said it: %s", got.body)
			}
		})
	}
}

// Another spelling of a public path is that path, for the service too.
func TestSpellingsAreNormalizedOnce(t *testing.T) {
	for _, path := range []string{"//events", "/./events", "/x/../events", "/%65vents", "/api//events", "/api/./events", "/x/%2e%2e/api/%65vents", "/api/../events"} {
		t.Run(path, func(t *testing.T) {
			got := front.ask(t, "GET", path, nil)
			if got.byGateway(404) {
				t.Fatal("not found")
			}
			if front.echoes {
				if h := got.heard(t); h.Path != "/events" || h.Upstream != "orchestrator" {
					t.Errorf("reached %s as %s", h.Upstream, h.Path)
				}
			}
		})
	}
}
