package bench

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// measurement measures a row, or several that belong together.
type measurement struct {
	ids  string
	what string
	run  func(context.Context, *bench) error
}

func (m measurement) wanted(only string) bool { return strings.ContainsAny(only, m.ids) }

// measurements in the order of the table. The ceilings are measured alternately with what is compared with them, so
// that a slower machine slows both.
var measurements = []measurement{
	{"HRPC", "ceilings, holds, reservations and purchases", holdsAndPurchases},
	{"V", "verifications", verifications},
	{"X", "200 clients, one seat", oneSeat},
	{"S", "reservations in halls of 100, 10,000 and 100,000 seats", hallSizes},
	{"M", "the seat map of 20,000 seats while reservations run", seatMap},
	{"K", "bookings of four seats", bookings},
	{"A", "the best available", bestAvailable},
	{"E", "an event cancelled while another one sells", cancellation},
	{"B", "three times the capacity", overload},
	{"F", "memory and start", footprint},
}

func holdsAndPurchases(ctx context.Context, b *bench) error {
	ceiling, err := newCeiling(ctx, b)
	if err != nil {
		return err
	}
	defer ceiling.Close()
	if err := b.moreSeats(ctx, b.plan.seats); err != nil {
		return err
	}
	inventory, closeInventory, err := b.inventory()
	if err != nil {
		return err
	}
	defer closeInventory()
	type kind struct {
		id  string
		run func(clients int) (figure, error)
	}
	kinds := []kind{
		{"C1", func(n int) (figure, error) { return ceiling.run(ctx, "C1", n) }},
		{"C2", func(n int) (figure, error) { return ceiling.run(ctx, "C2", n) }},
		{"H", func(n int) (figure, error) {
			return b.load(ctx, "H", n, b.plan.round, func(ctx context.Context, i int) error { return b.hold(ctx, inventory, i) }), nil
		}},
		{"R", func(n int) (figure, error) { return b.load(ctx, "R", n, b.plan.round, b.reserve), nil }},
		{"P", func(n int) (figure, error) { return b.load(ctx, "P", n, b.plan.round, b.purchase), nil }},
	}
	kinds = slices.DeleteFunc(kinds, func(k kind) bool { return k.id[0] != 'C' && b.only != "" && !strings.Contains(b.only, k.id) })
	for _, k := range kinds { // warm: connections, plans, caches
		if _, err := k.run(8); err != nil {
			return err
		}
	}
	peak := map[string]figure{}
	at32 := map[string]figure{}
	for _, n := range b.plan.clients {
		rounds := map[string][]figure{}
		for range b.plan.rounds {
			for _, k := range kinds {
				f, err := k.run(n)
				if err != nil {
					return err
				}
				rounds[k.id] = append(rounds[k.id], f)
			}
		}
		for _, k := range kinds {
			f := median(rounds[k.id])
			b.Loads = append(b.Loads, f)
			if f.PerSecond > peak[k.id].PerSecond {
				peak[k.id] = f
			}
			if n == 32 {
				at32[k.id] = f
			}
			if f.Errors > 0 {
				b.say("%s with %d clients: %d errors, such as %s", k.id, n, f.Errors, f.first)
			}
		}
	}
	c1, c2 := peak["C1"].PerSecond, peak["C2"].PerSecond
	h, r, p := peak["H"].PerSecond, peak["R"].PerSecond, peak["P"].PerSecond
	b.row("C1", "ceiling: hold statement by pgbench", "the unit for the rest", true, "%.0f/s", c1)
	b.row("C2", "ceiling: C1 and an order as a second commit", "", true, "%.0f/s", c2)
	if h > 0 {
		b.row("H", "gRPC ReserveSeat", "≥ 0.5 × C1", h >= .5*c1, "%.2f × C1 (%.0f/s)", h/c1, h)
	}
	if r > 0 {
		b.row("R", "POST /reserve through the gateway", "≥ 0.3 × C2; p99 at 32 clients ≤ 60 ms", r >= .3*c2 && at32["R"].P99 <= 60,
			"%.2f × C2 (%.0f/s); p99 %.0f ms", r/c2, r, at32["R"].P99)
	}
	if p > 0 {
		errors := 0
		for _, f := range b.Loads {
			if f.ID == "P" {
				errors += f.Errors
			}
		}
		b.row("P", "reserve then pay through the gateway", "≥ 0.3 × C1 ÷ 7; no error", p >= .3*c1/7 && errors == 0,
			"%.2f × C1 ÷ 7 (%.0f/s); %d errors", p/(c1/7), p, errors)
	}
	b.world.ceiling = c1
	return nil
}

// reserve holds a fresh seat for the next user.
func (b *bench) reserve(ctx context.Context, _ int) error {
	seat, err := b.world.seats.take()
	if err != nil {
		return err
	}
	_, _, err = b.reserveSeat(ctx, seat)
	return err
}

// reserveSeat returns the answer's body, and whose the hold is.
func (b *bench) reserveSeat(ctx context.Context, seat string) (body []byte, user int, err error) {
	user = b.world.nextUser()
	body, err = b.must(ctx, "/reserve", b.world.tokens[user], `{"seat_id":"`+seat+`"}`)
	return body, user, err
}

func (b *bench) purchase(ctx context.Context, _ int) error {
	seat, err := b.world.seats.take()
	if err != nil {
		return err
	}
	body, user, err := b.reserveSeat(ctx, seat)
	if err != nil {
		return err
	}
	reserved, err := data[struct {
		OrderID string `json:"order_id"`
	}](body)
	if err != nil {
		return err
	}
	_, err = b.must(ctx, "/pay", b.world.tokens[user], `{"order_id":"`+reserved.OrderID+`"}`)
	return err
}

