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

// Log is a saga.Log in memory that behaves as the one in PostgreSQL does. Its clock moves only when a test advances it,
// so leases end only when the test says so. Create it with NewLog.
type Log struct {
	mu    sync.Mutex
	now   time.Time
	sagas []*row // oldest first
}

var _ saga.Log = (*Log)(nil)

type row struct {
	record saga.Record
	until  time.Time // of the lease
}

// NewLog makes an empty log.
func NewLog() *Log {
	return &Log{now: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)}
}

// Advance advances the log's clock.
func (l *Log) Advance(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.now = l.now.Add(d)
}

// copied returns a deep copy of a record.
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

// claimed returns the saga that r names if r's claim is its latest.
func (l *Log) claimed(r *saga.Record) (*row, error) {
	s := l.find(r.ID)
	if s == nil || s.record.Owner != r.Owner || s.record.Epoch != r.Epoch {
		return nil, saga.ErrLost
	}
	return s, nil
}

// enter begins a call: it takes the lock, or is an outage for callers whose time is over, as with a database.
func (l *Log) enter(ctx context.Context) (leave func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, fault.Unreachable("the saga log", err)
	}
	l.mu.Lock()
	return l.mu.Unlock, nil
}

// Begin implements saga.Log.
func (l *Log) Begin(ctx context.Context, r *saga.Record, lease time.Duration) error {
	leave, err := l.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	for _, s := range l.sagas {
		other := s.record
		if other.ID != r.ID && (other.Status == saga.Undone || other.Kind != r.Kind || other.Subject != r.Subject) {
			continue
		}
		why := saga.ErrLive
		if other.Status == saga.Done {
			why = saga.ErrDone
		}
		return why.With("saga_id", other.ID.String())
	}
	s := &row{record: *copied(*r), until: l.now.Add(lease)}
	s.record.Epoch, s.record.CreatedAt, s.record.UpdatedAt = 1, l.now, l.now
	l.sagas = append(l.sagas, s)
	return nil
}

// Turn implements saga.Log.
func (l *Log) Turn(ctx context.Context, r *saga.Record) error {
	return l.write(ctx, r, func(s *row) bool { return s.record.Status.Live() }, func(s *saga.Record) {
		s.Status, s.Reached, s.Rounds, s.StalledSince = saga.Compensating, 0, 0, time.Time{}
	})
}

// End implements saga.Log.
func (l *Log) End(ctx context.Context, r *saga.Record) error {
	return l.write(ctx, r, func(s *row) bool { return s.record.Status.Live() || s.record.Status == r.Status }, func(s *saga.Record) {
		s.Status, s.Reached, s.ParkedFrom = r.Status, r.Reached, r.ParkedFrom
	})
}

func (l *Log) write(ctx context.Context, r *saga.Record, may func(*row) bool, change func(*saga.Record)) error {
	leave, err := l.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	s, err := l.claimed(r)
	if err != nil || !may(s) {
		return saga.ErrLost
	}
	written := copied(*r)
	s.record.Turned, s.record.Refusal, s.record.State, s.record.Trail = written.Turned, written.Refusal, written.State, written.Trail
	s.record.UpdatedAt = l.now
	change(&s.record)
	return nil
}

// Claim implements saga.Log.
func (l *Log) Claim(ctx context.Context, owner uuid.UUID, lease time.Duration, limit int) ([]*saga.Record, error) {
	leave, err := l.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	places := map[bool]int{false: limit - limit/2, true: limit / 2} // by whether a saga is stalled
	due := slices.Clone(l.sagas)
	slices.SortStableFunc(due, func(a, b *row) int { return a.until.Compare(b.until) })
	var claimed []*saga.Record
	for _, s := range due {
		stalled := !s.record.StalledSince.IsZero()
		if !s.record.Status.Live() || !s.until.Before(l.now) || places[stalled] == 0 {
			continue
		}
		places[stalled]--
		s.record.Unreported = s.record.Unreported || s.record.Owner != uuid.Nil
		s.record.Owner, s.until = owner, l.now.Add(lease)
		s.record.Epoch++
		claimed = append(claimed, copied(s.record))
	}
	return claimed, nil
}

// update changes the saga that r names if r's claim is its latest.
func (l *Log) update(ctx context.Context, r *saga.Record, change func(*row)) error {
	leave, err := l.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	s, err := l.claimed(r)
	if err == nil {
		change(s)
	}
	return err
}

// Renew implements saga.Log.
func (l *Log) Renew(ctx context.Context, r *saga.Record, lease time.Duration) error {
	return l.update(ctx, r, func(s *row) { s.until = l.now.Add(lease) })
}

// Rest implements saga.Log.
func (l *Log) Rest(ctx context.Context, r *saga.Record, pause time.Duration) error {
	return l.update(ctx, r, func(s *row) {
		s.record.Owner, s.until = uuid.Nil, l.now.Add(pause)
		s.record.Reached, s.record.Rounds, s.record.StalledSince = r.Reached, r.Rounds, r.StalledSince
	})
}

// Reopen implements saga.Log.
func (l *Log) Reopen(ctx context.Context, r *saga.Record) error {
	leave, err := l.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	s, err := l.claimed(r)
	if err != nil || s.record.Status != saga.Parked {
		return saga.ErrNotParked
	}
	changed := copied(*r)
	s.record.Status, s.record.Turned, s.record.Refusal, s.record.Trail = changed.Status, changed.Turned, changed.Refusal, changed.Trail
	s.record.Owner, s.until, s.record.ParkedFrom = uuid.Nil, l.now.Add(-time.Nanosecond), ""
	s.record.Rounds, s.record.StalledSince, s.record.UpdatedAt = 0, time.Time{}, l.now
	s.record.Epoch++
	return nil
}

// Get implements saga.Log.
func (l *Log) Get(ctx context.Context, id uuid.UUID) (*saga.Record, error) {
	leave, err := l.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	s := l.find(id)
	if s == nil {
		return nil, fault.New(fault.NotFound, fault.CodeNotFound, "there is no such saga")
	}
	return copied(s.record), nil
}

// Latest implements saga.Log.
func (l *Log) Latest(ctx context.Context, kind, subject string) (*saga.Record, error) {
	leave, err := l.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	for _, s := range slices.Backward(l.sagas) {
		if s.record.Kind == kind && s.record.Subject == subject {
			return copied(s.record), nil
		}
	}
	return nil, nil
}

// List implements saga.Log.
func (l *Log) List(ctx context.Context, status saga.Status, limit, offset int) ([]*saga.Record, int, error) {
	leave, err := l.enter(ctx)
	if err != nil {
		return nil, 0, err
	}
	defer leave()
	var all []*saga.Record
	for _, s := range slices.Backward(l.sagas) {
		if s.record.Status == status {
			all = append(all, copied(s.record))
		}
	}
	from := min(offset, len(all))
	return all[from:min(from+limit, len(all))], len(all), nil
}
