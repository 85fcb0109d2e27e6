package demo

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"ticketremaster/platform/money"
	"ticketremaster/stack/client"
)

// person is a user of the demo, by name.
type person struct {
	*client.Person
	name, role string
}

// accounts are the users of the demo. The permanent accounts exist in every run; the guests are registered again in
// each, because the limits on one-time passwords and wrong codes count over hours and days.
type accounts struct {
	admin, staff, alice, bob, frank *person
	carol, dave                     *person // guests
}

func (a *accounts) permanent() []*person { return []*person{a.admin, a.staff, a.alice, a.bob, a.frank} }

// nameOf is a user's name in the output.
func (a *accounts) nameOf(userID string) string {
	for _, who := range append(a.permanent(), a.carol, a.dave) {
		if who != nil && who.ID == userID {
			return who.name
		}
	}
	return userID
}

// Prices of the demo's hall, and the hall's size.
const hallSize = 2000

var prices = map[string]money.Cents{"CAT1": 350_00, "CAT2": 200_00, "CAT3": 120_00, "CAT4": 65_50}

const (
	eventName = "Tidal Lights World Tour"
	hall      = "HALL-1"
	otherHall = "HALL-2"
)

type event struct {
	ID        string    `json:"event_id"`
	Name      string    `json:"name"`
	Date      time.Time `json:"event_date"`
	Hall      string    `json:"hall_id"`
	Available int       `json:"available_seats"`
	Total     int       `json:"total_seats"`
}

// prepare makes sure that all accounts and the event exist, on a new system or an old one.
func (p *demo) prepare() {
	out := p.out
	out.section("Setup", "Each row: step, from → to and action as in docs/architecture.md, what came of it, how long it took; ↳ what state it left.")
	admin, err := p.App.LogIn(p.ctx, p.AdminEmail, p.Password)
	p.must(err)
	p.admin = &person{admin, "Ada", "administrator"}

	run := fmt.Sprintf("%d", time.Now().Unix())
	guest := func(n int) (email, phone string) {
		return fmt.Sprintf("guest-%s-%d@ticketremaster.example", run, n), fmt.Sprintf("+658%07d", rand.IntN(10_000_000))
	}
	var carolMade time.Duration
	p.all(
		func() error { return p.findEvent() },
		func() error { return p.make(&p.staff, "Sam", "staff", "staff", "+6590000002", "staff", false) },
		func() error { return p.make(&p.alice, "Alice", "customer", "alice", "+6590000003", "customer", false) },
		func() error { return p.make(&p.bob, "Bob", "customer", "bob", "+6590000004", "customer", false) },
		func() error {
			return p.make(&p.frank, "Frank", "customer, flagged as high-risk", "frank", "+6590000005", "customer", true)
		},
		func() error {
			began := time.Now()
			email, phone := guest(1)
			who, err := p.App.Register(p.ctx, email, phone, p.Password)
			p.carol, carolMade = &person{who, "Carol", "customer"}, time.Since(began)
			return err
		},
		func() error {
			email, phone := guest(2)
			who, err := p.App.Register(p.ctx, email, phone, p.Password)
			p.dave = &person{who, "Dave", "customer"}
			return err
		},
	)
	p.all( // money for those who must not run out of it; Carol starts with none
		func() error { return p.fund(p.alice, 1000_00) },
		func() error { return p.fund(p.bob, 100_00) },
		func() error { return p.fund(p.frank, 500_00) },
		func() error { return p.fund(p.dave, 300_00) },
	)
	out.step("", "Admin → Orchestrator", fmt.Sprintf("%s, %s, %d of %d seats free", p.event.Name, p.event.Date.Format("2 January 2006"), p.event.Available, p.event.Total), 0)
	out.left("events_db", "event_id %s, %s", p.event.ID, p.event.Hall)
	out.left("events_db", "CAT1 %s · CAT2 %s · CAT3 %s · CAT4 %s", prices["CAT1"], prices["CAT2"], prices["CAT3"], prices["CAT4"])
	out.step("", "Client → User Svc", "POST /auth/register, code by SMS, POST /auth/verify-registration", carolMade)
	out.left("users_db", "Carol is %s, %s", p.carol.Email, p.carol.Phone)
}

// all runs independent actions in parallel.
func (p *demo) all(actions ...func() error) {
	errs := make([]error, len(actions))
	var group sync.WaitGroup
	for i, action := range actions {
		group.Go(func() { errs[i] = action() })
	}
	group.Wait()
	p.must(errors.Join(errs...))
}

