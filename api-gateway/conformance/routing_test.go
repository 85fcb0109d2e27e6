package conformance

import (
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// public is one public endpoint: the service that answers, and what a request needs.
type public struct {
	method, path string
	upstream     string
	token        bool // the jwt plugin stands before it
	apiKey       bool // key-auth does too, when it is on
}

const id = "0197a5c0-0000-7000-8000-000000000000"

// endpoints are all public paths without prefix. Each is also served under /api, and HEAD wherever GET is.
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
	{"GET", "/events/" + id + "/seats", "orchestrator", false, false},
	{"GET", "/events/" + id + "/geometry", "orchestrator", false, false},
	{"GET", "/events/" + id + "/state", "orchestrator", false, false},
	{"GET", "/events/" + id + "/changes", "orchestrator", false, false},
	{"GET", "/marketplace/listings", "orchestrator", false, false},
	{"GET", "/health", "orchestrator", false, false},
	{"GET", "/docs", "orchestrator", false, false},
	{"GET", "/docs/openapi.json", "orchestrator", false, false},
	{"GET", "/gate", "orchestrator", false, false},
	{"GET", "/gate/page.js", "orchestrator", false, false},
	{"GET", "/console", "orchestrator", false, false},
	{"GET", "/console/page.css", "orchestrator", false, false},
	{"POST", "/verify", "orchestrator", true, false},
	{"POST", "/tickets/verify", "orchestrator", true, false},
	{"GET", "/gate/events", "orchestrator", true, false},
	{"GET", "/gate/" + id + "/manifest", "orchestrator", true, false},
	{"POST", "/gate/" + id + "/scans", "orchestrator", true, false},
	{"POST", "/gate/" + id + "/undo", "orchestrator", true, false},
	{"POST", "/gate/" + id + "/entries", "orchestrator", true, false},
	{"GET", "/gate/" + id + "/conflicts", "orchestrator", true, false},
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
	{"GET", "/bookings", "orchestrator", true, true},
	{"POST", "/bookings", "orchestrator", true, true},
	{"GET", "/bookings/" + id, "orchestrator", true, true},
	{"POST", "/bookings/" + id + "/cancel", "orchestrator", true, true},
	{"GET", "/events/" + id + "/waitlist", "orchestrator", true, true},
	{"POST", "/events/" + id + "/waitlist", "orchestrator", true, true},
	{"DELETE", "/events/" + id + "/waitlist", "orchestrator", true, true},
	{"GET", "/marketplace/listings/mine", "orchestrator", true, true},
	{"POST", "/marketplace/list", "orchestrator", true, true},
	{"POST", "/marketplace/buy", "orchestrator", true, true},
	{"POST", "/marketplace/cancel", "orchestrator", true, true},
	{"POST", "/marketplace/withdraw", "orchestrator", true, true},
	{"POST", "/marketplace/approve", "orchestrator", true, true},
	{"POST", "/admin/events", "orchestrator", true, true},
	{"GET", "/admin/events", "orchestrator", true, true},
	{"GET", "/admin/events/" + id, "orchestrator", true, true},
	{"PATCH", "/admin/events/" + id, "orchestrator", true, true},
	{"GET", "/admin/orders", "orchestrator", true, true},
	{"POST", "/admin/orders/" + id + "/refund", "orchestrator", true, true},
	{"PUT", "/admin/staff/" + id + "/assignments", "orchestrator", true, true},
	{"DELETE", "/admin/a/b/c/d", "orchestrator", true, true},
	{"GET", "/admin/events/" + id + "/dashboard", "orchestrator", true, true},
	{"GET", "/admin/events/" + id + "/scans", "orchestrator", true, true},
	{"GET", "/admin/sagas", "orchestrator", true, true},
	{"POST", "/admin/sagas/" + id + "/resume", "orchestrator", true, true},
	{"POST", "/admin/sagas/" + id + "/compensate", "orchestrator", true, true},
	{"GET", "/admin/messages", "orchestrator", true, true},
	{"POST", "/admin/messages/replay", "orchestrator", true, true},
	{"POST", "/admin/messages/drop", "orchestrator", true, true},
	{"GET", "/admin/users", "orchestrator", true, true},
	{"PATCH", "/admin/users/" + id, "orchestrator", true, true},
}

// spellings returns the spellings of a path that the gateway serves.
func spellings(path string) []string { return []string{path, "/api" + path} }

// body returns a body for methods that have one, otherwise nil.
func body(method string) io.Reader {
	if method == http.MethodGet || method == http.MethodHead {
		return nil
	}
	return strings.NewReader("{}")
}

