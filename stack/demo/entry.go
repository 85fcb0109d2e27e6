package demo

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"ticketremaster/stack/client"
)

// entry is docs/gate.md: what admission to a venue needs beyond one scan. It has its own events, so that its scans are
// counted apart.
func (p *demo) entry() {
	out := p.out
	out.section("At the door", "What decides beside the code: place, time and money. What staff can do, and a gate without network.")
	email := fmt.Sprintf("guest-%d-3@ticketremaster.example", time.Now().UnixNano())
	registered, err := p.App.Register(p.ctx, email, fmt.Sprintf("+658%07d", rand.IntN(10_000_000)), p.Password)
	p.must(err)
	gina := &person{registered, "Gina", "customer"}
	intent, err := gina.TopUp(p.ctx, 100_00)
	p.must(err)
	show := p.smallEvent("River Cabaret", nil)
	later := p.smallEvent("River Gala 2030, made at "+time.Now().Format("15:04:05"), map[string]any{"event_date": "2030-06-01T20:00:00+08:00", "doors_open_at": "2030-06-01T18:00:00+08:00"})
	var tickets []string
	for i := range 6 {
		tickets = append(tickets, p.buy(gina, show.seats[i]))
	}
	early := p.buy(gina, later.seats[0])

	out.table("Place and time", "Gina's tickets at River House, whose hall is called "+hall+" too")
	p.decision("Ticket of 2030, scanned now", p.verify(p.ticketQR(gina, early), nil), "WRONG_HALL")
	p.decision("Device set to another event", p.verify(p.ticketQR(gina, tickets[0]), map[string]any{"event_id": p.event.ID}), "WRONG_HALL")
	p.decision("Scanner types CR LF", p.verify(p.ticketQR(gina, tickets[0])+"\r\n", map[string]any{"device": "north"}), "SUCCESS")
	p.manyScans()

	out.table("What staff need", "with a device set to "+show.name)
	gate := "/gate/" + show.id
	a := p.ask(p.staff, http.MethodPost, gate+"/undo", map[string]any{"seat_id": tickets[0], "reason": "The wrong person was scanned"}, http.StatusOK, "")
	out.step("", "Wrong person scanned", "POST "+gate[:6]+"…/undo: “"+a.Text("message")+"”", a.Took)
	var found []struct {
		Row    string `json:"row_number"`
		Number int    `json:"seat_number"`
	}
	a = p.get(p.staff, gate+"/tickets?email="+url.QueryEscape(gina.Email), &found)
	out.step("", "Flat phone", fmt.Sprintf("a search by e-mail finds %d tickets, from %s%d", len(found), found[0].Row, found[0].Number), a.Took)
	var entries []map[string]any
	for _, t := range tickets[:4] {
		entries = append(entries, map[string]any{"seat_id": t})
	}
	a = p.post(p.staff, gate+"/entries", map[string]any{"entries": entries, "hall_id": hall, "device": "desk"})
	p.expect(strings.Count(string(a.Data), `"SUCCESS"`) == 4, "four of a family are let in: %s", a.Data)
	out.step("", "Family of four on one phone", "let in by one call, each decided by itself", a.Took)
	p.decision("Smoker goes out", p.verify(p.ticketQR(gina, tickets[1]), map[string]any{"direction": "OUT"}), "SUCCESS")
	p.inside(gate, 3)
	p.decision("and comes in again", p.verify(p.ticketQR(gina, tickets[1]), nil), "SUCCESS")
	p.inside(gate, 4)

	out.table("Without network", "phones make their own codes, gates decide by a signed list, and conflicts are reported")
	p.decision("Code of a phone without network", p.verify(p.offlineCode(gina, tickets[4]), nil), "SUCCESS")
	manifest := p.ask(p.staff, http.MethodGet, gate+"/manifest", nil, http.StatusOK, "")
	out.step("", "Device → Orchestrator", fmt.Sprintf("GET %s…/manifest: %d tickets, signed by key %s", gate[:6], strings.Count(manifest.Text("manifest"), "\n")-1, manifest.Text("key_id")), manifest.Took)
	for _, device := range []string{"north", "south"} {
		a = p.post(p.staff, gate+"/scans", map[string]any{"scans": []map[string]any{{
			"scan_id": uuid.NewString(), "seat_id": tickets[5], "ownership_version": 1, "direction": "IN", "result": "SUCCESS", "hall_id": hall,
			"device": device, "decided_at": time.Now().UTC().Format(time.RFC3339Nano)}}})
		outcome := "MERGED"
		if device == "south" {
			outcome = "CONFLICT"
		}
		p.expect(strings.Contains(string(a.Data), outcome), "what %s let in is %s, want %s", device, a.Data, outcome)
		out.step("", "Gate "+device+" uploads", outcome, a.Took)
	}
	var conflicts []struct {
		Scan, Standing struct {
			Device string `json:"device"`
		}
	}
	p.get(p.staff, gate+"/conflicts", &conflicts)
	p.expect(len(conflicts) == 1, "%d conflicts, want 1", len(conflicts))
	out.left("seats_db", "one admission; the conflict names both: %s, and %s before it", conflicts[0].Scan.Device, conflicts[0].Standing.Device)

	out.table("Money", "the bank takes back what Gina paid with")
	p.must(p.App.Stripe(p.ctx, "chargeback", intent))
	p.until(20*time.Second, "the gate knows of the chargeback", func() bool {
		a, err := p.staff.Get(p.ctx, gate+"/tickets?with="+tickets[0])
		return err == nil && strings.Contains(string(a.Data), `"payment_taken_back":true`)
	})
	p.post(p.admin, gate+"/undo", map[string]any{"seat_id": tickets[4], "reason": "for the demo"})
	p.decision("Credits taken back", p.verify(p.ticketQR(gina, tickets[4]), nil), "UNPAID")
	a = p.post(p.admin, "/admin/tickets/"+tickets[4]+"/allow-entry", map[string]any{"reason": "Paid in cash at the box office"})
	out.step("", "Admin lets her in, with a reason", a.Text("message"), a.Took)
	p.decision("and then", p.verify(p.ticketQR(gina, tickets[4]), nil), "SUCCESS")
}

