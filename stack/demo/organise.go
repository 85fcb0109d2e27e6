package demo

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"ticketremaster/platform/money"
	"ticketremaster/stack/client"
)

// organise plays what an organiser does with an event: docs/architecture.md#events.
func (p *demo) organise() {
	out := p.out
	out.section("Organisers", "An event on the venue's clocks, a limit per person, a postponement, a refund, and a cancellation.")
	registered, err := p.App.Register(p.ctx, fmt.Sprintf("fan-%d@ticketremaster.example", time.Now().UnixNano()), fmt.Sprintf("+658%07d", rand.IntN(10_000_000)), p.Password)
	p.must(err)
	fan := &person{registered, "Fay", "customer"}
	_, err = fan.TopUp(p.ctx, 200_00)
	p.must(err)
	show := p.smallEvent("Harbour Recital, made at "+time.Now().Format("15:04:05"), map[string]any{"event_date": "2030-07-31T20:00", "max_per_customer": 3, "refund_hours_before": 48, "refund_fee_percent": 10})
	var e struct {
		Date    string `json:"event_date"`
		Local   string `json:"event_date_local"`
		Version int    `json:"version"`
	}
	path := "/admin/events/" + show.id
	a := p.get(p.admin, path, &e)
	out.step("", "Admin → Gateway", "POST /admin/events with 2030-07-31T20:00: "+e.Local+" there, "+e.Date, a.Took)
	p.expect(e.Date == "2030-07-31T12:00:00Z", "the event is at %s", e.Date)

	out.table("A limit, a refund, a postponement", "three tickets per person, whatever accounts they have")
	before := p.balance(fan)
	for i := range 3 {
		p.buy(fan, show.seats[i])
	}
	a = p.ask(fan, http.MethodPost, "/reserve", map[string]any{"seat_id": show.seats[3]}, http.StatusConflict, "TICKET_LIMIT")
	out.step("", "Client → Gateway", "POST /reserve, the fourth: "+refusal(a), a.Took)
	paid := before - p.balance(fan)
	var refund struct {
		Returned money.Cents `json:"credits_returned"`
		Kept     money.Cents `json:"credits_kept"`
	}
	a = p.post(fan, "/tickets/"+show.seats[0]+"/refund", nil)
	p.must(a.Into(&refund))
	out.step("", "Client → Gateway", fmt.Sprintf("POST /tickets/…/refund: %s back, %s kept by the event's policy", refund.Returned, refund.Kept), a.Took)
	a = p.post(p.admin, path+"/postpone", map[string]any{"version": e.Version, "reason": "The singer is ill", "event_date": "2030-09-30T20:00", "refund_until": "2030-08-31T23:59"})
	out.step("", "Admin → Gateway", "POST …/postpone: "+a.Text("status")+", to "+a.Text("event_date_local"), a.Took)

	out.table("A cancellation", "a dry run first; its code is for the same administrator")
	var dry struct {
		Tickets int         `json:"tickets"`
		Credits money.Cents `json:"credits"`
		Code    string      `json:"code"`
	}
	a = p.post(p.admin, path+"/cancel/preview", nil)
	p.must(a.Into(&dry))
	p.expect(dry.Tickets == 2, "the dry run counts %d tickets", dry.Tickets)
	out.step("", "Admin → Gateway", fmt.Sprintf("POST …/cancel/preview: %d tickets, %s credits", dry.Tickets, dry.Credits), a.Took)
	p.cancelEvent(path, dry.Code)
	p.until(40*time.Second, "the cancellation is done", func() bool {
		a, err := p.App.Do(p.ctx, client.Call{Method: http.MethodGet, Path: path + "/cancel", Token: p.admin.Access})
		return err == nil && a.Text("status") == "DONE"
	})
	after := p.balance(fan)
	p.expect(after == before-refund.Kept, "Fay has %s of %s", after, before)
	out.left("users_db", "Fay's credit_balance %s → %s → %s: all but the fee of %s", before, before-paid, after, refund.Kept)
	a = p.ask(fan, http.MethodGet, "/tickets/"+show.seats[1]+"/qr", nil, http.StatusConflict, "SEAT_UNAVAILABLE")
	out.step("", "Client → Gateway", "GET /tickets/…/qr: "+refusal(a), a.Took)
}

// cancelEvent cancels an event. With operator access it kills the orchestrator between the refund of the orders and the
// return of the credits.
func (p *demo) cancelEvent(path, code string) {
	cancel := client.Call{Method: http.MethodPost, Path: path + "/cancel", Token: p.admin.Access, Body: map[string]any{"code": code, "reason": "The hall is flooded"}}
	if p.Operator == nil {
		a, err := p.App.Do(p.ctx, cancel)
		p.must(errors.Join(err, a.Err(http.StatusAccepted)))
		p.out.step("", "Admin → Gateway", "POST …/cancel: 202", a.Took)
		return
	}
	defer p.restoreSettings()
	p.must(p.Operator.Restart(p.ctx, []string{orchestrator}, "SAGA_CRASH_AT=refund-batch:refund orders:after"))
	a, err := p.App.Do(p.ctx, cancel)
	p.must(err)
	p.until(10*time.Second, "the orchestrator is dead", func() bool {
		runs, err := p.Operator.Running(p.ctx, orchestrator)
		p.must(err)
		return !runs
	})
	p.out.step("", "Admin → Gateway", fmt.Sprintf("POST …/cancel: %d; the orchestrator dies by kill -9 after the orders' refund", a.Status), a.Took)
	p.out.note("It is started again, and goes on when the lease of 10 s is over.")
}
