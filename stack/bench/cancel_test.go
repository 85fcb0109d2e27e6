package bench

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"ticketremaster/stack/client"
)

// sellers are the clients that buy tickets of another event while one is cancelled.
const sellers = 32

// cancellation cancels an event whose tickets are all sold: one alone, for what a ticket costs, and one while another event
// sells.
func cancellation(ctx context.Context, b *bench) error {
	alone, err := b.cancelled(ctx, b.plan.cancelled/4, nil)
	if err != nil {
		return err
	}
	alone.ID = "E-"
	if err := b.moreSeats(ctx, b.plan.seats/4); err != nil {
		return err
	}
	sale := func(id string) figure {
		var rounds []figure
		for range b.plan.closeRounds {
			rounds = append(rounds, b.load(ctx, id, sellers, b.plan.round, b.purchase))
		}
		return median(rounds)
	}
	b.load(ctx, "P", sellers, b.plan.warm, b.purchase)
	before := sale("P-")
	var beside figure
	e, err := b.cancelled(ctx, b.plan.cancelled, func(refunding context.Context) {
		beside = b.load(refunding, "P+E", sellers, time.Hour, func(_ context.Context, i int) error { return b.purchase(ctx, i) })
	})
	if err != nil {
		return err
	}
	after := sale("P-")
	e.CPU = nil // it is the sale's too
	b.Loads = append(b.Loads, alone, before, beside, e, after)
	for _, f := range []figure{before, beside, after} {
		if f.Errors > 0 {
			b.say("%s: %d errors, such as %s", f.ID, f.Errors, f.first)
		}
	}
	// Like B's capacity, the sale's rate is measured before and after: the machine may have become slower.
	kept := beside.PerSecond / ((before.PerSecond + after.PerSecond) / 2)
	b.row("E", fmt.Sprintf("an event of %d tickets cancelled while P runs", b.plan.cancelled), "≥ 333 tickets/s (20,000 a minute); P keeps ≥ 0.8",
		e.PerSecond >= 333 && kept >= .8 && beside.Errors == 0, "%.0f tickets/s; P keeps %.2f; a ticket alone takes %.2f ms of CPU",
		e.PerSecond, kept, alone.work())
	return nil
}

// work is the CPU time per request of all parts together, in ms, the bench's own left out.
func (f figure) work() (ms float64) {
	for name, part := range f.CPU {
		if name != "bench" {
			ms += part
		}
	}
	return ms
}

// cancelled sells an event out, cancels it and waits until every ticket is refunded; meanwhile runs beside it, if it is not
// nil, until its context ends.
func (b *bench) cancelled(ctx context.Context, n int, meanwhile func(context.Context)) (figure, error) {
	sold, err := b.soldTickets(ctx, n, 1_00)
	if err != nil {
		return figure{}, err
	}
	path := "/admin/events/" + sold.event + "/cancel"
	admin := func(method, path string, body any, status int) (client.Answer, error) {
		a, err := b.world.app.Do(ctx, client.Call{Method: method, Path: path, Token: b.world.admin.Access, Body: body})
		if err == nil {
			err = a.Err(status)
		}
		return a, err
	}
	preview, err := admin(http.MethodPost, path+"/preview", map[string]any{}, http.StatusOK)
	if err != nil {
		return figure{}, err
	}
	others, stop := context.WithCancel(ctx)
	ended := make(chan struct{})
	before, start := b.cpuTimes(), time.Now()
	go func() {
		defer close(ended)
		if meanwhile != nil {
			meanwhile(others)
		}
	}()
	defer func() { stop(); <-ended }()
	if _, err := admin(http.MethodPost, path, map[string]any{"code": preview.Text("code"), "reason": "bench"}, http.StatusAccepted); err != nil {
		return figure{}, err
	}
	for {
		a, err := admin(http.MethodGet, path, nil, http.StatusOK)
		if err != nil {
			return figure{}, err
		}
		if a.Text("status") == "DONE" {
			break
		}
		select {
		case <-ctx.Done():
			return figure{}, ctx.Err()
		case <-time.After(500 * time.Millisecond):
		}
	}
	took, after := time.Since(start), b.cpuTimes()
	f := figure{ID: "E", Clients: 1, PerSecond: float64(n) / took.Seconds(), CPU: map[string]float64{}}
	for name := range after {
		f.CPU[name] = (after[name] - before[name]) / float64(n)
	}
	return f, nil
}
