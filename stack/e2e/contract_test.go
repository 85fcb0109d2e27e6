package e2e

import (
	"math/rand/v2"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"ticketremaster/stack/client"
)

// These tests are docs/clients.md, row by row. A gateway's own refusals (429 RATE_LIMITED, sizes, API keys) are
// the conformance suite's; the states of a transfer and all results of a scan have tests of their own as well.

func TestContractOfEvents(t *testing.T) {
	e := newEvent(t, 4, func(m map[string]any) { m["event_date"], m["featured"] = "2027-12-31T20:00", true })
	listed := "[0].event_id [0].name [0].event_date:time [0].venue.venue_id [0].venue.name [0].venue.address [0].venue.city [0].hall_id [0].pricing_tiers:object [0].total_seats:number [0].available_seats:number [0].image"
	day := time.Now().AddDate(3, 0, rand.IntN(1_000)).UTC().Format(time.DateOnly)
	at := func(date, hall string) string {
		return newEvent(t, 2, func(m map[string]any) { m["event_date"], m["hall_id"], m["allow_past"] = date, hall, true }).ID
	}
	late, soon := at(day+"T22:00", "H1"), at(day+"T20:00", "H2")
	at("2011-05-01T20:00", "H1")
	play(t, map[string]string{"id": e.ID, "soon": soon, "late": late}, []row{
		{call: "GET /events?date=" + day, want: "200", reads: "[0].event_id=$soon ^pagination.total=2"}, // the next one first
		{call: "GET /events?per_page=1&page=2&date=" + day, want: "200", reads: "[0].event_id=$late"},
		{call: "GET /events?date=2011-05-01", want: "200", reads: "^data:list ^pagination.total=0"}, // it is over
		{call: "GET /events?page=1&per_page=1", want: "200", reads: listed + " ^pagination.page=1 ^pagination.per_page=1 ^pagination.total:number ^pagination.total_pages:number"},
		{call: "GET /events?date=2027-12-31&featured=true", want: "200", reads: listed + " [0].featured=true"},
		{call: "GET /api/events?page=99999", want: "200", reads: "^data:list ^pagination.page=99999"},
		{call: "GET /events?page=0", want: "400 VALIDATION_ERROR", reads: "^errors.page"},
		{call: "GET /events?per_page=101", want: "400 VALIDATION_ERROR", reads: "^errors.per_page"},
		{call: "GET /events?date=tomorrow", want: "400 VALIDATION_ERROR", reads: "^errors.date"},
		{call: "GET /events?featured=maybe", want: "400 VALIDATION_ERROR", reads: "^errors.featured"},
		{call: "GET /events/$id", want: "200", reads: "event_date=2027-12-31T12:00:00Z venue.city pricing_tiers.CAT1=60 pricing_tiers.CAT2=25.5 total_seats=4 available_seats=4 " +
			"seats.[0].seat_id seats.[0].row_number=A seats.[0].seat_number=1 seats.[0].status=AVAILABLE seats.[0].category=CAT1 seats.[0].price=60"},
		{call: "GET /events/" + uuid.NewString(), want: "404 EVENT_NOT_FOUND"},
		{call: "GET /events/A-1", want: "400 INVALID_UUID"},
		{call: "GET /health", want: "200", reads: "status=ok"},
		{call: "GET /docs/openapi.json", want: "200", reads: "^openapi=3.1.0"},
		{call: "GET /nowhere", want: "404 NOT_FOUND"},
	})
	a, err := app.Do(t.Context(), client.Call{Method: http.MethodGet, Path: "/events/" + e.ID})
	must(t, a, err, http.StatusOK)
	if strings.Contains(string(a.Raw), "owner") || strings.Contains(string(a.Raw), "held_by") {
		t.Errorf("whose a seat is stays private: %.300s", a.Raw)
	}
	a, err = app.Do(t.Context(), client.Call{Method: http.MethodGet, Path: "/events/" + e.ID, Header: http.Header{"If-None-Match": a.Header["Etag"]}})
	if err != nil || a.Status != http.StatusNotModified {
		t.Errorf("%v %d, want 304", err, a.Status)
	}
}

