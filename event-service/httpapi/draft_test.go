package httpapi_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	event "ticketremaster/event-service"
	"ticketremaster/platform/fault"
)

func TestCreatedEventIsAnsweredWhole(t *testing.T) {
	s := start(t)
	e := s.make(t, concert(body{"image": "/img/eras.jpg", "featured": true, "duration_minutes": 90, "seats_per_row": 25}))
	if e.Name != "Taylor Swift Eras Tour SG" || e.Venue.Name != "National Stadium" || e.Venue.City != "Singapore" || e.Venue.TotalHalls != 3 ||
		e.HallID != "HALL-A" || e.TotalSeats != 200 || e.SeatsPerRow != 25 || e.Image != "/img/eras.jpg" || !e.Featured || e.Status != event.StatusDraft {
		t.Errorf("answered %+v", e)
	}
	if e.Tiers["CAT1"] != 350_00 || e.Tiers["CAT2"] != 199_90 || len(e.Tiers) != 2 {
		t.Errorf("tiers %v", e.Tiers)
	}
	if got := e.EndsAt.Sub(e.Date); got != 90*time.Minute {
		t.Errorf("it takes %v, want 90m", got)
	}
	var raw map[string]json.RawMessage
	if err := s.Do(t.Context(), http.MethodGet, "/events/"+e.ID.String(), nil, &raw); err != nil {
		t.Fatal(err)
	}
	if got := string(raw["event_date"]); got != `"2027-12-31T20:00:00Z"` {
		t.Errorf("event_date on the wire is %s", got)
	}
	if got := string(raw["pricing_tiers"]); got != `{"CAT1":350,"CAT2":199.9}` {
		t.Errorf("pricing_tiers on the wire is %s", got)
	}
}

func TestDefaultsOfADraft(t *testing.T) {
	e := start(t).make(t, concert(nil))
	if e.EndsAt.Sub(e.Date) != 6*time.Hour || e.SeatsPerRow != 20 || e.Featured || e.Image != "" {
		t.Errorf("defaults are %+v", e)
	}
}

func TestRepeatedCreateAnswersTheFirst(t *testing.T) {
	s := start(t)
	b := concert(nil)
	first := s.make(t, b)
	b["name"], b["total_seats"] = "Another name", 7
	b["venue"] = body{"name": "National Stadium", "address": "1 Stadium Drive", "total_halls": 9}
	if again := s.make(t, b); again.Name != first.Name || again.TotalSeats != first.TotalSeats || again.Venue != first.Venue {
		t.Errorf("the repeat answered %+v, first %+v", again, first)
	}
}

func TestVenueIsSharedByNameAndAddress(t *testing.T) {
	s := start(t)
	first := s.make(t, concert(nil))
	second := s.make(t, concert(body{"venue": body{"name": " National Stadium ", "address": "1 Stadium Drive", "total_halls": 4}}))
	if second.Venue.ID != first.Venue.ID || second.Venue.TotalHalls != 4 || second.Venue.City != "Singapore" {
		t.Errorf("the second event is at %+v, the first at %+v", second.Venue, first.Venue)
	}
	other := s.make(t, concert(body{"venue": body{"name": "National Stadium", "address": "2 Stadium Drive", "total_halls": 1}}))
	if other.Venue.ID == first.Venue.ID {
		t.Error("another address gave the same venue")
	}
}

