package httpapi

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	event "ticketremaster/event-service"
	"ticketremaster/platform/fault"
	"ticketremaster/platform/money"
)

// The decoder either refuses a draft as the caller's mistake or returns one that the schema accepts.
func FuzzDraft(f *testing.F) {
	const good = `{"event_id":"0192aaaa-0000-7000-8000-000000000001","name":"Eras","venue":{"name":"Stadium","address":"1 Drive","city":"","total_halls":3},
		"hall_id":"A","event_date":"2027-12-31T20:00","duration_minutes":90,"total_seats":200,"seats_per_row":20,"pricing_tiers":{"CAT1":350,"CAT2":12.5},"image":"/x.png","featured":true}`
	f.Add(good)
	for _, change := range [][2]string{
		{`350`, `-350`}, {`350`, `1e400`}, {`350`, `"350"`}, {`"CAT1"`, `"CAT1\u0000"`}, {`{"CAT1":350,"CAT2":12.5}`, `{}`}, {`{"CAT1":350,"CAT2":12.5}`, `[350]`},
		{`200`, `99999999999999999999`}, {`90`, `9223372036854775807`}, {`2027-12-31T20:00`, `9999-12-31T23:59:59-12:00`}, {`2027-12-31T20:00`, `2000-01-01T00:00+14:00`},
		{`/x.png`, `https://[::1`}, {`Eras`, `\ud800`}, {`Eras`, `a\u0000b`}, {`{"name":"Stadium"`, `{"name":null`}, {good, ``}, {good, `null`}, {good, `[]`}, {good, `{`},
	} {
		f.Add(strings.Replace(good, change[0], change[1], 1))
	}
	f.Fuzz(func(t *testing.T, body string) {
		d, err := readDraft(httptest.NewRequest(http.MethodPost, "/events", strings.NewReader(body)))
		if !accepted(t, err) {
			return
		}
		for text, most := range map[string]int{d.Name: 255, d.HallID: 20, d.Venue.Name: 255, d.Venue.Address: 500} {
			if text == "" || utf8.RuneCountInString(text) > most || strings.ContainsRune(text, 0) {
				t.Errorf("accepted the text %q", text)
			}
		}
		for name, price := range d.Tiers {
			if name == "" || strings.ContainsRune(name, 0) || price < 0 || price > money.Max {
				t.Errorf("accepted the tier %q at %s", name, price)
			}
		}
		if d.TotalSeats < 1 || d.TotalSeats > event.MaxSeats || d.SeatsPerRow < 1 || len(d.Tiers) == 0 {
			t.Errorf("accepted %+v", d)
		}
		e, err := d.Event(time.UTC)
		if err != nil || e.Date.Year() < 2000 || e.Date.Year() > 2100 || !e.EndsAt.After(e.Date) {
			t.Errorf("accepted a draft that makes %+v (%v)", e, err)
		}
	})
}

var dayForm = regexp.MustCompile(`^\d{4}-\d{2}-\d{2}$`)

func FuzzFilter(f *testing.F) {
	for _, seed := range []string{"", "date=2027-12-31", "date=0000-00-00", "date=9999-12-31", "featured=true&date=x", "featured=%zz", "date=-001-01-01"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, query string) {
		x, err := readFilter(&http.Request{Method: http.MethodGet, URL: &url.URL{Path: "/events", RawQuery: query}})
		if accepted(t, err) && x.Day != "" && !dayForm.MatchString(x.Day) {
			t.Errorf("accepted the day %q", x.Day)
		}
	})
}

// accepted reports whether there is no error, and fails the test if the error is not the caller's mistake.
func accepted(t *testing.T, err error) bool {
	t.Helper()
	if err == nil {
		return true
	}
	if e := fault.From(err); e.Kind != fault.Invalid && e.Kind != fault.TooLarge {
		t.Errorf("malformed input is answered by %v", err)
	}
	return false
}