func TestContractOfPurchases(t *testing.T) {
	e, past := newEvent(t, 12), newEvent(t, 2, func(m map[string]any) {
		m["event_date"], m["allow_past"] = time.Now().Add(-time.Hour).UTC().Format(time.RFC3339), true
	})
	p, poor, next := person(t, 100_00), person(t, 1_00), person(t, 0)
	names := map[string]string{"me": p.ID, "seat": e.Seats[0].ID, "cheap": e.Seats[11].ID, "event": e.ID, "past": past.Seats[0].ID}
	reserved := "order_id>order ttl_seconds:number seat_id=$seat status=HELD held_until:time message otp_required=false"
	play(t, names, []row{
		{by: p, call: "POST /reserve", body: object{"seat_id": "$seat", "user_id": "$me", "event_id": "$event"}, want: "200", reads: reserved},
		{by: p, call: "POST /api/reserve", body: object{"seat_id": "$seat"}, want: "200", reads: "order_id=$order"},
		{by: next, call: "POST /reserve", body: object{"seat_id": "$seat"}, want: "409 SEAT_UNAVAILABLE"},
		{by: next, call: "POST /reserve", body: object{"seat_id": "$seat", "user_id": "$me"}, want: "403 FORBIDDEN"},
		{by: p, call: "POST /reserve", body: object{"seat_id": uuid.NewString()}, want: "404 SEAT_NOT_FOUND"},
		{by: p, call: "POST /reserve", body: object{"seat_id": "A-1"}, want: "400 INVALID_UUID", reads: "^errors.seat_id"},
		{by: p, call: "POST /reserve", body: object{"seat_id": "$past"}, want: "410 EVENT_ENDED"},
		{by: unknown(t, p), call: "POST /reserve", body: object{"seat_id": "$cheap"}, want: "404 USER_NOT_FOUND"},
		{by: next, call: "POST /pay", body: object{"order_id": "$order"}, want: "404 ORDER_NOT_FOUND"},
		{by: p, call: "POST /pay", body: object{"order_id": "$order"}, want: "200", reads: "status=CONFIRMED order_id=$order seat_id=$seat credits_charged=60 remaining_balance=40 qr_hash message"},
		{by: p, call: "POST /pay", body: object{"order_id": "$order"}, want: "409 ORDER_ALREADY_CONFIRMED"},
		{by: next, call: "POST /reserve", body: object{"seat_id": "$seat"}, want: "409 SEAT_ALREADY_SOLD"},
		{by: p, call: "POST /orders/$order/cancel", want: "409 ORDER_ALREADY_CONFIRMED"},
		{by: p, call: "GET /orders?status=CONFIRMED", want: "200", reads: "[0].order_id=$order [0].seat_id [0].event_id=$event [0].status=CONFIRMED [0].credits_charged=60 [0].held_until:time [0].created_at:time [0].confirmed_at:time ^pagination.total=1"},
		{by: p, call: "GET /orders?status=LOST", want: "400 VALIDATION_ERROR", reads: "^errors.status"},
		{by: p, call: "GET /orders/$order", want: "200", reads: "order_id status=CONFIRMED credits_charged=60 confirmed_at:time steps.[0].step steps.[0].what=done"},
		{by: next, call: "GET /orders/$order", want: "404 ORDER_NOT_FOUND"},
		{by: p, call: "GET /orders/first", want: "400 INVALID_UUID"},
		{by: poor, call: "POST /reserve", body: object{"seat_id": "$cheap"}, want: "200", reads: "order_id>held"},
		{by: poor, call: "GET /tickets/$cheap/qr", want: "409 SEAT_UNAVAILABLE"}, // not paid for
		{by: poor, call: "POST /pay", body: object{"order_id": "$held"}, want: "402 INSUFFICIENT_CREDITS"},
		{by: poor, call: "POST /orders/$held/cancel", want: "200", reads: "order_id=$held status=FAILED"},
		{by: poor, call: "POST /pay", body: object{"order_id": "$held"}, want: "409 SEAT_NOT_HELD"},
		{by: p, call: "GET /tickets", want: "200", reads: "[0].seat_id=$seat [0].status=SOLD [0].event.event_id=$event [0].event.name [0].event.event_date:time [0].event.hall_id [0].event.venue.name " +
			"[0].row_number [0].seat_number:number [0].price_paid=60 [0].purchased_at:time ^pagination.page=1 ^pagination.per_page=1000 ^pagination.total=1 ^pagination.total_pages=1"},
		{by: p, call: "GET /tickets?page=2&per_page=1", want: "200", reads: "^data:list ^pagination.page=2 ^pagination.per_page=1 ^pagination.total=1 ^pagination.total_pages=1"},
		{by: p, call: "GET /tickets?per_page=1001", want: "400 VALIDATION_ERROR", reads: "^errors.per_page"},
		{by: p, call: "GET /tickets/$seat/qr", want: "200", reads: "qr_payload ttl_seconds=60 generated_at:time expires_at:time"},
		{by: next, call: "GET /tickets/$seat/qr", want: "403 NOT_SEAT_OWNER"},
		{by: p, call: "GET /tickets/" + uuid.NewString() + "/qr", want: "404 SEAT_NOT_FOUND"},
		{by: p, call: "GET /tickets/A-1/qr", want: "400 INVALID_UUID"},
		{by: p, call: "GET /tickets/$seat/history", want: "200", reads: "[0].cause=PURCHASE [0].to_user_id=$me [0].from_user_id:null [0].at:time"},
		{by: next, call: "GET /tickets/$seat/history", want: "403 NOT_SEAT_OWNER"},
	})
	var rows []row
	for i := range 11 {
		want := "200"
		if i == 10 {
			want = "429 TOO_MANY_HOLDS"
		}
		rows = append(rows, row{by: next, call: "POST /reserve", body: object{"seat_id": e.Seats[1+i].ID}, want: want})
	}
	play(t, names, rows)
}

