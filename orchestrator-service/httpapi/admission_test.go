package httpapi

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"ticketremaster/orchestrator-service/saga"
	"ticketremaster/platform/metrics/metricstest"
)

// Requests beyond the slots and the queue are refused at once, the queue is served, and afterwards all is as before.
func TestAdmissionBoundsTheWorkInFlight(t *testing.T) {
	const slots = 2
	release := make(chan struct{})
	var mu sync.Mutex
	now, most := 0, 0
	h := admit("test", slots, mostWaiting, 100*time.Millisecond)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
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
	refusedBefore := metricstest.Value(t, "admission_refused_total", "queue=test")
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
	if n := metricstest.Value(t, "admission_in_flight", "queue=test"); n != slots {
		t.Errorf("%v are shown in flight", n)
	}
	close(release)
	all.Wait()
	if n := metricstest.Value(t, "admission_refused_total", "queue=test") - refusedBefore; n != float64(refused) {
		t.Errorf("%v of %d refusals are shown", n, refused)
	}
	for _, gauge := range []string{"admission_in_flight", "admission_waiting"} {
		if n := metricstest.Value(t, gauge, "queue=test"); n != 0 {
			t.Errorf("%s is %v afterwards", gauge, n)
		}
	}
	if most != slots || served != slots {
		t.Errorf("%d at once, %d served, %d refused", most, served, refused)
	}
	if w := call(); w.Code != http.StatusOK {
		t.Errorf("afterwards: %d", w.Code)
	}
}

// A queue is served in order of arrival. In a burst many requests may wait; if it lasts, few; once none had to wait,
// many again.
func TestARushAndACrowdThatStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const steady = 10
		a := &admission{gauges: show("test", 1), steady: steady, maxWait: time.Minute, free: 1}
		a.enter(t.Context())
		served := make(chan int, mostWaiting)
		came := 0
		come := func(n int) (waiting int) {
			for range n {
				go func(i int) {
					if a.enter(t.Context()) {
						served <- i
					}
				}(came)
				came++
				synctest.Wait()
			}
			return len(a.waiting)
		}
		if n := come(mostWaiting + 5); n != mostWaiting {
			t.Errorf("%d wait in a burst", n)
		}
		serve := func(n int) {
			for range n {
				a.leave(false)
				<-served
			}
		}
		for i := range 150 {
			a.leave(false)
			if next := <-served; next != i {
				t.Fatalf("number %d goes when it is number %d's turn", next, i)
			}
		}
		if n := come(1); n != 51 {
			t.Errorf("%d wait while the burst ends", n)
		}
		time.Sleep(longestBurst + time.Millisecond)
		if n := come(1); n != 51 {
			t.Errorf("%d wait though the burst does not end", n)
		}
		serve(45)
		if n := come(20); n != steady {
			t.Errorf("%d wait under lasting overload", n)
		}
		serve(steady)
		if n := come(50); n != 50 {
			t.Errorf("%d wait in the next burst", n)
		}
		serve(50)
		a.steady = 2 * mostWaiting
		come(1)
		time.Sleep(longestBurst + time.Millisecond)
		if n := come(mostWaiting + 5); n != mostWaiting {
			t.Errorf("%d wait where more slots are than may wait", n)
		}
		serve(mostWaiting)
		a.leave(false)
		if a.free != 1 || len(a.waiting) != 0 {
			t.Errorf("%d slots are free afterwards, %d wait", a.free, len(a.waiting))
		}
	})
}

// A client that disconnects leaves the queue, and no slot is lost.
func TestWhoHasGoneDoesNotWait(t *testing.T) {
	a := &admission{gauges: show("test", 1), maxWait: time.Minute, free: 1}
	a.enter(t.Context())
	ctx, goAway := context.WithCancel(t.Context())
	goAway()
	if a.enter(ctx) || len(a.waiting) != 0 {
		t.Errorf("%d wait", len(a.waiting))
	}
	a.leave(false)
	if a.free != 1 {
		t.Errorf("%d slots are free", a.free)
	}
}

// A request that only waits releases its slot, once however often it says so; if too many do, the rest keep theirs.
func TestWhoOnlyWaitsGivesItsSlotBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		end := make(chan struct{})
		a := &admission{gauges: show("test", 1), steady: mostWaiting, maxWait: time.Second, free: 1}
		h := a.admit(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			saga.Waiting(r.Context())
			saga.Waiting(r.Context())
			if r.Method == http.MethodPost {
				<-end
			}
		}))
		ask := func(method string) int {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest(method, "/pay", nil))
			return w.Code
		}
		for range mostIdle {
			go ask(http.MethodPost)
			synctest.Wait()
		}
		if code := ask(http.MethodGet); code != http.StatusOK {
			t.Errorf("another is answered %d", code)
		}
		go ask(http.MethodPost) // one too many: it keeps the only slot
		synctest.Wait()
		if code := ask(http.MethodGet); code != http.StatusTooManyRequests {
			t.Errorf("with too many that wait, another is answered %d", code)
		}
		close(end)
		synctest.Wait()
		if code := ask(http.MethodGet); code != http.StatusOK || a.free != 1 || a.idle != 0 {
			t.Errorf("afterwards another is answered %d, %d slots are free, %d requests wait without one", code, a.free, a.idle)
		}
	})
}
