package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"ticketremaster/platform/testenv"
	"ticketremaster/platform/token"
)

func TestMain(m *testing.M) { testenv.RunMain(m, main) }

const jwtSecret = "a secret of thirty-two characters or more"

// users is a fake of the user service's feed of revoked sessions.
func users(t *testing.T, answer http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(answer)
	t.Cleanup(s.Close)
	return s.URL
}

func nobodyRevoked(w http.ResponseWriter, _ *http.Request) {
	_, _ = w.Write([]byte(`{"success":true,"data":[]}`))
}

func required(t *testing.T, users string) []string {
	return append(testenv.BrokerEnv(t), "JWT_SECRET="+jwtSecret, "QR_ENCRYPTION_KEY="+strings.Repeat("07", 32), "INVENTORY_SERVICE_URL=127.0.0.1:1",
		"USER_SERVICE_URL="+users, "ORDER_SERVICE_URL=http://127.0.0.1:1", "EVENT_SERVICE_URL=http://127.0.0.1:1",
		"INVENTORY_TOKEN=a", "USER_TOKEN=b", "ORDER_TOKEN=c", "EVENT_TOKEN=d")
}

func TestProgram(t *testing.T) {
	testenv.ServiceProgram(t, "SAGA_DB_PASS", required(t, users(t, nobodyRevoked)))
}

// A new orchestrator learns of sessions that ended before its start from the user service. Until then it is not ready
// and accepts no token; then it refuses those sessions and serves the others.
func TestSessionsThatEndedBeforeTheStart(t *testing.T) {
	keys := token.Keys{Secret: []byte(jwtSecret), Issuer: "ticketremaster"}
	ended, alive := uuid.New(), uuid.New()
	sign := func(session uuid.UUID) string {
		s, err := keys.Sign(token.Caller{UserID: uuid.New(), Role: token.Customer, SessionID: session, ExpiresAt: time.Now().Add(time.Minute)})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	var reachable atomic.Bool
	feed := users(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case !reachable.Load():
			w.WriteHeader(http.StatusServiceUnavailable)
		case r.URL.Query().Get("after") == "0":
			_, _ = w.Write([]byte(`{"success":true,"data":[{"seq":9,"session_id":"` + ended.String() + `","until":"2099-01-01T00:00:00Z"}]}`))
		default:
			nobodyRevoked(w, r)
		}
	})
	addr := testenv.FreeAddr(t)
	p := testenv.NewProgram(t, append(append(testenv.DatabaseEnv(t, "SAGA_DB_PASS"), required(t, feed)...), "HTTP_ADDR="+addr))
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.Process.Signal(syscall.SIGTERM); _ = p.Wait() }()
	status := func(session uuid.UUID) int {
		// A reservation without a seat is refused once its caller is known, and needs no other service.
		r, err := http.NewRequest(http.MethodPost, "http://"+addr+"/reserve", strings.NewReader(`{}`))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+sign(session))
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			return 0
		}
		res.Body.Close()
		return res.StatusCode
	}
	until := func(within time.Duration, what string, healthy func(status int) bool) {
		t.Helper()
		for deadline := time.Now().Add(within); !healthy(testenv.Health(addr)); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("not within %s: %s: %s", within, what, p.Output)
			}
		}
	}
	until(30*time.Second, "it answers", func(status int) bool { return status != 0 })
	for _, session := range []uuid.UUID{ended, alive} {
		if got := status(session); got != http.StatusServiceUnavailable {
			t.Errorf("with the user service out of reach a token gets %d", got)
		}
	}
	if got := testenv.Health(addr); got != http.StatusServiceUnavailable {
		t.Errorf("with the user service out of reach its health is %d", got)
	}
	reachable.Store(true)
	until(10*time.Second, "it is ready, as it can judge everybody", func(status int) bool { return status == http.StatusOK })
	if got := status(ended); got != http.StatusUnauthorized {
		t.Errorf("the ended session gets %d", got)
	}
	if got := status(alive); got != http.StatusBadRequest {
		t.Errorf("the one that is alive gets %d, not that its reservation names no seat", got)
	}
}