// A hold of one second is made by an orchestrator with that setting; the gateway's pays for it too late.
func TestContractOfAHoldThatExpired(t *testing.T) {
	if own == nil {
		return // a system that runs has one HOLD_TTL
	}
	replica, err := own.Replica(t.Context(), "orchestrator-service", "HOLD_TTL=1s")
	if err != nil {
		t.Fatal(err)
	}
	addr, err := own.Addr(replica)
	if err != nil {
		t.Fatal(err)
	}
	short := &client.App{Gateway: "http://" + addr, Sandbox: app.Sandbox, HTTP: app.HTTP, Seen: described.saw}
	p := person(t, 100_00)
	a, err := short.Do(t.Context(), client.Call{Method: http.MethodPost, Path: "/reserve", Token: p.Access, Body: object{"seat_id": nextSeat(t)}})
	order := must(t, a, err, http.StatusOK).Text("order_id")
	eventually(t, "the order ends with its hold", func() bool {
		a, err := p.Get(t.Context(), "/orders/"+order)
		return must(t, a, err, http.StatusOK).Text("status") == "FAILED"
	})
	play(t, map[string]string{"order": order}, []row{{by: p, call: "POST /pay", body: object{"order_id": "$order"}, want: "410 HOLD_EXPIRED"}})
	if err := own.Kill(replica); err != nil {
		t.Error(err)
	}
}

