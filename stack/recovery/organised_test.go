package recovery

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ticketremaster/platform/money"
	"ticketremaster/stack/client"
)

// show is an event of one sequence. Its tickets may be given back until an hour before it begins, less a fee.
type show struct {
	id        string
	seats     []string
	free      []string // that nobody has reserved, or whose ticket was given back
	cancelled bool
}

func newShow(t *testing.T) *show {
	t.Helper()
	id, seats := newEvent(t, 6, map[string]any{"refund_hours_before": 1, "refund_fee_percent": 10})
	return &show{id: id, seats: seats, free: slices.Clone(seats)}
}

func (c *users) showOf(seat string) *show {
	for _, s := range c.shows {
		if slices.Contains(s.seats, seat) {
			return s
		}
	}
	c.t.Fatalf("a ticket of another sequence: %s", seat)
	return nil
}

// anyShow draws an event that is not cancelled.
func (c *users) anyShow(rt *rapid.T) (*show, bool) {
	on := slices.DeleteFunc(slices.Clone(c.shows), func(s *show) bool { return s.cancelled })
	return pick(rt, &on)
}

// gets notes a ticket's new owner. Those of a cancelled event are on their way to be refunded.
func (c *users) gets(seat string, who int) {
	if !c.showOf(seat).cancelled {
		c.owner[seat] = who
	}
}

// anyTicket draws a ticket that somebody has.
func (c *users) anyTicket(rt *rapid.T) (seat string, ok bool) {
	seats := slices.Sorted(maps.Keys(c.owner)) // in order: a sequence that is played again draws the same
	return pick(rt, &seats)
}

// refunds has somebody refund a ticket; its owner gets the credits.
func (c *users) refunds(rt *rapid.T, what string, by *client.Person, seat, path string, body map[string]any) bool {
	owner := c.owner[seat]
	before := c.movements(owner)
	a, done := c.does(rt, what, by, path, body)
	var back struct {
		Credits money.Cents `json:"credits_returned"`
	}
	if done && (a.Into(&back) != nil || back.Credits > 0 && c.movements(owner) == before) {
		rt.Fatalf("the owner of %s got nothing: %s", seat, a.Raw)
	}
	return done
}

// void notes that nobody has this ticket any more, and that its transfers are history.
func (c *users) void(seat string) {
	delete(c.owner, seat)
	for id, x := range c.transfers {
		if x.seat == seat && x.status == "COMPLETED" {
			c.become(id, "")
		}
	}
}

// returned notes that a ticket was given back, which waits for the end of its dispute.
func (c *users) returned(rt *rapid.T, seat string, blocked bool) {
	for id, x := range c.transfers {
		if x.seat == seat && x.status == "DISPUTED" {
			rt.Fatalf("ticket %s was refunded while its transfer %s is disputed", seat, id)
		}
	}
	c.void(seat)
	if s := c.showOf(seat); !blocked {
		s.free = slices.Insert(s.free, 0, seat) // rapid prefers the first: it is sold again soon
	}
}

func (c *users) refundOrder(rt *rapid.T) {
	seat, ok := c.anyTicket(rt)
	if !ok {
		return
	}
	block := rapid.IntRange(0, 3).Draw(rt, "block") == 0
	if c.refunds(rt, "refund order", admin, seat, "/admin/orders/"+c.bought[seat]+"/refund", map[string]any{"reason": "a pillar in the way", "block": block}) {
		c.returned(rt, seat, block)
	}
}

func (c *users) refundPart(rt *rapid.T) {
	if seat, ok := c.anyTicket(rt); ok { // the reason differs: the same request within half a minute is the same refund
		c.refunds(rt, "refund part", admin, seat, "/admin/orders/"+c.bought[seat]+"/refund", map[string]any{"reason": fmt.Sprintf("no view %d", made.Add(1)), "amount": cents(rt, 1, 15_00)})
	}
}

func (c *users) giveBack(rt *rapid.T) {
	seat, ok := c.anyTicket(rt)
	if !ok {
		return
	}
	if c.refunds(rt, "give back", c.people[c.owner[seat]], seat, "/tickets/"+seat+"/refund", nil) {
		c.returned(rt, seat, false)
	}
}

func (c *users) postpone(rt *rapid.T) {
	s, ok := c.anyShow(rt)
	if !ok {
		return
	}
	var e struct {
		Version int       `json:"version"`
		Date    time.Time `json:"event_date"`
	}
	a, err := admin.Get(c.t.Context(), "/admin/events/"+s.id)
	if err := must(c.t, a, err, http.StatusOK).Into(&e); err != nil {
		rt.Fatal(err)
	}
	c.does(rt, "postpone", admin, "/admin/events/"+s.id+"/postpone", map[string]any{
		"version": e.Version, "reason": "the singer is ill", "event_date": e.Date.AddDate(0, 0, 7), "refund_until": time.Now().AddDate(0, 0, 7).UTC(),
	})
}

// cancelShow cancels an event now and then, and waits until all of its tickets are refunded but those that are disputed.
func (c *users) cancelShow(rt *rapid.T) {
	if rapid.IntRange(0, 2).Draw(rt, "cancel") > 0 {
		return
	}
	s, ok := c.anyShow(rt)
	if !ok {
		return
	}
	path := "/admin/events/" + s.id + "/cancel"
	a, _ := c.does(rt, "look at a cancellation", admin, path+"/preview", nil)
	a, err := admin.Post(c.t.Context(), path, map[string]any{"code": a.Text("code"), "reason": "storm"})
	must(c.t, a, err, http.StatusAccepted)
	var progress struct {
		Status  string `json:"status"`
		Left    int    `json:"tickets_left"`
		Waiting int    `json:"tickets_waiting"`
	}
	eventually(c.t, "the cancellation is done", func() bool {
		a, err := app.Do(c.t.Context(), client.Call{Method: http.MethodGet, Path: path, Token: admin.Access})
		return err == nil && a.Into(&progress) == nil && (progress.Status == "DONE" || progress.Left == progress.Waiting)
	})
	c.worked["cancel event"]++
	s.cancelled = true
	for _, seat := range s.seats {
		c.void(seat)
	}
	c.orders = slices.DeleteFunc(c.orders, func(o boughtBy) bool { return slices.Contains(s.seats, o.seat) })
}
