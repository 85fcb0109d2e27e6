package bench

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"ticketremaster/platform/rpc"
	inventoryv1 "ticketremaster/proto/inventory/v1"
	"ticketremaster/stack/audit"
	"ticketremaster/stack/client"
)

// moreSeats adds events' seats to those that are reserved next.
func (b *bench) moreSeats(ctx context.Context, n int) error {
	for n > 0 {
		hall := min(n, 100_000)
		_, seats, err := b.event(ctx, hall)
		if err != nil {
			return err
		}
		b.world.seats.ids = append(b.world.seats.ids, seats...)
		n -= hall
	}
	return b.settle(ctx)
}

// inventory connects to the inventory service as the orchestrator does.
func (b *bench) inventory() (inventoryv1.InventoryClient, func(), error) {
	addr, err := b.stack.Addr("inventory-service")
	if err != nil {
		return nil, nil, err
	}
	conn, err := rpc.Dial("the inventory service", addr, b.stack.Secret("INVENTORY_TOKEN"))
	if err != nil {
		return nil, nil, err
	}
	return inventoryv1.NewInventoryClient(conn), func() { conn.Close() }, nil
}

func (b *bench) hold(ctx context.Context, inventory inventoryv1.InventoryClient, _ int) error {
	seat, err := b.world.seats.take()
	if err != nil {
		return err
	}
	_, err = inventory.ReserveSeat(ctx, &inventoryv1.ReserveSeatRequest{
		SeatId: seat, UserId: b.world.users[b.world.nextUser()], HoldId: uuid.Must(uuid.NewV7()).String(), HoldTtlMs: 300_000, MaxHolds: 10,
	})
	return err
}

// seatMap reads the map of a large hall without pause while its seats are being reserved.
func seatMap(ctx context.Context, b *bench) error {
	event, ids, err := b.event(ctx, 20_000)
	if err != nil {
		return err
	}
	hall := &seatSource{ids: ids}
	reserve := func(ctx context.Context, _ int) error {
		seat, err := hall.take()
		if err == nil {
			_, _, err = b.reserveSeat(ctx, seat)
		}
		return err
	}
	var alone, beside, maps []figure
	var notModified, gzipped, stale atomic.Int64
	read := func(tag *atomic.Pointer[string]) func(context.Context, int) error {
		return func(ctx context.Context, n int) error {
			known := ""
			if n%10 != 0 { // a browser with a cached map; one in ten has none
				known = *tag.Load()
			}
			a, err := b.look(ctx, "/events/"+event, known)
			switch {
			case err != nil:
				return err
			case a.status == http.StatusNotModified:
				notModified.Add(1)
			case a.status == http.StatusOK:
				if a.encoding == "gzip" {
					gzipped.Add(1)
				}
				tag.Store(&a.tag)
			default:
				return fmt.Errorf("status %d", a.status)
			}
			return nil
		}
	}
	for range b.plan.closeRounds {
		alone = append(alone, b.load(ctx, "R", 8, b.plan.round, reserve))
		var tag atomic.Pointer[string]
		tag.Store(new(string))
		// 310 reads a second, evenly spaced: the row is about what reservations lose to that rate, not to the highest
		// possible one.
		var all sync.WaitGroup
		all.Go(func() { maps = append(maps, b.offer(ctx, "M", 310, b.plan.round, read(&tag)).figure) })
		beside = append(beside, b.load(ctx, "R", 8, b.plan.round, reserve))
		all.Wait()
	}
	if err := b.freshness(ctx, event, hall, &stale); err != nil {
		return err
	}
	m, r0, r1 := median(maps), median(alone), median(beside)
	r0.ID, r1.ID = "R-", "R+M"
	m.CPU = nil // it is R's too
	b.Loads = append(b.Loads, r0, r1, m)
	b.row("M", "seat map of 20,000 while R runs", "≥ 300/s, gzip, 304, ≤ 1 s old; R loses < 20 %",
		m.PerSecond >= 300 && notModified.Load() > 0 && gzipped.Load() > 0 && stale.Load() == 0 && r1.PerSecond > .8*r0.PerSecond,
		"%.0f/s, %d × 304, %d gzip, %d stale; R loses %.0f %%", m.PerSecond, notModified.Load(), gzipped.Load(), stale.Load(), 100*(1-r1.PerSecond/r0.PerSecond))
	return nil
}

// freshness holds a seat and reads the map until it shows it, which must be within a second.
func (b *bench) freshness(ctx context.Context, event string, hall *seatSource, stale *atomic.Int64) error {
	for range 3 {
		if _, err := b.world.app.Do(ctx, client.Call{Method: http.MethodGet, Path: "/events/" + event}); err != nil { // so that a map is cached
			return err
		}
		seat, err := hall.take()
		if err != nil {
			return err
		}
		if _, _, err := b.reserveSeat(ctx, seat); err != nil {
			return err
		}
		held := time.Now()
		for {
			asked := time.Now()
			a, err := b.world.app.Do(ctx, client.Call{Method: http.MethodGet, Path: "/events/" + event})
			if err != nil {
				return err
			}
			var e struct {
				Seats []struct {
					ID     string `json:"seat_id"`
					Status string `json:"status"`
				} `json:"seats"`
			}
			if err := a.Into(&e); err != nil {
				return err
			}
			shown := false
			for _, s := range e.Seats {
				shown = shown || s.ID == seat && s.Status == "HELD"
			}
			if shown {
				break
			}
			if asked.Sub(held) > time.Second {
				stale.Add(1)
				break
			}
		}
	}
	return nil
}