func TestContractOfOneTimePasswords(t *testing.T) {
	e := newEvent(t, 6)
	p := flag(t, person(t, 200_00))
	names := map[string]string{"me": p.ID}
	order := func(seat int) func() {
		return func() {
			since := time.Now()
			names["order"] = reserve(t, p, e.Seats[seat].ID)
			code, err := app.OTP(t.Context(), p.Phone, since)
			if err != nil {
				t.Fatal(err)
			}
			names["code"], names["wrong"] = code, other(code)
		}
	}
	verify := object{"otp_code": "$code", "user_id": "$me", "context": "purchase", "reference_id": "$order"}
	wrong := object{"otp_code": "$wrong", "reference_id": "$order"}
	play(t, names, []row{
		{by: p, call: "POST /verify-otp", body: object{"otp_code": "123456"}, want: "400 VALIDATION_ERROR"}, // none pending
		{by: p, call: "POST /verify-otp", body: object{"otp_code": "123456", "reference_id": uuid.NewString()}, want: "404 ORDER_NOT_FOUND"},
		{by: p, call: "POST /verify-otp", body: object{"otp_code": "12ab56"}, want: "400 VALIDATION_ERROR", reads: "^errors.otp_code"},
		{by: p, call: "POST /pay", body: object{"order_id": "$order"}, want: "428 OTP_REQUIRED", before: order(0)},
		{by: p, call: "POST /verify-otp", body: wrong, want: "401 OTP_INVALID", patient: true},
		{by: p, call: "POST /verify-otp", body: wrong, want: "401 OTP_INVALID"}, // after a refresh, the same again: one attempt
		{by: p, call: "POST /verify-otp", body: object{"otp_code": "$code", "user_id": admin.ID}, want: "403 FORBIDDEN"},
		{by: p, call: "POST /verify-otp", body: verify, want: "200", reads: "verified=true"},
		{by: p, call: "POST /pay", body: object{"order_id": "$order"}, want: "200", reads: "status=CONFIRMED"},
		{by: p, call: "POST /verify-otp", body: wrong, want: "401 OTP_INVALID", patient: true, before: order(1)},
		{by: p, call: "POST /verify-otp", body: wrong, want: "401 OTP_INVALID", before: func() { names["wrong"] = other(names["wrong"]) }},
		{by: p, call: "POST /verify-otp", body: wrong, want: "429 OTP_MAX_RETRIES", before: func() { names["wrong"] = other(names["wrong"]) }},
	})
	if own == nil {
		return // nobody waits five minutes, and the clock of a system that runs is its own
	}
	play(t, names, []row{{by: p, call: "POST /verify-otp", body: verify, want: "410 OTP_EXPIRED", before: func() {
		order(2)()
		db, err := pgx.Connect(t.Context(), own.DSN("users_db"))
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close(t.Context())
		eventually(t, "the code is in force, and then expires", func() bool {
			tag, err := db.Exec(t.Context(), "UPDATE otp_challenges SET expires_at = now() - interval '1 second' WHERE user_id = $1 AND state = 'PENDING'", p.ID)
			return err == nil && tag.RowsAffected() == 1
		})
	}}})
}

