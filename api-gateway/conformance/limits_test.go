package conformance

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

const kilobyte = 1 << 10

func TestBodySizes(t *testing.T) {
	for name, c := range map[string]struct {
		path   string
		size   int
		refuse bool
	}{
		"64 KB":            {"/reserve", 64 * kilobyte, false},
		"above 64 KB":      {"/reserve", 64*kilobyte + 1, true},
		"under /api":       {"/api/pay", 64*kilobyte + 1, true},
		"webhook, 256 KB":  {"/webhooks/stripe", 256 * kilobyte, false},
		"webhook, above":   {"/webhooks/stripe", 256*kilobyte + 1, true},
		"webhook, api":     {"/api/webhooks/stripe", 200 * kilobyte, false},
		"nowhere, 100 KB":  {"/internal", 100 * kilobyte, true},
		"login, too large": {"/auth/login", 65 * kilobyte, true},
	} {
		for _, chunked := range []bool{false, true} {
			if chunked {
				name += ", length unknown"
			}
			t.Run(name, func(t *testing.T) {
				var content io.Reader = strings.NewReader(strings.Repeat("x", c.size))
				if chunked {
					content = io.MultiReader(content) // hides the length
				}
				got := shared.ask(t, "POST", c.path, content, "Authorization", shared.bearer(t), "Content-Type", "application/json")
				if c.refuse {
					got.wantError(t, 413, "PAYLOAD_TOO_LARGE")
					return
				}
				if got.byGateway(413) {
					t.Errorf("refused: %s", got.body)
				}
				if shared.echoes && got.heard(t).Length != c.size {
					t.Errorf("the service got %d bytes", got.heard(t).Length)
				}
			})
		}
	}
	got := shared.ask(t, "POST", "/reserve", strings.NewReader(strings.Repeat("x", 65*kilobyte)), "Authorization", shared.bearer(t), "Expect", "100-continue")
	got.wantError(t, http.StatusExpectationFailed, "PAYLOAD_TOO_LARGE")
}

// Every answer says how many requests are left, and the calls of a minute's use of the app stay well below the limit.
func TestRateLimitIsTold(t *testing.T) {
	left := func(path string) (limit, remaining, reset int) {
		h := shared.ask(t, "POST", path, strings.NewReader("{}")).header
		number := func(name string) int {
			n, err := strconv.Atoi(h.Get(name))
			if err != nil {
				t.Errorf("%s: %s is %q", path, name, h.Get(name))
			}
			return n
		}
		if number("X-RateLimit-Limit-Minute") != number("RateLimit-Limit") || number("X-RateLimit-Remaining-Minute") != number("RateLimit-Remaining") {
			t.Errorf("%s: the two spellings differ: %v", path, h)
		}
		return number("RateLimit-Limit"), number("RateLimit-Remaining"), number("RateLimit-Reset")
	}
	for _, path := range []string{"/auth/login", "/auth/resend-otp", "/internal"} {
		limit, before, reset := left(path)
		_, after, later := left(path)
		if after >= before && later <= reset { // unless a new minute began between the two
			t.Errorf("%s: %d left, then %d", path, before, after)
		}
		if reset < 1 || reset > 60 {
			t.Errorf("%s: window ends in %d s", path, reset)
		}
		if path == "/internal" && limit < 90 {
			t.Errorf("%d calls a minute: a walk through the app makes 45", limit)
		}
	}
}

// Beyond the limit requests are answered 429 with a correct Retry-After. Other services' paths are not affected.
func TestRateLimit(t *testing.T) {
	g := shared
	if g.echoes {
		g = own(t, map[string]string{"RATE_LIMIT_OTP": "5"}, nil)
	}
	try := func(path string) reply { return g.ask(t, "POST", path, strings.NewReader("{}"), "Origin", origin) }
	limit, _ := strconv.Atoi(try("/auth/password/reset").header.Get("RateLimit-Limit"))
	if limit == 0 || limit > 1000 {
		t.Logf("the limit is %d, as for a load test: it is not exhausted", limit)
		if limit == 0 {
			t.Error("no limit")
		}
		return
	}
	var refused reply
	for range 2*limit + 2 { // twice, as a new minute may begin in between
		if refused = try("/auth/password/reset"); refused.status == 429 {
			break
		}
	}
	refused.wantError(t, 429, "RATE_LIMITED")
	wait, err := strconv.Atoi(refused.header.Get("Retry-After"))
	if err != nil || wait < 1 || wait > 60 {
		t.Errorf("Retry-After: %q", refused.header.Get("Retry-After"))
	}
	if refused.header.Get("Access-Control-Allow-Origin") != origin {
		t.Error("no CORS header on 429: the app would take it for a network failure")
	}
	if got := try("/auth/password/reset-request"); !got.byGateway(429) && wait > 2 { // else a new minute may have begun
		t.Errorf("another path of the same limit: %d", got.status)
	}
	if got := try("/auth/login"); got.byGateway(429) {
		t.Error("the limit on codes bars the login")
	}
	if g.echoes {
		return
	}
	// The limit counts minutes of the clock: the rest of this one must pass.
	for deadline := time.Now().Add(time.Duration(wait+3) * time.Second); try("/auth/password/reset").status == 429; time.Sleep(time.Second) {
		if time.Now().After(deadline) {
			t.Fatalf("still refused after the %d s of Retry-After", wait)
		}
	}
}
