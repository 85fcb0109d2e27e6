package clients

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/singleflight"
)

// Up to debtorsLife, what was read serves all scans; up to debtorsStale it still does, while it is read anew beside
// them.
const (
	debtorsLife  = 2 * time.Second
	debtorsStale = 5 * debtorsLife
)

// mostDebtors is how many the user service returns at once.
const mostDebtors = 5000

type debtors struct {
	mu     sync.Mutex
	since  map[uuid.UUID]time.Time
	tried  time.Time
	flight singleflight.Group
}

// DebtSince returns a lookup: when the last debt was made that a user still owes, of what a refund or chargeback took
// back; zero for none. It is at most ten seconds old, two while there are scans. When the user service cannot be asked,
// what was read last counts: entry does not stop because debts cannot be read.
func (u *Users) DebtSince(ctx context.Context) func(user uuid.UUID) time.Time {
	d := &u.debtors
	d.mu.Lock()
	known, age := d.since, time.Since(d.tried)
	d.mu.Unlock()
	switch {
	case age < debtorsLife:
	case age < debtorsStale:
		go u.refreshDebtors(context.WithoutCancel(ctx))
	default:
		known = u.refreshDebtors(context.WithoutCancel(ctx))
	}
	return func(user uuid.UUID) time.Time { return known[user] }
}

// refreshDebtors reads the list, once for all who ask at that time.
func (u *Users) refreshDebtors(ctx context.Context) map[uuid.UUID]time.Time {
	d := &u.debtors
	v, _, _ := d.flight.Do("", func() (any, error) {
		read, err := u.readDebtors(ctx)
		if err != nil {
			slog.WarnContext(ctx, "the gate does not know who owes what was taken back", "error", err)
		}
		d.mu.Lock()
		defer d.mu.Unlock()
		d.tried = time.Now()
		if err == nil {
			d.since = read
		}
		return d.since, nil
	})
	return v.(map[uuid.UUID]time.Time)
}

// debtorsTime bounds one reading, which scans wait for.
const debtorsTime = 300 * time.Millisecond

func (u *Users) readDebtors(ctx context.Context) (map[uuid.UUID]time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, debtorsTime)
	defer cancel()
	all := map[uuid.UUID]time.Time{}
	for after := ""; ; {
		var page []struct {
			UserID uuid.UUID `json:"user_id"`
			Since  time.Time `json:"since"`
		}
		if err := u.Do(ctx, http.MethodGet, "/internal/debts?after="+after, nil, &page); err != nil {
			return nil, err
		}
		for _, d := range page {
			all[d.UserID] = d.Since
		}
		if len(page) < mostDebtors {
			return all, nil
		}
		after = page[len(page)-1].UserID.String()
	}
}