func TestEveryPublicPathReachesItsService(t *testing.T) {
	for _, e := range endpoints {
		for _, path := range spellings(e.path) {
			t.Run(e.method+path, func(t *testing.T) {
				headers := []string{"Content-Type", "application/json"}
				if e.token {
					headers = append(headers, "Authorization", shared.bearer(t))
				}
				got := shared.ask(t, e.method, path+"?page=2&per_page=5", body(e.method), headers...)
				for status := range texts {
					if got.byGateway(status) {
						t.Fatalf("refused by the gateway: %d %s", got.status, got.body)
					}
				}
				if got.status == http.StatusBadGateway || got.status == http.StatusGatewayTimeout {
					t.Fatalf("no service behind it: %d %s", got.status, got.body)
				}
				if !shared.echoes {
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

func TestHEADWhereverGETIs(t *testing.T) {
	for _, e := range endpoints {
		if e.method != http.MethodGet {
			continue
		}
		headers := []string{}
		if e.token {
			headers = append(headers, "Authorization", shared.bearer(t))
		}
		for _, path := range spellings(e.path) {
			get, head := shared.ask(t, http.MethodGet, path, nil, headers...), shared.ask(t, http.MethodHead, path, nil, headers...)
			if shared.echoes && head.status != get.status || head.status == http.StatusUnauthorized || len(head.body) > 0 {
				t.Errorf("%s: HEAD is answered %d %q, GET %d", path, head.status, head.body, get.status)
			}
		}
	}
}

func TestTokenIsDemandedWhereItMust(t *testing.T) {
	for _, e := range endpoints {
		for _, path := range spellings(e.path) {
			if e.token {
				t.Run(e.method+path, func(t *testing.T) {
					shared.ask(t, e.method, path, body(e.method)).wantError(t, 401, "UNAUTHORIZED")
				})
			}
		}
	}
}

var malformed = regexp.MustCompile(`(?i)^/(api/)?(\.\.|%2e%2e)|%00`)

func TestNothingElseIsReachable(t *testing.T) {
	good := shared.bearer(t)
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
		"GET /events/" + id + "/internal", "POST /events/" + id + "/seats", "POST /events", "DELETE /events/" + id, "GET /events/a%2fb", "GET /events/a.b", "GET /events/%c3%bc",
		"GET /reserve", "POST /reserve/", "POST /Reserve", "POST /reserve/x", "GET /verify", "PUT /pay",
		"GET /auth/login", "POST /auth", "POST /auth/", "POST /auth/login/", "POST /auth/sessions", "POST /auth/login/../internal", "GET /webhooks/stripe",
		"POST /webhooks", "POST /webhooks/stripe/", "GET /tickets/" + id, "GET /tickets/" + id + "/qr/", "GET /tickets//qr",
		"GET /admin/", "GET /admin/a/b/c/d/e", "GET /admin/a.b", "GET /admin/users/", "GET /metrics", "GET /api/metrics", "GET /debug/pprof/", "GET /docs/", "GET /docs/openapi_json", "GET /docs/../internal", "GET /admin", "POST /transfers",
		"GET /gate/", "POST /gate", "POST /gate/events", "GET /gate/" + id + "/scans", "GET /gate/" + id + "/other", "POST /gate/page.js", "GET /gate/a.b.c", "GET /gate/.js", "GET /gate/page.js/x", "GET /gate/page.js%00", "GET /gate/../internal",
		"GET /console/", "GET /console/x", "POST /console", "GET /console/../internal.js",
		"GET /marketplace", "GET /marketplace/listings/" + id, "POST /marketplace/listings", "GET /marketplace/list", "POST /marketplace/other", "GET /transfer/confirm", "HEAD /internal", "OPTIONS /internal",
	} {
		t.Run(request, func(t *testing.T) {
			method, path, _ := strings.Cut(request, " ")
			got := shared.ask(t, method, path, body(method), "Authorization", good)
			if method == http.MethodHead {
				if got.status != 404 {
					t.Errorf("status %d", got.status)
				}
				return
			}
			if got.byGateway(400) { // nginx: what leads above the root, or to a zero byte, is no path
				if !malformed.MatchString(path) {
					t.Errorf("not understood: %s", got.body)
				}
				got.wantError(t, 400, "BAD_REQUEST")
				return
			}
			got.wantError(t, 404, "NOT_FOUND")
			if !got.byGateway(404) {
				t.Errorf("a service said it: %s", got.body)
			}
		})
	}
}

// Another spelling of a public path is that path, also for the service.
func TestSpellingsAreNormalizedOnce(t *testing.T) {
	for _, path := range []string{"//events", "/./events", "/x/../events", "/%65vents", "/api//events", "/api/./events", "/x/%2e%2e/api/%65vents", "/api/../events"} {
		t.Run(path, func(t *testing.T) {
			got := shared.ask(t, "GET", path, nil)
			if got.byGateway(404) {
				t.Fatal("not found")
			}
			if shared.echoes {
				if h := got.heard(t); h.Path != "/events" || h.Upstream != "orchestrator" {
					t.Errorf("reached %s as %s", h.Upstream, h.Path)
				}
			}
		})
	}
}
