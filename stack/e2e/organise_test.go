package e2e

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"ticketremaster/stack/client"
)

// gala is a body for POST /admin/events, of an event at the venue's eight in the evening.
func gala(name string, alter object) object {
	b := object{
		"name": name + " " + run, "venue": object{"name": "Opera " + run, "address": "3 Road", "city": "London", "total_halls": 1, "timezone": "Europe/London"},
		"hall_id": "H1", "event_date": "2028-07-01T20:00", "total_seats": 4, "pricing_tiers": object{"A": 60, "B": 20},
	}
	for k, v := range alter {
		b[k] = v
	}
	return b
}

func TestContractOfOrganisers(t *testing.T) {
	p := person(t, 0)
	change := func(alter object) object {
		b := object{"reason": "as the organiser asked"}
		for k, v := range alter {
			b[k] = v
		}
		return b
	}
	version := func(etag string) http.Header { return http.Header{"If-Match": {etag}} }
	play(t, map[string]string{"run": run}, []row{
		{by: admin, call: "POST /admin/events", body: gala("Draft", object{"status": "DRAFT", "max_per_customer": 4,
			"includes": []object{{"name": "Booking fee", "amount": 5}, {"name": "VAT", "percent": 20}}}), want: "201", reads: "event_id>draft seats_created=4 warnings:list"},
		{call: "GET /events/$draft", want: "404 EVENT_NOT_FOUND"},
		{by: admin, call: "GET /admin/events?status=DRAFT&per_page=100", want: "200", reads: "^data:list ^pagination.total:number"},
		{by: admin, call: "GET /admin/events?status=LOST", want: "400 VALIDATION_ERROR", reads: "^errors.status"},
		{by: admin, call: "GET /admin/events/$draft", want: "200", reads: "status=DRAFT version=1 timezone=Europe/London event_date_local=2028-07-01T20:00:00+01:00 event_date=2028-07-01T19:00:00Z"},
		{by: admin, call: "PATCH /admin/events/$draft", body: change(object{"name": "Renamed"}), want: "400 VALIDATION_ERROR", reads: "^errors.version"},
		{by: admin, call: "PATCH /admin/events/$draft", body: object{"name": "Renamed", "version": 1}, want: "400 VALIDATION_ERROR", reads: "^errors.reason"},
		{by: admin, call: "PATCH /admin/events/$draft", body: change(object{"name": "Renamed", "pricing_tiers": object{"A": 70}}), header: version(`"1"`), want: "200", reads: "name=Renamed version=2 pricing_tiers.A=70"},
		{by: admin, call: "PATCH /admin/events/$draft", body: change(object{"name": "Lost"}), header: version(`"1"`), want: "409 VERSION_CONFLICT"},
		{by: admin, call: "POST /admin/events/$draft/publish", body: change(object{"version": 2}), want: "200", reads: "status=PUBLISHED version=3"},
		{call: "GET /events/$draft", want: "200", reads: "status=PUBLISHED timezone=Europe/London seats.[0].price=70 max_per_customer=4 includes.[0].amount=5 doors_open_at:null"},
		{by: admin, call: "POST /admin/events/$draft/postpone", body: change(object{"event_date": "2028-09-01T20:00", "version": 3}), want: "400 VALIDATION_ERROR", reads: "^errors.refund_until"},
		{by: admin, call: "POST /admin/events/$draft/postpone", body: change(object{"event_date": "2028-09-01T20:00", "refund_until": "2028-08-01T00:00", "version": 3}), want: "200",
			reads: "status=POSTPONED refund_until=2028-07-31T23:00:00Z"},
		{call: "GET /events?date=2028-09-01", want: "200", reads: "[0].event_id=$draft [0].status=POSTPONED"},
		{by: admin, call: "GET /admin/events/$draft/changes", want: "200", reads: "[0].version=4 [0].field [0].from [0].to [0].changed_by=" + admin.ID + " [0].changed_at:time [0].reason ^pagination.total:number"},
		{by: p, call: "GET /admin/events/$draft/changes", want: "403 FORBIDDEN"},

		{by: admin, call: "POST /admin/events", body: gala("Second hall", object{"hall_id": "H2"}), want: "400 VALIDATION_ERROR", reads: "^errors.hall_id"},
		{by: admin, call: "POST /admin/events", body: gala("No such hour", object{"event_date": "2028-03-26T01:30"}), want: "400 VALIDATION_ERROR", reads: "^errors.event_date"},
		{by: admin, call: "POST /admin/events", body: gala("Past", object{"event_date": "2001-01-01T20:00"}), want: "400 VALIDATION_ERROR", reads: "^errors.event_date"},
		{by: admin, call: "POST /admin/events", body: gala("Same evening", object{"event_date": "2028-09-01T21:00"}), want: "201", reads: "warnings.[0].code=HALL_OVERLAP warnings.[0].event_id=$draft warnings.[0].message"},
	})
}

