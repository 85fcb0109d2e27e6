package httpapi_test

import (
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"

	event "ticketremaster/event-service"
	"ticketremaster/event-service/postgres"
	"ticketremaster/platform/database"
	"ticketremaster/platform/fault"
	"ticketremaster/platform/testenv"
)

func TestMalformedPathAndQuery(t *testing.T) {
	s := start(t)
	for _, c := range []struct{ method, path, code string }{
		{http.MethodGet, "/events/A-1", fault.CodeInvalidUUID},
		{http.MethodDelete, "/events/A-1", fault.CodeInvalidUUID},
		{http.MethodPost, "/events/A-1/publish", fault.CodeInvalidUUID},
		{http.MethodGet, "/events/" + uuid.NewString(), "EVENT_NOT_FOUND"},
		{http.MethodPost, "/events/" + uuid.NewString() + "/publish", "EVENT_NOT_FOUND"},
		{http.MethodGet, "/events?page=0", fault.CodeValidation},
		{http.MethodGet, "/events?page=x", fault.CodeValidation},
		{http.MethodGet, "/events?per_page=101", fault.CodeValidation},
		{http.MethodGet, "/events?date=31.12.2027", fault.CodeValidation},
		{http.MethodGet, "/events?date=0000-01-01", fault.CodeValidation},
		{http.MethodGet, "/events?featured=maybe", fault.CodeValidation},
		{http.MethodGet, "/events?past=maybe", fault.CodeValidation},
		{http.MethodGet, "/events?status=SOLD", fault.CodeValidation},
		{http.MethodPut, "/events", fault.CodeUnavailable}, // for its caller: METHOD_NOT_ALLOWED is no answer to a call
		{http.MethodGet, "/elsewhere", fault.CodeUnavailable},
	} {
		if got := fault.Code(s.Do(t.Context(), c.method, c.path, nil, nil)); got != c.code {
			t.Errorf("%s %s: %s, want %s", c.method, c.path, got, c.code)
		}
	}
}

func TestListShowsTheNextFirst(t *testing.T) {
	s := start(t)
	at := func(date, name string, featured bool) body {
		return concert(body{"event_date": date, "name": name, "featured": featured, "allow_past": true})
	}
	s.published(t, at("2001-05-01T20:00", "long-over", true))
	s.published(t, at("2011-05-01T20:00", "over", true))
	s.published(t, at("2099-01-03T20:00", "third", true))
	s.published(t, at("2099-01-01T23:59", "first", false))
	s.published(t, at("2099-01-02T00:00", "second", true))
	s.make(t, at("2099-01-01T00:00", "draft", true))
	cancelled := s.published(t, at("2099-01-01T00:00", "cancelled", true))
	s.must(t, http.MethodPost, "/events/"+cancelled.ID.String()+"/cancel", by(body{}))
	for _, c := range []struct {
		query string
		want  string
		total int
	}{
		{"", "first second third", 3},
		{"?past=true", "first second third over long-over", 5},
		{"?past=false", "first second third", 3},
		{"?page=1&per_page=2", "first second", 3},
		{"?page=2&per_page=2&past=true", "third over", 5},
		{"?page=9&per_page=2", "", 3},
		{"?date=2099-01-01", "first", 1},  // 23:59 there is 15:59 UTC
		{"?date=2099-01-02", "second", 1}, // 00:00 there is 16:00 UTC of the day before
		{"?date=2098-01-02", "", 0},
		{"?date=2001-05-01", "", 0},
		{"?date=2001-05-01&past=true", "long-over", 1},
		{"?featured=true", "second third", 2},
		{"?featured=false", "first", 1},
		{"?featured=true&date=2099-01-03", "third", 1},
		{"?status=DRAFT", "draft", 1},
		{"?status=CANCELLED", "cancelled", 1},
	} {
		var events []event.Event
		page, err := s.Page(t.Context(), http.MethodGet, "/events"+c.query, nil, &events)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, e := range events {
			names = append(names, e.Name)
		}
		if got := strings.Join(names, " "); got != c.want || page.Total != c.total {
			t.Errorf("%s: %q of %d, want %q of %d", c.query, got, page.Total, c.want, c.total)
		}
	}
}

func TestOnlyTheSecretOpensTheDoor(t *testing.T) {
	s := start(t)
	paths := map[string]string{
		"/events": http.MethodGet, "/events/": http.MethodPost, "/events/" + uuid.NewString(): http.MethodGet,
		"/events/" + uuid.NewString() + "/": http.MethodDelete, "/events/" + uuid.NewString() + "/publish": http.MethodPost,
	}
	for path, method := range paths {
		for _, token := range []string{"", "wrong", secret + "x"} {
			stranger := s.Client
			stranger.Token = token
			if err := stranger.Do(t.Context(), method, strings.TrimSuffix(path, "/"), concert(nil), nil); !errors.Is(err, &fault.Error{Code: fault.CodeUnauthorized}) {
				t.Errorf("%s with token %q: %v", path, token, err)
			}
		}
	}
	stranger := s.Client
	stranger.Token = ""
	if err := stranger.Do(t.Context(), http.MethodGet, "/health", nil, nil); err != nil {
		t.Errorf("health: %v", err)
	}
}

func TestDatabaseGoneIsUnavailable(t *testing.T) {
	s := start(t)
	s.pool.Close()
	wantCode(t, s.Do(t.Context(), http.MethodGet, "/events", nil, nil), fault.CodeUnavailable)
	wantCode(t, s.Do(t.Context(), http.MethodGet, "/health", nil, nil), fault.CodeUnavailable)
}

func TestTwoReplicasMigrateAtOnce(t *testing.T) {
	dsn := testenv.Postgres(t)
	var all sync.WaitGroup
	for range 2 {
		all.Go(func() {
			pool, err := database.Open(t.Context(), dsn, postgres.Migrations)
			if err != nil {
				t.Error(err)
				return
			}
			defer pool.Close()
			if _, err := pool.Exec(t.Context(), `SELECT FROM events`); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

// The schema refuses invalid rows even from a faulty service.
func TestSchemaRefuses(t *testing.T) {
	s := start(t)
	s.make(t, concert(nil))
	for constraint, change := range map[string]string{
		"events_pricing_tiers_valid":    `pricing_tiers = '{"CAT1": -1}'`,
		"events_total_seats_range":      `total_seats = 100001`,
		"events_seats_per_row_range":    `seats_per_row = 0`,
		"events_ends_after_start":       `ends_at = event_date`,
		"events_date_range":             `event_date = '1999-12-31Z'`,
		"events_name_given":             `hall_id = ''`,
		"events_published_at_known":     `status = 'PUBLISHED'`,
		"events_version_positive":       `version = 0`,
		"events_doors_before_end":       `doors_open_at = ends_at`,
		"events_sales_window":           `sales_start = now(), sales_end = now()`,
		"events_max_per_customer_range": `max_per_customer = 0`,
		"events_refund_policy_range":    `refund_fee_percent = 101`,
		"events_includes_array":         `includes = '{}'`,
		"events_venue_fkey":             `venue_id = gen_random_uuid()`,
		"events_pricing_tiers_valid ":   `pricing_tiers = '{}'`,
		"events_pricing_tiers_valid  ":  `pricing_tiers = '{"CAT1": "350"}'`,
		"events_pricing_tiers_valid   ": `pricing_tiers = '[1]'`,
	} {
		if _, err := s.pool.Exec(t.Context(), `UPDATE events SET `+change); !database.Violates(err, strings.TrimSpace(constraint)) {
			t.Errorf("%s: %v", change, err)
		}
	}
}
