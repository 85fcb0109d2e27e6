package httpapi_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"net"
	"net/http"
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

// service is the real service on a port of its own, with a real database.
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

// concert is a valid draft; changes replace fields, and a nil change leaves the field out.
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

// afterwards makes a call while a transaction that holds the event's lock has run the statement, commits it, and
// returns the call's error.
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
