package recovery

import (
	"context"
	"flag"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ticketremaster/platform/money"
	"ticketremaster/stack/client"
)

// Whatever a few users do with credits and tickets, and administrators with events and orders, in any order: no answer is
// a server error, everybody has the tickets that follow from the answers, and every invariant of the audit holds.
func TestAnySequenceKeepsEveryInvariant(t *testing.T) {
	for name, value := range map[string]string{"rapid.checks": "30", "rapid.steps": "45", "rapid.shrinktime": "20s", "rapid.nofailfile": "true"} {
		if err := flag.Set(name, value); err != nil {
			t.Fatal(err)
		}
	}
	gate := staff(t)
	worked := map[string]int{}
	rapid.Check(t, func(rt *rapid.T) {
		c := &users{t: t, rt: rt, gate: gate, worked: worked, owner: map[string]int{}, bought: map[string]string{}}
		for range 2 {
			c.shows = append(c.shows, newShow(t))
		}
		for range 3 {
			c.people = append(c.people, person(t, 100_00))
		}
		rt.Repeat(map[string]func(*rapid.T){
			"top up": c.topUp, "refund": c.refund,
			"reserve": c.reserve, "pay": c.pay, "buy": func(rt *rapid.T) { c.reserve(rt); c.pay(rt) }, "cancel": c.cancel, "book": c.book,
			"offer": c.offer, "confirm": c.confirm, "hand over": func(rt *rapid.T) { c.offer(rt); c.confirm(rt) },
			"hand over and quarrel": func(rt *rapid.T) { c.offer(rt); c.confirm(rt); c.act("dispute")(rt) },
			"quarrel to the end": func(rt *rapid.T) {
				c.offer(rt)
				c.confirm(rt)
				c.act("dispute")(rt)
				c.act(rapid.SampledFrom([]string{"withdraw", "reject", "reverse", "reverse", "cover"}).Draw(rt, "end"))(rt)
			},
			"dispute": c.act("dispute"), "withdraw": c.act("withdraw"), "reject": c.act("reject"), "reverse": c.act("reverse"), "cover": c.act("cover"),
			"check in":     c.checkIn,
			"refund order": c.refundOrder, "refund part": c.refundPart, "give back": c.giveBack, "postpone": c.postpone, "cancel event": c.cancelShow,
			"": c.ticketsAreAsAnswered,
		})
		if err := audited(context.WithoutCancel(t.Context())); err != nil {
			rt.Error(err)
		}
	})
	t.Logf("what worked: %v", worked)
	// Sequences in which most is refused prove little.
	for _, what := range []string{"top up", "refund", "pay", "cancel", "confirm", "dispute", "withdraw", "reject", "reverse", "cover", "check in",
		"refund order", "refund part", "give back", "postpone", "cancel event", "sell again", "book", "pay together", "give a booking back"} {
		if worked[what] == 0 {
			t.Errorf("in no sequence did anyone %s", what)
		}
	}
}

// users are the users of one sequence, and the answers they got.
type users struct {
	t      *testing.T
	rt     *rapid.T
	gate   *client.Person
	people []*client.Person
	worked map[string]int

	shows     []*show
	bought    map[string]string // the order of each ticket, by seat
	orders    []boughtBy        // not known to be over
	intents   []boughtBy        // payments that were not given back
	owner     map[string]int    // of each ticket
	transfers map[string]handed // by id
	pending   []string          // transfers with their codes
	ids       []string          // of all transfers, oldest first
}

type boughtBy struct {
	id   string
	seat string
	who  int
	at   time.Time
}

type handed struct {
	seat          string
	seller, buyer int
	status        string // by the answers: "", COMPLETED, DISPUTED or REVERSED
	confirmation  map[string]any
}

// does sends a request as one of the users and returns its answer if it was done. No order of actions may be a server
// error.
func (c *users) does(rt *rapid.T, what string, p *client.Person, path string, body any) (a client.Answer, done bool) {
	a, err := p.Post(c.t.Context(), path, body)
	// A code that is wrong is one for another order, sent a moment later.
	if err != nil || a.Status >= 500 || a.Status == http.StatusUnauthorized && a.Code != "OTP_INVALID" || a.Status == http.StatusAccepted {
		rt.Fatalf("%s as %s: %d %s %v", path, p.Email, a.Status, a.Raw, err)
	}
	if a.Status < 300 {
		c.worked[what]++
	} else {
		c.worked[what+": "+a.Code]++
	}
	return a, a.Status < 300
}

func (c *users) one(rt *rapid.T) int { return rapid.IntRange(0, len(c.people)-1).Draw(rt, "who") }

func cents(rt *rapid.T, from, to money.Cents) money.Cents {
	return money.Cents(rapid.Int64Range(int64(from), int64(to)).Draw(rt, "cents"))
}

