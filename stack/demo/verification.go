package demo

import (
	"fmt"
	"net/http"
	"time"

	"github.com/google/uuid"

	"ticketremaster/stack/client"
	"ticketremaster/stack/qr"
)

// gate is docs/architecture.md#verification: every result of its table, and the log of the scans.
func (p *demo) gate() {
	out := p.out
	out.section("Scenario 3 · Ticket verification", "A QR code lives 60 seconds, says which ownership it is of, and is read by the server alone. Every scan is logged.")
	began := time.Now()
	own, other := p.carolTicket, p.aliceTicket

	out.table("Verification flow", fmt.Sprintf("Carol's ticket, seat %s, at the door of %s", own.seat, hall))
	qr := p.ticketQR(p.carol, own.seat.ID)
	out.step("1", "Staff App → Orchestrator", "POST /verify {qr_payload, hall_id, staff_id}", 0)
	a := p.scan(qr, hall, "SUCCESS")
	out.step("2", "Orchestrator", "fan out to three services, side by side", 0)
	out.step("2a", "→ Inventory", "gRPC VerifyTicket(seat_id): SOLD, owner Carol", 0)
	out.step("2b", "→ Order Svc", "GET /orders?seat_id=: CONFIRMED", 0)
	out.step("2c", "→ Event Svc", "GET /events/{event_id}: hall_id "+hall, 0)
	out.step("3", "Orchestrator", "the rules below, the first that fits decides: none does", 0)
	out.step("4", "Orchestrator → Inventory", "gRPC MarkCheckedIn(seat_id), with the log in one transaction", 0)
	p.seatIs(own.seat, "CHECKED_IN")
	out.step("5", "→ Staff App", fmt.Sprintf("SUCCESS “%s”, seat %s, owner’s name", a.Text("message"), own.seat), a.Took)

	out.table("Business rules", "case, result and the message that staff read")
	p.rule("Valid entry", a)
	p.rule("Already scanned", p.scan(qr, hall, "DUPLICATE"))
	if p.QRKey == nil {
		out.note("UNPAID and EXPIRED are not shown: no client can get such a code. With QR_ENCRYPTION_KEY it is made here.")
	} else {
		p.rule("Unpaid seat *", p.unpaid())
		p.rule("Ticket not found *", p.scan(p.makeQR(uuid.NewString(), time.Now(), 1), hall, "NOT_FOUND"))
	}
	p.rule("Handed on: Carol's old QR", p.scan(p.formerQR, hall, "NOT_FOUND"))
	p.rule("Wrong hall/venue", p.scan(p.ticketQR(p.alice, other.seat.ID), otherHall, "WRONG_HALL"))
	if p.QRKey != nil {
		p.rule("Expired QR timestamp *", p.scan(p.makeQR(other.seat.ID, time.Now().Add(-64*time.Second), 1), hall, "EXPIRED"))
	}
	a = p.ask(p.staff, http.MethodPost, "/verify", map[string]any{"qr_payload": qr[:len(qr)-2], "hall_id": hall}, http.StatusBadRequest, "QR_INVALID")
	out.step("", "Damaged or forged", refusal(a), a.Took)
	a = p.ask(p.alice, http.MethodPost, "/verify", map[string]any{"qr_payload": qr, "hall_id": hall}, http.StatusForbidden, "FORBIDDEN")
	out.step("", "Scanned by a customer", refusal(a), a.Took)
	if p.QRKey != nil {
		out.note("* no client can get this code, so it is made here with QR_ENCRYPTION_KEY, as docs/qr-format.md says")
	}
	p.scanLog(began)
}

// rule shows one line of the table of results.
func (p *demo) rule(name string, a client.Answer) {
	p.out.step("", name, pad(a.Text("result"), 12)+"“"+a.Text("message")+"”", a.Took)
}

// scan scans a code at a hall's entrance and requires the result.
func (p *demo) scan(qr, hall, want string) client.Answer {
	a := p.post(p.staff, "/verify", map[string]any{"qr_payload": qr, "hall_id": hall, "staff_id": p.staff.ID})
	p.expect(a.Text("result") == want, "the gate says %s, want %s: %s", a.Text("result"), want, a.Data)
	p.scans++
	return a
}

func (p *demo) ticketQR(who *person, seatID string) string {
	var code struct {
		Payload string `json:"qr_payload"`
	}
	p.get(who, "/tickets/"+seatID+"/qr", &code)
	return code.Payload
}

// unpaid scans a seat that is only held, and releases the hold.
func (p *demo) unpaid() client.Answer {
	s := p.take("CAT4")
	held := p.post(p.alice, "/reserve", map[string]any{"seat_id": s.ID})
	a := p.scan(p.makeQR(s.ID, time.Now(), 0), hall, "UNPAID")
	p.post(p.alice, "/orders/"+held.Text("order_id")+"/cancel", nil)
	return a
}

// makeQR makes a code that no client can get, with the server's key.
func (p *demo) makeQR(seatID string, at time.Time, version int64) string {
	return p.QRKey.Seal(qr.Ticket{Seat: qr.ID(uuid.MustParse(seatID)), Event: qr.ID(uuid.MustParse(p.event.ID)), Hall: hall, Time: at.Unix(), Version: version})
}

// scanLog shows this run's entry_logs as an administrator reads them.
func (p *demo) scanLog(since time.Time) {
	out := p.out
	out.table("The log", "GET /admin/events/{id}/scans, oldest first")
	var log struct {
		Scans []struct {
			SeatID    *string   `json:"seat_id"`
			At        time.Time `json:"scanned_at"`
			Result    string    `json:"result"`
			Presented string    `json:"hall_id_presented"`
			Expected  string    `json:"hall_id_expected"`
		} `json:"scans"`
	}
	a := p.get(p.admin, "/admin/events/"+p.event.ID+"/scans?per_page=50", &log)
	logged := 0
	for i := len(log.Scans) - 1; i >= 0; i-- {
		s := log.Scans[i]
		if s.At.Before(since) {
			continue
		}
		logged++
		seatID := "no such seat"
		if s.SeatID != nil {
			seatID = "seat " + *s.SeatID
		}
		out.step("", s.At.Local().Format("15:04:05.000"), pad(s.Result, 12)+seatID, 0)
	}
	p.expect(logged == p.scans, "%d scans were decided, %d are logged", p.scans, logged)
	out.left("seats_db", "entry_logs has each of the %d decided scans once (read in %d ms)", logged, a.Took.Milliseconds())
}
