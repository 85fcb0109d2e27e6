package httpapi_test

import (
	"encoding/json"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	event "ticketremaster/event-service"
	"ticketremaster/platform/database"
	"ticketremaster/platform/fault"
)

var admin = uuid.NewString()

// by is the body of a change by an administrator.
func by(fields body) body {
	return body{"changed_by": admin, "reason": "as the organiser asked", "fields": fields}
}

func with(b body, key string, value any) body { b[key] = value; return b }

func (s *service) must(t *testing.T, method, path string, in any) (e event.Event) {
	t.Helper()
	if err := s.Do(t.Context(), method, path, in, &e); err != nil {
		t.Fatal(err)
	}
	return e
}

func (s *service) history(t *testing.T, e event.Event) (changes []event.Change) {
	t.Helper()
	if err := s.Do(t.Context(), http.MethodGet, "/events/"+e.ID.String()+"/changes", nil, &changes); err != nil {
		t.Fatal(err)
	}
	return changes
}

func TestTimeIsTheVenues(t *testing.T) {
	s := start(t)
	local := s.make(t, concert(body{"event_date": "2027-07-31T20:00"}))
	if local.Date.Format(time.RFC3339) != "2027-07-31T12:00:00Z" || local.Timezone != "Asia/Singapore" || local.DateLocal != "2027-07-31T20:00:00+08:00" {
		t.Errorf("a time without a zone became %s, %s in %s", local.Date, local.DateLocal, local.Timezone)
	}
	london := body{"name": "Palladium", "address": "8 Argyll Street", "total_halls": 2, "timezone": "Europe/London"}
	e := s.make(t, concert(body{"venue": london, "event_date": "2027-07-31T20:00", "doors_open_at": "2027-07-31T19:00"}))
	if e.DateLocal != "2027-07-31T20:00:00+01:00" || e.DoorsOpenAt.Format(time.RFC3339) != "2027-07-31T18:00:00Z" {
		t.Errorf("in London it is %s, doors %s", e.DateLocal, e.DoorsOpenAt)
	}
	// The venue exists: its time zone may be left out, and leaving it out does not remove it.
	delete(london, "timezone")
	if e = s.make(t, concert(body{"venue": london, "event_date": "2027-01-31T20:00"})); e.DateLocal != "2027-01-31T20:00:00Z" || e.Timezone != "Europe/London" {
		t.Errorf("the second event there is at %s in %s", e.DateLocal, e.Timezone)
	}
	err := s.Do(t.Context(), http.MethodPost, "/events", concert(body{"venue": london, "event_date": "2027-03-28T01:30"}), nil)
	if f := fault.From(err).Fields["event_date"]; !strings.Contains(f, "2027-03-28T01:30:00+01:00") {
		t.Errorf("a time that does not exist: %v", err)
	}
	for _, zone := range []string{"Local", "Mars/Olympus", strings.Repeat("a", 70)} {
		err := s.Do(t.Context(), http.MethodPost, "/events", concert(body{"venue": body{"name": "N", "address": "A", "total_halls": 1, "timezone": zone}}), nil)
		if fault.From(err).Fields["venue.timezone"] == "" {
			t.Errorf("zone %q: %v", zone, err)
		}
	}
	// A time zone that only Go knows must not break the lists.
	if _, err := s.pool.Exec(t.Context(), `UPDATE venues SET timezone = 'Mars/Olympus'`); database.State(err) != "22023" {
		t.Errorf("the database took an unknown zone: %v", err)
	}
}

func TestPastMustBeMeant(t *testing.T) {
	s := start(t)
	past := concert(body{"event_date": "2001-05-01T20:00"})
	if err := s.Do(t.Context(), http.MethodPost, "/events", past, nil); fault.From(err).Fields["event_date"] == "" {
		t.Errorf("a date in 2001: %v", err)
	}
	s.make(t, with(past, "allow_past", true))
	e := s.published(t, concert(nil))
	path := "/events/" + e.ID.String()
	if err := s.Do(t.Context(), http.MethodPatch, path, by(body{"event_date": "2001-05-01T20:00"}), nil); fault.From(err).Fields["event_date"] == "" {
		t.Errorf("moved to 2001: %v", err)
	}
	s.must(t, http.MethodPatch, path, with(by(body{"event_date": "2001-05-01T20:00"}), "allow_past", true))
	s.must(t, http.MethodPatch, path, by(body{"name": "Over, and still renamed"}))
}

