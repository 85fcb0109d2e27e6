package saga

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	"ticketremaster/platform/correlation"
	"ticketremaster/platform/fault"
	"ticketremaster/platform/fence"
)

// Limits of the engine.
const (
	lease       = 10 * time.Second       // a dead process's sagas wait no longer than this
	renewal     = lease / 3              // so that a live one does not lose its lease
	roundTime   = 30 * time.Second       // of trying a step again, before the saga rests; a database fails over in 20 s
	stepTimeout = 3 * time.Second        // of one try of a step
	beginTime   = 2 * time.Second        // of recording a saga, before its caller is told that it is pending
	recovery    = 500 * time.Millisecond // between two looks for abandoned sagas
	claimAtOnce = 64                     // sagas claimed at once
)

// Engine runs sagas and takes up abandoned ones.
type Engine struct {
	log   Log
	owner uuid.UUID
	kinds map[string]kind
	// crashAt ("kind:step:before" or "…:after") kills this process there, for tests of recovery: only in a saga that it
	// began itself.
	crashAt string
	running sync.WaitGroup
	// here has the sagas that this process runs now, so that a second caller can wait for the first's.
	mu   sync.Mutex
	here map[uuid.UUID]*Run
	// sleep waits between two tries, less if ctx ends.
	sleep func(ctx context.Context, pause time.Duration)
}

// NewEngine makes an engine. crashAt is for tests of recovery; empty: never.
func NewEngine(log Log, crashAt string) *Engine {
	return &Engine{log: log, owner: uuid.New(), kinds: map[string]kind{}, crashAt: crashAt, here: map[uuid.UUID]*Run{}, sleep: sleep}
}

func sleep(ctx context.Context, pause time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(pause):
	}
}

func (e *Engine) register(name string, k kind) {
	e.kinds[name] = k
	showKind(name)
}

// Run is a saga that runs in this process.
type Run struct {
	engine *Engine
	record *Record
	ended  chan struct{} // closed at the saga's end
	left   chan struct{} // closed when this process no longer drives it
}

// start records a saga and runs it, independent of the caller's context. ErrLive and ErrDone name the existing saga in
// the detail "saga_id". After any other error nothing was or will be recorded. If it is unknown whether the saga was
// recorded, there is no error: that is settled in the background, and the Run ends only when the saga does.
func (e *Engine) start(ctx context.Context, kind string, id uuid.UUID, subject string, raw json.RawMessage) (*Run, error) {
	r := &Record{
		ID: id, Kind: kind, Subject: subject, Status: Running, State: raw, CorrelationID: correlation.ID(ctx), Owner: e.owner, Epoch: 1,
	}
	once, cancel := context.WithTimeout(ctx, beginTime)
	defer cancel()
	err := e.log.Begin(once, r, lease)
	switch {
	case err == nil:
		begun.WithLabelValues(kind).Inc()
		return e.run(r), nil
	case fault.From(err).Kind == fault.Unavailable && !errors.Is(err, ErrNotSent):
		slog.WarnContext(ctx, "it is unknown whether a saga was written down; it is asked again", "kind", kind, "saga", id, "error", err)
		run := e.newRun(r)
		e.running.Go(func() { e.settleBegin(run) })
		return run, nil
	}
	return nil, err
}

// settleBegin finds out whether a saga was recorded, or records it, and then drives it. If that cannot be found out in
// time, either the saga exists and Recover drives it once its lease is over, or it does not exist and nothing happens.
func (e *Engine) settleBegin(run *Run) {
	defer e.leave(run)
	r := run.record
	ctx, stop := context.WithTimeout(correlation.With(context.Background(), r.CorrelationID), roundTime)
	defer stop()
	err := e.insist(ctx, func(ctx context.Context) error { return e.log.Begin(ctx, r, lease) })
	if errors.Is(err, ErrLive) && fault.From(err).Details["saga_id"] == r.ID.String() {
		err = e.log.Renew(ctx, r, lease) // recorded by an earlier try: is the claim still ours?
	}
	if err != nil {
		slog.WarnContext(ctx, "this process does not drive the saga that it meant to begin", "kind", r.Kind, "saga", r.ID, "error", err)
		return
	}
	e.round(run)
}

