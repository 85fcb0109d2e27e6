// Package gather coalesces calls that are made at the same time into batches. A single call is sent at once; calls that
// arrive while it is running wait for its end and are then sent as one batch. So no call waits for others to join, and
// under load each costs less: one request, one statement and one commit for many (docs/adr/coalesced-calls.md).
package gather

import (
	"cmp"
	"context"
	"sync"
	"time"

	"ticketremaster/platform/correlation"
	"ticketremaster/platform/fault"
)

// Most is the most calls in a batch.
const Most = 24

const slow = 50 * time.Millisecond

// Group coalesces the calls of one kind. The zero value is ready.
type Group[In, Out any] struct {
	// Lanes is how many batches run at once; 0: one.
	Lanes int
	// Slow is how long a batch occupies its lane; 0: 50 ms. After that the next batch is started beside it, so that one
	// that hangs, at a lock or a slow service, does not block others.
	Slow    time.Duration
	mu      sync.Mutex
	waiting []*call[In, Out]
	running int // batches
}

type call[In, Out any] struct {
	ctx  context.Context
	in   In
	done chan struct{}
	out  Out
	err  error
}

// Do returns the answer to in, or ctx's error when that ends first; a call that was sent is then still executed.
// together executes a batch of at most Most calls and returns their answers in order. Its context has the correlation
// ids of all calls and the latest of their deadlines, none if one of them has none: then together must set its own. If
// a batch of several fails for another reason than an outage, each call is executed again by itself, beside the batches
// that follow, so that one call's error does not affect or delay others. So together must be idempotent.
func (g *Group[In, Out]) Do(ctx context.Context, in In, together func(context.Context, []In) ([]Out, error)) (Out, error) {
	c := &call[In, Out]{ctx: ctx, in: in, done: make(chan struct{})}
	g.mu.Lock()
	g.waiting = append(g.waiting, c)
	if g.running < max(g.Lanes, 1) {
		g.running++
		go g.run(together)
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

// run executes batches until no call waits.
func (g *Group[In, Out]) run(together func(context.Context, []In) ([]Out, error)) {
	for {
		calls := g.next()
		if calls == nil {
			return
		}
		long := time.AfterFunc(cmp.Or(g.Slow, slow), func() { g.leaveLane(together) })
		answer(calls, together)
		if !long.Stop() {
			return // another batch has the lane
		}
	}
}

// next returns the next batch; nil, and the lane is free, if no call waits.
func (g *Group[In, Out]) next() (calls []*call[In, Out]) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for calls == nil && len(g.waiting) > 0 {
		n := min(len(g.waiting), Most)
		for _, c := range g.waiting[:n] {
			if c.ctx.Err() == nil { // else its caller has given up
				calls = append(calls, c)
			}
		}
		g.waiting = g.waiting[n:]
	}
	if calls == nil {
		g.running--
	}
	return calls
}

// leaveLane passes a slow batch's lane on to the calls that wait.
func (g *Group[In, Out]) leaveLane(together func(context.Context, []In) ([]Out, error)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.waiting) == 0 {
		g.running--
		return
	}
	go g.run(together)
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

// shared returns the context of a batch: it does not end with any one caller, but when the last of them gives up.
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
