package httpapi

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

// More than the slots and the queue can take is refused at once, the queue is served, and afterwards all is as before.
func TestAdmissionBoundsTheWorkInFlight(t *testing.T) {
	const slots = 2
	release := make(chan struct{})
	var mu sync.Mutex
	now, most := 0, 0
	h := admit(slots, 100*time.Millisecond)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		now++
		most = max(most, now)
		mu.Unlock()
		<-release
		mu.Lock()
		now--
		mu.Unlock()
	}))
	call := func() *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/reserve", nil))
		return w
	}
	var refused, served int
	var all sync.WaitGroup
	for range 2 * (slots + mostWaiting) {
		all.Go(func() {
			w := call()
			mu.Lock()
			defer mu.Unlock()
			switch w.Code {
			case http.StatusOK:
				served++
			case http.StatusTooManyRequests:
				refused++
				if w.Header().Get("Retry-After") != "1" {
					t.Errorf("Retry-After %q", w.Header().Get("Retry-After"))
				}
			}
		})
	}
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) { // until all that can wait was refused
		mu.Lock()
		done := refused >= 2*(slots+mostWaiting)-slots
		mu.Unlock()
		if done {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("those that wait are not refused")
		}
	}
	close(release)
	all.Wait()
	if most != slots || served != slots {
		t.Errorf("%d at once, %d served, %d refused", most, served, refused)
	}
	if w := call(); w.Code != http.StatusOK {
		t.Errorf("afterwards: %d", w.Code)
	}
}

// A queue is served in the order in which it came, a crowd from its end; and nobody who can wait is refused.
func TestWhoGoesNext(t *testing.T) {
	for name, c := range map[string]struct{ waiting, next int }{"a queue": {aCrowd, 0}, "a crowd": {aCrowd + 1, aCrowd}} {
		a := &admission{patience: 10 * time.Second, free: 1}
		a.enter(t.Context())
		turns := make(chan int, c.waiting)
		for i := range c.waiting {
			go func() {
				if a.enter(t.Context()) {
					turns <- i
				}
			}()
			for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
				a.mu.Lock()
				n := len(a.waiting)
				a.mu.Unlock()
				if n == i+1 {
					break
				}
				if time.Now().After(deadline) {
					t.Fatal("it does not wait")
				}
			}
		}
		a.leave()
		if got := <-turns; got != c.next {
			t.Errorf("of %s of %d number %d goes next, want %d", name, c.waiting, got, c.next)
		}
		served := map[int]bool{c.next: true}
		for len(served) < c.waiting {
			a.leave()
			served[<-turns] = true
		}
		a.leave()
		if a.free != 1 || len(a.waiting) != 0 {
			t.Errorf("%s: %d slots are free afterwards, %d wait", name, a.free, len(a.waiting))
		}
	}
}

// A client that has gone leaves the queue, and no slot is lost.
func TestWhoHasGoneDoesNotWait(t *testing.T) {
	a := &admission{patience: time.Minute, free: 1}
	a.enter(t.Context())
	ctx, goAway := context.WithCancel(t.Context())
	goAway()
	if a.enter(ctx) || len(a.waiting) != 0 {
		t.Errorf("%d wait", len(a.waiting))
	}
	a.leave()
	if a.free != 1 {
		t.Errorf("%d slots are free", a.free)
	}
}
