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

// Concurrent requests to one route are bounded: more are refused at once, other routes are not affected, and afterwards
// all is as before.
func TestACrowdAtOneRoute(t *testing.T) {
	inside, hold := make(chan struct{}, 2*rushBound), make(chan struct{})
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/events" {
			inside <- struct{}{}
			<-hold
		}
		io.WriteString(w, `{"success":true}`)
	}))
	defer upstream.Close()
	let := sync.OnceFunc(func() { close(hold) })
	defer let()
	began := time.Now() // a rush on a slow machine is one too
	g, err := build([]byte(rendered(t, map[string]string{"ORCHESTRATOR_URL": upstream.URL})), func() time.Time { return began })
	if err != nil {
		t.Fatal(err)
	}
	url := served(t, g)
	get := func(path string) reply { return ask(t, http.MethodGet, url+"/api"+path, nil) }
	var all sync.WaitGroup
	for range rushBound {
		all.Go(func() {
			if w := get("/events"); w.status != http.StatusOK {
				t.Errorf("one within the bound got %d", w.status)
			}
		})
	}
	tooLate := time.After(10 * time.Second)
	for n := range rushBound {
		select {
		case <-inside:
		case <-tooLate:
			t.Fatalf("only %d are inside", n)
		}
	}
	if w := get("/events"); w.status != http.StatusTooManyRequests || w.header.Get("Retry-After") != "1" || !strings.Contains(w.body, "RATE_LIMITED") {
		t.Errorf("one more: %d %v %s", w.status, w.header, w.body)
	}
	if w := get("/docs"); w.status != http.StatusOK {
		t.Errorf("another route: %d", w.status)
	}
	let()
	all.Wait()
	if w := get("/events"); w.status != http.StatusOK {
		t.Errorf("afterwards: %d", w.status)
	}
}

// A burst is admitted up to the wide bound; if it lasts, up to the narrow one; after few were in flight, up to the wide
// one again.
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
	const many = fewInside + 10
	leave(rushBound - many)
	if n := enter(500); n != steadyBound-many {
		t.Errorf("%d are inside though the rush does not end", many+n)
	}
	leave(steadyBound)
	if n := enter(500); n != rushBound {
		t.Errorf("%d are let in in the next rush", n)
	}
}
