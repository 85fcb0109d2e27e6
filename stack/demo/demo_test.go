package demo

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ticketremaster/stack"
	"ticketremaster/stack/client"
	"ticketremaster/stack/qr"
)

// The demo runs twice in a row on a stack of its own, the second time as against a system that runs elsewhere. Then the
// commands of docs/tour.md work on it.
func TestPlay(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	s, err := stack.Boot(ctx, stack.Options{Private: true, Unsafe: true, Env: map[string]string{"BCRYPT_COST": "4"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	const email, password = "admin@ticketremaster.example", "demo-password"
	if _, err := s.Command(ctx, "user-service", []string{"ADMIN_PASSWORD=" + password}, "create-admin", email, "+6590000001"); err != nil {
		t.Fatal(err)
	}
	target := Target{App: &client.App{Gateway: s.URL(), Sandbox: s.SandboxURL()}, Operator: Native{s}, AdminEmail: email, Password: password, QRKey: key(t, s.Secret("QR_ENCRYPTION_KEY"))}
	play := func(want ...string) {
		t.Helper()
		var out bytes.Buffer
		if err := Play(ctx, target, &out); err != nil {
			t.Fatalf("%v\n%s", err, &out)
		}
		for _, text := range want {
			if !strings.Contains(out.String(), text) {
				t.Errorf("the demo does not show %q:\n%s", text, &out)
			}
		}
		if strings.Contains(out.String(), "\x1b") {
			t.Error("there are colours, though this is no terminal")
		}
	}
	play("Alice's credit_balance 1000.00 → 650.00", "402 INSUFFICIENT_CREDITS", "428 OTP_REQUIRED", "because HOLD_EXPIRED", "charged once, though asked for twice",
		"429 OTP_MAX_RETRIES", "transfer DISPUTED", "transfer REVERSED",
		"SUCCESS ", "DUPLICATE ", "UNPAID ", "NOT_FOUND ", "WRONG_HALL ", "EXPIRED ", "each of the 7 decided scans", "none is 429", "The payment for this ticket was taken back", "the conflict names both: south, and north before it", "✓ every answer")
	target.Operator, target.QRKey = nil, nil
	play("not shown here: they need a hold of a few seconds", "UNPAID and EXPIRED are not shown", "each of the 4 decided scans", "✓ every answer")
	runTour(ctx, t, s)
}

// An unexpected answer ends the demo and is printed.
func TestUnexpectedAnswer(t *testing.T) {
	gateway := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusTeapot)
	}))
	defer gateway.Close()
	var out bytes.Buffer
	err := Play(t.Context(), Target{App: &client.App{Gateway: gateway.URL, Sandbox: gateway.URL}, AdminEmail: "a@example.com", Password: "p"}, &out)
	if err == nil || !strings.Contains(out.String(), "✗") || !strings.Contains(out.String(), "418") {
		t.Errorf("error %v, told:\n%s", err, &out)
	}
}

// A request refused by the gateway's rate limit is sent again as a whole when the limit allows; a service's own 429 is
// an answer.
func TestRateLimitIsWaitedFor(t *testing.T) {
	var calls atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := calls.Add(1)
		body := make([]byte, 4)
		_, _ = r.Body.Read(body)
		switch {
		case string(body) != "body":
			w.WriteHeader(http.StatusBadRequest)
		case n == 1:
			w.Header().Set("RateLimit-Reset", "1")
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusTooManyRequests)
		case n == 2:
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusTooManyRequests)
		}
	}))
	defer server.Close()
	told := 0
	http := http.Client{Transport: &rateLimitWaiter{wait: func(string, ...any) { told++ }}}
	res, err := http.Post(server.URL, "text/plain", strings.NewReader("body"))
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != 429 || calls.Load() != 2 || told != 1 {
		t.Errorf("status %d after %d calls, told %d times", res.StatusCode, calls.Load(), told)
	}
}

func key(t *testing.T, text string) *qr.Key {
	t.Helper()
	k, err := qr.ParseKey(text)
	if err != nil {
		t.Fatal(err)
	}
	return &k
}