func TestContractOfTransfers(t *testing.T) {
	seller, buyer, stranger := person(t, 100_00), person(t, 50_00), person(t, 0)
	sold, second := ticket(t, seller), ticket(t, seller)
	names := map[string]string{"seat": sold, "second": second, "seller": seller.ID, "buyer": buyer.ID, "mail": buyer.Email}
	offer := object{"seat_id": "$seat", "seller_user_id": "$seller", "buyer_user_id": "$mail", "credits_amount": 20.5}
	with := func(key string, value any) object {
		o := object{key: value}
		for k, v := range offer {
			if k != key {
				o[k] = v
			}
		}
		return o
	}
	since := time.Now()
	getCodes := func() {
		var err error
		if names["scode"], err = app.OTP(t.Context(), seller.Phone, since); err == nil {
			names["bcode"], err = app.OTP(t.Context(), buyer.Phone, since)
		}
		if err != nil {
			t.Fatal(err)
		}
		names["wrong"] = other(names["scode"])
	}
	id := object{"transfer_id": "$transfer"}
	play(t, names, []row{
		{by: seller, call: "POST /transfer/initiate", body: with("seat_id", uuid.NewString()), want: "404 SEAT_NOT_FOUND"},
		{by: seller, call: "POST /transfer/initiate", body: with("buyer_user_id", "nobody-$mail"), want: "404 USER_NOT_FOUND"},
		{by: seller, call: "POST /transfer/initiate", body: with("buyer_user_id", "$seller"), want: "400 SELF_TRANSFER"},
		{by: buyer, call: "POST /transfer/initiate", body: with("credits_amount", 50.01), want: "402 INSUFFICIENT_CREDITS"},
		{by: seller, call: "POST /transfer/initiate", body: with("seat_id", nextSeat(t)), want: "403 NOT_SEAT_OWNER"},
		{by: stranger, call: "POST /transfer/initiate", body: with("seller_user_id", stranger.ID), want: "403 NOT_SEAT_OWNER"},
		{by: stranger, call: "POST /transfer/initiate", body: offer, want: "403 FORBIDDEN"},
		{by: seller, call: "POST /transfer/initiate", body: offer, want: "201", reads: "transfer_id>transfer status=PENDING_OTP"},
		{by: seller, call: "POST /transfer/initiate", body: offer, want: "409 TRANSFER_IN_PROGRESS"},
		{by: stranger, call: "POST /transfer/confirm", body: object{"transfer_id": "$transfer", "seller_otp": "123456"}, want: "403 FORBIDDEN"},
		{by: seller, call: "POST /transfer/confirm", body: object{"transfer_id": uuid.NewString(), "seller_otp": "123456"}, want: "404 TRANSFER_NOT_FOUND"},
		{by: seller, call: "POST /transfer/confirm", body: object{"transfer_id": "$transfer", "seller_otp": "$wrong"}, want: "401 OTP_INVALID", before: getCodes},
		{by: buyer, call: "POST /transfer/dispute", body: object{"transfer_id": "$transfer", "reason": "not yet"}, want: "409 TRANSFER_INVALID_STATE"},
		{by: seller, call: "POST /transfer/confirm", body: object{"transfer_id": "$transfer", "seller_otp": "$scode"}, want: "200", reads: "status=PENDING_OTP seller_otp_verified=true buyer_otp_verified=false"},
		{by: seller, call: "POST /transfer/confirm", body: object{"transfer_id": "$transfer", "seller_otp": "$scode", "buyer_otp": "$bcode"}, want: "200",
			reads: "status=COMPLETED new_owner_user_id=$buyer credits_transferred=20.5 seat_id=$seat"},
		{by: seller, call: "POST /transfer/confirm", body: object{"transfer_id": "$transfer", "seller_otp": "$scode"}, want: "409 TRANSFER_INVALID_STATE"},
		{by: seller, call: "GET /transfers/$transfer", want: "200", reads: "status=COMPLETED completed_at:time credits_amount=20.5"},
		{by: stranger, call: "GET /transfers/$transfer", want: "403 FORBIDDEN"},
		{by: buyer, call: "GET /transfers?per_page=1", want: "200", reads: "[0].transfer_id=$transfer ^pagination.total=2"}, // the one refused to the buyer is kept as FAILED
		{by: seller, call: "GET /tickets/sold", want: "200", reads: "[0].seat_id=$seat [0].transfer_id=$transfer [0].buyer_user_id=$buyer [0].price_paid=20.5 [0].sold_at:time"},
		{by: buyer, call: "POST /transfer/dispute", body: object{"transfer_id": uuid.NewString(), "reason": "it is not mine"}, want: "404 TRANSFER_NOT_FOUND"},
		{by: buyer, call: "POST /transfer/dispute", body: id, want: "400 VALIDATION_ERROR", reads: "^errors.reason"},
		{by: buyer, call: "POST /transfer/dispute", body: object{"transfer_id": "$transfer", "reason": "the seat is broken"}, want: "200", reads: "status=DISPUTED"},
		{by: seller, call: "POST /transfer/withdraw", body: id, want: "403 FORBIDDEN"},
		{by: buyer, call: "POST /transfer/withdraw", body: id, want: "200", reads: "status=COMPLETED"},
		{by: seller, call: "POST /transfer/reverse", body: id, want: "409 TRANSFER_INVALID_STATE"},
		{by: buyer, call: "POST /transfer/dispute", body: object{"transfer_id": "$transfer", "reason": "it is, after all"}, want: "409 DISPUTE_WITHDRAWN"},
		{by: seller, call: "POST /transfer/dispute", body: object{"transfer_id": "$transfer", "reason": "I was phished"}, want: "200"},
		{by: admin, call: "POST /transfer/reject", body: id, want: "200", reads: "status=COMPLETED"},
		{by: buyer, call: "POST /transfer/reject", body: id, want: "403 FORBIDDEN"},
		{by: seller, call: "POST /transfer/dispute", body: object{"transfer_id": "$transfer", "reason": "look at it"}, want: "200"},
		{by: seller, call: "POST /transfer/reverse", body: id, want: "403 FORBIDDEN"},
		{by: seller, call: "POST /transfer/reverse", body: object{"transfer_id": uuid.NewString()}, want: "404 TRANSFER_NOT_FOUND"},
		{by: buyer, call: "POST /transfer/reverse", body: id, want: "200", reads: "status=REVERSED restored_owner_user_id=$seller credits_returned=20.5"},
		{by: seller, call: "POST /transfer/reverse", body: id, want: "409 TRANSFER_INVALID_STATE"},
	})
}

