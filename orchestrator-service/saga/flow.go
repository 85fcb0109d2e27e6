package saga

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/google/uuid"

	"ticketremaster/platform/fault"
)

// answerWithin is how long Settle waits for a saga's end before it answers that the saga is pending.
const answerWithin = 5 * time.Second

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

// Settle starts a saga, or joins the one that its subject has, and waits up to 5 s for the end. A saga that was undone
// answers the refusal that turned it back, a parked one INTERNAL_ERROR; one that has not ended by then is pending.
func (f *Flow[T]) Settle(ctx context.Context, id uuid.UUID, subject string, state T) (Outcome[T], error) {
	out := Outcome[T]{State: state}
	wait, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	var end *Record
	var ended bool
	run, err := f.Start(ctx, id, subject, state)
	switch {
	case err == nil:
		end, ended = run.Wait(wait)
	case errors.Is(err, ErrLive), errors.Is(err, ErrDone):
		out.Joined = true
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

// Await waits for the end of the subject's newest saga: false when ctx ends, or 5 s are over, first. A subject without
// a saga is NOT_FOUND.
func (f *Flow[T]) Await(ctx context.Context, subject string) (ended bool, err error) {
	latest, err := f.engine.log.Latest(ctx, f.kind, subject)
	if err != nil {
		return false, err
	}
	if latest == nil {
		return false, fault.New(fault.NotFound, fault.CodeNotFound, "There is no %s of %s", f.kind, subject)
	}
	wait, cancel := context.WithTimeout(ctx, answerWithin)
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
