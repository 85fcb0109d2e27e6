package e2e

import (
	"net/http"
	"testing"
	"time"

	"ticketremaster/platform/money"
	"ticketremaster/stack/client"
)

func orderOf(t *testing.T, p *client.Person, seat string) string {
	t.Helper()
	a, err := app.Do(t.Context(), client.Call{Method: http.MethodGet, Path: "/admin/orders?status=CONFIRMED&seat_id=" + seat, Token: admin.Access})
	must(t, a, err, http.StatusOK)
	names := map[string]string{}
	if err := readField(a, "[0].order_id>x", names); err != nil {
		t.Fatal(err)
	}
	return names["x"]
}

// wantBalance fails unless the person has that many credits.
func wantBalance(t *testing.T, p *client.Person, want money.Cents) {
	t.Helper()
	if got := balance(t, p); got != want {
		t.Errorf("%s has %s credits, want %s", p.Email, got, want)
	}
}

func TestRefundOfOneTicket(t *testing.T) {
	p, next, e := person(t, 200_00), person(t, 100_00), newEvent(t, 4)
	seat, used := e.Seats[0].ID, e.Seats[1].ID
	buy(t, p, seat)
	buy(t, p, used)
	scanner := employee(t, "staff")
	names := map[string]string{"order": orderOf(t, p, seat), "used": orderOf(t, p, used), "seat": seat, "event": e.ID, "me": p.ID, "qr": qrOf(t, p, seat)}
	a, err := scanner.Post(t.Context(), "/verify", object{"qr_payload": qrOf(t, p, used), "hall_id": "H1"})
	must(t, a, err, http.StatusOK)
	because := "a pillar in the way"
	play(t, names, []row{
		{by: admin, call: "GET /admin/orders?email=" + p.Email, want: "200", reads: "[0].order_id [0].email=" + p.Email + " [0].user_id=$me [0].refunds:list ^pagination.total=2"},
		{by: admin, call: "GET /admin/orders?order_id=$order", want: "200", reads: "[0].seat_id=$seat [0].status=CONFIRMED"},
		{by: admin, call: "GET /admin/orders", want: "400 VALIDATION_ERROR", reads: "^errors.order_id"},
		{by: admin, call: "GET /admin/orders?email=nobody@example.com", want: "200", reads: "^pagination.total=0"},
		{by: p, call: "POST /admin/orders/$order/refund", body: object{"reason": because}, want: "403 FORBIDDEN"},
		{by: p, call: "POST /tickets/$seat/refund", want: "409 REFUND_NOT_ALLOWED"}, // the event has no policy
		{by: next, call: "POST /tickets/$seat/refund", want: "403 NOT_SEAT_OWNER"},
		{by: admin, call: "POST /admin/orders/$order/refund", body: object{"amount": 10.5, "reason": because}, want: "200", reads: "kind=PART credits_returned=10.5 status=CONFIRMED"},
		{by: admin, call: "POST /admin/orders/$order/refund", body: object{"amount": 10.5, "reason": because}, want: "200", reads: "credits_returned=10.5"}, // a double click
		{by: admin, call: "POST /admin/orders/$order/refund", body: object{"amount": 50, "reason": because}, want: "409 REFUND_TOO_LARGE"},
		{by: admin, call: "POST /admin/orders/$order/refund", body: object{"amount": 0, "reason": because}, want: "400 VALIDATION_ERROR", reads: "^errors.amount"},
		{by: admin, call: "POST /admin/orders/$order/refund", body: object{}, want: "400 VALIDATION_ERROR", reads: "^errors.reason"},
		{by: admin, call: "POST /admin/orders/$used/refund", body: object{"reason": because}, want: "409 TICKET_ALREADY_USED"},
		{by: admin, call: "POST /admin/orders/$used/refund", body: object{"amount": 1, "reason": because}, want: "409 TICKET_ALREADY_USED"},
		{by: admin, call: "POST /admin/orders/$order/refund", body: object{"reason": because}, want: "200", reads: "kind=WHOLE credits_returned=49.5 status=REFUNDED to_user_id=$me"},
		{by: admin, call: "POST /admin/orders/$order/refund", body: object{"reason": "again"}, want: "200", reads: "credits_returned=49.5"}, // the same refund
		{by: p, call: "GET /tickets/$seat/qr", want: "403 NOT_SEAT_OWNER"},
		{by: scanner, call: "POST /verify", body: object{"qr_payload": "$qr", "hall_id": "H1"}, want: "200", reads: "result=NOT_FOUND"},
		{by: next, call: "POST /reserve", body: object{"seat_id": "$seat"}, want: "200", reads: "order_id>resold"},
		{by: next, call: "POST /pay", body: object{"order_id": "$resold"}, want: "200", reads: "qr_hash>fresh"},
		{by: scanner, call: "POST /verify", body: object{"qr_payload": "$qr", "hall_id": "H1"}, want: "200", reads: "result=NOT_FOUND"},
		{by: scanner, call: "POST /verify", body: object{"qr_payload": "$fresh", "hall_id": "H1"}, want: "200", reads: "result=SUCCESS"},
	})
	wantBalance(t, p, 200_00-60_00-60_00+60_00)
}

