package httpapi

import (
	"net/http"
	"time"

	"ticketremaster/platform/fault"
	"ticketremaster/platform/web"
)

const (
	// admissionWait is how long a request waits for its turn: with the work itself it stays below the quarter of a
	// second in which an answer feels prompt.
	admissionWait = 150 * time.Millisecond
	// waitingPerSlot bounds the queue: more than that would wait in vain.
	waitingPerSlot = 16
)

var errCrowded = func() *fault.Error {
	e := fault.New(fault.TooMany, fault.CodeRateLimited, "Many people want tickets right now. Please try again in a moment.")
	e.RetryAfter = time.Second
	return e
}()

// admit bounds the work in flight. Beyond what the machine can do at once, more of it makes everyone slower; so the rest
// waits its turn for a moment, first come, first served, and is then refused fast. 429, not 503: the web app takes 503
// for an outage.
func admit(slots int) func(http.Handler) http.Handler {
	working, waiting := make(chan struct{}, slots), make(chan struct{}, slots*waitingPerSlot)
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			select {
			case working <- struct{}{}:
			default:
				if !queue(r, working, waiting) {
					web.Fail(r.Context(), w, errCrowded)
					return
				}
			}
			defer func() { <-working }()
			next.ServeHTTP(w, r)
		})
	}
}

// queue waits for a slot; false if the queue is full, the wait too long, or the client gone.
func queue(r *http.Request, working, waiting chan struct{}) bool {
	select {
	case waiting <- struct{}{}:
	default:
		return false
	}
	defer func() { <-waiting }()
	patience := time.NewTimer(admissionWait)
	defer patience.Stop()
	select {
	case working <- struct{}{}:
		return true
	case <-patience.C:
		return false
	case <-r.Context().Done():
		return false
	}
}
