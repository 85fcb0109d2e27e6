// Package demo plays the scenarios of docs/architecture.md step by step, as a client of the gateway, and shows the
// state that each step left. It is make demo; every answer is checked, and an unexpected one ends it.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"

	"ticketremaster/stack/client"
	"ticketremaster/stack/qr"
)

// Target is the system that the demo runs against.
type Target struct {
	App *client.App
	// Operator is the system's operator access. nil means a system that runs elsewhere: parts that need its databases,
	// another HOLD_TTL or a kill are then left out, and the output says which.
	Operator Operator
	// AdminEmail is an administrator's; the demo's own accounts share the password.
	AdminEmail, Password string
	// QRKey is QR_ENCRYPTION_KEY, for the codes that no client can get, such as that of an unpaid seat. nil leaves them
	// out.
	QRKey *qr.Key
}

// demo is one run: the system, the users, and what one section leaves for the next.
type demo struct {
	Target
	ctx    context.Context
	out    *output
	stores *stores // nil without Target.Operator
	accounts
	event   event
	seats   []seat // free ones
	started time.Time

	aliceTicket, carolTicket ticket
	formerQR                 string // of an owner who transferred the ticket
	crash                    crash
	scans                    int // that the gate decided, as counted by the clients
}

// Play runs the demo and prints it on w. An unexpected answer, printed on w, ends it with an error, as do offenders
// in the audit.
func Play(ctx context.Context, target Target, w io.Writer) (err error) {
	began := time.Now()
	app := *target.App
	out := newOutput(w)
	app.HTTP = &http.Client{Timeout: 90 * time.Second, Transport: &rateLimitWaiter{wait: out.note}} // of that 60 s may be a wait for the rate limit
	target.App = &app
	p := &demo{Target: target, ctx: ctx, out: out, started: time.Now()}
	defer func() {
		switch thrown := recover().(type) {
		case nil:
		case unexpected:
			out.print("\n" + out.paint(red, "✗ "+thrown.Error()))
			err = errors.New("the demo ended early")
		default:
			panic(thrown)
		}
	}()
	if target.Operator != nil {
		p.stores = &stores{at: target.Operator, conns: map[string]*pgx.Conn{}}
		defer p.stores.close()
	}
	p.prepare()
	p.purchases()
	p.transfers()
	p.gate()
	p.entry()
	p.organise()
	p.market()
	p.recovery()
	p.docs()
	if err := p.audit(); err != nil {
		return err
	}
	p.summary(time.Since(began))
	return nil
}

// audit counts offenders against every invariant.
func (p *demo) audit() error {
	p.out.section("Audit", "Every invariant over all five databases, with its number of offenders. make audit shows it at any time.")
	if p.Operator == nil {
		p.out.note("not shown here: it reads the databases, which this command cannot reach")
		return nil
	}
	return p.Operator.Audit(p.ctx, p.out.w)
}

// docs shows where the API is described.
func (p *demo) docs() {
	p.out.section("API", "The description of every endpoint is a page of the gateway.")
	a := p.ask(nil, http.MethodGet, "/docs", nil, http.StatusOK, "")
	p.out.step("", "Browser → Gateway", "GET "+p.App.Gateway+"/docs   200, "+a.Header.Get("Content-Type"), a.Took)
}

// summary prints what is left running.
func (p *demo) summary(took time.Duration) {
	out := p.out
	out.section("Done", "")
	out.print(out.paint(green, fmt.Sprintf("✓ every answer was as it should be; played in %.1f s", took.Seconds())))
	out.print("")
	line := func(what, format string, args ...any) {
		out.print("  " + pad(what, 12) + fmt.Sprintf(format, args...))
	}
	line("Gateway", "%s", p.App.Gateway)
	line("API page", "%s/docs", p.App.Gateway)
	line("Sandbox", "%s   (one-time passwords that phones got; payments)", p.App.Sandbox)
	line("Log in", "password %s, with", out.paint(bold, p.Password))
	for _, who := range p.permanent() {
		line("", "%s %s", pad(who.Email, 36), who.role)
	}
	if p.Operator != nil {
		out.print("\n  " + p.Operator.Commands())
	}
}

// unexpected is an answer or a state that the demo does not expect. It is a panic value, because no step can follow it,
// and is recovered by Play.
type unexpected struct{ error }

func (p *demo) must(err error) {
	if err != nil {
		panic(unexpected{err})
	}
}

// expect ends the demo unless is holds.
func (p *demo) expect(is bool, format string, args ...any) {
	if !is {
		p.must(fmt.Errorf(format, args...))
	}
}

// ask sends a request as who, or without a token if nil, and requires the answer's status and error code.
func (p *demo) ask(who *person, method, path string, body any, status int, code string) client.Answer {
	call := client.Call{Method: method, Path: path, Body: body}
	name := "nobody"
	if who != nil {
		call.Token, name = who.Access, who.name
	}
	a, err := p.App.Do(p.ctx, call)
	if err == nil && (a.Status != status || a.Code != code) {
		err = fmt.Errorf("status %d %s, want %d %s: %.300s", a.Status, a.Code, status, code, a.Raw)
	}
	if err != nil {
		p.must(fmt.Errorf("%s %s as %s: %w", method, path, name, err))
	}
	return a
}

func (p *demo) post(who *person, path string, body any) client.Answer {
	return p.ask(who, http.MethodPost, path, body, http.StatusOK, "")
}

func (p *demo) get(who *person, path string, into any) client.Answer {
	a := p.ask(who, http.MethodGet, path, nil, http.StatusOK, "")
	p.must(a.Into(into))
	return a
}

// refusal is how the output shows a refusal.
func refusal(a client.Answer) string { return fmt.Sprintf("%d %s", a.Status, a.Code) }

// until polls until is returns true, for at most limit.
func (p *demo) until(limit time.Duration, what string, is func() bool) time.Duration {
	began := time.Now()
	for !is() {
		if time.Since(began) > limit {
			p.must(fmt.Errorf("within %s it did not come true that %s", limit, what))
		}
		select {
		case <-p.ctx.Done():
			p.must(errors.New("interrupted"))
		case <-time.After(25 * time.Millisecond):
		}
	}
	return time.Since(began)
}