func TestHolderGivesATicketBack(t *testing.T) {
	e := newEvent(t, 4, func(m map[string]any) { m["refund_hours_before"], m["refund_fee_percent"] = 24, 10 })
	p := person(t, 200_00)
	buy(t, p, e.Seats[0].ID)
	buy(t, p, e.Seats[1].ID)
	names := map[string]string{"seat": e.Seats[0].ID, "other": e.Seats[1].ID, "event": e.ID, "order": orderOf(t, p, e.Seats[0].ID)}
	play(t, names, []row{
		{by: p, call: "POST /tickets/$seat/refund", want: "200", reads: "credits_returned=54 credits_kept=6"},
		{by: p, call: "POST /tickets/$seat/refund", want: "403 NOT_SEAT_OWNER"},
		{by: p, call: "GET /orders/$order", want: "200", reads: "status=REFUNDED"},
		{by: admin, call: "PATCH /admin/events/$event", body: object{"version": 2, "reason": "later", "refund_hours_before": 10000}, want: "200"},
		{by: p, call: "POST /tickets/$other/refund", want: "409 REFUND_NOT_ALLOWED"}, // too late now
		{by: admin, call: "POST /admin/events/$event/postpone", body: object{"version": 3, "reason": "the singer is ill", "event_date": "2029-01-01T20:00", "refund_until": "2028-01-01T00:00"}, want: "200"},
		{by: p, call: "POST /tickets/$other/refund", want: "200", reads: "credits_returned=60 credits_kept=0"}, // without the fee
	})
	wantBalance(t, p, 200_00-6_00)
}