// pick draws one element of a list and removes it.
func pick[T any](rt *rapid.T, list *[]T) (x T, ok bool) {
	if len(*list) == 0 {
		return x, false
	}
	i := rapid.IntRange(0, len(*list)-1).Draw(rt, "which")
	x = (*list)[i]
	*list = slices.Delete(*list, i, i+1)
	return x, true
}

func (c *users) topUp(rt *rapid.T) {
	who := c.one(rt)
	a, done := c.does(rt, "begin a top-up", c.people[who], "/credits/topup", map[string]any{"amount": cents(rt, 1_00, 60_00)})
	if !done {
		rt.Fatalf("topping up: %s", a.Raw)
	}
	intent, _, _ := strings.Cut(a.Text("client_secret"), "_secret_")
	before := c.movements(who)
	if err := app.Stripe(c.t.Context(), "pay", intent); err != nil {
		rt.Fatal(err)
	}
	eventually(c.t, "the top-up is booked", func() bool { return c.movements(who) > before })
	c.worked["top up"]++
	c.intents = append(c.intents, boughtBy{id: intent, who: who})
}

// refund has Stripe refund a payment or report a chargeback: what was spent already becomes a debt, and the user is
// flagged.
func (c *users) refund(rt *rapid.T) {
	what := rapid.SampledFrom([]string{"refund", "chargeback"}).Draw(rt, "how")
	x, ok := pick(rt, &c.intents)
	if !ok {
		return
	}
	before := c.movements(x.who)
	if err := app.Stripe(c.t.Context(), what, x.id); err != nil {
		rt.Fatal(err)
	}
	eventually(c.t, "what was given back is booked", func() bool { return c.movements(x.who) > before })
	c.worked["refund"]++
	again, err := app.LogIn(c.t.Context(), c.people[x.who].Email, password)
	if err != nil {
		rt.Fatal(err)
	}
	c.people[x.who] = again
}

// movements counts a person's entries in the ledger.
func (c *users) movements(who int) int {
	return ask[int](c.t, "users_db", `SELECT count(*) FROM ledger_entries WHERE owner_id = $1`, c.people[who].ID) +
		ask[int](c.t, "users_db", `SELECT count(*) FROM debts WHERE user_id = $1`, c.people[who].ID)
}

func (c *users) reserve(rt *rapid.T) {
	show, ok := c.anyShow(rt)
	if !ok {
		return
	}
	o := boughtBy{who: c.one(rt), at: time.Now()}
	if o.seat, ok = pick(rt, &show.free); !ok {
		return
	}
	if a, done := c.does(rt, "reserve", c.people[o.who], "/reserve", map[string]any{"seat_id": o.seat}); done {
		o.id = a.Text("order_id")
		c.orders = append(c.orders, o)
	}
}

func (c *users) pay(rt *rapid.T) {
	o, ok := pick(rt, &c.orders)
	if !ok {
		return
	}
	p := c.people[o.who]
	a, done := c.does(rt, "pay", p, "/pay", map[string]any{"order_id": o.id})
	if a.Code == "OTP_REQUIRED" {
		code, err := app.OTP(c.t.Context(), p.Phone, o.at)
		if err != nil {
			rt.Fatal(err)
		}
		if _, proved := c.does(rt, "prove a purchase", p, "/verify-otp", map[string]any{"otp_code": code, "reference_id": o.id}); proved {
			a, done = c.does(rt, "pay", p, "/pay", map[string]any{"order_id": o.id})
		}
	}
	switch {
	case done:
		if c.bought[o.seat] != "" {
			c.worked["sell again"]++
		}
		c.gets(o.seat, o.who)
		c.bought[o.seat] = o.id
	case a.Status == http.StatusPaymentRequired, a.Code == "OTP_REQUIRED", a.Code == "RATE_LIMITED": // the latter: a code is being sent for another order
		c.orders = append(c.orders, o) // it can be tried again
	default:
		rt.Fatalf("paying: %d %s", a.Status, a.Raw)
	}
}

func (c *users) cancel(rt *rapid.T) {
	if o, ok := pick(rt, &c.orders); ok {
		if a, done := c.does(rt, "cancel", c.people[o.who], "/orders/"+o.id+"/cancel", nil); !done {
			rt.Fatalf("cancelling: %s", a.Raw)
		}
	}
}

