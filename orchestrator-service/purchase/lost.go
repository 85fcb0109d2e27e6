package purchase

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"ticketremaster/orchestrator-service/hold"
	"ticketremaster/platform/fault"
)

// Limits of giving lost holds back.
const (
	mostLost    = 1_000           // remembered at once
	lostFor     = time.Minute     // then a hold is left to its expiry
	lostRound   = time.Second     // between two rounds, once all of a round was answered
	lostBackOff = 8 * time.Second // the longest pause after a round that was not
)

// lostHold is a hold with an unknown outcome: the client was told 503, so nothing may remain, but the call may still be
// executed when the service catches up.
type lostHold struct {
	hold.Held
	until time.Time
	freed bool // once; a late call may still make the hold
}

// lostHolds are given back one by one: while the inventory is down, more at once would only load the other services.
// Those beyond the limits expire like every hold.
type lostHolds struct {
	mu  sync.Mutex
	all []lostHold
}

func (l *lostHolds) add(ctx context.Context, booking ...hold.Held) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, h := range booking {
		if len(l.all) >= mostLost {
			slog.WarnContext(ctx, "too many holds are to be given back; this one will expire", "seat", h.SeatID, "order", h.HoldID)
			continue
		}
		l.all = append(l.all, lostHold{Held: h, until: time.Now().Add(lostFor)})
	}
}

// first returns the hold that has waited longest.
func (l *lostHolds) first() (lostHold, int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.all) == 0 {
		return lostHold{}, 0
	}
	return l.all[0], len(l.all)
}

// settle removes the first hold from the queue, and appends it as h if again is true.
func (l *lostHolds) settle(h lostHold, again bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = l.all[1:]
	if again {
		l.all = append(l.all, h)
	}
}

// GiveBackLost frees holds with an unknown outcome until ctx ends.
func (f *Flows) GiveBackLost(ctx context.Context) {
	pause := lostRound
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		if err := f.giveBackRound(ctx); err != nil {
			pause = min(2*pause, lostBackOff)
			slog.WarnContext(ctx, "holds could not be given back; trying again", "in", pause, "error", err)
		} else {
			pause = lostRound
		}
	}
}

// giveBackRound tries each hold once; it ends at the first unknown outcome.
func (f *Flows) giveBackRound(ctx context.Context) error {
	_, round := f.lost.first()
	for range round {
		h, _ := f.lost.first()
		if time.Now().After(h.until) {
			slog.WarnContext(ctx, "a hold could not be given back; it will expire", "seat", h.SeatID, "order", h.HoldID)
			f.lost.settle(h, false)
			continue
		}
		freed, err := f.freeLost(ctx, h)
		if err != nil {
			f.lost.settle(h, true)
			return err
		}
		again := freed && !h.freed
		h.freed = true
		f.lost.settle(h, again)
	}
	return nil
}

// freeLost frees one hold. It leaves one that has an order and returns false: the user has reserved again and got it.
// An error means that the outcome is unknown.
func (f *Flows) freeLost(ctx context.Context, h lostHold) (freed bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	_, err = f.Orders.Get(ctx, h.HoldID)
	switch {
	case err == nil:
		return false, nil
	case fault.Unknown(err):
		return false, err
	}
	if _, err = f.endHold(ctx, h.SeatID, h.HoldID, false, reasonNotOffered); fault.Unknown(err) {
		return false, err
	}
	return true, nil
}
