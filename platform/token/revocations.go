package token

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	"ticketremaster/platform/fault"
)

// Revocation is one revoked session. Seq grows with every revocation; after Until no access token of the session can be
// valid, and the entry is dropped.
type Revocation struct {
	Seq       int64     `json:"seq"`
	SessionID uuid.UUID `json:"session_id"`
	Until     time.Time `json:"until"`
}

// maxSilence is how long the last known set stands when no news can be had: longer than a database takes to fail over,
// and a third of an access token's life.
const maxSilence = 5 * time.Minute

// ErrUnjudged refuses a token because it is not known whether its session is revoked.
var ErrUnjudged = fault.Unreachable("the list of ended sessions", nil)

// Revocations is the set of revoked sessions, kept fresh off the request's path. Until it was read for the first time,
// and once there was no news for five minutes, it judges no token: a session that it does not know may be revoked.
type Revocations struct {
	mu       sync.RWMutex
	sessions map[uuid.UUID]time.Time
	seq      int64
	current  time.Time // when all that was revoked was known
}

// Check returns UNAUTHORIZED for a session that is revoked, ErrUnjudged when that is not known.
func (r *Revocations) Check(session uuid.UUID) error {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if _, revoked := r.sessions[session]; revoked {
		return errLogIn
	}
	return r.ready()
}

// Ready returns ErrUnjudged unless every session can be judged; a service is not ready before.
func (r *Revocations) Ready(context.Context) error {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.ready()
}

func (r *Revocations) ready() error {
	if time.Since(r.current) > maxSilence { // so too if it never was read
		return ErrUnjudged
	}
	return nil
}

// Add adds revocations and drops those whose time is over.
func (r *Revocations) Add(now time.Time, revoked ...Revocation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.sessions == nil {
		r.sessions = map[uuid.UUID]time.Time{}
	}
	for id, until := range r.sessions {
		if until.Before(now) {
			delete(r.sessions, id)
		}
	}
	for _, x := range revoked {
		r.sessions[x.SessionID] = x.Until
		r.seq = max(r.seq, x.Seq)
	}
}

// last is the highest sequence number seen.
func (r *Revocations) last() int64 {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.seq
}

// Fetch returns what was revoked after a sequence number, oldest first; not all at once if that is much, and nothing if
// there is nothing more.
type Fetch func(ctx context.Context, after int64) ([]Revocation, error)

// CatchUp asks fetch for all that was revoked since the last time.
func (r *Revocations) CatchUp(ctx context.Context, fetch Fetch) error {
	for {
		now, after := time.Now(), r.last()
		news, err := fetch(ctx, after)
		if err != nil {
			return err
		}
		r.Add(now, news...)
		if r.last() == after {
			r.mu.Lock()
			r.current = now
			r.mu.Unlock()
			return nil
		}
	}
}

// Follow catches up every interval until ctx ends.
func (r *Revocations) Follow(ctx context.Context, every time.Duration, fetch Fetch) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	failing := false
	for {
		err := r.CatchUp(ctx, fetch)
		if err != nil && !failing && ctx.Err() == nil {
			slog.Warn("revoked sessions cannot be read; the last known set stands for a while", "for", maxSilence, "error", err)
		}
		failing = err != nil
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
