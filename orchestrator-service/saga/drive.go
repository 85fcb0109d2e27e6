package saga

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"runtime/debug"
	"syscall"
	"time"

	"ticketremaster/platform/fault"
	"ticketremaster/platform/fence"
)

// How often a step is tried in one round.
const (
	firstPause  = 20 * time.Millisecond // before a step is tried again
	longPause   = time.Second           // the longest such pause
	ownFailures = 5                     // tries of a call that fails for another reason than an outage
)

// kind is a table of steps with its state's type hidden.
type kind struct {
	names []string
	undo  []bool
	open  func(json.RawMessage) (bound, error)
}

// pivot is the index of the first step that cannot be undone; the number of steps if all can.
func (k kind) pivot() int {
	for i, undoable := range k.undo {
		if !undoable {
			return i
		}
	}
	return len(k.undo)
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

// drive brings the saga to its end; an error means that it has not ended yet, or has another driver.
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
		if err := e.forward(ctx, run, k, t); err != nil || r.Status != Compensating {
			return err
		}
	}
	ctx = context.WithValue(ctx, refusalKey{}, r.Refusal)
	undone := 0
	for i := min(r.Turned, len(k.names)-1); i >= 0; i-- {
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
		undone++
		r.reach(undone)
	}
	r.Status = Undone
	err = e.insist(ctx, func(ctx context.Context) error { return e.log.End(ctx, r) })
	if err == nil {
		run.end()
	}
	return err
}

// forward runs the steps: afterwards the saga is DONE or PARKED, or COMPENSATING and that is logged.
func (e *Engine) forward(ctx context.Context, run *Run, k kind, t bound) (err error) {
	r := run.record
	for i, name := range k.names {
		refusal, err := e.step(ctx, r, name, "done", func(ctx context.Context) error { return t.do(ctx, i) })
		if err != nil {
			return err
		}
		if refusal != nil {
			r.Turned, r.Refusal = i, refusal
			if r.Epoch > 1 {
				// An earlier driver may have come as far as the pivot, whatever is refused now; undoing a step that
				// never ran only leaves its mark.
				r.Turned = max(i, k.pivot()-1)
			}
			break
		}
		r.reach(i + 1)
	}
	if r.State, err = t.state(); err != nil {
		return err
	}
	if r.Refusal == nil {
		r.Status = Done
		run.end() // the client need not wait for this to be logged: run again, it would end the same
		return e.insist(ctx, func(ctx context.Context) error { return e.log.End(ctx, r) })
	}
	if k.pivot() < r.Turned {
		return e.park(ctx, run, fmt.Sprintf("%q was refused after the point of no return", k.names[r.Turned]))
	}
	r.Status, r.Reached = Compensating, 0
	return e.insist(ctx, func(ctx context.Context) error { return e.log.Turn(ctx, r) })
}

// step runs one step or its undoing until its outcome is known: done, or refused for good. That another driver has
// taken over is an error, not an outcome.
func (e *Engine) step(ctx context.Context, r *Record, name, what string, f func(context.Context) error) (*fault.Error, error) {
	start := time.Now()
	e.crash(r, name, what, "before")
	err := e.insist(ctx, f)
	entry := Entry{Step: name, What: what, At: start.UTC(), MS: time.Since(start).Milliseconds()}
	var refusal *fault.Error
	if err != nil {
		if fault.Unknown(err) || errors.Is(err, fence.ErrStale) {
			return nil, err
		}
		refusal = fault.From(err)
		entry.What, entry.Note = "refused", refusal.Code
	}
	r.Trail = append(r.Trail, entry)
	e.crash(r, name, what, "after")
	return refusal, nil
}

// insist retries f until its outcome is known or ctx ends, but only a few times if it fails for another reason than an
// outage.
func (e *Engine) insist(ctx context.Context, f func(context.Context) error) error {
	failures := 0
	for pause := firstPause; ; pause = min(2*pause, longPause) {
		err := try(ctx, f)
		if !fault.Unknown(err) {
			return err
		}
		if !outage(err) {
			failures++
		}
		if ctx.Err() != nil || failures == ownFailures {
			return err
		}
		e.sleep(ctx, pause/2+rand.N(pause))
		if ctx.Err() != nil {
			return err
		}
	}
}

// outage reports whether an unknown outcome is due to an unavailable or slow dependency and not to a fault of ours.
func outage(err error) bool {
	return fault.From(err).Kind == fault.Unavailable || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}

// try is one try; a panic becomes an error.
func try(ctx context.Context, f func(context.Context) error) (err error) {
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return f(ctx)
}

// crash is kill -9 at a named instant, for the tests of recovery: "purchase:deduct credits:before",
// "…:after", and with "undo " before the step's name for its undoing.
func (e *Engine) crash(r *Record, step, what, when string) {
	if e.crashAt == "" || r.Epoch > 1 {
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
