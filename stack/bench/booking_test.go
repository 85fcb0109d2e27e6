package bench

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// bookings compares the work of four seats that are bought together with that of one.
func bookings(ctx context.Context, b *bench) error {
	if err := b.moreSeats(ctx, b.plan.seats); err != nil {
		return err
	}
	var one, four []figure
	for range b.plan.closeRounds {
		one = append(one, b.load(ctx, "P", 32, b.plan.round, b.purchase))
		four = append(four, b.load(ctx, "K", 32, b.plan.round, b.bookFour))
	}
	p, k := median(one), median(four)
	b.Loads = append(b.Loads, p, k)
	if k.Errors+p.Errors > 0 {
		b.say("K: %d errors, such as %s%s", k.Errors+p.Errors, k.first, p.first)
	}
	b.row("K", "reserve + pay of 4 seats as one booking ÷ of one seat, CPU", "≤ 1.8", k.work() <= 1.8*p.work() && k.Errors == 0, "%.2f (%.2f ÷ %.2f ms)", k.work()/p.work(), k.work(), p.work())
	return nil
}

func (b *bench) bookFour(ctx context.Context, _ int) error {
	var seats []string
	for range 4 {
		seat, err := b.world.seats.take()
		if err != nil {
			return err
		}
		seats = append(seats, seat)
	}
	token := b.world.tokens[b.world.nextUser()]
	body, err := b.must(ctx, "/reserve", token, `{"seat_ids":["`+strings.Join(seats, `","`)+`"]}`)
	if err != nil {
		return err
	}
	held, err := data[struct {
		ID string `json:"booking_id"`
	}](body)
	if err != nil {
		return err
	}
	_, err = b.must(ctx, "/pay", token, `{"booking_id":"`+held.ID+`"}`)
	return err
}

// bestAvailable asks for the best two in halls of 20,000 seats of which the middle half is taken, against reservations of seats by name.
func bestAvailable(ctx context.Context, b *bench) error {
	if err := b.moreSeats(ctx, b.plan.seats); err != nil {
		return err
	}
	var events []string
	for range 4 { // one would be sold out
		event, seats, err := b.event(ctx, 20_000)
		if err != nil {
			return err
		}
		var half []string
		for row := range slices.Chunk(seats, 20) {
			half = append(half, row[4:14]...)
		}
		for part := range slices.Chunk(half, 1_000) {
			a, err := b.world.admin.Post(ctx, "/admin/events/"+event+"/block", map[string]any{"seat_ids": part, "reason": "half a hall"})
			if err == nil {
				err = a.Err(http.StatusOK)
			}
			if err != nil {
				return err
			}
		}
		events = append(events, event)
	}
	if err := b.settle(ctx); err != nil {
		return err
	}
	best := func(ctx context.Context, n int) error {
		event, tier := events[n%len(events)], []string{"CAT1", "CAT2"}[n/len(events)%2]
		_, err := b.must(ctx, "/reserve", b.world.tokens[b.world.nextUser()], fmt.Sprintf(`{"event_id":%q,"tier":%q,"quantity":2}`, event, tier))
		return err
	}
	b.load(ctx, "A", 8, b.plan.warm, best) // reads the halls
	var r, a []figure
	for range b.plan.closeRounds {
		r = append(r, b.load(ctx, "R", 32, b.plan.round/2, b.reserve))
		a = append(a, b.load(ctx, "A", 32, b.plan.round/2, best))
	}
	byName, byChoice := median(r), median(a)
	b.Loads = append(b.Loads, byName, byChoice)
	if byChoice.Errors > 0 {
		b.say("A: %d errors, such as %s", byChoice.Errors, byChoice.first)
	}
	b.row("A", "the best 2 of a half-sold hall of 20,000, 32 clients", "≥ 0.6 × R", byChoice.PerSecond >= .6*byName.PerSecond, "%.2f × R (%.0f/s)", byChoice.PerSecond/byName.PerSecond, byChoice.PerSecond)
	return nil
}
