package saga

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"ticketremaster/platform/fault"
	"ticketremaster/platform/fence"
)

// How long and how often a saga without progress is retried. During an outage of a service that it needs it is retried
// within a minute, for hours. Anything else is a fault of ours that a retry will probably meet again.
const (
	rest          = 3 * time.Second // after the first round without progress
	longestOutage = time.Minute     // the longest rest during an outage
	longestRest   = 10 * time.Minute
	mostRounds    = 10            // rounds without progress and without an outage, before the saga is parked
	mostOutage    = 6 * time.Hour // without progress, before the saga is parked
)

// errStalled is the refusal of a saga that was parked because it made no progress.
var errStalled = fault.New(fault.Internal, "SAGA_STALLED", "This made no progress for too long")

// reach records progress: the saga has come further than any driver reported before.
func (r *Record) reach(steps int) {
	if steps > r.Reached {
		r.Reached, r.Rounds, r.StalledSince = steps, 0, time.Time{}
	}
}

// stall records a round that ended with err before the saga's end and returns the pause before the next one; park is
// true if the saga is to be parked.
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

// settleRound finishes a round: nothing to do, or the lease is given back, or the saga is parked.
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
	if !r.Status.Live() { // it has ended, only that was not logged: run again, it ends the same
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

// park parks a saga and raises the alarm once that is logged.
func (e *Engine) park(ctx context.Context, run *Run, why string) error {
	r := run.record
	r.ParkedFrom, r.Status = r.Status, Parked
	r.Trail = append(r.Trail, Entry{Step: why, What: "parked", At: time.Now().UTC()})
	err := e.insist(ctx, func(ctx context.Context) error { return e.log.End(ctx, r) })
	if err == nil {
		slog.ErrorContext(ctx, "ALARM: saga parked, a person must look at it", "kind", r.Kind, "saga", r.ID, "subject", r.Subject, "why", why)
		run.end()
	}
	return err
}
