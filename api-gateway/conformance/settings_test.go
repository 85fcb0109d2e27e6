package conformance

import (
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// These need settings or services of their own, and so always run on a gateway that they start.

// counted is how long Kong takes at most to count a request. It does so after it has answered, and nothing tells when.
const counted = 250 * time.Millisecond

func TestAPIKeyWhenOn(t *testing.T) {
	const key = "an-api-key-of-the-tests-0123456789"
	env := maps.Clone(generous)
	env["GATEWAY_API_KEY"] = key
	g := own(t, env, nil)
	for _, e := range endpoints {
		for _, path := range spellings(e.path) {
			t.Run(e.method+path, func(t *testing.T) {
				token := []string{"Authorization", g.bearer(t)}
				without := g.ask(t, e.method, path, body(e.method), token...)
				if !e.apiKey {
					without.heard(t)
					return
				}
				without.wantError(t, 401, "UNAUTHORIZED")
				g.ask(t, e.method, path, body(e.method), append(token, "apikey", "wrong")...).wantError(t, 401, "UNAUTHORIZED")
				g.ask(t, e.method, path, body(e.method), append(token, "apikey", key, "apikey", key)...).wantError(t, 401, "UNAUTHORIZED")
				g.ask(t, e.method, path+"?apikey="+key, body(e.method), token...).wantError(t, 401, "UNAUTHORIZED")
				g.ask(t, e.method, path, body(e.method), "apikey", key).wantError(t, 401, "UNAUTHORIZED") // the token is still needed
				with := g.ask(t, e.method, path, body(e.method), append(token, "apikey", key)...).heard(t)
				if with.Header.Get("apikey") != "" {
					t.Error("the service sees the API key")
				}
				preflight := g.ask(t, "OPTIONS", path, nil, "Origin", origin, "Access-Control-Request-Method", e.method)
				if preflight.status != http.StatusOK {
					t.Errorf("preflight: %d", preflight.status)
				}
			})
		}
	}
}

// The key in the file gives no access and is not required while key-auth is off.
func TestAPIKeyIsOffByDefault(t *testing.T) {
	g := own(t, nil, nil)
	g.ask(t, "GET", "/tickets", nil, "Authorization", g.bearer(t)).heard(t)
	g.ask(t, "GET", "/tickets", nil, "apikey", "key-auth-is-off-and-this-opens-nothing").wantError(t, 401, "UNAUTHORIZED")
}

func TestGeneralRateLimit(t *testing.T) {
	g := own(t, map[string]string{"RATE_LIMIT": "3"}, nil)
	for range 8 { // a new minute of the clock may begin in between
		g.ask(t, "GET", "/events", nil)
	}
	time.Sleep(counted)
	if got := g.ask(t, "GET", "/internal", nil); got.status == 404 && time.Now().Second() > 1 {
		t.Error("paths that do not exist are not counted")
	}
	if got := g.ask(t, "POST", "/auth/login", nil); got.status != 200 {
		t.Errorf("a limit of its own replaces the general one, it does not add up: %d", got.status)
	}
}

// Devices at a gate are limited by token: those behind one address do not share a limit, nor do they use up that of the
// customers there.
func TestTheGateIsLimitedPerToken(t *testing.T) {
	g := own(t, map[string]string{"RATE_LIMIT": "3", "RATE_LIMIT_GATE": "4"}, nil)
	first, second := g.bearer(t), g.bearer(t)
	scan := func(path, token string) reply {
		return g.ask(t, "POST", path, strings.NewReader("{}"), "Authorization", token, "Origin", origin)
	}
	var refused reply
	for range 10 { // a new minute may begin in between
		if refused = scan("/verify", first); refused.status == 429 {
			break
		}
		time.Sleep(counted)
	}
	refused.wantError(t, 429, "RATE_LIMITED")
	if wait, err := strconv.Atoi(refused.header.Get("Retry-After")); err != nil || wait < 1 || wait > 60 {
		t.Errorf("Retry-After %q", refused.header.Get("Retry-After"))
	}
	if refused.header.Get("Access-Control-Allow-Origin") != origin {
		t.Error("no CORS header")
	}
	if time.Now().Second() > 1 {
		for _, path := range []string{"/api/verify", "/tickets/verify", "/gate/" + id + "/scans"} {
			if got := scan(path, first); got.status != 429 {
				t.Errorf("%s has a limit of its own: %d", path, got.status)
			}
		}
	}
	if got := scan("/verify", second); got.status != 200 || got.header.Get("RateLimit-Limit") != "4" {
		t.Errorf("another token: %d, limit %q", got.status, got.header.Get("RateLimit-Limit"))
	}
	g.ask(t, "POST", "/verify", nil, "Authorization", "Bearer garbage").wantError(t, 401, "UNAUTHORIZED")
	if got := g.ask(t, "GET", "/events", nil); got.status != 200 {
		t.Errorf("a customer at the same address: %d", got.status)
	}
}

// Too many concurrent requests to one path are refused by the gateway, with our message; other paths are not affected,
// and afterwards all is as before.
func TestACrowdAtOnePath(t *testing.T) {
	const crowd = 400
	release := make(chan struct{})
	busy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/events" {
			<-release
		}
	}))
	defer busy.Close()
	let := sync.OnceFunc(func() { close(release) })
	defer let()
	env := maps.Clone(generous)
	env["ORCHESTRATOR_URL"] = busy.URL
	g := own(t, env, nil)
	answers := make(chan reply, crowd)
	for range crowd {
		go func() { answers <- g.ask(t, "GET", "/events", nil, "Origin", origin) }()
	}
	for range crowd - 296 { // the bound
		select {
		case got := <-answers:
			got.wantError(t, 429, "RATE_LIMITED")
			if got.header.Get("Retry-After") != "1" || got.header.Get("Access-Control-Allow-Origin") != origin {
				t.Fatalf("refused with %v", got.header)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("only %d of %d are refused", len(answers), crowd)
		}
	}
	if got := g.ask(t, "GET", "/health", nil); got.status != 200 {
		t.Errorf("another path: %d", got.status)
	}
	let()
	for range 200 {
		if got := <-answers; got.status != 200 && got.status != 429 {
			t.Errorf("one of the crowd: %d", got.status)
		}
	}
	for range 96 {
		<-answers
	}
	if got := g.ask(t, "GET", "/events", nil); got.status != 200 {
		t.Errorf("afterwards: %d", got.status)
	}
}