func (c *users) offer(rt *rapid.T) {
	seats := slices.Sorted(maps.Keys(c.owner)) // in order: a sequence that is played again draws the same
	seat, ok := pick(rt, &seats)
	if !ok {
		return
	}
	x := handed{seat: seat, seller: c.owner[seat], confirmation: map[string]any{}}
	x.buyer = (x.seller + rapid.IntRange(1, len(c.people)-1).Draw(rt, "to whom")) % len(c.people)
	seller, buyer := c.people[x.seller], c.people[x.buyer]
	since := time.Now()
	a, done := c.does(rt, "offer", buyer, "/transfer/initiate", map[string]any{
		"seat_id": seat, "seller_id": seller.ID, "buyer_id": buyer.ID, "credits_amount": cents(rt, 0, 40_00),
	})
	if !done {
		return
	}
	id := a.Text("transfer_id")
	x.confirmation["transfer_id"] = id
	for field, p := range map[string]*client.Person{"seller_otp": seller, "buyer_otp": buyer} {
		code, err := app.OTP(c.t.Context(), p.Phone, since)
		if err != nil {
			rt.Fatal(err)
		}
		x.confirmation[field] = code
	}
	if c.transfers == nil {
		c.transfers = map[string]handed{}
	}
	c.transfers[id] = x
	c.pending, c.ids = append(c.pending, id), append(c.ids, id)
}

func (c *users) confirm(rt *rapid.T) {
	id, ok := pick(rt, &c.pending)
	if !ok {
		return
	}
	x := c.transfers[id]
	if a, done := c.does(rt, "confirm", c.people[x.buyer], "/transfer/confirm", x.confirmation); done && a.Text("status") == "COMPLETED" {
		c.gets(x.seat, x.buyer)
		c.become(id, "COMPLETED")
	}
}

func (c *users) become(id, status string) {
	x := c.transfers[id]
	x.status = status
	c.transfers[id] = x
}

// act disputes, withdraws, rejects, reverses, or reverses at the platform's expense, as either party or the
// administrator: mostly of a transfer that allows it, now and then of any.
func (c *users) act(what string) func(*rapid.T) {
	needs, leads := "DISPUTED", map[string]string{"dispute": "DISPUTED", "withdraw": "COMPLETED", "reject": "COMPLETED", "reverse": "REVERSED", "cover": "REVERSED"}[what]
	if what == "dispute" {
		needs = "COMPLETED"
	}
	return func(rt *rapid.T) {
		ids := slices.Clone(c.ids)
		if rapid.IntRange(0, 4).Draw(rt, "of any") > 0 {
			ids = slices.DeleteFunc(ids, func(id string) bool { return c.transfers[id].status != needs })
		}
		id, ok := pick(rt, &ids)
		if !ok {
			return
		}
		x := c.transfers[id]
		by, other := c.people[x.seller], c.people[x.buyer]
		if rapid.Bool().Draw(rt, "the buyer") {
			by, other = other, by
		}
		path, body := what, map[string]any{"transfer_id": id, "reason": "it was not me"}
		switch what {
		case "reject":
			by = admin
		case "cover":
			by, path, body["cover_short"] = admin, "reverse", true
		}
		a, done := c.does(rt, what, by, "/transfer/"+path, body)
		if a.Status == http.StatusForbidden { // it is the other's to do
			_, done = c.does(rt, what, other, "/transfer/"+path, body)
		}
		if done {
			c.become(id, leads)
			if leads == "REVERSED" {
				c.gets(x.seat, x.seller)
			}
		}
	}
}

func (c *users) checkIn(rt *rapid.T) {
	for _, seat := range slices.Sorted(maps.Keys(c.owner)) {
		if !rapid.Bool().Draw(rt, "this one") {
			continue
		}
		a, err := c.people[c.owner[seat]].Get(c.t.Context(), "/tickets/"+seat+"/qr")
		if err != nil || a.Status >= 500 {
			rt.Fatalf("a QR: %d %s %v", a.Status, a.Raw, err)
		}
		if a.Status != http.StatusOK {
			return // used already
		}
		a, _ = c.does(rt, "scan", c.gate, "/verify", map[string]any{"qr_payload": a.Text("qr_payload"), "hall_id": "H1"})
		if a.Text("result") != "SUCCESS" {
			rt.Fatalf("the owner was not let in: %s", a.Raw)
		}
		c.worked["check in"]++
		return
	}
}

// ticketsAreAsAnswered compares what everybody has with what follows from the answers so far.
func (c *users) ticketsAreAsAnswered(rt *rapid.T) {
	for who, p := range c.people {
		a, err := p.Get(c.t.Context(), "/tickets")
		var tickets []struct {
			Seat string `json:"seat_id"`
		}
		if err == nil {
			err = a.Err(http.StatusOK)
		}
		if err == nil {
			err = a.Into(&tickets)
		}
		if err != nil {
			rt.Fatal(err)
		}
		var has, should []string
		for _, x := range tickets {
			if !c.showOf(x.Seat).cancelled { // there a ticket may wait for the end of its dispute
				has = append(has, x.Seat)
			}
		}
		for seat, owner := range c.owner {
			if owner == who {
				should = append(should, seat)
			}
		}
		slices.Sort(has)
		slices.Sort(should)
		if !slices.Equal(has, should) {
			rt.Fatalf("%s has the tickets %v, and by the answers %v", p.Email, has, should)
		}
	}
}
