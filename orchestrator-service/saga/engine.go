package saga

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/google/uuid"

	"ticketremaster/platform/correlation"
	"ticketremaster/platform/fault"
)

// Limits of the engine.
const (
	lease       = 10 * time.Second       // a dead process's sagas wait no longer than this
	renewal     = lease / 3              // so a live one never loses its lease
	patience    = 20 * time.Second       // of trying a step again, before the saga rests
	rest        = 3 * time.Second        // between two rounds of patience
	firstPause  = 20 * time.Millisecond  // before a step is tried again
	longPause   = time.Second            // the longest such pause
	stepTimeout = 3 * time.Second        // of one try of a step
	recovery    = 500 * time.Millisecond // between two looks for abandoned sagas
	claimAtOnce = 32                     // sagas one look takes up
)

// Engine runs sagas and takes up those that another process left.
type Engine struct {
	log   Log
	owner uuid.UUID
	kinds map[string]kind
	// crashAt ("kind:step:before" or "…:after") kills this process there in a saga that it began, as tests of recovery
	// need it. It does not die of what others left to it.
	crashAt string
	running sync.WaitGroup
	// here has the sagas that this process runs now, so that a second caller can wait for the first's.
	mu   sync.Mutex
	here map[uuid.UUID]*Run
}

// kind is a table of steps with its state's type hidden.
type kind struct {
	names []string
	undo  []bool
	open  func(json.RawMessage) (bound, error)
}

// lastBeforePivot is the last step that can be undone with all before it. A saga that was taken up may have come that
// far in its former life, whatever is refused now; undoing what never ran does nothing but forbid it.
func (k kind) lastBeforePivot() int {
	for i, undoable := range k.undo {
		if !undoable {
			return i - 1
		}
	}
	return len(k.undo) - 1
}

type bound interface {
	do(ctx context.Context, i int) error
	undo(ctx context.Context, i int) error
	state() (json.RawMessage, error)
}

type table[T any] struct {
	steps []Step[T]
	s     *T
}

func (t *table[T]) do(ctx context.Context, i int) error   { return t.steps[i].Do(ctx, t.s) }
func (t *table[T]) undo(ctx context.Context, i int) error { return t.steps[i].Undo(ctx, t.s) }
func (t *table[T]) state() (json.RawMessage, error)       { return json.Marshal(t.s) }

// NewEngine makes an engine. crashAt is for tests of recovery; empty: never.
func NewEngine(log Log, crashAt string) *Engine {
	return &Engine{log: log, owner: uuid.New(), kinds: map[string]kind{}, crashAt: crashAt, here: map[uuid.UUID]*Run{}}
}

// tableOf hides the type of a table's state.
func tableOf[T any](steps []Step[T]) kind {
	k := kind{open: func(raw json.RawMessage) (bound, error) {
		t := &table[T]{steps: steps, s: new(T)}
		return t, json.Unmarshal(raw, t.s)
	}}
	for _, s := range steps {
		k.names = append(k.names, s.Name)
		k.undo = append(k.undo, s.Undo != nil)
	}
	return k
}

func (e *Engine) register(name string, k kind) { e.kinds[name] = k }

// Run is a saga under way in this process.
type Run struct {
	record *Record
	ended  chan struct{}
}

// start writes a saga down and runs it, beyond the caller's own life. ErrLive and ErrDone come with the saga in
// the way as detail "saga_id".
func (e *Engine) start(ctx context.Context, kind string, id uuid.UUID, subject string, raw json.RawMessage) (*Run, error) {
	r := &Record{ID: id, Kind: kind, Subject: subject, Status: Running, State: raw, CorrelationID: correlation.ID(ctx)}
	if err := e.log.Begin(ctx, r, e.owner, lease); err != nil {
		return nil, err
	}
	return e.run(r), nil
}