func TestTwentyCreatesMakeOneEventAndOneVenue(t *testing.T) {
	s := start(t)
	b := concert(nil)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if err := s.Do(t.Context(), http.MethodPost, "/events", b, nil); err != nil {
				t.Error(err)
			}
		})
		all.Go(func() {
			if err := s.Do(t.Context(), http.MethodPost, "/events", concert(nil), nil); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	var events, venues int
	if err := s.pool.QueryRow(t.Context(), `SELECT (SELECT count(*) FROM events), (SELECT count(*) FROM venues)`).Scan(&events, &venues); err != nil {
		t.Fatal(err)
	}
	if events != 21 || venues != 1 {
		t.Errorf("%d events at %d venues, want 21 at 1", events, venues)
	}
}

func TestEventDateForms(t *testing.T) {
	s := start(t)
	for given, want := range map[string]string{
		"2027-12-31T20:00":              "2027-12-31T12:00:00Z", // without a zone: the venue's wall time, eight hours ahead
		"2027-12-31T20:00:30":           "2027-12-31T12:00:30Z",
		"2027-12-31T20:00:30.5":         "2027-12-31T12:00:30.5Z",
		"2027-12-31T20:00Z":             "2027-12-31T20:00:00Z",
		"2027-12-31T20:00+08:00":        "2027-12-31T12:00:00Z",
		"2027-12-31T20:00:00+08:00":     "2027-12-31T12:00:00Z",
		"2027-12-31T20:00:00.123456Z":   "2027-12-31T20:00:00.123456Z",
		"2100-12-31T23:59:59.999-00:00": "2100-12-31T23:59:59.999Z",
	} {
		e := s.make(t, concert(body{"event_date": given}))
		if got := e.Date.Format(time.RFC3339Nano); got != want {
			t.Errorf("%s was read as %s, want %s", given, got, want)
		}
	}
}

func TestMalformedDraftNamesTheField(t *testing.T) {
	s := start(t)
	venue := func(changes body) body {
		v := body{"name": "N", "address": "A", "total_halls": 1}
		for k, x := range changes {
			v[k] = x
		}
		return v
	}
	tiers21 := body{}
	for i := range 21 {
		tiers21[strings.Repeat("x", i+1)] = 1
	}
	for _, c := range []struct {
		field string
		draft body
	}{
		{"event_id", concert(body{"event_id": nil})},
		{"event_id", concert(body{"event_id": "A-1"})},
		{"event_id", concert(body{"event_id": uuid.Nil.String()})},
		{"event_id", concert(body{"event_id": 7})},
		{"name", concert(body{"name": nil})},
		{"name", concert(body{"name": "  "})},
		{"name", concert(body{"name": strings.Repeat("x", 256)})},
		{"name", concert(body{"name": "a\x00b"})},
		{"name", concert(body{"name": []int{1}})},
		{"venue", concert(body{"venue": "Stadium"})},
		{"venue.name", concert(body{"venue": nil})},
		{"venue.name", concert(body{"venue": venue(body{"name": ""})})},
		{"venue.address", concert(body{"venue": venue(body{"address": strings.Repeat("x", 501)})})},
		{"venue.city", concert(body{"venue": venue(body{"city": strings.Repeat("x", 101)})})},
		{"venue.total_halls", concert(body{"venue": venue(body{"total_halls": 0})})},
		{"venue.total_halls", concert(body{"venue": venue(body{"total_halls": 1001})})},
		{"venue.total_halls", concert(body{"venue": venue(body{"total_halls": "3"})})},
		{"hall_id", concert(body{"hall_id": nil})},
		{"hall_id", concert(body{"hall_id": strings.Repeat("H", 21)})},
		{"event_date", concert(body{"event_date": nil})},
		{"event_date", concert(body{"event_date": "tomorrow"})},
		{"event_date", concert(body{"event_date": "2027-02-30T20:00"})},
		{"event_date", concert(body{"event_date": "1999-12-31T23:59:59Z"})},
		{"event_date", concert(body{"event_date": "2101-01-01T00:00:00Z"})},
		{"event_date", concert(body{"event_date": 20271231})},
		{"duration_minutes", concert(body{"duration_minutes": -1})},
		{"duration_minutes", concert(body{"duration_minutes": 44641})},
		{"total_seats", concert(body{"total_seats": nil})},
		{"total_seats", concert(body{"total_seats": 0})},
		{"total_seats", concert(body{"total_seats": 100001})},
		{"total_seats", concert(body{"total_seats": 1.5})},
		{"seats_per_row", concert(body{"seats_per_row": -1})},
		{"seats_per_row", concert(body{"seats_per_row": 1001})},
		{"pricing_tiers", concert(body{"pricing_tiers": nil})},
		{"pricing_tiers", concert(body{"pricing_tiers": body{}})},
		{"pricing_tiers", concert(body{"pricing_tiers": tiers21})},
		{"pricing_tiers", concert(body{"pricing_tiers": []int{1}})},
		{"pricing_tiers", concert(body{"pricing_tiers": body{"": 1}})},
		{"pricing_tiers", concert(body{"pricing_tiers": body{" CAT1": 1}})},
		{"pricing_tiers", concert(body{"pricing_tiers": body{strings.Repeat("x", 33): 1}})},
		{"pricing_tiers.CAT1", concert(body{"pricing_tiers": body{"CAT1": -1}})},
		{"pricing_tiers.CAT1", concert(body{"pricing_tiers": body{"CAT1": 1.005}})},
		{"pricing_tiers.CAT1", concert(body{"pricing_tiers": body{"CAT1": "350"}})},
		{"pricing_tiers.CAT1", concert(body{"pricing_tiers": body{"CAT1": 100000000}})},
		{"image", concert(body{"image": "javascript:alert(1)"})},
		{"image", concert(body{"image": "//elsewhere/x.png"})},
		{"image", concert(body{"image": "/" + strings.Repeat("x", 2048)})},
		{"featured", concert(body{"featured": "yes"})},
	} {
		err := s.Do(t.Context(), http.MethodPost, "/events", c.draft, nil)
		if e := fault.From(err); e.Kind != fault.Invalid || e.Fields[c.field] == "" {
			t.Errorf("%s: got %v with fields %v", c.field, err, e.Fields)
		}
	}
	wantCode(t, s.Do(t.Context(), http.MethodPost, "/events", concert(body{"name": strings.Repeat("x", 70_000)}), nil), fault.CodeTooLarge)
	wantCode(t, s.Do(t.Context(), http.MethodPost, "/events", []int{1}, nil), fault.CodeValidation)
	wantCode(t, s.Do(t.Context(), http.MethodPost, "/events", nil, nil), fault.CodeValidation)
}
