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
	for range maxInside {
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
		if n == maxInside {
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