func TestContractOfTheGateAndAdministration(t *testing.T) {
	staff, p := employee(t, "staff"), person(t, 200_00)
	body := object{"name": "Gala", "venue": object{"name": "Hall", "address": "2 Road", "total_halls": 1}, "hall_id": "H1", "event_date": "2027-12-31T20:00", "total_seats": 4, "pricing_tiers": object{"A": 10}}
	names := map[string]string{"staff": staff.ID, "me": p.ID, "mail": p.Email}
	play(t, names, []row{
		{by: admin, call: "POST /admin/events", body: body, want: "201", reads: "event_id>event seats_created=4"},
		{by: p, call: "POST /admin/events", body: body, want: "403 FORBIDDEN"},
		{by: staff, call: "POST /admin/events", body: body, want: "403 FORBIDDEN"},
		{by: admin, call: "POST /admin/events", body: object{"name": "Gala"}, want: "400 VALIDATION_ERROR", reads: "^errors.hall_id"},
	})
	e := readEvent(t, names["event"])
	names["seat"] = e.Seats[0].ID
	buy(t, p, e.Seats[0].ID)
	reserve(t, p, e.Seats[1].ID)
	key, valid := qrKey(t), qrTicket{}
	fresh := func() { names["qr"] = qrOf(t, p, e.Seats[0].ID); valid = key.open(t, names["qr"]) }
	sealed := func(change func(qrTicket) qrTicket) func() {
		return func() { names["qr"] = key.seal(t, change(valid)) }
	}
	at := func(hall string) object { return object{"qr_payload": "$qr", "hall_id": hall, "staff_id": "$staff"} }
	play(t, names, []row{
		{by: staff, call: "POST /verify", body: at("H9"), want: "200", reads: "result=WRONG_HALL message", before: fresh},
		{by: staff, call: "POST /verify", body: at("H1"), want: "200", reads: "result=UNPAID message", before: sealed(func(x qrTicket) qrTicket { return x.of(uuid.MustParse(e.Seats[1].ID)) })},
		{by: staff, call: "POST /verify", body: at("H1"), want: "200", reads: "result=NOT_FOUND message", before: sealed(func(x qrTicket) qrTicket { return x.of(uuid.New()) })},
		{by: staff, call: "POST /verify", body: at("H1"), want: "200", reads: "result=EXPIRED message", before: sealed(func(x qrTicket) qrTicket { x.Time -= 600; return x })},
		{by: staff, call: "POST /verify", body: at("H1"), want: "200", before: fresh,
			reads: "result=SUCCESS message seat_id=$seat row_number seat_number:number owner_name=$mail"},
		{by: staff, call: "POST /verify", body: at("H1"), want: "200", reads: "result=DUPLICATE message"},
		{by: admin, call: "POST /verify", body: object{"qr_payload": "$qr", "hall_id": "H1"}, want: "200", reads: "result=DUPLICATE"},
		{by: staff, call: "POST /verify", body: object{"qr_payload": "no ticket", "hall_id": "H1"}, want: "400 QR_INVALID"},
		{by: p, call: "POST /verify", body: object{"qr_payload": "$qr", "hall_id": "H1"}, want: "403 FORBIDDEN"},
		{by: staff, call: "POST /verify", body: object{"qr_payload": "$qr", "hall_id": "H1", "staff_id": "$me"}, want: "403 FORBIDDEN"},
		{call: "POST /verify", body: at("H1"), want: "401 UNAUTHORIZED"},
		{by: p, call: "GET /tickets/$seat/qr", want: "409 SEAT_UNAVAILABLE"}, // used
		{by: admin, call: "GET /admin/events/$event/dashboard", want: "200", reads: "stats.total_seats=4 stats.seats_sold=1 stats.revenue=10 stats.checked_in=1 stats.scans.DUPLICATE=2 " +
			"attendees.[0].user_id=$me attendees.[0].email=$mail attendees.[0].seat_id=$seat attendees.[0].row_number attendees.[0].seat_number:number"},
		{by: staff, call: "GET /admin/events/$event/dashboard", want: "403 FORBIDDEN"},
		{by: admin, call: "GET /admin/events/" + uuid.NewString() + "/dashboard", want: "404 EVENT_NOT_FOUND"},
		{by: admin, call: "GET /admin/events/$event/scans?result=SUCCESS", want: "200", reads: "scans.[0].seat_id=$seat scans.[0].scanned_by_staff_id=$staff counts.SUCCESS=1 ^pagination.total=1"},
		{by: admin, call: "GET /admin/events/$event/scans?result=LATE", want: "400 VALIDATION_ERROR", reads: "^errors.result"},
		{by: admin, call: "GET /admin/users?email=$mail", want: "200", reads: "[0].user_id=$me ^pagination.total=1"},
		{by: admin, call: "PATCH /admin/users/$me", body: object{"is_flagged": true}, want: "200", reads: "is_flagged=true flagged=true"},
		{by: admin, call: "PATCH /admin/users/" + admin.ID, body: object{"role": "customer"}, want: "400 VALIDATION_ERROR", reads: "^errors.role"},
		{by: admin, call: "PATCH /admin/users/" + uuid.NewString(), body: object{"role": "staff"}, want: "404 USER_NOT_FOUND"},
		{by: admin, call: "GET /admin/sagas?status=PARKED", want: "200", reads: "^pagination.total:number"},
		{by: admin, call: "GET /admin/sagas?status=DONE", want: "400 VALIDATION_ERROR", reads: "^errors.status"},
		{by: admin, call: "POST /admin/sagas/" + uuid.NewString() + "/resume", body: object{}, want: "400 VALIDATION_ERROR", reads: "^errors.reason"},
		{by: admin, call: "POST /admin/sagas/" + uuid.NewString() + "/resume", body: object{"reason": "it was mended"}, want: "404 NOT_FOUND"},
		{by: admin, call: "GET /admin/messages", want: "200", reads: "^pagination.total:number"},
		{by: admin, call: "POST /admin/messages/replay", body: object{"message_ids": []string{uuid.NewString()}}, want: "400 VALIDATION_ERROR", reads: "^errors.reason"},
		{by: admin, call: "POST /admin/messages/drop", body: object{"message_ids": []string{uuid.NewString()}, "reason": "of no use"}, want: "404 NOT_FOUND"},
		{by: staff, call: "POST /admin/sagas/" + uuid.NewString() + "/compensate", body: object{"reason": "please"}, want: "403 FORBIDDEN"},
	})
}