func TestPatchIsKeptWithItsReason(t *testing.T) {
	s := start(t)
	e := s.published(t, concert(body{"created_by": admin, "doors_open_at": "2027-12-31T19:00:00Z"}))
	path := "/events/" + e.ID.String()
	changed := s.must(t, http.MethodPatch, path, with(by(body{
		"name": "Renamed", "event_date": "2028-01-01T21:00:00Z", "pricing_tiers": body{"CAT1": 360}, "sales_start": "2027-06-01T10:00", "max_per_customer": 4,
	}), "version", e.Version))
	if changed.Name != "Renamed" || changed.Version != e.Version+1 || changed.Tiers["CAT1"] != 360_00 || changed.Tiers["CAT2"] != 199_90 || *changed.MaxPerCustomer != 4 {
		t.Errorf("changed to %+v", changed)
	}
	// Dates that depend on the event's move with it; a wall time is in the venue's time zone.
	if !changed.EndsAt.Equal(e.EndsAt.Add(25*time.Hour)) || !changed.DoorsOpenAt.Equal(e.DoorsOpenAt.Add(25*time.Hour)) ||
		changed.SalesStart.Format(time.RFC3339) != "2027-06-01T02:00:00Z" {
		t.Errorf("times are %s, doors %s, sales from %s", changed.EndsAt, changed.DoorsOpenAt, changed.SalesStart)
	}
	wantCode(t, s.Do(t.Context(), http.MethodPatch, path, with(by(body{"name": "Too late"}), "version", e.Version), nil), "VERSION_CONFLICT")
	// A repeat changes nothing although its version is old by now.
	if again := s.must(t, http.MethodPatch, path, with(by(body{"name": "Renamed", "max_per_customer": 4}), "version", e.Version)); again.Version != changed.Version {
		t.Errorf("the repeat made version %d", again.Version)
	}
	s.must(t, http.MethodPatch, path, by(body{"max_per_customer": nil, "sales_start": nil}))
	var fields []string
	for _, c := range s.history(t, e) {
		if c.By.String() != admin || c.Reason == "" || c.At.IsZero() {
			t.Errorf("history has %+v", c)
		}
		fields = append(fields, c.Field)
		if c.Field == "name" && (c.From != "Taylor Swift Eras Tour SG" || c.To != "Renamed") {
			t.Errorf("the name changed from %v to %v", c.From, c.To)
		}
	}
	want := "sales_start max_per_customer sales_start pricing_tiers name max_per_customer event_date ends_at doors_open_at status"
	if got := strings.Join(fields, " "); got != want {
		t.Errorf("the history is %s", got)
	}
	for _, sql := range []string{`DELETE FROM event_changes`, `UPDATE event_changes SET reason = 'x'`} {
		if _, err := s.pool.Exec(t.Context(), sql); !database.Violates(err, "event_changes_append_only") {
			t.Errorf("%s: %v", sql, err)
		}
	}
}

