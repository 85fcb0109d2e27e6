// Package gather lets calls that are made at the same time travel together. A call that comes alone leaves at once; calls
// that come while it is under way wait for its return and then leave as one. So nobody waits for company, and the
// more there is to do, the less each costs: one request, one statement and one commit for many.
package gather

import (
	"context"
	"sync"

	"ticketremaster/platform/correlation"
	"ticketremaster/platform/fault"
)

// Most is how many calls travel together.
const Most = 24

// Group gathers the calls of one kind. The zero value is ready.
type Group[In, Out any] struct {
	mu       sync.Mutex
	waiting  []*call[In, Out]
	underWay bool
}

type call[In, Out any] struct {
	ctx  context.Context
	in   In
	done chan struct{}
	out  Out
	err  error
}

// Do gives the answer to in, or ctx's error when that ends first; the call goes on then. together makes the journey: it
// answers each of at most Most calls, in their order, under a context that lasts beyond any one caller and has all their
// correlation ids; it must set its own deadline. When several fail together, but for an outage, each is made again by
// itself, so that one call's fault is no other's: what it does must be idempotent.
func (g *Group[In, Out]) Do(ctx context.Context, in In, together func(context.Context, []In) ([]Out, error)) (Out, error) {
	c := &call[In, Out]{ctx: ctx, in: in, done: make(chan struct{})}
	g.mu.Lock()
	g.waiting = append(g.waiting, c)
	if !g.underWay {
		g.underWay = true
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
		g.mu.Lock()
		n := min(len(g.waiting), Most)
		if n == 0 {
			g.underWay = false
			g.mu.Unlock()
			return
		}
		calls := g.waiting[:n:n]
		g.waiting = g.waiting[n:]
		g.mu.Unlock()
		answer(calls, together)
	}
}

func answer[In, Out any](calls []*call[In, Out], together func(context.Context, []In) ([]Out, error)) {
	ins, ctxs := make([]In, len(calls)), make([]context.Context, len(calls))
	for i, c := range calls {
		ins[i], ctxs[i] = c.in, c.ctx
	}
	outs, err := together(correlation.Join(ctxs), ins)
	if err != nil && len(calls) > 1 && fault.From(err).Kind != fault.Unavailable {
		for i := range calls {
			answer(calls[i:i+1], together)
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