// The browser's part of the contract (docs/clients.md#across-all-endpoints); the conformance suite has all of it.
func TestContractOfTheHeaders(t *testing.T) {
	origin := http.Header{"Origin": {"http://localhost:5173"}}
	preflight := http.Header{"Origin": origin["Origin"], "Access-Control-Request-Method": {"POST"}, "Access-Control-Request-Headers": {"authorization,content-type,idempotency-key"}}
	a, err := app.Do(t.Context(), client.Call{Method: http.MethodOptions, Path: "/api/reserve", Header: preflight})
	if err != nil || a.Status > 204 || a.Header.Get("Access-Control-Max-Age") != "3600" || !strings.Contains(strings.ToLower(a.Header.Get("Access-Control-Allow-Headers")), "idempotency-key") {
		t.Errorf("preflight: %v %d %v", err, a.Status, a.Header)
	}
	for path, status := range map[string]int{"/events": 200, "/tickets": 401, "/nowhere": 404, "/events/A-1": 400} {
		for _, from := range []string{"http://localhost:5173", "http://elsewhere.example"} {
			header := http.Header{"Origin": {from}, "X-Correlation-Id": {"contract-" + run}}
			a, err := app.Do(t.Context(), client.Call{Method: http.MethodGet, Path: path, Header: header})
			allowed := a.Header.Get("Access-Control-Allow-Origin")
			if err != nil || a.Status != status || (allowed == from) != (from == "http://localhost:5173") {
				t.Errorf("GET %s from %s: %v %d, allowed is %q", path, from, err, a.Status, allowed)
			}
			if a.Header.Get("X-Correlation-Id") != "contract-"+run {
				t.Errorf("GET %s: the correlation id is %q", path, a.Header.Get("X-Correlation-Id"))
			}
		}
	}
	a, err = app.Do(t.Context(), client.Call{Method: http.MethodGet, Path: "/health"})
	if err != nil || a.Header.Get("X-Correlation-Id") == "" {
		t.Errorf("no correlation id was made: %v %v", err, a.Header)
	}
}