func TestMalformedPatchNamesTheField(t *testing.T) {
	s := start(t)
	e := s.published(t, concert(nil))
	path := "/events/" + e.ID.String()
	for _, c := range []struct {
		field string
		patch body
	}{
		{"name", body{"name": ""}}, {"name", body{"name": nil}}, {"name", body{"name": 7}}, {"name", body{"name": "a\x00"}},
		{"image", body{"image": "javascript:alert(1)"}},
		{"event_date", body{"event_date": nil}}, {"event_date", body{"event_date": "soon"}}, {"event_date", body{"event_date": "2101-01-01T00:00Z"}},
		{"ends_at", body{"ends_at": "2027-12-31T19:00:00Z"}}, {"ends_at", body{"ends_at": nil}},
		{"doors_open_at", body{"doors_open_at": "2029-12-31T19:00:00Z"}},
		{"sales_end", body{"sales_end": "2029-01-01T00:00"}}, {"sales_end", body{"sales_start": "2027-02-01T00:00", "sales_end": "2027-01-01T00:00"}},
		{"pricing_tiers.CAT9", body{"pricing_tiers": body{"CAT9": 1}}}, {"pricing_tiers.CAT1", body{"pricing_tiers": body{"CAT1": -1}}},
		{"pricing_tiers.CAT1", body{"pricing_tiers": body{"CAT1": "1"}}}, {"pricing_tiers", body{"pricing_tiers": []int{1}}},
		{"max_per_customer", body{"max_per_customer": 0}}, {"max_per_customer", body{"max_per_customer": "4"}},
		{"refund_fee_percent", body{"refund_fee_percent": 101}}, {"refund_hours_before", body{"refund_hours_before": -1}},
		{"includes", body{"includes": []body{{"name": "Fee"}}}}, {"includes", body{"includes": []body{{"name": "Fee", "amount": 500}}}},
		{"hall_id", body{"hall_id": "H2"}}, {"total_seats", body{"total_seats": 1}}, {"status", body{"status": "CANCELLED"}}, {"venue", body{"venue": body{}}},
	} {
		if err := s.Do(t.Context(), http.MethodPatch, path, by(c.patch), nil); fault.From(err).Fields[c.field] == "" {
			t.Errorf("%v: %v", c.patch, err)
		}
	}
	for field, in := range map[string]body{
		"changed_by": {"reason": "x", "fields": body{"name": "X"}}, "reason": {"changed_by": admin, "fields": body{"name": "X"}},
		"version": with(by(body{"name": "X"}), "version", -1), "operation_id": with(by(body{"name": "X"}), "operation_id", "x"),
	} {
		if err := s.Do(t.Context(), http.MethodPatch, path, in, nil); fault.From(err).Fields[field] == "" {
			t.Errorf("%s: %v", field, err)
		}
	}
	if now := s.must(t, http.MethodGet, path, nil); !reflect.DeepEqual(now, e) {
		t.Errorf("refused patches left %+v", now)
	}
}

func TestLifeOfAnEvent(t *testing.T) {
	s := start(t)
	draft := s.make(t, concert(nil))
	path := "/events/" + draft.ID.String()
	later := body{"event_date": "2028-12-31T20:00", "refund_until": "2028-06-30T23:59"}
	wantCode(t, s.Do(t.Context(), http.MethodPost, path+"/postpone", by(later), nil), "EVENT_INVALID_STATE")
	wantCode(t, s.Do(t.Context(), http.MethodPost, path+"/cancel", by(nil), nil), "EVENT_INVALID_STATE")
	s.must(t, http.MethodPost, path+"/publish", nil)
	for _, missing := range []string{"event_date", "refund_until"} {
		fields := body{"event_date": later["event_date"], "refund_until": later["refund_until"]}
		delete(fields, missing)
		if err := s.Do(t.Context(), http.MethodPost, path+"/postpone", by(fields), nil); fault.From(err).Fields[missing] == "" {
			t.Errorf("postponed without %s: %v", missing, err)
		}
	}
	e := s.must(t, http.MethodPost, path+"/postpone", by(later))
	if e.Status != event.StatusPostponed || e.DateLocal != "2028-12-31T20:00:00+08:00" || e.RefundUntil.Format(time.RFC3339) != "2028-06-30T15:59:00Z" {
		t.Errorf("postponed to %+v", e)
	}
	var listed []event.Event
	if _, err := s.Page(t.Context(), http.MethodGet, "/events", nil, &listed); err != nil || len(listed) != 1 {
		t.Errorf("a postponed event is listed %d times (%v)", len(listed), err)
	}
	for range 2 {
		if e = s.must(t, http.MethodPost, path+"/cancel", by(nil)); e.Status != event.StatusCancelled {
			t.Errorf("cancelled it is %s", e.Status)
		}
	}
	wantCode(t, s.Do(t.Context(), http.MethodPatch, path, by(body{"name": "X"}), nil), "EVENT_CANCELLED")
	wantCode(t, s.Do(t.Context(), http.MethodPost, path+"/postpone", by(later), nil), "EVENT_INVALID_STATE")
	wantCode(t, s.Do(t.Context(), http.MethodDelete, path, nil, nil), "EVENT_PUBLISHED")
	for _, status := range []string{"DRAFT", "PUBLISHED", "POSTPONED"} {
		if _, err := s.pool.Exec(t.Context(), `UPDATE events SET status = $1`, status); !database.Violates(err, "events_published_stays") {
			t.Errorf("the database lets it become %s: %v", status, err)
		}
	}
	if n := len(s.history(t, e)); n != 5 { // event_date, ends_at, refund_until, status; status
		t.Errorf("the history has %d entries", n)
	}
}