func TestSeatsAreBlockedAndRowsAdded(t *testing.T) {
	p, e := person(t, 200_00), newEvent(t, 4)
	bought := e.Seats[3].ID
	buy(t, p, bought)
	because := "house seats"
	names := map[string]string{"event": e.ID, "seat": e.Seats[0].ID, "bought": bought}
	play(t, names, []row{
		{by: admin, call: "POST /admin/events/$event/block", body: object{"seat_ids": []string{"$seat"}}, want: "400 VALIDATION_ERROR", reads: "^errors.reason"},
		{by: admin, call: "POST /admin/events/$event/block", body: object{"seat_ids": []string{"$bought"}, "reason": because}, want: "409 SEATS_IN_USE"},
		{by: admin, call: "POST /admin/events/$event/block", body: object{"seat_ids": []string{"$seat"}, "reason": because}, want: "200", reads: "blocked=true"},
		{by: p, call: "POST /reserve", body: object{"seat_id": "$seat"}, want: "409 SEAT_UNAVAILABLE"},
		{by: admin, call: "GET /admin/events/$event/dashboard", want: "200", reads: "stats.seats_blocked=1 stats.seats_available=2 stats.seats_sold=1"},
		{by: admin, call: "GET /admin/events/$event/changes", want: "200", reads: "[0].field=seats_blocked [0].reason"},
		{by: admin, call: "POST /admin/events/$event/rows", body: object{"rows": 2, "seats_per_row": 3, "tier": "BOX", "reason": "sold out"}, want: "400 VALIDATION_ERROR", reads: "^errors.price"},
		{by: admin, call: "POST /admin/events/$event/rows", body: object{"rows": 2, "seats_per_row": 3, "tier": "BOX", "price": 99, "reason": "sold out"}, want: "201", reads: "seats_added=6 first_row=B last_row=C"},
		{by: admin, call: "POST /admin/events/$event/rows", body: object{"rows": 2, "seats_per_row": 3, "tier": "BOX", "price": 99, "reason": "sold out"}, want: "201", reads: "last_row=C"}, // a double click
	})
	everywhere(t, "the seat map has the new rows", func() bool { return len(readEvent(t, e.ID).Seats) == 10 })
	seats := readEvent(t, e.ID).Seats
	if seats[0].Status != "HELD" || seats[4].Category != "BOX" || seats[4].Price != 99_00 {
		t.Errorf("the map has %+v", seats)
	}
	reserve(t, p, seats[4].ID)
	play(t, names, []row{
		{by: admin, call: "POST /admin/events/$event/release", body: object{"seat_ids": []string{"$seat"}, "reason": "not needed"}, want: "200", reads: "blocked=false"},
		{by: p, call: "POST /reserve", body: object{"seat_id": "$seat"}, want: "200"},
	})
}

// A double click, or the same Idempotency-Key, makes one event; another body under the key is refused.
func TestAnEventIsMadeOnce(t *testing.T) {
	body := gala("Once", object{"event_date": "2029-01-01T20:00"})
	ids, mu := map[string]int{}, sync.Mutex{}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			a, err := admin.Post(t.Context(), "/admin/events", body)
			if err != nil || a.Status != http.StatusCreated {
				t.Errorf("%v %s", err, a.Raw)
			}
			mu.Lock()
			ids[a.Text("event_id")]++
			mu.Unlock()
		})
	}
	all.Wait()
	if len(ids) != 1 {
		t.Errorf("a double click made %d events", len(ids))
	}
	keyed := func(key string, body object) client.Answer {
		a, err := app.Do(t.Context(), client.Call{Method: http.MethodPost, Path: "/admin/events", Token: admin.Access, Body: body, Header: http.Header{"Idempotency-Key": {key}}})
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	first, again := keyed("key-"+run, body), keyed("key-"+run, body)
	if first.Status != http.StatusCreated || ids[first.Text("event_id")] > 0 || again.Text("event_id") != first.Text("event_id") {
		t.Errorf("under a key: %s and %s", first.Raw, again.Raw)
	}
	if a := keyed("key-"+run, gala("Another", nil)); a.Code != "IDEMPOTENCY_KEY_REUSED" {
		t.Errorf("another event under the key: %s", a.Raw)
	}
	// A refused request may be corrected and sent again with the same key.
	if a := keyed("mended-"+run, gala("Mended", object{"total_seats": 0})); a.Code != "VALIDATION_ERROR" {
		t.Errorf("no seats: %s", a.Raw)
	}
	if a := keyed("mended-"+run, gala("Mended", nil)); a.Status != http.StatusCreated {
		t.Errorf("mended: %s", a.Raw)
	}
}

func TestSalesHaveTheirWindow(t *testing.T) {
	p := person(t, 0)
	hour := func(n int) string { return time.Now().Add(time.Duration(n) * time.Hour).UTC().Format(time.RFC3339) }
	sold := func(start, end any) event {
		return newEvent(t, 2, func(m map[string]any) {
			for k, v := range map[string]any{"sales_start": start, "sales_end": end} {
				if v != nil {
					m[k] = v
				}
			}
		})
	}
	for name, c := range map[string]struct {
		e    event
		want string
	}{
		"open": {sold(hour(-1), hour(1)), ""}, "not yet": {sold(hour(1), nil), "SALES_NOT_OPEN"}, "over": {sold(nil, hour(-1)), "EVENT_ENDED"},
	} {
		a, err := p.Post(t.Context(), "/reserve", map[string]any{"seat_id": c.e.Seats[0].ID})
		if err != nil || a.Code != c.want {
			t.Errorf("%s: %v %s", name, err, a.Raw)
		}
		if e := readEvent(t, c.e.ID); c.want != "" && e.Seats[0].Status != "AVAILABLE" {
			t.Errorf("%s: the seat stays %s", name, e.Seats[0].Status)
		}
	}
}
