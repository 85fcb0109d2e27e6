package saga

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"ticketremaster/platform/fault"
	"ticketremaster/platform/fence"
)

// How long a saga that makes no progress is tried again, and how often. An outage of a service that it needs is no fault of
// the saga's: it is looked at again within a minute, and for hours. Anything else is a fault of ours that the next try will
// meet again.
const (
	rest          = 3 * time.Second // after the first round without progress
	longestOutage = time.Minute     // the longest rest during an outage
	longestRest   = 10 * time.Minute
	mostRounds    = 10            // rounds without progress and without an outage, before the saga is parked
	mostOutage    = 6 * time.Hour // without progress, before the saga is parked
)

// errStalled is the refusal of a saga that was parked because it made no progress.
var errStalled = fault.New(fault.Internal, "SAGA_STALLED", "This made no progress for too long")

// reach notes that a saga has come further than any driver before has reported: that is progress.
func (r *Record) reach(steps int) {
	if steps > r.Reached {
		r.Reached, r.Rounds, r.StalledSince = steps, 0, time.Time{}
	}
}

// stall notes a round that ended with err, not at the saga's end, and gives the pause until the next one; park is true if
// there is to be none.
func (r *Record) stall(err error, now time.Time) (pause time.Duration, park bool) {
	if r.StalledSince.IsZero() {
		r.StalledSince = now
	}
	if outage(err) {
		stalled := now.Sub(r.StalledSince)
		return min(rest+stalled/10, longestOutage), stalled >= mostOutage
	}
	r.Rounds++
	return min(rest<<(r.Rounds-1), longestRest), r.Rounds >= mostRounds
}

// settleRound does what is left to do after a round: nothing, or give the lease back, or park the saga.
func (e *Engine) settleRound(run *Run, err error) {
	r := run.record
	if err == nil {
		return
	}
	ctx, cancel := context.WithTimeout(claimed(r), stepTimeout)
	defer cancel()
	if errors.Is(err, ErrLost) || errors.Is(err, fence.ErrStale) {
		slog.InfoContext(ctx, "saga left to its later driver", "kind", r.Kind, "saga", r.ID, "epoch", r.Epoch, "error", err)
		return
	}
	if !r.Status.Live() { // it has ended, and only that was not written: run again, it ends the same
		return
	}
	pause, park := r.stall(err, time.Now())
	if park {
		if r.Refusal == nil {
			r.Refusal = errStalled
		}
		err = e.park(ctx, run, "no progress: "+err.Error())
	} else {
		slog.WarnContext(ctx, "saga rests; it will be taken up again", "kind", r.Kind, "saga", r.ID, "pause", pause.String(), "rounds", r.Rounds, "error", err)
		err = e.log.Rest(ctx, r, pause)
	}
	if err != nil && !errors.Is(err, ErrLost) { // the lease ends by itself
		slog.WarnContext(ctx, "a saga's rest could not be written down", "kind", r.Kind, "saga", r.ID, "error", err)
	}
}

// park sets a saga aside for a person, and raises the alarm once that is written down.
func (e *Engine) park(ctx context.Context, run *Run, why string) error {
	r := run.record
	r.ParkedFrom, r.Status = r.Status, Parked
	r.Trail = append(r.Trail, Entry{Step: why, What: "parked", At: time.Now().UTC()})
	err := e.insist(ctx, func(ctx context.Context) error { return e.log.End(ctx, r) })
	if err == nil {
		slog.ErrorContext(ctx, "ALARM: saga parked, a person must look at it", "kind", r.Kind, "saga", r.ID, "subject", r.Subject, "why", why)
		close(run.ended)
	}
	return err
}