func TestSeatsAreAddedOncePerOperation(t *testing.T) {
	s := start(t)
	e := s.published(t, concert(nil))
	path := "/events/" + e.ID.String() + "/capacity"
	grow := func(seats int, tier string, price any) body {
		return body{"changed_by": admin, "reason": "more rows", "operation_id": uuid.NewString(), "seats": seats, "tier": tier, "price": price}
	}
	in := grow(40, "CAT2", nil)
	var all sync.WaitGroup
	for range 5 {
		all.Go(func() {
			if err := s.Do(t.Context(), http.MethodPost, path, in, nil); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if e = s.must(t, http.MethodGet, "/events/"+e.ID.String(), nil); e.TotalSeats != 240 {
		t.Errorf("it has %d seats, want 240", e.TotalSeats)
	}
	if e = s.must(t, http.MethodPost, path, grow(10, "BOX", 500)); e.TotalSeats != 250 || e.Tiers["BOX"] != 500_00 {
		t.Errorf("with a new tier it has %d seats at %v", e.TotalSeats, e.Tiers)
	}
	for field, in := range map[string]body{
		"seats": grow(0, "CAT2", nil), "price": grow(1, "NEW", nil), "operation_id": with(grow(1, "CAT2", nil), "operation_id", ""),
		"pricing_tiers": grow(1, "", 5),
	} {
		if err := s.Do(t.Context(), http.MethodPost, path, in, nil); fault.From(err).Fields[field] == "" {
			t.Errorf("%s: %v", field, err)
		}
	}
	if err := s.Do(t.Context(), http.MethodPost, path, grow(1, "CAT1", 5), nil); fault.From(err).Fields["price"] == "" {
		t.Errorf("another price for a tier: %v", err)
	}
}

func TestOverlapsAreToldAndHallsCounted(t *testing.T) {
	s := start(t)
	first := s.published(t, concert(body{"hall_id": "HALL-A"}))
	if len(first.Warnings) != 0 {
		t.Errorf("alone it is warned of %v", first.Warnings)
	}
	same := s.make(t, concert(body{"hall_id": "hall-a ", "event_date": "2027-12-31T23:00:00Z"}))
	if len(same.Warnings) != 1 || same.Warnings[0].EventID != first.ID || same.Warnings[0].Code != "HALL_OVERLAP" || !strings.Contains(same.Warnings[0].Message, "2028-01-01 04:00 +08:00") {
		t.Errorf("warned of %+v", same.Warnings)
	}
	for name, b := range map[string]body{
		"another hall": {"hall_id": "HALL-B"}, "another day": {"event_date": "2028-02-01T20:00:00Z"}, "when the first is over": {"event_date": "2028-01-01T05:00:00Z"},
	} {
		if e := s.make(t, concert(b)); len(e.Warnings) != 0 {
			t.Errorf("%s: warned of %+v", name, e.Warnings)
		}
	}
	moved := s.must(t, http.MethodPatch, "/events/"+same.ID.String(), by(body{"event_date": "2027-12-31T18:00:00Z"}))
	if len(moved.Warnings) != 1 {
		t.Errorf("moved within it: warned of %+v", moved.Warnings)
	}
	s.must(t, http.MethodPost, "/events/"+first.ID.String()+"/cancel", by(nil))
	if e := s.make(t, concert(body{"event_date": "2027-12-31T20:30:00Z"})); len(e.Warnings) != 1 || e.Warnings[0].EventID != same.ID {
		t.Errorf("warned of a cancelled event: %+v", e.Warnings)
	}

	s.make(t, concert(body{"hall_id": "HALL-C"}))
	if err := s.Do(t.Context(), http.MethodPost, "/events", concert(body{"hall_id": "HALL-D"}), nil); fault.From(err).Fields["hall_id"] == "" {
		t.Errorf("a fourth hall of three: %v", err)
	}
	fewer := body{"name": "National Stadium", "address": "1 Stadium Drive", "total_halls": 2}
	if err := s.Do(t.Context(), http.MethodPost, "/events", concert(body{"venue": fewer}), nil); fault.From(err).Fields["venue.total_halls"] == "" {
		t.Errorf("two halls where three are in use: %v", err)
	}
	fewer["total_halls"] = 4
	s.make(t, concert(body{"venue": fewer, "hall_id": "HALL-D"}))
}

func TestTwentyNewHallsAtOnceStayWithinTheVenue(t *testing.T) {
	s := start(t)
	s.make(t, concert(nil))
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			_ = s.Do(t.Context(), http.MethodPost, "/events", concert(body{"hall_id": "NEW-" + string(rune('A'+i))}), nil)
		})
	}
	all.Wait()
	var halls int
	if err := s.pool.QueryRow(t.Context(), `SELECT count(DISTINCT hall_id) FROM events`).Scan(&halls); err != nil || halls != 3 {
		t.Errorf("a venue of three halls has %d (%v)", halls, err)
	}
}