// make returns a permanent account, registered if necessary, with that role and flag.
func (p *demo) make(who **person, name, title, mailbox, phone, role string, flagged bool) error {
	email := mailbox + "@ticketremaster.example"
	account, err := p.App.LogIn(p.ctx, email, p.Password)
	if err != nil {
		if account, err = p.App.Register(p.ctx, email, phone, p.Password); err != nil {
			return err
		}
	}
	*who = &person{account, name, title}
	list, err := p.admin.Get(p.ctx, "/admin/users?email="+url.QueryEscape(email))
	var found []struct {
		ID      string `json:"user_id"`
		Role    string `json:"role"`
		Flagged bool   `json:"is_flagged"`
	}
	if err = errors.Join(err, list.Err(http.StatusOK)); err == nil {
		err = list.Into(&found)
	}
	if err != nil {
		return err
	}
	for _, u := range found {
		if u.ID == account.ID && u.Role == role && u.Flagged == flagged {
			return nil
		}
	}
	call := client.Call{Method: http.MethodPatch, Path: "/admin/users/" + account.ID, Token: p.admin.Access, Body: map[string]any{"role": role, "is_flagged": flagged}}
	changed, err := p.App.Do(p.ctx, call)
	if err = errors.Join(err, changed.Err(http.StatusOK)); err != nil {
		return err
	}
	(*who).Person, err = p.App.LogIn(p.ctx, email, p.Password) // a new role or flag ends the sessions
	return err
}

// fund tops a person up to at least the amount, by a payment and its webhook.
func (p *demo) fund(who *person, atLeast money.Cents) error {
	has, err := who.Balance(p.ctx)
	if err == nil && has < atLeast {
		_, err = who.TopUp(p.ctx, max(atLeast-has, 1_00))
	}
	return err
}

// findEvent uses the event of an earlier run if it is in the future and has seats, or makes one.
func (p *demo) findEvent() error {
	for page := 1; ; page++ {
		a, err := p.App.Do(p.ctx, client.Call{Method: http.MethodGet, Path: fmt.Sprintf("/events?per_page=100&page=%d", page)})
		var events []event
		if err = errors.Join(err, a.Err(http.StatusOK)); err == nil {
			err = a.Into(&events)
		}
		if err != nil {
			return err
		}
		for _, e := range events {
			if e.Name != eventName || e.Hall != hall || time.Until(e.Date) < 48*time.Hour {
				continue
			}
			if hasSeats, err := p.readSeats(e.ID); err != nil || hasSeats {
				return err
			}
		}
		if len(events) < 100 {
			return p.makeEvent()
		}
	}
}

// makeEvent makes the demo's event, thirty days from now at eight in the evening of Singapore.
func (p *demo) makeEvent() error {
	day := time.Now().UTC().AddDate(0, 0, 30).Truncate(24 * time.Hour)
	a, err := p.admin.Post(p.ctx, "/admin/events", map[string]any{
		"name": eventName, "hall_id": hall, "event_date": day.Add(12 * time.Hour).Format(time.RFC3339),
		"venue":       map[string]any{"name": "Harbour Arena", "address": "1 Stadium Way", "city": "Singapore", "total_halls": 2},
		"total_seats": hallSize, "pricing_tiers": prices, "featured": true,
	})
	if err = errors.Join(err, a.Err(http.StatusCreated)); err != nil {
		return err
	}
	_, err = p.readSeats(a.Text("event_id"))
	return err
}

// seat is one of the event's, as its seat map shows it.
type seat struct {
	ID       string      `json:"seat_id"`
	Row      string      `json:"row_number"`
	Number   int         `json:"seat_number"`
	Status   string      `json:"status"`
	Category string      `json:"category"`
	Price    money.Cents `json:"price"`
}

func (s seat) String() string { return fmt.Sprintf("%s%d", s.Row, s.Number) }

// minFree is how many free seats of each category a run needs, with some to spare.
const minFree = 10

// readSeats reads an event with its free seats; hasSeats if there are enough.
func (p *demo) readSeats(eventID string) (hasSeats bool, err error) {
	a, err := p.App.Do(p.ctx, client.Call{Method: http.MethodGet, Path: "/events/" + eventID})
	var whole struct {
		event
		Seats []seat `json:"seats"`
	}
	if err = errors.Join(err, a.Err(http.StatusOK)); err == nil {
		err = a.Into(&whole)
	}
	p.event, p.seats = whole.event, nil
	free := map[string]int{}
	for _, s := range whole.Seats {
		if s.Status == "AVAILABLE" {
			p.seats = append(p.seats, s)
			free[s.Category]++
		}
	}
	for category := range prices {
		if free[category] < minFree {
			return false, err
		}
	}
	return true, err
}

// take returns a free seat of a category, each one once.
func (p *demo) take(category string) seat {
	for i, s := range p.seats {
		if s.Category == category {
			p.seats = append(p.seats[:i:i], p.seats[i+1:]...)
			return s
		}
	}
	panic(unexpected{fmt.Errorf("no seat of %s is free in %s", category, p.event.Name)})
}

// code is the one-time password that a user's phone received after since.
func (p *demo) code(who *person, since time.Time) string {
	code, err := p.App.OTP(p.ctx, who.Phone, since)
	p.must(err)
	return code
}

// wrongCode is the n-th of several codes that are not the right one.
func wrongCode(right string, n int) string {
	wrong := fmt.Sprintf("%06d", n)
	if wrong == right {
		wrong = strings.Repeat("9", 6)
	}
	return wrong
}

func (p *demo) balance(who *person) money.Cents {
	balance, err := who.Balance(context.WithoutCancel(p.ctx))
	p.must(err)
	return balance
}