// offered is the outcome of requests sent at a fixed rate, whether or not earlier ones were answered.
type offered struct {
	figure          // of the accepted
	refused         int
	refusedP99      float64 // ms
	withoutRetryHdr int
}

// pace is how often offer sends what is due: waking up for each request would load the processor that is measured.
const pace = 5 * time.Millisecond

// offer sends requests at a rate for a time. A refusal is errRefused.
func (b *bench) offer(ctx context.Context, id string, perSecond float64, duration time.Duration, action func(context.Context, int) error) offered {
	var mu sync.Mutex
	var accepted, refused []time.Duration
	var o offered
	var all sync.WaitGroup
	inFlight := make(chan struct{}, 3000) // what a client machine can keep open
	before, start := b.cpuTimes(), time.Now()
	for n := 0; ; n++ {
		due := start.Add(time.Duration(float64(n) / perSecond * float64(time.Second)))
		if due.Sub(start) >= duration || ctx.Err() != nil {
			break
		}
		if time.Until(due) > 0 {
			time.Sleep(pace)
		}
		select {
		case inFlight <- struct{}{}:
		default:
			mu.Lock()
			o.Errors++ // no answer in time
			mu.Unlock()
			continue
		}
		all.Go(func() {
			defer func() { <-inFlight }()
			err := action(ctx, n)
			took := time.Since(due) // waiting to be sent counts too
			mu.Lock()
			defer mu.Unlock()
			switch r, isRefusal := err.(refusal); {
			case err == nil:
				accepted = append(accepted, took)
			case isRefusal:
				refused = append(refused, took)
				if !r.retryAfter {
					o.withoutRetryHdr++
				}
			default:
				if o.Errors++; o.first == "" {
					o.first = err.Error()
				}
			}
		})
	}
	all.Wait()
	errors, first := o.Errors, o.first
	o.figure = summarize(id, int(perSecond), accepted, duration)
	o.CPU = map[string]float64{} // per request offered
	for name, after := range b.cpuTimes() {
		o.CPU[name] = (after - before[name]) / (perSecond * duration.Seconds())
	}
	o.Errors, o.first = errors, first
	o.refused = len(refused)
	o.refusedP99 = summarize(id, 0, refused, duration).P99
	return o
}

type refusal struct{ retryAfter bool }

func (refusal) Error() string { return "refused" }

// overload offers three times the capacity: goodput must stay near capacity, and the rest be refused fast.
func overload(ctx context.Context, b *bench) error {
	if err := b.moreSeats(ctx, 60_000); err != nil {
		return err
	}
	// The capacity is measured before and after, because the machine may have become slower since R was measured.
	capacity := func(id string) figure {
		var of32, of128 []figure
		for range b.plan.rounds {
			of32 = append(of32, b.load(ctx, id, 32, b.plan.round, b.reserve))
			of128 = append(of128, b.load(ctx, id, 128, b.plan.round, b.reserve))
		}
		return best([]figure{median(of32), median(of128)})
	}
	b.load(ctx, "R", 32, b.plan.warm, b.reserve)
	before := capacity("B-")
	if err := b.moreSeats(ctx, int(before.PerSecond*(3.1*b.plan.burst.Seconds()+10*b.plan.round.Seconds()*float64(b.plan.rounds)))); err != nil {
		return err
	}
	reserve := func(ctx context.Context, _ int) error {
		seat, err := b.world.seats.take()
		if err != nil {
			return err
		}
		a, err := b.post(ctx, "/reserve", b.world.tokens[b.world.nextUser()], `{"seat_id":"`+seat+`"}`)
		switch {
		case err != nil || a.status == http.StatusOK:
			return err
		case a.status == http.StatusTooManyRequests || a.status == http.StatusServiceUnavailable:
			seconds, err := strconv.Atoi(a.retryAfter)
			return refusal{err == nil && seconds > 0}
		}
		return fmt.Errorf("status %d: %s", a.status, a.body)
	}
	o := b.offer(ctx, "B", 3*before.PerSecond, b.plan.burst, reserve)
	after := capacity("B+")
	b.Loads = append(b.Loads, before, o.figure, after)
	if o.Errors > 0 {
		b.say("B: %d errors, such as %s", o.Errors, o.first)
	}
	if o.withoutRetryHdr > 0 {
		b.say("B: %d refusals did not say when to try again", o.withoutRetryHdr)
	}
	goodput, back := o.PerSecond/((before.PerSecond+after.PerSecond)/2), after.PerSecond/before.PerSecond
	b.row("B", fmt.Sprintf("3 × capacity offered for %.0f s", b.plan.burst.Seconds()), "goodput ≥ 0.8; rest refused fast; p99 ≤ 250 ms; then normal",
		goodput >= .8 && o.P99 <= 250 && o.withoutRetryHdr == 0 && o.Errors == 0 && o.refused > 0 && back >= .8,
		"goodput %.2f; %d refused, p99 %.0f ms; accepted p99 %.0f ms; %d errors; after: %.2f", goodput, o.refused, o.refusedP99, o.P99, o.Errors, back)
	return nil
}

// audit must find nothing after all that.
func (b *bench) audit(ctx context.Context) error {
	dsns := map[string]string{}
	for _, name := range audit.Databases {
		dsns[name] = b.stack.DSN(name)
	}
	fmt.Fprintln(b.out, "\nThe books afterwards:")
	offenders, err := audit.Run(ctx, dsns, 0, b.out)
	if err == nil && offenders > 0 {
		err = fmt.Errorf("%d offenders in the audit", offenders)
	}
	return err
}