type smallEvent struct {
	id, name string
	seats    []string
}

// smallEvent makes an event at another venue, whose hall has the same name as the demo's. Re-entry is allowed, and its
// ten seats are cheap.
func (p *demo) smallEvent(name string, more map[string]any) smallEvent {
	body := map[string]any{
		"name": name, "hall_id": hall, "event_date": time.Now().Add(48 * time.Hour).UTC().Format(time.RFC3339), "reentry_allowed": true,
		"venue":       map[string]any{"name": "River House", "address": "2 Quay Road", "city": "Singapore", "total_halls": 1},
		"total_seats": 10, "pricing_tiers": map[string]any{"CAT1": 10},
	}
	for k, v := range more {
		body[k] = v
	}
	a, err := p.admin.Post(p.ctx, "/admin/events", body)
	p.must(errors.Join(err, a.Err(http.StatusCreated)))
	e := smallEvent{id: a.Text("event_id"), name: name}
	var read struct {
		Seats []struct {
			ID string `json:"seat_id"`
		} `json:"seats"`
	}
	p.get(p.admin, "/events/"+e.id, &read)
	for _, s := range read.Seats {
		e.seats = append(e.seats, s.ID)
	}
	return e
}

func (p *demo) buy(who *person, seat string) string {
	order := p.post(who, "/reserve", map[string]any{"seat_id": seat}).Text("order_id")
	p.post(who, "/pay", map[string]any{"order_id": order})
	return seat
}

// offlineCode is the code that a phone without network makes: docs/qr-format.md.
func (p *demo) offlineCode(who *person, seat string) string {
	a := p.post(who, "/tickets/"+seat+"/offline", nil)
	secret, err := base64.StdEncoding.DecodeString(a.Text("secret"))
	p.must(err)
	mac := hmac.New(sha256.New, secret)
	mac.Write(binary.BigEndian.AppendUint64(nil, uint64(time.Now().Unix()/30)))
	sum := mac.Sum(nil)
	return a.Text("prefix") + fmt.Sprintf("%08d", binary.BigEndian.Uint32(sum[sum[len(sum)-1]&15:])&0x7fffffff%100_000_000)
}

func (p *demo) verify(payload string, more map[string]any) client.Answer {
	body := map[string]any{"qr_payload": payload, "hall_id": hall}
	for k, v := range more {
		body[k] = v
	}
	return p.post(p.staff, "/verify", body)
}

// decision shows the result of a scan and requires it to be want.
func (p *demo) decision(name string, a client.Answer, want string) {
	p.expect(a.Text("result") == want, "%s: %s, want %s", name, a.Data, want)
	p.rule(name, a)
}

func (p *demo) inside(gate string, want int) {
	var n struct {
		Inside int `json:"inside"`
	}
	p.get(p.staff, gate, &n)
	p.expect(n.Inside == want, "%d are inside, want %d", n.Inside, want)
	p.out.left("seats_db", "%d inside now", n.Inside)
}

// manyScans sends the scans of a venue whose devices share one address. Scans are limited by token, so none is refused,
// and customers behind the same address can go on buying.
func (p *demo) manyScans() {
	app := *p.App
	app.HTTP = &http.Client{Timeout: 20 * time.Second}         // does not wait for the rate limit
	device, err := app.LogIn(p.ctx, p.staff.Email, p.Password) // a token of its own
	p.must(err)
	const scans, atOnce = 750, 25
	began := time.Now()
	var mu sync.Mutex
	statuses := map[int]int{}
	var group sync.WaitGroup
	for range atOnce {
		group.Go(func() {
			for range scans / atOnce {
				a, err := device.Post(p.ctx, "/verify", map[string]any{"qr_payload": "no ticket", "hall_id": hall})
				mu.Lock()
				if err != nil {
					a.Status = 0
				}
				statuses[a.Status]++
				mu.Unlock()
			}
		})
	}
	group.Wait()
	a := p.ask(p.alice, http.MethodGet, "/events?per_page=1", nil, http.StatusOK, "")
	p.expect(statuses[http.StatusTooManyRequests] == 0, "of %d scans from one address: %v", scans, statuses)
	p.out.step("", "750 scans from one address", fmt.Sprintf("none is 429, in %s; a customer behind it: %d", time.Since(began).Round(time.Millisecond), a.Status), 0)
}
