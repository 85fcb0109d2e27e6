package conformance

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
)

func TestPreflight(t *testing.T) {
	for _, e := range endpoints {
		for _, path := range spellings(e.path) {
			got := shared.ask(t, "OPTIONS", path, nil, "Origin", origin,
				"Access-Control-Request-Method", e.method, "Access-Control-Request-Headers", "authorization,content-type")
			if got.status != http.StatusOK || got.header.Get("Access-Control-Allow-Origin") != origin || len(got.body) > 0 {
				t.Errorf("%s %s: %d, origin %q, body %q", e.method, path, got.status, got.header.Get("Access-Control-Allow-Origin"), got.body)
			}
		}
	}
	got := shared.ask(t, "OPTIONS", "/api/reserve", nil, "Origin", origin, "Access-Control-Request-Method", "POST").header
	contains := func(name string, want ...string) {
		t.Helper()
		have := strings.Split(strings.ToLower(strings.ReplaceAll(got.Get(name), " ", "")), ",")
		for _, w := range want {
			if !slices.Contains(have, strings.ToLower(w)) {
				t.Errorf("%s: %q lacks %s", name, got.Get(name), w)
			}
		}
	}
	contains("Access-Control-Allow-Methods", "GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
	contains("Access-Control-Allow-Headers", "Authorization", "Content-Type", "X-Correlation-ID", "apikey", "X-Requested-With", "Idempotency-Key")
	contains("Access-Control-Max-Age", "3600")
	if v := got.Get("Access-Control-Allow-Credentials"); v != "" {
		t.Errorf("credentials are allowed: %q", v)
	}
}

func TestCORSOnAnswersAndErrors(t *testing.T) {
	large := strings.NewReader(strings.Repeat("x", 64<<10+1))
	for name, got := range map[string]reply{
		"a page":      shared.ask(t, "GET", "/events", nil, "Origin", origin),
		"no token":    shared.ask(t, "GET", "/tickets", nil, "Origin", origin),
		"not found":   shared.ask(t, "GET", "/internal", nil, "Origin", origin),
		"too large":   shared.ask(t, "POST", "/reserve", large, "Origin", origin, "Authorization", shared.bearer(t)),
		"a preflight": shared.ask(t, "OPTIONS", "/internal", nil, "Origin", origin, "Access-Control-Request-Method", "GET"),
	} {
		if v := got.header.Values("Access-Control-Allow-Origin"); len(v) != 1 || v[0] != origin {
			t.Errorf("%s (%d): origin %q", name, got.status, v)
		}
		if !strings.Contains(strings.Join(got.header.Values("Vary"), ","), "Origin") {
			t.Errorf("%s: Vary %q", name, got.header.Values("Vary"))
		}
	}
	exposed := shared.ask(t, "GET", "/events", nil, "Origin", origin).header.Get("Access-Control-Expose-Headers")
	if !strings.Contains(exposed, "X-Correlation-ID") || !strings.Contains(exposed, "Retry-After") {
		t.Errorf("exposed headers: %q", exposed)
	}
}

func TestForeignOriginGetsNoLeave(t *testing.T) {
	for _, foreign := range []string{"http://evil.example", "http://localhost:5173.evil.example", "https://localhost:5173", "null"} {
		for name, got := range map[string]reply{
			"preflight": shared.ask(t, "OPTIONS", "/reserve", nil, "Origin", foreign, "Access-Control-Request-Method", "POST"),
			"page":      shared.ask(t, "GET", "/events", nil, "Origin", foreign),
		} {
			if v := got.header.Get("Access-Control-Allow-Origin"); v != "" {
				t.Errorf("%s for %s: %q", name, foreign, v)
			}
		}
	}
}

func TestCorrelationID(t *testing.T) {
	for name, path := range map[string]string{"a page": "/events", "no token": "/tickets", "not found": "/internal"} {
		t.Run(name, func(t *testing.T) {
			made := shared.ask(t, "GET", path, nil).header.Values("X-Correlation-ID")
			if len(made) != 1 || uuid.Validate(made[0]) != nil {
				t.Errorf("made %q, want one UUID", made)
			}
			if again := shared.ask(t, "GET", path, nil).header.Get("X-Correlation-ID"); again == made[0] {
				t.Errorf("two requests share %s", again)
			}
			kept := shared.ask(t, "GET", path, nil, "X-Correlation-ID", "from-the-client").header.Values("X-Correlation-ID")
			if len(kept) != 1 || kept[0] != "from-the-client" {
				t.Errorf("answered %q, want the client's", kept)
			}
		})
	}
	if shared.echoes {
		got := shared.ask(t, "GET", "/events", nil)
		if h := got.heard(t).Header.Values("X-Correlation-ID"); len(h) != 1 || h[0] != got.header.Get("X-Correlation-ID") {
			t.Errorf("the service got %q, the client %q", h, got.header.Get("X-Correlation-ID"))
		}
	}
}

// A correlation id that gRPC or a log cannot transport, or one of several, is replaced for client and service alike.
func TestCorrelationIDsThatNobodyCanCarry(t *testing.T) {
	long := strings.Repeat("a", 128)
	for _, kept := range []string{"!", "~", long, "a-1_B.c:d/e[]{}"} {
		if got := shared.ask(t, "GET", "/events", nil, "X-Correlation-ID", kept).header.Get("X-Correlation-ID"); got != kept {
			t.Errorf("%q became %q", kept, got)
		}
	}
	for _, bad := range [][]string{{""}, {" "}, {"a b"}, {"a\tb"}, {"café"}, {"\xff"}, {long + "a"}, {"a", "b"}, {"a,b c"}} {
		var headers []string
		for _, id := range bad {
			headers = append(headers, "X-Correlation-ID", id)
		}
		for _, path := range []string{"/events", "/internal"} {
			got := shared.ask(t, "GET", path, nil, headers...)
			made := got.header.Values("X-Correlation-ID")
			if len(made) != 1 || uuid.Validate(made[0]) != nil {
				t.Errorf("%q became %q, want one UUID", bad, made)
			} else if shared.echoes && path == "/events" && !slices.Equal(got.heard(t).Header.Values("X-Correlation-ID"), made) {
				t.Errorf("%q: the client got %q, the service %q", bad, made, got.heard(t).Header.Values("X-Correlation-ID"))
			}
		}
	}
}

// Headers that Connection names are not forwarded, whatever they are.
func TestWhatConnectionNamesIsDropped(t *testing.T) {
	got := shared.ask(t, "GET", "/events", nil, "X-Hop", "1", "X-Correlation-ID", "mine", "Connection", "X-Hop, X-Correlation-ID")
	if id := got.header.Get("X-Correlation-ID"); got.status != http.StatusOK || id != "mine" {
		t.Errorf("answered %d with %q", got.status, id)
	}
	if shared.echoes {
		for _, name := range []string{"X-Hop", "X-Correlation-ID"} {
			if v := got.heard(t).Header.Get(name); v != "" {
				t.Errorf("the service got %s: %q", name, v)
			}
		}
	}
}

// Headers in which a client claims an identity are not forwarded and give no access.
func TestSpoofedIdentityIsCleared(t *testing.T) {
	spoofed := []string{
		"X-Consumer-ID", "X-Consumer-Custom-ID", "X-Consumer-Username", "X-Consumer-Groups", "X-Credential-Identifier",
		"X-Credential-Username", "X-Anonymous-Consumer", "X-Authenticated-Consumer", "X-Authenticated-Userid",
		"X-Authenticated-Scope", "X-Authenticated-Groups", "X-User-ID", "X-User-Role", "X-Service-Token",
	}
	var headers []string
	for _, name := range spoofed {
		headers = append(headers, name, "admin")
	}
	shared.ask(t, "GET", "/admin/users", nil, headers...).wantError(t, 401, "UNAUTHORIZED")
	for _, r := range []reply{
		shared.ask(t, "GET", "/events", nil, headers...),
		shared.ask(t, "GET", "/tickets", nil, append(headers, "Authorization", shared.bearer(t))...),
		shared.ask(t, "POST", "/auth/refresh", nil, headers...),
	} {
		if r.status == 404 || r.byGateway(401) {
			t.Errorf("refused: %s", r.body)
		}
		if shared.echoes {
			h := r.heard(t).Header
			for _, name := range spoofed {
				if h.Get(name) != "" {
					t.Errorf("%s reached the service: %q", name, h.Get(name))
				}
			}
		}
	}
}
