package saga

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"

	"ticketremaster/platform/fault"
)

// How long a request waits for a saga's end before the answer is pending.
const (
	settleWithin = 5 * time.Second        // for the saga that it started
	working      = 500 * time.Millisecond // of that, before the request counts as only waiting
	// JoinWithin is how long it waits for a saga that another request started.
	JoinWithin = time.Second
)

type waitingKey struct{}

// OnWait returns a context for a request; f is called when the request only waits from then on, so that its slot can be
// given to another. f may be called more than once.
func OnWait(ctx context.Context, f func()) context.Context {
	return context.WithValue(ctx, waitingKey{}, f)
}

// Waiting calls the f of OnWait: the request only waits from here on.
func Waiting(ctx context.Context) {
	if f, ok := ctx.Value(waitingKey{}).(func()); ok {
		f()
	}
}

// Flow is one kind of saga, as Register returns it; T is the state that its steps share.
type Flow[T any] struct {
	engine *Engine
	kind   string
}

// Register registers a table of steps under a name. All kinds must be registered before the first Start and before
// Recover.
func Register[T any](e *Engine, kind string, steps []Step[T]) *Flow[T] {
	e.register(kind, tableOf(steps))
	return &Flow[T]{e, kind}
}

// Outcome is the result of Settle for a saga that was not refused.
type Outcome[T any] struct {
	State T // as the steps left it; if Pending, as it was given
	// Pending: the saga is logged and still running. It ends by itself.
	Pending bool
	// Joined: the subject had a saga already, whose outcome this is.
	Joined bool
}

// Start logs a saga and runs it, independent of the caller's context. ErrLive and ErrDone: the subject has a saga
// already, named by their detail "saga_id".
func (f *Flow[T]) Start(ctx context.Context, id uuid.UUID, subject string, state T) (*Run, error) {
	raw, err := json.Marshal(state)
	if err != nil {
		return nil, err
	}
	return f.engine.start(ctx, f.kind, id, subject, raw)
}

// Join waits for the end of the existing saga; inTheWay is the error of Start that names it. It returns false when ctx
// ends first, and inTheWay itself if that names no saga.
func (f *Flow[T]) Join(ctx context.Context, inTheWay error) (end *Record, ended bool, err error) {
	id, err := uuid.Parse(fault.From(inTheWay).Details["saga_id"])
	if err != nil {
		return nil, false, inTheWay
	}
	end, ended = f.engine.Await(ctx, id)
	return end, ended, nil
}

// Settle starts a saga, or joins the one that its subject has, and waits for the end: up to 5 s for its own, 1 s for
// another's. The error of an undone saga is the refusal that turned it back, that of a parked one INTERNAL_ERROR; one
// that has not ended by then is pending.
func (f *Flow[T]) Settle(ctx context.Context, id uuid.UUID, subject string, state T) (Outcome[T], error) {
	out := Outcome[T]{State: state}
	var end *Record
	var ended bool
	began := time.Now()
	run, err := f.Start(ctx, id, subject, state)
	switch {
	case err == nil:
		end, ended = settle(ctx, run, began)
	case errors.Is(err, ErrLive), errors.Is(err, ErrDone):
		out.Joined = true
		Waiting(ctx)
		wait, cancel := context.WithTimeout(ctx, JoinWithin)
		defer cancel()
		end, ended, err = f.Join(wait, err)
	}
	if err != nil {
		return out, err
	}
	if !ended {
		out.Pending = true
		return out, nil
	}
	if err := refusalOf(end); err != nil {
		return out, err
	}
	var left T
	err = json.Unmarshal(end.State, &left)
	out.State = left
	return out, err
}

// settle waits for a saga that this request started. The time that recording it took counts too.
func settle(ctx context.Context, run *Run, began time.Time) (*Record, bool) {
	wait, cancel := context.WithDeadline(ctx, began.Add(settleWithin))
	defer cancel()
	soon, cancelSoon := context.WithTimeout(wait, working)
	defer cancelSoon()
	if end, ended := run.Wait(soon); ended {
		return end, true
	}
	Waiting(ctx)
	return run.Wait(wait)
}

// Await waits up to 1 s for the end of the subject's newest saga: false when that time or ctx ends first. A subject
// without a saga is NOT_FOUND.
func (f *Flow[T]) Await(ctx context.Context, subject string) (ended bool, err error) {
	latest, err := f.engine.log.Latest(ctx, f.kind, subject)
	if err != nil {
		return false, err
	}
	if latest == nil {
		return false, fault.New(fault.NotFound, fault.CodeNotFound, "There is no %s of %s", f.kind, subject)
	}
	Waiting(ctx)
	wait, cancel := context.WithTimeout(ctx, JoinWithin)
	defer cancel()
	_, ended = f.engine.Await(wait, latest.ID)
	return ended, nil
}

// Trail returns the steps of the subject's newest saga, for whoever it belongs to; empty if there is none. What was
// decided about a parked saga, and why, is left out: that is for the staff.
func (f *Flow[T]) Trail(ctx context.Context, subject string) ([]Entry, error) {
	latest, err := f.engine.log.Latest(ctx, f.kind, subject)
	if err != nil || latest == nil {
		return nil, err
	}
	return slices.DeleteFunc(latest.Trail, func(e Entry) bool { return !e.step() }), nil
}

// refusalOf returns the error for the waiters of a saga that did not succeed, nil for one that did.
func refusalOf(end *Record) error {
	switch end.Status {
	case Undone:
		return end.Refusal
	case Parked:
		return fault.New(fault.Internal, fault.CodeInternal, "This needs a person's attention; we have been alarmed").Because(end.Refusal)
	}
	return nil
}
