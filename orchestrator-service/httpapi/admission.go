package httpapi

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"time"

	"ticketremaster/orchestrator-service/saga"
	"ticketremaster/platform/fault"
	"ticketremaster/platform/web"
)

const (
	// mostWaiting bounds the requests that wait for a slot in a burst: when an on-sale begins, or two hundred users
	// want one seat.
	mostWaiting = 200
	// longestBurst is how long a burst may last. A queue that has not been empty for longer does not get shorter, and
	// waiting in it gains nothing.
	longestBurst = 150 * time.Millisecond
	// mostIdle bounds the requests that wait for a saga without a slot. Beyond it they keep theirs: a saga that is stuck
	// is tried again and again, so in an outage of another service their number must not grow without end.
	mostIdle = 1_000
)

var errCrowded = func() *fault.Error {
	e := fault.New(fault.TooMany, fault.CodeRateLimited, "Many people want tickets right now. Please try again in a moment")
	e.RetryAfter = time.Second
	return e
}()

// admission bounds the requests in flight, since more at once would make all of them slower. The others wait in a
// queue, first come, first served; beyond its bound they are refused at once.
type admission struct {
	gauges
	steady  int           // the queue's bound when a burst does not end, mostWaiting at most
	maxWait time.Duration // how long a request waits
	mu      sync.Mutex
	free    int             // slots
	waiting []chan struct{} // in the order they came
	noneAt  time.Time       // when last nobody waited
	idle    int             // requests that gave their slot back before they ended
}

// admit admits slots requests of the queue of that name at once; others wait for at most maxWait: 200 of them, or steady when the queue does not
// get shorter. A request that only waits for a saga gives its slot back before it has ended. 429, not 503: the web app
// takes 503 for an outage.
func admit(name string, slots, steady int, maxWait time.Duration) func(http.Handler) http.Handler {
	return (&admission{gauges: show(name, slots), steady: steady, maxWait: maxWait, free: slots}).admit
}

func (a *admission) admit(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !a.enter(r.Context()) {
			a.refused.Inc()
			web.Fail(r.Context(), w, errCrowded)
			return
		}
		idle := false
		defer func() { a.leave(idle) }()
		next.ServeHTTP(w, r.WithContext(saga.OnWait(r.Context(), func() { idle = idle || a.giveBack() })))
	})
}

// enter gets a slot; false if too many wait, the wait becomes too long, or the client is gone.
func (a *admission) enter(ctx context.Context) bool {
	a.mu.Lock()
	if a.free > 0 {
		a.free--
		a.inFlight.Inc()
		a.mu.Unlock()
		return true
	}
	if len(a.waiting) >= a.bound() {
		a.mu.Unlock()
		return false
	}
	turn := make(chan struct{})
	a.waiting = append(a.waiting, turn)
	a.mu.Unlock()
	a.queued.Inc()
	defer a.queued.Dec()
	timeout := time.NewTimer(a.maxWait)
	defer timeout.Stop()
	select {
	case <-turn:
		return true
	case <-timeout.C:
	case <-ctx.Done():
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if i := slices.Index(a.waiting, turn); i >= 0 {
		a.waiting = slices.Delete(a.waiting, i, i+1)
		return false
	}
	return true // it got a slot at the same moment
}

// bound is how many requests may wait now.
func (a *admission) bound() int {
	now := time.Now()
	if len(a.waiting) == 0 {
		a.noneAt = now
	}
	if now.Sub(a.noneAt) > longestBurst {
		return min(a.steady, mostWaiting)
	}
	return mostWaiting
}

// giveBack passes the slot to the next request before its own has ended; false if too many have done so.
func (a *admission) giveBack() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.idle >= mostIdle {
		return false
	}
	a.idle++
	a.next()
	return true
}

// leave ends a request, idle if it gave its slot back before.
func (a *admission) leave(idle bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if idle {
		a.idle--
		return
	}
	a.next()
}

// next passes a slot to the request that has waited longest. It needs the lock.
func (a *admission) next() {
	if len(a.waiting) == 0 {
		a.free++
		a.inFlight.Dec()
		return
	}
	close(a.waiting[0])
	a.waiting = slices.Delete(a.waiting, 0, 1)
}
