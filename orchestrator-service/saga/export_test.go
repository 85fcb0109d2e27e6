package saga

import (
	"context"
	"time"
)

// NoPause makes the engine try again at once, so that tests need no time.
func (e *Engine) NoPause() { e.sleep = func(context.Context, time.Duration) {} }

// Drive drives a claimed saga for a round in the caller's goroutine, without renewing the lease, and returns the end
// that its callers learn, nil if none.
func (e *Engine) Drive(r *Record) *Record {
	run := e.newRun(r)
	defer e.leave(run)
	e.settleRound(run, e.drive(claimed(r), run))
	select {
	case <-run.ended:
		return r
	default:
		return nil
	}
}

// Stall exports stall, the decision about a round that failed.
func (r *Record) Stall(err error, now time.Time) (pause time.Duration, park bool) {
	return r.stall(err, now)
}

// Left is closed when this process no longer drives the saga.
func (r *Run) Left() <-chan struct{} { return r.left }
