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

// debtorsLife is how old the gate's knowledge of debts may be; one reading serves all scans of that time.
const debtorsLife = 2 * time.Second

// mostDebtors is how many the user service gives at once.
const mostDebtors = 5000

type debtors struct {
	mu     sync.Mutex
	since  map[uuid.UUID]time.Time
	until  time.Time
	flight singleflight.Group
}

// DebtSince gives what tells when the last debt was made that a user still owes, of what a refund or chargeback took back; zero for none. It may
// be two seconds old. When the user service cannot be asked, what was read last counts: a queue at the door does not stand still
// because nobody can tell who owes what.
func (u *Users) DebtSince(ctx context.Context) func(user uuid.UUID) time.Time {
	d := &u.debtors
	d.mu.Lock()
	known, fresh := d.since, time.Now().Before(d.until)
	d.mu.Unlock()
	if !fresh {
		v, err, _ := d.flight.Do("", func() (any, error) {
			read, err := u.readDebtors(context.WithoutCancel(ctx))
			d.mu.Lock()
			defer d.mu.Unlock()
			d.until = time.Now().Add(debtorsLife)
			if err == nil {
				d.since = read
			}
			return d.since, err
		})
		if err != nil {
			slog.WarnContext(ctx, "the gate does not know who owes what was taken back", "error", err)
		}
		known = v.(map[uuid.UUID]time.Time)
	}
	return func(user uuid.UUID) time.Time { return known[user] }
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
