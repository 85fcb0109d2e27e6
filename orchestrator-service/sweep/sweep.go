// Package sweep ends what is overdue and whose message was lost.
package sweep

import (
	"context"
	"log/slog"
	"time"
)

// AtOnce is how many overdue things of one kind a round takes up.
const AtOnce = 100

// Run calls each round after every interval until ctx ends; it comes after the broker.
func Run(ctx context.Context, interval time.Duration, rounds ...func(context.Context) error) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	failing := false
	for {
		err := once(ctx, rounds)
		if err != nil && !failing && ctx.Err() == nil { // told once, not every two seconds
			slog.WarnContext(ctx, "a sweep failed; the next one tries again", "error", err)
		}
		failing = err != nil
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func once(ctx context.Context, rounds []func(context.Context) error) error {
	for _, round := range rounds {
		if err := round(ctx); err != nil {
			return err
		}
	}
	return nil
}
