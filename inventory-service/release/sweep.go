package release

import (
	"context"
	"log/slog"
	"time"

	"ticketremaster/inventory-service/postgres"
)

// batch is the most seats that one statement of the sweep frees.
const batch = 500

// Sweep frees, every interval, the seats whose hold ended longer than grace ago and that no message freed,
// until ctx ends.
func Sweep(ctx context.Context, store *postgres.Store, interval, grace time.Duration) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := sweepOnce(ctx, store, grace); (err != nil) != failing && ctx.Err() == nil {
			failing = err != nil // logged once, until it works again
			slog.WarnContext(ctx, "the sweep", "failing", failing, "error", err)
		}
	}
}

// sweepOnce frees all holds that are due.
func sweepOnce(ctx context.Context, store *postgres.Store, grace time.Duration) error {
	for {
		holds, err := store.Sweep(ctx, grace, batch)
		if err != nil {
			return err
		}
		for _, hold := range holds {
			lag.WithLabelValues("sweep").Observe(hold.Late.Seconds())
			slog.InfoContext(ctx, "swept a hold whose message did not come", "hold_id", hold.HoldID)
		}
		if len(holds) < batch {
			return nil
		}
	}
}
