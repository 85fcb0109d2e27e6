package saga

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/google/uuid"

	"ticketremaster/platform/fault"
)

// How long a request waits for a saga's end before it answers that the saga is pending.
const (
	settleWithin = 5 * time.Second        // for the saga that it started
	working      = 500 * time.Millisecond // of that, before the request counts as one that only waits
	// JoinWithin is how long it waits for a saga that someone else started.
	JoinWithin = time.Second
)

type waitingKey struct{}

// OnWait gives a context whose holder learns, by a call of f, that its request has nothing left to do but wait, so that
// what the request occupies can be given to another. f may be called more than once.
func OnWait(ctx context.Context, f func()) context.Context {
	return context.WithValue(ctx, waitingKey{}, f)
}

// Waiting tells the holder of ctx that the request only waits from here on.
func Waiting(ctx context.Context) {
	if f, ok := ctx.Value(waitingKey{}).(func()); ok {
		f()
	}
}

// Flow is one kind of saga, as Register gives it; T is the state that its steps share.
type Flow[T any] struct {
	engine *Engine
	kind   string
}

// Register names a table of steps. All kinds are registered before the first Start and before Recover.
func Register[T any](e *Engine, kind string, steps []Step[T]) *Flow[T] {
	e.register(kind, tableOf(steps))
	return &Flow[T]{e, kind}
}

// Outcome is what Settle saw of a saga that was not refused.
type Outcome[T any] struct {
	State T // as the steps left it; if Pending, as it was given
	// Pending: the saga is written down and under way. It ends by itself.
	Pending bool
	// Joined: the subject had a saga already, and this is that one's outcome.
	Joined bool
}

// Start writes a saga down and runs it, beyond the caller's own life. ErrLive and ErrDone say that the subject has a
// saga already, which their detail "saga_id" names.
func (f *Flow[T]) Start(ctx context.Context, id uuid.UUID, subject string, state T) (*Run, error) {
	raw, err := json.Marshal(state)
	if err != nil {
		return nil, err
	}
	return f.engine.start(ctx, f.kind, id, subject, raw)
}

// Join waits for the end of a saga that Start found in its way; inTheWay is the error that Start gave. It answers false
// when ctx ends first, and inTheWay itself if that names no saga.
func (f *Flow[T]) Join(ctx context.Context, inTheWay error) (end *Record, ended bool, err error) {
	id, err := uuid.Parse(fault.From(inTheWay).Details["saga_id"])
	if err != nil {
		return nil, false, inTheWay
	}
	end, ended = f.engine.Await(ctx, id)
	return end, ended, nil
}

// Settle starts a saga, or joins the one that its subject has, and waits for the end: up to 5 s for its own, 1 s for
// another's. A saga that was undone answers the refusal that turned it back, a parked one INTERNAL_ERROR; one that has not
// ended by then is pending.
func (f *Flow[T]) Settle(ctx context.Context, id uuid.UUID, subject string, state T) (Outcome[T], error) {
	out := Outcome[T]{State: state}
	var end *Record
	var ended bool
	run, err := f.Start(ctx, id, subject, state)
	switch {
	case err == nil:
		end, ended = settle(ctx, run)
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

// settle waits for a saga that this request started.
func settle(ctx context.Context, run *Run) (*Record, bool) {
	wait, cancel := context.WithTimeout(ctx, settleWithin)
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

// Trail gives what was done in the subject's newest saga, for a person; empty if there is none.
func (f *Flow[T]) Trail(ctx context.Context, subject string) ([]Entry, error) {
	latest, err := f.engine.log.Latest(ctx, f.kind, subject)
	if err != nil || latest == nil {
		return nil, err
	}
	return latest.Trail, nil
}

// refusalOf gives the answer to who waited for a saga that did not do what it was to do, nil for one that did.
func refusalOf(end *Record) error {
	switch end.Status {
	case Undone:
		return end.Refusal
	case Parked:
		return fault.New(fault.Internal, fault.CodeInternal, "this needs a person's attention; we have been alarmed").Because(end.Refusal)
	}
	return nil
}
