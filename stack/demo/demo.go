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

// Stage is the system that the demo runs against.
type Stage struct {
	App *client.App
	// Backstage is the system's operator access. nil means a system that runs elsewhere: parts that need its databases,
	// another HOLD_TTL or a kill are then not shown, and the board says which.
	Backstage Backstage
	// AdminEmail is an administrator's; the demo's own accounts share the password.
	AdminEmail, Password string
	// QRKey is QR_ENCRYPTION_KEY, for the codes that no client can get, such as that of an unpaid seat. nil leaves them
	// out.
	QRKey *qr.Key
}

// production is one run of the demo: the system, the users, and what one part leaves for the next.
type production struct {
	Stage
	ctx   context.Context
	board *board
	peek  *peek // nil without Stage.Backstage
	cast
	event   event
	seats   []seat // free ones
	started time.Time

	aliceTicket, carolTicket ticket
	formerQR                 string // of an owner who transferred the ticket
	crash                    crash
	scans                    int // that the gate decided, as counted by the clients
}

// Play runs the demo and prints it on out. An unexpected answer, printed on out, ends it with an error, as do offenders
// in the audit.
func Play(ctx context.Context, stage Stage, out io.Writer) (err error) {
	began := time.Now()
	app := *stage.App
	b := newBoard(out)
	app.HTTP = &http.Client{Timeout: 90 * time.Second, Transport: &patient{wait: b.note}} // of that 60 s may be a wait for the rate limit
	stage.App = &app
	p := &production{Stage: stage, ctx: ctx, board: b, started: time.Now()}
	defer func() {
		switch thrown := recover().(type) {
		case nil:
		case unexpected:
			b.print("\n" + b.paint(red, "✗ "+thrown.Error()))
			err = errors.New("the demo ended early")
		default:
			panic(thrown)
		}
	}()
	if stage.Backstage != nil {
		p.peek = &peek{at: stage.Backstage, conns: map[string]*pgx.Conn{}}
		defer p.peek.close()
	}
	p.prepare()
	p.purchases()
	p.transfers()
	p.gate()
	p.door()
	p.organise()
	p.market()
	p.recovery()
	p.docs()
	if err := p.audit(); err != nil {
		return err
	}
	p.curtain(time.Since(began))
	return nil
}

// audit counts offenders against every invariant.
func (p *production) audit() error {
	p.board.scene("Audit", "Every invariant over all five databases, with its number of offenders. make audit shows it at any time.")
	if p.Backstage == nil {
		p.board.note("not shown here: it reads the databases, which this command cannot reach")
		return nil
	}
	return p.Backstage.Audit(p.ctx, p.board.out)
}

// docs shows where the API is described.
func (p *production) docs() {
	p.board.scene("API", "The description of every endpoint is a page of the gateway.")
	a := p.ask(nil, http.MethodGet, "/docs", nil, http.StatusOK, "")
	p.board.step("", "Browser → Gateway", "GET "+p.App.Gateway+"/docs   200, "+a.Header.Get("Content-Type"), a.Took)
}

// curtain prints what is left running.
func (p *production) curtain(took time.Duration) {
	b := p.board
	b.scene("Done", "")
	b.print(b.paint(green, fmt.Sprintf("✓ every answer was as it should be; played in %.1f s", took.Seconds())))
	b.print("")
	line := func(what, format string, args ...any) {
		b.print("  " + pad(what, 12) + fmt.Sprintf(format, args...))
	}
	line("Gateway", "%s", p.App.Gateway)
	line("API page", "%s/docs", p.App.Gateway)
	line("Sandbox", "%s   (one-time passwords that phones got; payments)", p.App.Sandbox)
	line("Log in", "password %s, with", b.paint(bold, p.Password))
	for _, who := range p.standing() {
		line("", "%s %s", pad(who.Email, 36), who.role)
	}
	if p.Backstage != nil {
		b.print("\n  " + p.Backstage.Commands())
	}
}

// unexpected is an answer or a state that the demo does not expect. It is a panic value, because no step can follow it,
// and is recovered by Play.
type unexpected struct{ error }

func (p *production) must(err error) {
	if err != nil {
		panic(unexpected{err})
	}
}

// expect ends the demo unless is holds.
func (p *production) expect(is bool, format string, args ...any) {
	if !is {
		p.must(fmt.Errorf(format, args...))
	}
}

// ask sends a request as who, or without a token if nil, and requires the answer's status and error code.
func (p *production) ask(who *person, method, path string, body any, status int, code string) client.Answer {
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

func (p *production) post(who *person, path string, body any) client.Answer {
	return p.ask(who, http.MethodPost, path, body, http.StatusOK, "")
}

func (p *production) get(who *person, path string, into any) client.Answer {
	a := p.ask(who, http.MethodGet, path, nil, http.StatusOK, "")
	p.must(a.Into(into))
	return a
}

// refusal is the text of a refusal on the board.
func refusal(a client.Answer) string { return fmt.Sprintf("%d %s", a.Status, a.Code) }

// until polls until is returns true, for at most limit.
func (p *production) until(limit time.Duration, what string, is func() bool) time.Duration {
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
