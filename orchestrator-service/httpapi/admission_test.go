package httpapi

import (
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
	h := admit(slots)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
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
	for range slots * (1 + waitingPerSlot) * 2 {
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
		done := refused >= slots*(1+waitingPerSlot)*2-slots
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

func TestTheQueueIsServed(t *testing.T) {
	h := admit(1)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	var all sync.WaitGroup
	for range waitingPerSlot {
		all.Go(func() {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/pay", nil))
			if w.Code != http.StatusOK {
				t.Errorf("one that had only to wait its turn got %d", w.Code)
			}
		})
	}
	all.Wait()
}