var amounts = regexp.MustCompile(`"(?:price|credits_charged|credit_balance|remaining_balance|amount|balance_after|price_paid|revenue|credits_amount)":([^,}]*)`)

// Amounts are numbers with at most two decimals, as they stand on the wire.
func TestContractOfAmounts(t *testing.T) {
	p := person(t, 100_10)
	e := newEvent(t, 2, func(m map[string]any) { m["pricing_tiers"] = map[string]any{"A": 33.33, "B": 0.1} })
	buy(t, p, e.Seats[0].ID)
	buy(t, p, e.Seats[1].ID)
	seen := 0
	for _, path := range []string{"/credits/balance", "/credits/transactions", "/orders", "/tickets", "/events/" + e.ID, "/users/" + p.ID} {
		a, err := p.Get(t.Context(), path)
		must(t, a, err, http.StatusOK)
		for _, m := range amounts.FindAllSubmatch(a.Raw, -1) {
			if seen++; !regexp.MustCompile(`^-?\d+(\.\d{1,2})?$`).Match(m[1]) {
				t.Errorf("GET %s has %s", path, m[0])
			}
		}
	}
	if b := balance(t, p); b != 66_67 || seen < 15 {
		t.Errorf("the balance is %s; %d amounts were seen", b, seen)
	}
}
