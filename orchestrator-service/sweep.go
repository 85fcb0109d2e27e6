package orchestrator

import (
	"context"
	"log/slog"
	"time"
)

// sweepAtOnce is how many overdue orders and transfers one sweep takes up.
const sweepAtOnce = 100

// Sweep ends holds and transfers whose time is over and whose message was lost, until ctx ends. It comes after
// the broker: SweepGrace later.
func (f *Flows) Sweep(ctx context.Context) {
	tick := time.NewTicker(f.SweepInterval)
	defer tick.Stop()
	failing := false
	for {
		err := f.sweepOnce(ctx)
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

func (f *Flows) sweepOnce(ctx context.Context) error {
	orders, err := f.Orders.Overdue(ctx, f.SweepGrace, sweepAtOnce)
	if err != nil {
		return err
	}
	for _, o := range orders {
		if err := f.ExpireHold(ctx, o.SeatID, o.OrderID); err != nil {
			return err
		}
	}
	transfers, err := f.Orders.OverdueTransfers(ctx, sweepAtOnce)
	if err != nil {
		return err
	}
	for _, t := range transfers {
		if err := f.ExpireTransfer(ctx, t); err != nil {
			return err
		}
	}
	return nil
}
