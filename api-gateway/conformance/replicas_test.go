package conformance

import (
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// replica is one orchestrator of several.
type replica struct {
	*httptest.Server
	asked, events atomic.Int32 // its health, and its events
	ready         atomic.Bool
}

func newReplica(t *testing.T) *replica {
	r := &replica{}
	r.ready.Store(true)
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path != "/health" {
			r.events.Add(1)
			return
		}
		r.asked.Add(1)
		if !r.ready.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	t.Cleanup(r.Close)
	return r
}

func withReplicas(t *testing.T, urls ...string) gateway {
	env := maps.Clone(generous)
	maps.Copy(env, map[string]string{"ORCHESTRATOR_URL": strings.Join(urls, ","), "UPSTREAM_RETRIES": "1", "UPSTREAM_PROBE_SECONDS": "1"})
	return own(t, env, nil)
}

// Requests go to all replicas that are ready, and to none that is not.
func TestReplicasTakeTurns(t *testing.T) {
	one, other := newReplica(t), newReplica(t)
	d := withReplicas(t, one.URL, other.URL)
	ask := func(n int) {
		for range n {
			if got := d.ask(t, "GET", "/events", nil); got.status != 200 {
				t.Fatal(got.status)
			}
		}
	}
	ask(40)
	if one.events.Load() < 10 || other.events.Load() < 10 {
		t.Fatalf("of 40 requests the replicas got %d and %d", one.events.Load(), other.events.Load())
	}
	other.ready.Store(false)
	until(t, func() bool { // it gets nothing
		before := other.events.Load()
		ask(20)
		return other.events.Load() == before
	})
	other.ready.Store(true)
	before := other.events.Load()
	until(t, func() bool { ask(5); return other.events.Load() > before })
}

// A replica that is gone costs no request an error, whatever its method.
func TestAReplicaThatIsGone(t *testing.T) {
	one := newReplica(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	d := withReplicas(t, one.URL, "http://"+l.Addr().String())
	for range 20 {
		if got := d.ask(t, "POST", "/reserve", strings.NewReader("{}"), "Authorization", d.bearer(t)); got.status != 200 {
			t.Fatal("POST:", got.status)
		}
		if got := d.ask(t, "GET", "/events", nil); got.status != 200 {
			t.Fatal("GET:", got.status)
		}
	}
}

// With another replica at hand, too, a POST whose connection broke is answered 502: it may have been carried out.
func TestAPostIsNotSentToAnotherReplica(t *testing.T) {
	var got atomic.Int32
	breaking := func() *httptest.Server {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/health" {
				return
			}
			got.Add(1)
			_, _ = io.Copy(io.Discard, r.Body)
			panic(http.ErrAbortHandler)
		}))
		t.Cleanup(s.Close)
		return s
	}
	d := withReplicas(t, breaking().URL, breaking().URL)
	for range 4 {
		d.ask(t, "POST", "/reserve", strings.NewReader("{}"), "Authorization", d.bearer(t)).wantError(t, 502, "SERVICE_UNAVAILABLE")
	}
	if n := got.Load(); n != 4 {
		t.Errorf("4 requests arrived %d times", n)
	}
}

func TestNoReplicaIsReady(t *testing.T) {
	one, other := newReplica(t), newReplica(t)
	one.ready.Store(false)
	other.ready.Store(false)
	d := withReplicas(t, one.URL, other.URL)
	until(t, func() bool { return d.ask(t, "GET", "/events", nil).status == 503 })
	d.ask(t, "GET", "/events", nil).wantError(t, 503, "SERVICE_UNAVAILABLE")
}

// until waits up to 10 s for what a probe each second changes.
func until(t *testing.T, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("not within 10 s")
		}
	}
}
