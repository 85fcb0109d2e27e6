package httpapi_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	event "ticketremaster/event-service"
	"ticketremaster/event-service/httpapi"
	"ticketremaster/event-service/postgres"
	"ticketremaster/platform/call"
	"ticketremaster/platform/database"
	"ticketremaster/platform/fault"
	"ticketremaster/platform/testenv"
	"ticketremaster/platform/web"
)

const secret = "the catalogue's own secret"

// service is the real service on a port of its own, before a real database.
type service struct {
	call.Client
	pool *pgxpool.Pool
}

func start(t *testing.T) *service {
	t.Helper()
	sum := sha256.New()
	err := fs.WalkDir(postgres.Migrations, ".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			var schema []byte
			schema, err = fs.ReadFile(postgres.Migrations, path)
			sum.Write(schema)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	dsn := testenv.Template(t, "events_"+hex.EncodeToString(sum.Sum(nil)[:6]), func(ctx context.Context, url string) error {
		return database.Migrate(ctx, url, postgres.Migrations)
	})
	pool, err := database.Open(t.Context(), dsn, postgres.Migrations)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- web.ServeOn(ctx, l, httpapi.New(postgres.Store{Pool: pool, Zone: "Asia/Singapore"}, secret), 0)
	}()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		pool.Close()
	})
	return &service{call.Client{Name: "the catalogue", BaseURL: "http://" + l.Addr().String(), Token: secret, Timeout: 10 * time.Second}, pool}
}

type body map[string]any

// concert is a draft that is fine; changes replace fields, and a nil change leaves the field out.
func concert(changes body) body {
	b := body{
		"event_id": uuid.Must(uuid.NewV7()).String(), "name": "Taylor Swift Eras Tour SG",
		"venue":   body{"name": "National Stadium", "address": "1 Stadium Drive", "city": "Singapore", "total_halls": 3},
		"hall_id": "HALL-A", "event_date": "2027-12-31T20:00:00Z", "total_seats": 200,
		"pricing_tiers": body{"CAT1": 350, "CAT2": 199.9},
	}
	for k, v := range changes {
		if v == nil {
			delete(b, k)
		} else {
			b[k] = v
		}
	}
	return b
}

func (s *service) make(t *testing.T, b body) (e event.Event) {
	t.Helper()
	if err := s.Do(t.Context(), http.MethodPost, "/events", b, &e); err != nil {
		t.Fatal(err)
	}
	return e
}

func (s *service) published(t *testing.T, b body) event.Event {
	t.Helper()
	e := s.make(t, b)
	if err := s.Do(t.Context(), http.MethodPost, "/events/"+e.ID.String()+"/publish", nil, &e); err != nil {
		t.Fatal(err)
	}
	return e
}

func wantCode(t *testing.T, err error, code string) {
	t.Helper()
	if got := fault.Code(err); got != code {
		t.Fatalf("got %q (%v), want %q", got, err, code)
	}
}

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

func TestPublishedStays(t *testing.T) {
	s := start(t)
	e := s.published(t, concert(nil))
	if e.Status != event.StatusPublished {
		t.Fatalf("status is %s", e.Status)
	}
	path := "/events/" + e.ID.String()
	if err := s.Do(t.Context(), http.MethodPost, path+"/publish", nil, &e); err != nil || e.Status != event.StatusPublished {
		t.Errorf("publishing again: %v, %s", err, e.Status)
	}
	wantCode(t, s.Do(t.Context(), http.MethodDelete, path, nil, nil), "EVENT_PUBLISHED")
	if err := s.Do(t.Context(), http.MethodGet, path, nil, nil); err != nil {
		t.Errorf("after the refused delete: %v", err)
	}
	for _, sql := range []string{`DELETE FROM events`, `UPDATE events SET status = 'DRAFT', published_at = NULL`} {
		if _, err := s.pool.Exec(t.Context(), sql); !database.Violates(err, "events_published_stays") {
			t.Errorf("%s: %v", sql, err)
		}
	}
}