func TestOriginsAreASetting(t *testing.T) {
	g := own(t, map[string]string{"CORS_ORIGINS": "https://tickets.example, https://www.tickets.example"}, nil)
	for asked, want := range map[string]string{"https://www.tickets.example": "https://www.tickets.example", origin: ""} {
		if got := g.ask(t, "GET", "/events", nil, "Origin", asked).header.Get("Access-Control-Allow-Origin"); got != want {
			t.Errorf("%s: %q", asked, got)
		}
	}
}

func TestServiceIsDown(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	g := own(t, map[string]string{"ORCHESTRATOR_URL": "http://" + l.Addr().String()}, nil)
	began := time.Now()
	got := g.ask(t, "GET", "/events", nil, "Origin", origin)
	got.wantError(t, 502, "SERVICE_UNAVAILABLE")
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("it took %s to say so", took)
	}
	if got.header.Get("Access-Control-Allow-Origin") != origin {
		t.Error("no CORS header")
	}
	g.ask(t, "POST", "/auth/login", nil).heard(t) // the other service goes on
}

func TestServiceHangs(t *testing.T) {
	release := make(chan struct{})
	hanging := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer hanging.Close()
	defer close(release)
	g := own(t, map[string]string{"ORCHESTRATOR_URL": hanging.URL}, func(kongYML string) string {
		return strings.NewReplacer("read_timeout: 15000", "read_timeout: 200", "write_timeout: 15000", "write_timeout: 200").Replace(kongYML)
	})
	g.ask(t, "GET", "/events", nil).wantError(t, 504, "SERVICE_UNAVAILABLE")
}

// A request whose connection breaks is answered 502 and never sent again: it may have been carried out.
func TestRequestsAreNotRetried(t *testing.T) {
	var got atomic.Int32
	breaking := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/health" {
			return // leaves a connection open for the next request to use
		}
		got.Add(1)
		panic(http.ErrAbortHandler)
	}))
	defer breaking.Close()
	g := own(t, map[string]string{"ORCHESTRATOR_URL": breaking.URL}, nil)
	for _, path := range []string{"/pay", "/reserve"} {
		g.ask(t, "GET", "/health", nil)
		g.ask(t, "POST", path, strings.NewReader("{}"), "Authorization", g.bearer(t)).wantError(t, 502, "SERVICE_UNAVAILABLE")
	}
	if n := got.Load(); n != 2 {
		t.Errorf("2 requests arrived %d times", n)
	}
}

func TestWhatAServiceLearnsOfItsClient(t *testing.T) {
	g := own(t, nil, nil)
	h := g.ask(t, "GET", "/api/events?b=2&a=1&a=%2F", nil, "X-Forwarded-For", "10.9.9.9", "X-Real-IP", "10.9.9.9").heard(t)
	if h.Query != "b=2&a=1&a=%2F" {
		t.Errorf("query %q", h.Query)
	}
	if got := h.Header.Get("X-Forwarded-For"); got != "10.9.9.9, 127.0.0.1" {
		t.Errorf("X-Forwarded-For %q: appended to, so that the last is true", got)
	}
	if got := h.Header.Get("X-Real-IP"); got != "127.0.0.1" {
		t.Errorf("X-Real-IP %q", got)
	}
	if strings.Contains(g.url, h.Host) {
		t.Errorf("Host %q is the gateway's, want the service's", h.Host)
	}
}
