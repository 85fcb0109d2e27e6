// Package sagatest has a saga log in memory, for tests of sagas that need no database.
package sagatest

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"ticketremaster/orchestrator-service/saga"
	"ticketremaster/platform/fault"
)

// Log is a saga.Log in memory that behaves as the one in PostgreSQL does. Its clock stands still until a test moves it, so
// leases end only when the test says so. Create it with NewLog.
type Log struct {
	mu    sync.Mutex
	now   time.Time
	sagas []*row // oldest first
}

var _ saga.Log = (*Log)(nil)

type row struct {
	record saga.Record
	owner  uuid.UUID
	until  time.Time // of the lease
}

// NewLog makes an empty log.
func NewLog() *Log {
	return &Log{now: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)}
}

// Advance moves the log's clock on.
func (l *Log) Advance(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.now = l.now.Add(d)
}

// copied gives a record that shares nothing that either side changes.
func copied(r saga.Record) *saga.Record {
	r.State, r.Trail = slices.Clone(r.State), slices.Clone(r.Trail)
	return &r
}

func (l *Log) find(id uuid.UUID) *row {
	for _, s := range l.sagas {
		if s.record.ID == id {
			return s
		}
	}
	return nil
}

func live(s saga.Status) bool { return s == saga.Running || s == saga.Compensating }

// Begin implements saga.Log.
func (l *Log) Begin(ctx context.Context, r *saga.Record, owner uuid.UUID, lease time.Duration) error {
	if err := reach(ctx); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.sagas {
		other := s.record
		if other.Status == saga.Undone || other.ID != r.ID && (other.Kind != r.Kind || other.Subject != r.Subject) {
			continue
		}
		why := saga.ErrLive
		if other.Status == saga.Done {
			why = saga.ErrDone
		}
		return why.With("saga_id", other.ID.String())
	}
	written := copied(*r)
	written.CreatedAt, written.UpdatedAt = l.now, l.now
	l.sagas = append(l.sagas, &row{record: *written, owner: owner, until: l.now.Add(lease)})
	return nil
}

// Turn implements saga.Log.
func (l *Log) Turn(ctx context.Context, r *saga.Record) error {
	return l.write(ctx, r, func(s *row) bool { return s.record.Status == saga.Running })
}

// End implements saga.Log.
func (l *Log) End(ctx context.Context, r *saga.Record) error {
	return l.write(ctx, r, func(s *row) bool { return live(s.record.Status) })
}

func (l *Log) write(ctx context.Context, r *saga.Record, may func(*row) bool) error {
	if err := reach(ctx); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.find(r.ID)
	if s == nil || !may(s) {
		return nil
	}
	written := copied(*r)
	s.record.Status, s.record.Turned, s.record.Refusal = written.Status, written.Turned, written.Refusal
	s.record.State, s.record.Trail, s.record.UpdatedAt = written.State, written.Trail, l.now
	return nil
}

// Claim implements saga.Log.
func (l *Log) Claim(ctx context.Context, owner uuid.UUID, lease time.Duration, limit int) ([]*saga.Record, error) {
	if err := reach(ctx); err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	var due []*row
	for _, s := range l.sagas {
		if live(s.record.Status) && s.until.Before(l.now) {
			due = append(due, s)
		}
	}
	slices.SortStableFunc(due, func(a, b *row) int { return a.until.Compare(b.until) })
	var claimed []*saga.Record
	for _, s := range due[:min(limit, len(due))] {
		s.owner, s.until = owner, l.now.Add(lease)
		claimed = append(claimed, copied(s.record))
	}
	return claimed, nil
}

// Renew implements saga.Log.
func (l *Log) Renew(ctx context.Context, id, owner uuid.UUID, lease time.Duration) (bool, error) {
	if err := reach(ctx); err != nil {
		return false, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.find(id)
	if s == nil || s.owner != owner {
		return false, nil
	}
	s.until = l.now.Add(lease)
	return true, nil
}

// Rest implements saga.Log.
func (l *Log) Rest(ctx context.Context, id, owner uuid.UUID, pause time.Duration) error {
	_, err := l.Renew(ctx, id, owner, pause)
	return err
}

// Get implements saga.Log.
func (l *Log) Get(ctx context.Context, id uuid.UUID) (*saga.Record, error) {
	if err := reach(ctx); err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.find(id)
	if s == nil {
		return nil, fault.New(fault.NotFound, fault.CodeNotFound, "there is no such saga")
	}
	return copied(s.record), nil
}

// Latest implements saga.Log.
func (l *Log) Latest(ctx context.Context, kind, subject string) (*saga.Record, error) {
	if err := reach(ctx); err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range slices.Backward(l.sagas) {
		if s.record.Kind == kind && s.record.Subject == subject {
			return copied(s.record), nil
		}
	}
	return nil, nil
}

// reach is an outage for callers whose time is over, as it is with a database.
func reach(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fault.Unreachable("the saga log", err)
	}
	return nil
}