func TestDeletedDraftRefusesALateCreate(t *testing.T) {
	s := start(t)
	b := concert(nil)
	path := "/events/" + s.make(t, b).ID.String()
	for range 2 {
		if err := s.Do(t.Context(), http.MethodDelete, path, nil, nil); err != nil {
			t.Fatal(err)
		}
	}
	wantCode(t, s.Do(t.Context(), http.MethodGet, path, nil, nil), "EVENT_NOT_FOUND")
	wantCode(t, s.Do(t.Context(), http.MethodPost, "/events", b, nil), "OPERATION_VOIDED")
	wantCode(t, s.Do(t.Context(), http.MethodPost, path+"/publish", nil, nil), "EVENT_NOT_FOUND")
}

func TestDeleteBeforeCreateVoidsIt(t *testing.T) {
	s := start(t)
	b := concert(body{"venue": body{"name": "Nowhere", "address": "x", "total_halls": 1}})
	if err := s.Do(t.Context(), http.MethodDelete, "/events/"+b["event_id"].(string), nil, nil); err != nil {
		t.Fatal(err)
	}
	wantCode(t, s.Do(t.Context(), http.MethodPost, "/events", b, nil), "OPERATION_VOIDED")
	var venues int
	if err := s.pool.QueryRow(t.Context(), `SELECT count(*) FROM venues`).Scan(&venues); err != nil || venues != 0 {
		t.Errorf("%d venues were left behind (%v)", venues, err)
	}
}

// Create, publish and delete of one event at once leave either a published event or a mark, never both nor a draft
// that a mark denies.
func TestCreatePublishAndDeleteRace(t *testing.T) {
	s := start(t)
	for range 20 {
		b := concert(nil)
		path := "/events/" + b["event_id"].(string)
		calls := []func() error{
			func() error { return s.Do(t.Context(), http.MethodPost, "/events", b, nil) },
			func() error { return s.Do(t.Context(), http.MethodPost, path+"/publish", nil, nil) },
			func() error { return s.Do(t.Context(), http.MethodDelete, path, nil, nil) },
		}
		var all sync.WaitGroup
		for range 3 {
			for _, c := range calls {
				all.Go(func() {
					if err := c(); fault.Unknown(err) {
						t.Error(err)
					}
				})
			}
		}
		all.Wait()
		var both int
		err := s.pool.QueryRow(t.Context(), `SELECT count(*) FROM events JOIN voided_events USING (event_id)`).Scan(&both)
		if err != nil || both != 0 {
			t.Fatalf("%d events stand beside their mark (%v)", both, err)
		}
	}
}

// afterwards has a call come while a transaction that holds the event's lock and does the statement is not committed
// yet, and gives what came of the call when it is.
func (s *service) afterwards(t *testing.T, call func() error, id any, sql string) error {
	t.Helper()
	tx, err := s.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(context.Background())
	for _, sql := range []string{`SELECT pg_advisory_xact_lock(hashtextextended($1::uuid::text, 0))`, sql} {
		if _, err := tx.Exec(t.Context(), sql, id); err != nil {
			t.Fatal(err)
		}
	}
	result := make(chan error, 1)
	go func() { result <- call() }()
	for waiting := 0; waiting == 0; {
		select {
		case err := <-result:
			t.Fatalf("it did not wait, and answered %v", err)
		default:
		}
		err := s.pool.QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`).Scan(&waiting)
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	return <-result
}

func TestCreateAndDeleteOfOneEventQueue(t *testing.T) {
	s := start(t)
	b := concert(nil)
	err := s.afterwards(t, func() error { return s.Do(t.Context(), http.MethodPost, "/events", b, nil) }, b["event_id"],
		`INSERT INTO voided_events (event_id) VALUES ($1)`)
	wantCode(t, err, "OPERATION_VOIDED")

	s.make(t, concert(nil))
	id := uuid.NewString()
	err = s.afterwards(t, func() error { return s.Do(t.Context(), http.MethodDelete, "/events/"+id, nil, nil) }, id, `
		INSERT INTO events (event_id, name, venue_id, hall_id, event_date, ends_at, total_seats, seats_per_row, pricing_tiers)
		SELECT $1, name, venue_id, hall_id, event_date, ends_at, total_seats, seats_per_row, pricing_tiers FROM events LIMIT 1`)
	wantCode(t, err, "")
	wantCode(t, s.Do(t.Context(), http.MethodGet, "/events/"+id, nil, nil), "EVENT_NOT_FOUND")
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

// The schema refuses what a faulty service might write.
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
