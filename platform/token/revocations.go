package token

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"
)

// Revocation is one revoked session. Seq grows with every revocation; after Until no access token of the session can be
// valid, and the entry is dropped.
type Revocation struct {
	Seq       int64     `json:"seq"`
	SessionID uuid.UUID `json:"session_id"`
	Until     time.Time `json:"until"`
}

// Revocations is the set of revoked sessions, refreshed off the request's path. While the feed cannot be read, the last
// known set applies; tokens are valid for 15 minutes at most.
type Revocations struct {
	mu       sync.RWMutex
	sessions map[uuid.UUID]time.Time
	seq      int64
}

// Revoked reports whether the session is known to be revoked.
func (r *Revocations) Revoked(session uuid.UUID) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	_, yes := r.sessions[session]
	return yes
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

// Follow calls fetch for what came after the last sequence number, every interval, until ctx ends.
func (r *Revocations) Follow(ctx context.Context, every time.Duration, fetch func(ctx context.Context, after int64) ([]Revocation, error)) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	failing := false
	for {
		news, err := fetch(ctx, r.last())
		if err == nil {
			r.Add(time.Now(), news...)
		} else if !failing && ctx.Err() == nil {
			slog.Warn("revoked sessions cannot be read; the last known set stands", "error", err)
		}
		failing = err != nil
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
