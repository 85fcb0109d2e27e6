// Package sweep ends what is overdue and was not ended through the broker (docs/adr/dead-letters.md).
package sweep

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"
)

// Limits of a round.
const (
	perRound  = 100             // entries that a round ends
	mostAsked = 1_000           // the longest list that is asked for
	atOnce    = 4               // entries that are ended concurrently
	endWithin = 5 * time.Second // of ending one
	firstRest = 2 * time.Second // of an entry that could not be ended
	longRest  = 30 * time.Second
)

// Round ends what is overdue of one kind, once.
type Round func(ctx context.Context) error

// Run calls the rounds about every interval until ctx ends. The pauses vary, so that replicas look at different moments
// and what one has ended the next does not find; that two end the same thing is harmless.
func Run(ctx context.Context, interval time.Duration, rounds ...Round) {
	failing := false
	for {
		var failed []error
		for _, round := range rounds {
			failed = append(failed, round(ctx))
		}
		err := errors.Join(failed...)
		if err != nil && !failing && ctx.Err() == nil { // logged once, not every two seconds
			slog.WarnContext(ctx, "a sweep failed; the next one tries again", "error", err)
		}
		failing = err != nil
		select {
		case <-ctx.Done():
			return
		case <-time.After(interval/2 + rand.N(interval)):
		}
	}
}

// Of makes the rounds of one kind. list returns at most limit overdue entries, the oldest first; end ends one. An entry
// that cannot be ended does not block others: it rests, with growing pauses up to 30 s, and list is asked for that many
// more. A round fails if the list cannot be read.
func Of[T any](list func(ctx context.Context, limit int) ([]T, error), id func(T) uuid.UUID, end func(context.Context, T) error) Round {
	s := &resting{of: map[uuid.UUID]rest{}}
	return func(ctx context.Context) error {
		overdue, err := list(ctx, min(perRound+s.count(), mostAsked))
		if err != nil {
			return err
		}
		var g errgroup.Group
		g.SetLimit(atOnce)
		for _, x := range overdue {
			if s.rests(id(x)) {
				continue
			}
			g.Go(func() error {
				ctx, cancel := context.WithTimeout(ctx, endWithin)
				defer cancel()
				err := end(ctx, x)
				if s.note(id(x), err) {
					slog.WarnContext(ctx, "an overdue thing cannot be ended; the sweep goes on trying", "id", id(x), "error", err)
				}
				return nil
			})
		}
		_ = g.Wait()
		s.forget()
		return nil
	}
}

// resting has the entries that could not be ended.
type resting struct {
	mu sync.Mutex
	of map[uuid.UUID]rest
}

type rest struct {
	until time.Time
	pause time.Duration
}

func (r *resting) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.of)
}

func (r *resting) rests(id uuid.UUID) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return time.Now().Before(r.of[id].until)
}

// note reports whether an entry failed for the first time.
func (r *resting) note(id uuid.UUID, err error) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	before, again := r.of[id]
	if err == nil {
		delete(r.of, id)
		return false
	}
	pause := min(max(firstRest, 2*before.pause), longRest)
	r.of[id] = rest{time.Now().Add(pause), pause}
	return !again
}

// forget drops entries that are no longer overdue: another replica, or the broker, has ended them.
func (r *resting) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, x := range r.of {
		if time.Since(x.until) > longRest {
			delete(r.of, id)
		}
	}
}