// Of two concurrent changes of one version one succeeds.
func TestChangesOfOneVersionRace(t *testing.T) {
	s := start(t)
	e := s.published(t, concert(nil))
	var all sync.WaitGroup
	won := make(chan string, 20)
	for i := range 20 {
		name := "Name " + string(rune('A'+i))
		all.Go(func() {
			err := s.Do(t.Context(), http.MethodPatch, "/events/"+e.ID.String(), with(by(body{"name": name}), "version", e.Version), nil)
			if err == nil {
				won <- name
			} else if fault.Code(err) != "VERSION_CONFLICT" {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if now := s.must(t, http.MethodGet, "/events/"+e.ID.String(), nil); len(won) != 1 || now.Name != <-won || now.Version != e.Version+1 {
		t.Errorf("%d won, and it is %q in version %d", len(won)+1, now.Name, now.Version)
	}
}

func TestNotesOfOtherServices(t *testing.T) {
	s := start(t)
	e := s.published(t, concert(nil))
	note := body{"changed_by": admin, "reason": "broken chairs", "operation_id": uuid.NewString(), "field": "blocked", "to": []string{"A-1"}}
	for range 2 {
		if err := s.Do(t.Context(), http.MethodPost, "/events/"+e.ID.String()+"/notes", note, nil); err != nil {
			t.Fatal(err)
		}
	}
	h := s.history(t, e)
	if len(h) != 1 || h[0].Field != "blocked" || h[0].From != nil {
		raw, _ := json.Marshal(h)
		t.Errorf("history is %s", raw)
	}
	wantCode(t, s.Do(t.Context(), http.MethodGet, "/events/"+uuid.NewString()+"/changes", nil, nil), "EVENT_NOT_FOUND")
}

// Re-entry is off unless the organiser allows it, which is logged like any other change.
func TestReentryIsOffUntilItIsAllowed(t *testing.T) {
	s := start(t)
	if e := s.published(t, concert(nil)); e.ReentryAllowed {
		t.Error("allowed by nobody")
	}
	e := s.published(t, concert(body{"reentry_allowed": true}))
	if !e.ReentryAllowed {
		t.Error("not allowed as it was made")
	}
	if changed := s.must(t, http.MethodPatch, "/events/"+e.ID.String(), by(body{"reentry_allowed": false})); changed.ReentryAllowed || changed.Version != e.Version+1 {
		t.Errorf("%+v", changed)
	}
	if h := s.history(t, e); h[0].Field != "reentry_allowed" || h[0].To != false {
		t.Errorf("%+v", h)
	}
}

// How many seats may be booked together is a rule of the event, within a limit.
func TestSeatsOfABooking(t *testing.T) {
	s := start(t)
	e := s.published(t, concert(body{"max_per_booking": 4}))
	if e.MaxPerBooking == nil || *e.MaxPerBooking != 4 {
		t.Errorf("%+v", e.Rules)
	}
	for _, bad := range []any{0, 21, "4", 1.5} {
		wantCode(t, s.Do(t.Context(), http.MethodPatch, "/events/"+e.ID.String(), by(body{"max_per_booking": bad}), nil), "VALIDATION_ERROR")
	}
	if changed := s.must(t, http.MethodPatch, "/events/"+e.ID.String(), by(body{"max_per_booking": nil})); changed.MaxPerBooking != nil {
		t.Errorf("%+v", changed.Rules)
	}
}