// Wait gives the saga's end, or the zero status when ctx ends first. The record must not be changed.
func (r *Run) Wait(ctx context.Context) (*Record, bool) {
	select {
	case <-r.ended:
		return r.record, true
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
		return local.Wait(ctx)
	}
	for {
		r, err := e.log.Get(ctx, id)
		if err == nil && r.Status != Running && r.Status != Compensating {
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
			slog.Info("saga taken up", "kind", r.Kind, "saga", r.ID, "subject", r.Subject, "status", r.Status)
			r.takenUp = true
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

func (e *Engine) run(r *Record) *Run {
	run := &Run{record: r, ended: make(chan struct{})}
	e.mu.Lock()
	e.here[r.ID] = run
	e.mu.Unlock()
	e.running.Go(func() {
		defer func() {
			e.mu.Lock()
			delete(e.here, r.ID)
			e.mu.Unlock()
		}()
		ctx, stop := context.WithTimeout(correlation.With(context.Background(), r.CorrelationID), patience)
		defer stop()
		go e.keepLease(ctx, stop, r.ID)
		err := e.drive(ctx, run)
		if err != nil {
			slog.WarnContext(ctx, "saga rests; it will be taken up again", "kind", r.Kind, "saga", r.ID, "error", err)
			back, cancel := context.WithTimeout(context.Background(), stepTimeout)
			defer cancel()
			_ = e.log.Rest(back, r.ID, e.owner, rest) // failing that, the lease ends by itself
		}
	})
	return run
}

func (e *Engine) keepLease(ctx context.Context, stop func(), id uuid.UUID) {
	tick := time.NewTicker(renewal)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if mine, err := e.log.Renew(ctx, id, e.owner, lease); err == nil && !mine {
				stop() // someone else has it: two at once do no harm, but one is enough
				return
			}
		}
	}
}

// drive brings the saga to its end; an error means that it is not there yet.
func (e *Engine) drive(ctx context.Context, run *Run) error {
	r := run.record
	k, ok := e.kinds[r.Kind]
	if !ok {
		return fmt.Errorf("no saga of kind %q is known here", r.Kind)
	}
	t, err := k.open(r.State)
	if err != nil {
		return err
	}
	if r.Status == Running {
		for i, name := range k.names {
			refusal, err := e.step(ctx, r, name, "done", func(ctx context.Context) error { return t.do(ctx, i) })
			if err != nil {
				return err
			}
			if refusal != nil {
				r.Turned, r.Refusal = i, refusal
				if r.takenUp {
					r.Turned = max(i, k.lastBeforePivot())
				}
				break
			}
		}
		if r.State, err = t.state(); err != nil {
			return err
		}
		if r.Refusal == nil {
			r.Status = Done
			close(run.ended) // the client need not wait for this to be written: run again, it would end the same
			return e.insist(ctx, func(ctx context.Context) error { return e.log.End(ctx, r) })
		}
		for i := range r.Turned {
			if !k.undo[i] {
				return e.park(ctx, run, fmt.Sprintf("%q was refused after the point of no return", k.names[r.Turned]))
			}
		}
		r.Status = Compensating
		if err := e.insist(ctx, func(ctx context.Context) error { return e.log.Turn(ctx, r) }); err != nil {
			return err
		}
	}
	ctx = context.WithValue(ctx, refusalKey{}, r.Refusal)
	for i := r.Turned; i >= 0; i-- {
		if !k.undo[i] {
			continue // the refused step itself: it did nothing
		}
		refusal, err := e.step(ctx, r, k.names[i], "undone", func(ctx context.Context) error { return t.undo(ctx, i) })
		if err != nil {
			return err
		}
		if refusal != nil {
			return e.park(ctx, run, fmt.Sprintf("undoing %q was refused: %s", k.names[i], refusal))
		}
	}
	r.Status = Undone
	err = e.insist(ctx, func(ctx context.Context) error { return e.log.End(ctx, r) })
	if err == nil {
		close(run.ended)
	}
	return err
}

func (e *Engine) park(ctx context.Context, run *Run, why string) error {
	run.record.Status = Parked
	run.record.Trail = append(run.record.Trail, Entry{Step: why, What: "parked", At: time.Now().UTC()})
	slog.ErrorContext(ctx, "ALARM: saga parked, a person must look at it", "kind", run.record.Kind, "saga", run.record.ID, "subject", run.record.Subject, "why", why)
	err := e.insist(ctx, func(ctx context.Context) error { return e.log.End(ctx, run.record) })
	if err == nil {
		close(run.ended)
	}
	return err
}

// step runs one step or its undoing until its outcome is known: done, or refused for good.
func (e *Engine) step(ctx context.Context, r *Record, name, what string, f func(context.Context) error) (*fault.Error, error) {
	start := time.Now()
	e.crash(r, name, what, "before")
	err := e.insist(ctx, f)
	entry := Entry{Step: name, What: what, At: start.UTC(), MS: time.Since(start).Milliseconds()}
	var refusal *fault.Error
	if err != nil {
		if fault.Unknown(err) {
			return nil, err
		}
		refusal = fault.From(err)
		entry.What, entry.Note = "refused", refusal.Code
	}
	r.Trail = append(r.Trail, entry)
	e.crash(r, name, what, "after")
	return refusal, nil
}

// insist tries f until its outcome is known or ctx ends.
func (e *Engine) insist(ctx context.Context, f func(context.Context) error) error {
	for pause := firstPause; ; pause = min(2*pause, longPause) {
		once, cancel := context.WithTimeout(ctx, stepTimeout)
		err := f(once)
		cancel()
		if !fault.Unknown(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause/2 + rand.N(pause)):
		}
	}
}

// crash is kill -9 at a named instant, for the tests of recovery: "purchase:deduct credits:before",
// "…:after", and with "undo " before the step's name for its undoing.
func (e *Engine) crash(r *Record, step, what, when string) {
	if e.crashAt == "" || r.takenUp {
		return
	}
	if what == "undone" {
		step = "undo " + step
	}
	if e.crashAt == r.Kind+":"+step+":"+when {
		slog.Error("crashing here, as SAGA_CRASH_AT demands", "at", e.crashAt)
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		os.Exit(128 + int(syscall.SIGKILL)) // as process 1 of a container it cannot kill itself
	}
}
