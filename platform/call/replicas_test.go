package call_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ticketremaster/platform/call"
	"ticketremaster/platform/web"
)

// server counts the calls that it answers.
func server(t *testing.T, answer func() bool) (url string, calls *atomic.Int32) {
	calls = new(atomic.Int32)
	s := httptest.NewServer(web.Handler(func(w http.ResponseWriter, r *http.Request) error {
		calls.Add(1)
		if !answer() {
			<-r.Context().Done()
			return r.Context().Err()
		}
		return web.OK(w, nil)
	}))
	t.Cleanup(s.Close)
	return s.URL, calls
}

func always() bool { return true }

func TestCallsGoToAllReplicas(t *testing.T) {
	one, ofOne := server(t, always)
	other, ofOther := server(t, always)
	c := call.Client{Name: "the service", BaseURL: one + ", " + other}
	for range 100 {
		if err := c.Do(t.Context(), http.MethodGet, "/", nil, nil); err != nil {
			t.Fatal(err)
		}
	}
	if ofOne.Load() < 20 || ofOther.Load() < 20 {
		t.Errorf("%d and %d calls", ofOne.Load(), ofOther.Load())
	}
}

// A replica that is gone costs no call; one that hangs costs few, and is asked again once it works.
func TestAReplicaThatDoesNotAnswer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	well, _ := server(t, always)
	c := call.Client{Name: "the service", BaseURL: "http://" + l.Addr().String() + "," + well}
	for range 100 {
		if err := c.Do(t.Context(), http.MethodGet, "/", nil, nil); err != nil {
			t.Fatal("with one that is gone:", err)
		}
	}
	var works atomic.Bool
	hanging, calls := server(t, works.Load)
	c = call.Client{Name: "the service", BaseURL: strings.Join([]string{hanging, well}, ","), Timeout: 1100 * time.Millisecond}
	failed := 0
	for calls.Load() == 0 {
		if err := c.Do(t.Context(), http.MethodGet, "/", nil, nil); err != nil {
			failed++
		}
	}
	for range 30 { // within restFor
		if err := c.Do(t.Context(), http.MethodGet, "/", nil, nil); err != nil {
			failed++
		}
	}
	if failed != 1 || calls.Load() != 1 {
		t.Errorf("%d calls failed, %d reached the replica that hangs", failed, calls.Load())
	}
	works.Store(true)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for calls.Load() == 1 {
		if err := c.Do(ctx, http.MethodGet, "/", nil, nil); err != nil {
			t.Fatal("it works again, and is never asked:", err)
		}
	}
}