// Wait returns the saga's end, or false when ctx ends first. The record must not be changed.
func (r *Run) Wait(ctx context.Context) (*Record, bool) {
	select {
	case <-r.ended:
		return r.record, true
	case <-r.left:
		return r.engine.Await(ctx, r.record.ID)
	case <-ctx.Done():
		return nil, false
	}
}

// Await waits for the end of a saga that anyone may be running; false when ctx ends first.
func (e *Engine) Await(ctx context.Context, id uuid.UUID) (*Record, bool) {
	e.mu.Lock()
	local := e.here[id]
	e.mu.Unlock()
	if local != nil {
		// A run that has parked its saga says nothing about the saga now: it may have been reopened since.
		if end, ended := local.Wait(ctx); !ended || end.Status != Parked {
			return end, ended
		}
	}
	for {
		r, err := e.log.Get(ctx, id)
		if err == nil && !r.Status.Live() {
			return r, true
		}
		select {
		case <-ctx.Done():
			return nil, false
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Recover takes up abandoned sagas until ctx ends, and then waits for those that run to rest.
func (e *Engine) Recover(ctx context.Context) {
	tick := time.NewTicker(recovery)
	defer tick.Stop()
	for {
		records, err := e.log.Claim(ctx, e.owner, lease, claimAtOnce)
		if err != nil && ctx.Err() == nil {
			slog.Error("abandoned sagas cannot be looked for", "error", err)
		}
		for _, r := range records {
			takenUp.WithLabelValues(r.Kind).Inc()
			slog.Info("saga taken up", "kind", r.Kind, "saga", r.ID, "subject", r.Subject, "status", r.Status, "epoch", r.Epoch)
			e.run(r)
		}
		select {
		case <-ctx.Done():
			e.running.Wait()
			return
		case <-tick.C:
		}
	}
}

func (e *Engine) newRun(r *Record) *Run {
	run := &Run{engine: e, record: r, ended: make(chan struct{}), left: make(chan struct{})}
	e.mu.Lock()
	e.here[r.ID] = run
	e.mu.Unlock()
	return run
}

// leave removes a run from those of this process, unless a later one of the same saga has replaced it.
func (e *Engine) leave(run *Run) {
	e.mu.Lock()
	if e.here[run.record.ID] == run {
		delete(e.here, run.record.ID)
	}
	e.mu.Unlock()
	close(run.left)
}

// end tells those who wait that the saga has ended.
func (r *Run) end() {
	ended.WithLabelValues(r.record.Kind, string(r.record.Status)).Inc()
	close(r.ended)
}

func (e *Engine) run(r *Record) *Run {
	run := e.newRun(r)
	e.running.Go(func() {
		defer e.leave(run)
		e.round(run)
	})
	return run
}

// round drives a saga under its claim for up to roundTime: to its end, or until it rests.
func (e *Engine) round(run *Run) {
	r := run.record
	ctx, stop := context.WithTimeout(claimed(r), roundTime)
	defer stop()
	go e.keepLease(ctx, stop, r)
	e.settleRound(run, e.drive(ctx, run))
}

// claimed returns the context of everything that is done under r's claim.
func claimed(r *Record) context.Context {
	return fence.With(correlation.With(context.Background(), r.CorrelationID), fence.Token{Saga: r.ID, Epoch: r.Epoch})
}

func (e *Engine) keepLease(ctx context.Context, stop func(), r *Record) {
	claim := &Record{ID: r.ID, Owner: r.Owner, Epoch: r.Epoch} // r itself changes meanwhile
	tick := time.NewTicker(renewal)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if errors.Is(e.log.Renew(ctx, claim, lease), ErrLost) {
				stop()
				return
			}
		}
	}
}