func verifications(ctx context.Context, b *bench) error {
	scans, err := b.soldTickets(ctx, 40_000, 0)
	if err != nil {
		return err
	}
	if b.world.ceiling == 0 { // measured alone
		ceiling, err := newCeiling(ctx, b)
		if err != nil {
			return err
		}
		defer ceiling.Close()
		f, err := ceiling.run(ctx, "C1", 32)
		if err != nil {
			return err
		}
		b.world.ceiling = f.PerSecond
	}
	verify := b.verify(scans)
	b.load(ctx, "V", 8, b.plan.warm, verify)
	var loads []figure
	for _, n := range b.plan.clients {
		var rounds []figure
		for range b.plan.rounds {
			rounds = append(rounds, b.load(ctx, "V", n, b.plan.round, verify))
		}
		loads = append(loads, median(rounds))
	}
	b.Loads = append(b.Loads, loads...)
	v := best(loads)
	if v.Errors > 0 {
		b.say("V: %d errors, such as %s", v.Errors, v.first)
	}
	b.row("V", "POST /verify through the gateway", "≥ 0.15 × C1", v.PerSecond >= .15*b.world.ceiling, "%.2f × C1 (%.0f/s)", v.PerSecond/b.world.ceiling, v.PerSecond)
	return nil
}

// verify scans a fresh ticket.
func (b *bench) verify(scans *tickets) func(context.Context, int) error {
	return func(ctx context.Context, _ int) error {
		payload, err := scans.next()
		if err != nil {
			return err
		}
		body, err := b.must(ctx, "/verify", b.world.staff, `{"qr_payload":"`+payload+`","hall_id":"H1"}`)
		if err == nil && !bytes.Contains(body, []byte(`"SUCCESS"`)) {
			err = fmt.Errorf("a valid ticket is %s", body)
		}
		return err
	}
}

func oneSeat(ctx context.Context, b *bench) error {
	const clients = 200
	_, seats, err := b.event(ctx, 2+b.plan.rounds)
	if err != nil {
		return err
	}
	var slowest time.Duration
	clean := true
	for round := range 1 + b.plan.rounds { // the first one opens 200 connections
		var mu sync.Mutex
		won, lost, last := 0, 0, time.Duration(0)
		start := make(chan struct{})
		var all sync.WaitGroup
		for range clients {
			token := b.world.tokens[b.world.nextUser()]
			all.Go(func() {
				<-start
				at := time.Now()
				a, err := b.post(ctx, "/reserve", token, `{"seat_id":"`+seats[round]+`"}`)
				took := time.Since(at)
				mu.Lock()
				defer mu.Unlock()
				last = max(last, took)
				switch {
				case err == nil && a.status == http.StatusOK:
					won++
				case err == nil && a.status == http.StatusConflict:
					lost++
				case err == nil:
					b.say("X: %d %s", a.status, a.body)
				default:
					b.say("X: %v", err)
				}
			})
		}
		close(start)
		all.Wait()
		if round > 0 {
			clean = clean && won == 1 && lost == clients-1
			slowest = max(slowest, last)
		}
	}
	b.row("X", "200 clients, one seat", "one winner, 199 × 409, all within 150 ms", clean && slowest <= 150*time.Millisecond, "one winner: %v; all within %d ms", clean, slowest.Milliseconds())
	return nil
}

func hallSizes(ctx context.Context, b *bench) error {
	halls := []*seatSource{{}, {}, {}}
	for i, hall := range []struct{ size, number int }{{100, 80}, {10_000, 1}, {100_000, 1}} {
		for range hall.number {
			_, seats, err := b.event(ctx, hall.size)
			if err != nil {
				return err
			}
			halls[i].ids = append(halls[i].ids, seats...)
		}
	}
	rounds := make([][]figure, len(halls))
	for range b.plan.closeRounds {
		for i, hall := range halls {
			rounds[i] = append(rounds[i], b.load(ctx, "S", 8, b.plan.round, func(ctx context.Context, _ int) error {
				seat, err := hall.take()
				if err == nil {
					_, _, err = b.reserveSeat(ctx, seat)
				}
				return err
			}))
		}
	}
	var rates []float64
	for _, r := range rounds {
		f := median(r)
		b.Loads = append(b.Loads, f)
		rates = append(rates, f.PerSecond)
	}
	low, high := min(rates[0], rates[1], rates[2]), max(rates[0], rates[1], rates[2])
	b.row("S", "R in halls of 100, 10,000, 100,000 seats", "within 10 % of each other", low >= .9*high, "%.0f, %.0f, %.0f/s: within %.0f %%", rates[0], rates[1], rates[2], 100*(1-low/high))
	return nil
}

func footprint(ctx context.Context, b *bench) error {
	services := []string{"inventory-service", "user-service", "order-service", "event-service", "orchestrator-service"}
	total, each := 0.0, []string{}
	for _, name := range services {
		pid, ok := b.stack.Running(name)
		if !ok {
			return fmt.Errorf("%s does not run any more", name)
		}
		mb := resident(pid)
		total += mb
		each = append(each, fmt.Sprintf("%s %.0f MB", name, mb))
	}
	b.say("%s", strings.Join(each, ", "))
	slowest, slow := time.Duration(0), ""
	for _, name := range services {
		if err := b.stack.Stop(ctx, name); err != nil {
			return err
		}
		start := time.Now()
		if err := b.stack.Start(ctx, name); err != nil {
			return err
		}
		if took := time.Since(start); took > slowest {
			slowest, slow = took, name
		}
	}
	b.row("F", "memory of the five services; start to ready", "≤ 150 MB together; ≤ 1 s each", total <= 150 && slowest <= time.Second, "%.0f MB; %s %d ms", total, slow, slowest.Milliseconds())
	return nil
}