// An event is cancelled that has all that an event can have: tickets, a transferred one, a disputed one, one that is
// checked in, a hold and an offer.
func TestCancellingAnEvent(t *testing.T) {
	e := newEvent(t, 8)
	a, b, c := person(t, 500_00), person(t, 500_00), person(t, 100_00)
	scanner := employee(t, "staff")
	for i := range 4 {
		buy(t, a, e.Seats[i].ID) // 60 each
	}
	handOver(t, a, b, e.Seats[1].ID, 150_00)
	disputed := handOver(t, a, b, e.Seats[2].ID, 10_00)
	dispute, err := a.Post(t.Context(), "/transfer/dispute", object{"transfer_id": disputed, "reason": "not what was agreed"})
	must(t, dispute, err, http.StatusOK)
	qr := qrOf(t, a, e.Seats[0].ID)
	inside, err := scanner.Post(t.Context(), "/verify", object{"qr_payload": qrOf(t, a, e.Seats[3].ID), "hall_id": "H1"})
	must(t, inside, err, http.StatusOK)
	held := reserve(t, c, e.Seats[5].ID)
	names := map[string]string{"event": e.ID, "held": held, "free": e.Seats[6].ID, "qr": qr, "transfer": disputed, "seat": e.Seats[0].ID}
	play(t, names, []row{
		{by: admin, call: "GET /admin/events/$event/cancel", want: "404 CANCELLATION_NOT_FOUND"},
		{by: admin, call: "POST /admin/events/$event/cancel", body: object{"code": "AAAAAAAA", "reason": "storm"}, want: "409 CANCELLATION_CODE_INVALID"},
		{by: admin, call: "POST /admin/events/$event/cancel/preview", want: "200", reads: "tickets=4 holders=2 credits=240 holds=1 waiting=1 code>code expires_at:time"},
		{by: admin, call: "POST /admin/events/$event/cancel", body: object{"code": "$code"}, want: "400 VALIDATION_ERROR", reads: "^errors.reason"},
		{by: admin, call: "POST /admin/events/$event/cancel", body: object{"code": "$code", "reason": "storm"}, want: "202", reads: "event_id=$event reason=storm"},
		{by: admin, call: "POST /admin/events/$event/cancel", body: object{"code": "$code", "reason": "storm"}, want: "202"}, // the same
		{by: admin, call: "POST /admin/events/$event/cancel/preview", want: "409 CANCELLATION_STARTED"},
		{by: c, call: "POST /pay", body: object{"order_id": "$held"}, want: "410 HOLD_EXPIRED"},
		{by: c, call: "POST /reserve", body: object{"seat_id": "$free"}, want: "409 SEAT_UNAVAILABLE"},
	})
	eventually(t, "the public sees that it is cancelled, with no seat to offer", func() bool {
		x, err := app.Do(t.Context(), client.Call{Method: http.MethodGet, Path: "/events/" + e.ID})
		return err == nil && readField(x, "status=CANCELLED", nil) == nil && readField(x, "available_seats=0", nil) == nil
	})
	wait := func(status string) {
		t.Helper()
		eventually(t, "the cancellation is "+status, func() bool {
			x, err := app.Do(t.Context(), client.Call{Method: http.MethodGet, Path: "/admin/events/" + e.ID + "/cancel", Token: admin.Access})
			return err == nil && x.Text("status") == status
		})
	}
	wait("WAITING")
	wantBalance(t, a, 500_00-4*60_00+150_00+10_00-10_00+2*60_00) // the disputed price is frozen; two tickets are refunded
	wantBalance(t, b, 500_00-150_00-10_00+60_00)                 // the resale's profit is not
	play(t, names, []row{
		{by: scanner, call: "POST /verify", body: object{"qr_payload": "$qr", "hall_id": "H1"}, want: "200", reads: "result=UNPAID message"},
		{by: a, call: "GET /tickets/$seat/qr", want: "409 SEAT_UNAVAILABLE"},
		{by: a, call: "GET /tickets", want: "200", reads: "[0].status=REFUNDED"},
		{by: admin, call: "GET /admin/events/$event/cancel", want: "200", reads: "tickets_refunded=3 tickets_left=1 tickets_waiting=1 settled_at:null"},
		{by: admin, call: "GET /admin/events/$event/dashboard", want: "200", reads: "stats.seats_refunded=3 stats.seats_held=0 stats.seats_available=0"},
		{by: a, call: "POST /transfer/withdraw", body: object{"transfer_id": "$transfer"}, want: "200"},
	})
	began := time.Now()
	wait("DONE")
	t.Logf("the disputed ticket was refunded %s after its dispute had ended", time.Since(began).Round(time.Second))
	wantBalance(t, b, 500_00-150_00-10_00+2*60_00)
	play(t, names, []row{{by: admin, call: "POST /admin/events/$event/block", body: object{"seat_ids": []string{"$free"}, "reason": "x"}, want: "409 EVENT_CANCELLED"}})
}
