package httpapi

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"time"

	"ticketremaster/platform/fault"
	"ticketremaster/platform/web"
)

const (
	// mostWaiting bounds those who wait for a slot: more would wait in vain.
	mostWaiting = 200
	// aCrowd is how many wait when it is no longer who came first that goes first.
	aCrowd = 120
)

var errCrowded = func() *fault.Error {
	e := fault.New(fault.TooMany, fault.CodeRateLimited, "Many people want tickets right now. Please try again in a moment.")
	e.RetryAfter = time.Second
	return e
}()

// admission bounds the work in flight. Beyond what the machine can do at once, more of it makes everyone slower; so the rest
// waits its turn for a moment and is then refused. First come, first served; but in a crowd who came last goes first: of more
// than can be served, those who are served are served promptly, and who has waited in vain already is refused.
type admission struct {
	patience time.Duration // how long a request waits
	mu       sync.Mutex
	free     int             // slots
	waiting  []chan struct{} // in the order they came
}

// admit lets that many requests work at once, and more wait for that long. 429, not 503: the web app takes 503 for an outage.
func admit(slots int, patience time.Duration) func(http.Handler) http.Handler {
	a := &admission{patience: patience, free: slots}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !a.enter(r.Context()) {
				web.Fail(r.Context(), w, errCrowded)
				return
			}
			defer a.leave()
			next.ServeHTTP(w, r)
		})
	}
}

// enter gets a slot; false if too many wait, the wait is too long, or the client is gone.
func (a *admission) enter(ctx context.Context) bool {
	a.mu.Lock()
	if a.free > 0 {
		a.free--
		a.mu.Unlock()
		return true
	}
	if len(a.waiting) >= mostWaiting {
		a.mu.Unlock()
		return false
	}
	turn := make(chan struct{})
	a.waiting = append(a.waiting, turn)
	a.mu.Unlock()
	patience := time.NewTimer(a.patience)
	defer patience.Stop()
	select {
	case <-turn:
		return true
	case <-patience.C:
	case <-ctx.Done():
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if i := slices.Index(a.waiting, turn); i >= 0 {
		a.waiting = slices.Delete(a.waiting, i, i+1)
		return false
	}
	return true // its turn came at the same moment
}

// leave gives the slot on.
func (a *admission) leave() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.waiting) == 0 {
		a.free++
		return
	}
	next := 0
	if len(a.waiting) > aCrowd {
		next = len(a.waiting) - 1
	}
	close(a.waiting[next])
	a.waiting = slices.Delete(a.waiting, next, next+1)
}
