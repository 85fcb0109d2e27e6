// Package gather lets calls that are made at the same time travel together. A call that comes alone leaves at once; calls
// that come while it is under way wait for its return and then leave as one. So nobody waits for company, and the
// more there is to do, the less each costs: one request, one statement and one commit for many.
package gather

import (
	"cmp"
	"context"
	"sync"
	"time"

	"ticketremaster/platform/correlation"
	"ticketremaster/platform/fault"
)

// Most is how many calls travel together.
const Most = 24

const patience = 50 * time.Millisecond

// Group gathers the calls of one kind. The zero value is ready.
type Group[In, Out any] struct {
	// Lanes is how many journeys are made at once; 0: one.
	Lanes int
	// Patience is when a journey counts no more: who waits behind it leaves without it, so that one that hangs, at a lock or a
	// service that is slow for it, holds nobody up; 0: 50 ms.
	Patience time.Duration
	mu       sync.Mutex
	waiting  []*call[In, Out]
	underWay int // journeys
}

type call[In, Out any] struct {
	ctx  context.Context
	in   In
	done chan struct{}
	out  Out
	err  error
}

// Do gives the answer to in, or ctx's error when that ends first; the call goes on then, if it was under way. together makes
// the journey: it answers each of at most Most calls, in their order, under a context that has all their correlation ids and the
// latest of their deadlines, none if one of them has none: it must set its own. When several fail together, but for an outage,
// each is made again by itself, beside the journeys that follow, so that one call's fault is no other's and keeps nobody waiting:
// what it does must be idempotent.
func (g *Group[In, Out]) Do(ctx context.Context, in In, together func(context.Context, []In) ([]Out, error)) (Out, error) {
	c := &call[In, Out]{ctx: ctx, in: in, done: make(chan struct{})}
	g.mu.Lock()
	g.waiting = append(g.waiting, c)
	if g.underWay < max(g.Lanes, 1) {
		g.underWay++
		go g.travel(together)
	}
	g.mu.Unlock()
	select {
	case <-c.done:
		return c.out, c.err
	case <-ctx.Done():
		var none Out
		return none, ctx.Err()
	}
}

// travel takes those who wait along until nobody does.
func (g *Group[In, Out]) travel(together func(context.Context, []In) ([]Out, error)) {
	for {
		calls := g.next()
		if calls == nil {
			return
		}
		long := time.AfterFunc(cmp.Or(g.Patience, patience), func() { g.leaveLane(together) })
		answer(calls, together)
		if !long.Stop() {
			return // others have the lane
		}
	}
}

// next gives those who travel now; nil, and the lane is free, if nobody waits.
func (g *Group[In, Out]) next() (calls []*call[In, Out]) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for calls == nil && len(g.waiting) > 0 {
		n := min(len(g.waiting), Most)
		for _, c := range g.waiting[:n] {
			if c.ctx.Err() == nil { // else its caller is gone already
				calls = append(calls, c)
			}
		}
		g.waiting = g.waiting[n:]
	}
	if calls == nil {
		g.underWay--
	}
	return calls
}

// leaveLane gives a long journey's lane to those who wait.
func (g *Group[In, Out]) leaveLane(together func(context.Context, []In) ([]Out, error)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.waiting) == 0 {
		g.underWay--
		return
	}
	go g.travel(together)
}

func answer[In, Out any](calls []*call[In, Out], together func(context.Context, []In) ([]Out, error)) {
	ins := make([]In, len(calls))
	for i, c := range calls {
		ins[i] = c.in
	}
	ctx, cancel := shared(calls)
	defer cancel()
	outs, err := together(ctx, ins)
	if err != nil && len(calls) > 1 && fault.From(err).Kind != fault.Unavailable {
		for i := range calls {
			go answer(calls[i:i+1], together)
		}
		return
	}
	for i, c := range calls {
		if c.err = err; err == nil {
			c.out = outs[i]
		}
		close(c.done)
	}
}

// shared gives the context of a journey: it does not end with any one caller, but no later than the last of them gives up.
func shared[In, Out any](calls []*call[In, Out]) (context.Context, context.CancelFunc) {
	ctxs := make([]context.Context, len(calls))
	var latest time.Time
	endless := false
	for i, c := range calls {
		ctxs[i] = c.ctx
		deadline, has := c.ctx.Deadline()
		endless = endless || !has
		if deadline.After(latest) {
			latest = deadline
		}
	}
	ctx := correlation.Join(ctxs)
	if endless {
		return ctx, func() {}
	}
	return context.WithDeadline(ctx, latest)
}
