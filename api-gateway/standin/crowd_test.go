package standin

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// A crowd at one route is bounded: more is refused at once, other routes stay open, and afterwards all is as before.
func TestACrowdAtOneRoute(t *testing.T) {
	var mu sync.Mutex
	inside := 0
	hold := make(chan struct{})
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/events" {
			mu.Lock()
			inside++
			mu.Unlock()
			<-hold
		}
		io.WriteString(w, `{"success":true}`)
	}))
	defer upstream.Close()
	g, err := New([]byte(rendered(t, map[string]string{"ORCHESTRATOR_URL": upstream.URL})))
	if err != nil {
		t.Fatal(err)
	}
	get := func(path string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		g.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/api"+path, nil))
		return w
	}
	var all sync.WaitGroup
	for range rushBound {
		all.Go(func() {
			if w := get("/events"); w.Code != http.StatusOK {
				t.Errorf("one within the bound got %d", w.Code)
			}
		})
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		mu.Lock()
		n := inside
		mu.Unlock()
		if n == rushBound {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("only %d are inside", n)
		}
	}
	if w := get("/events"); w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") != "1" || !strings.Contains(w.Body.String(), "RATE_LIMITED") {
		t.Errorf("one more: %d %v %s", w.Code, w.Header(), w.Body)
	}
	if w := get("/docs"); w.Code != http.StatusOK {
		t.Errorf("another route: %d", w.Code)
	}
	close(hold)
	all.Wait()
	if w := get("/events"); w.Code != http.StatusOK {
		t.Errorf("afterwards: %d", w.Code)
	}
}

// In a rush many are let in; when it does not end, fewer; and once few were inside, many again.
func TestARushAndACrowdThatStays(t *testing.T) {
	var c crowd
	now := time.Now()
	enter := func(most int) (entered int) {
		for range most {
			if c.enter(now) {
				entered++
			}
		}
		return entered
	}
	leave := func(n int) {
		for range n {
			c.leave()
		}
	}
	if n := enter(500); n != rushBound {
		t.Errorf("%d are let in in a rush", n)
	}
	leave(rushBound - steadyBound)
	if n := enter(500); n != rushBound-steadyBound {
		t.Errorf("%d more are let in while the rush lasts", n)
	}
	now = now.Add(aRush + time.Millisecond)
	leave(rushBound - 100)
	if n := enter(500); n != steadyBound-100 {
		t.Errorf("%d are inside though the rush does not end", 100+n)
	}
	leave(steadyBound)
	if n := enter(500); n != rushBound {
		t.Errorf("%d are let in in the next rush", n)
	}
}
