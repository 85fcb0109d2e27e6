package saga

import (
	"context"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"ticketremaster/platform/fault"
)

// Refusals to reopen a parked saga.
var (
	errPastPivot = fault.New(fault.Conflict, "SAGA_PAST_PIVOT",
		"This saga may have done what cannot be undone; it can only go on")
	errOldPark = fault.New(fault.Conflict, "SAGA_DIRECTION_UNKNOWN",
		"This saga was parked before its direction was written down; it cannot be reopened safely")
)

// Parked lists the parked sagas, newest first, and how many there are in all.
func (e *Engine) Parked(ctx context.Context, limit, offset int) ([]*Record, int, error) {
	return e.log.List(ctx, Parked, limit, offset)
}

// Resume continues a parked saga in the direction that it had. by and reason are recorded in its trail. NOT_FOUND, or
// ErrNotParked.
func (e *Engine) Resume(ctx context.Context, id uuid.UUID, by, reason string) error {
	r, err := e.parked(ctx, id)
	if err != nil {
		return err
	}
	if r.Status = r.ParkedFrom; r.Status == Running {
		r.Turned, r.Refusal = 0, nil
	}
	return e.reopen(ctx, r, "resumed", by, reason)
}

// Compensate turns a parked saga back. It is refused (SAGA_PAST_PIVOT) unless it is certain that no step from the pivot
// on was begun. by and reason are recorded in its trail. NOT_FOUND, or ErrNotParked.
func (e *Engine) Compensate(ctx context.Context, id uuid.UUID, by, reason string) error {
	r, err := e.parked(ctx, id)
	if err != nil {
		return err
	}
	if r.ParkedFrom == Running {
		k, ok := e.kinds[r.Kind]
		if !ok || r.Reached >= k.pivot() && k.pivot() < len(k.names) || r.Unreported && k.pivot() < len(k.names) {
			return errPastPivot
		}
		r.Turned = k.pivot() - 1
		r.Refusal = fault.New(fault.Conflict, "CANCELLED_BY_OPERATOR", "This was cancelled by our staff")
	}
	r.Status = Compensating
	return e.reopen(ctx, r, "compensated", by, reason)
}

func (e *Engine) parked(ctx context.Context, id uuid.UUID) (*Record, error) {
	r, err := e.log.Get(ctx, id)
	switch {
	case err != nil:
		return nil, err
	case r.Status != Parked:
		return nil, ErrNotParked.With("status", string(r.Status))
	case r.ParkedFrom == "":
		return nil, errOldPark
	}
	return r, nil
}

func (e *Engine) reopen(ctx context.Context, r *Record, what, by, reason string) error {
	r.Trail = append(r.Trail, Entry{Step: reason, What: what, At: time.Now().UTC(), Note: by})
	if err := e.log.Reopen(ctx, r); err != nil {
		return err
	}
	slog.InfoContext(ctx, "parked saga reopened", "kind", r.Kind, "saga", r.ID, "how", what, "by", by, "reason", reason)
	return nil
}
