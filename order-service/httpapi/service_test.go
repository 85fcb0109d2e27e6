package httpapi_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"ticketremaster/order-service/httpapi"
	"ticketremaster/order-service/postgres"
	"ticketremaster/platform/call"
	"ticketremaster/platform/database"
	"ticketremaster/platform/fault"
	"ticketremaster/platform/testenv"
	"ticketremaster/platform/web"
)

const secret = "the ledger's own secret"

// service is the real service on a port of its own, with a real database.
type service struct {
	call.Client
	t    *testing.T
	pool *pgxpool.Pool
}

func start(t *testing.T) *service {
	t.Helper()
	files, err := fs.Glob(postgres.Migrations, "*.sql")
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.New()
	for _, name := range files {
		schema, err := fs.ReadFile(postgres.Migrations, name)
		if err != nil {
			t.Fatal(err)
		}
		sum.Write(schema)
	}
	dsn := testenv.Template(t, "orders_"+hex.EncodeToString(sum.Sum(nil)[:6]), func(ctx context.Context, url string) error {
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
	go func() { ended <- web.ServeOn(ctx, l, httpapi.New(postgres.New(pool), secret), 0) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		pool.Close()
	})
	return &service{call.Client{Name: "the ledger", BaseURL: "http://" + l.Addr().String(), Token: secret, Timeout: 10 * time.Second}, t, pool}
}

type body map[string]any

// with returns a copy of b with other fields; a nil value leaves the field out.
func (b body) with(changes body) body {
	b = maps.Clone(b)
	for k, v := range changes {
		if v == nil {
			delete(b, k)
		} else {
			b[k] = v
		}
	}
	return b
}

func newID() string { return uuid.Must(uuid.NewV7()).String() }

// post sends a body; in is decoded from the answer's data.
func (s *service) post(path string, b any, in any) error {
	return s.Do(s.t.Context(), http.MethodPost, path, b, in)
}

func (s *service) get(path string, in any) error {
	return s.Do(s.t.Context(), http.MethodGet, path, nil, in)
}

// want fails the test unless err has that code, and returns err's fault.
func want(t *testing.T, err error, code string) *fault.Error {
	t.Helper()
	if got := fault.Code(err); got != code {
		t.Fatalf("got %q (%v), want %q", got, err, code)
	}
	if err == nil {
		return nil
	}
	return fault.From(err)
}

// wantField fails the test unless err is a 400 that names the field.
func wantField(t *testing.T, err error, field string) {
	t.Helper()
	if e := fault.From(err); err == nil || e.Kind != fault.Invalid || e.Fields[field] == "" {
		t.Errorf("%s: got %v with fields %v", field, err, e.Fields)
	}
}

// atOnce runs all of the calls n times concurrently and returns their errors, those of one round after those of
// another.
func atOnce(n int, calls ...func() error) []error {
	results := make([]error, n*len(calls))
	var all sync.WaitGroup
	begin := make(chan struct{})
	for i := range results {
		all.Go(func() {
			<-begin
			results[i] = calls[i%len(calls)]()
		})
	}
	close(begin)
	all.Wait()
	return results
}

// afterwards runs the statement in a transaction, then makes a call that has to wait for it, commits, and returns the
// call's error.
func (s *service) afterwards(call func() error, sql string, args ...any) error {
	s.t.Helper()
	tx, err := s.pool.Begin(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	defer tx.Rollback(context.Background())
	if _, err := tx.Exec(s.t.Context(), sql, args...); err != nil {
		s.t.Fatal(err)
	}
	result := make(chan error, 1)
	go func() { result <- call() }()
	for s.count(`SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`) == 0 {
		select {
		case err := <-result:
			s.t.Fatalf("it did not wait, and answered %v", err)
		default:
		}
	}
	if err := tx.Commit(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
	return <-result
}

func (s *service) count(sql string, args ...any) (n int) {
	s.t.Helper()
	if err := s.pool.QueryRow(s.t.Context(), sql, args...).Scan(&n); err != nil {
		s.t.Fatal(err)
	}
	return n
}

// refuses fails the test unless the database refuses the statement under that constraint's name.
func (s *service) refuses(constraint, sql string, args ...any) {
	s.t.Helper()
	if _, err := s.pool.Exec(s.t.Context(), sql, args...); !database.Violates(err, constraint) {
		s.t.Errorf("%s: got %v, want a violation of %s", sql, err, constraint)
	}
}

// exec runs SQL directly on the service's database.
func (s *service) exec(sql string, args ...any) {
	s.t.Helper()
	if _, err := s.pool.Exec(s.t.Context(), sql, args...); err != nil {
		s.t.Fatal(err)
	}
}

func TestOnlyTheSecretOpensTheDoor(t *testing.T) {
	s := start(t)
	id := newID()
	for _, address := range strings.Fields(`
		POST:/orders GET:/orders GET:/orders/overdue GET:/orders/ID POST:/orders/ID/undo-confirm POST:/orders/ID/fail
		POST:/offers POST:/offers/ID/refuse POST:/transfers GET:/transfers GET:/transfers/overdue GET:/transfers/ID POST:/transfers/ID/dispute POST:/transfers/ID/await-otp
		POST:/transfers/ID/otp-verified POST:/transfers/ID/begin-swap POST:/transfers/ID/complete POST:/transfers/ID/abort-swap
		POST:/transfers/ID/fail POST:/transfers/ID/end-dispute POST:/transfers/ID/begin-reversal POST:/transfers/ID/abort-reversal
		POST:/transfers/ID/reverse`) {
		method, path, _ := strings.Cut(strings.ReplaceAll(address, "ID", id), ":")
		for _, token := range []string{"", "wrong", secret + "x"} {
			stranger := s.Client
			stranger.Token = token
			if err := stranger.Do(t.Context(), method, path, body{}, nil); !errors.Is(err, &fault.Error{Code: fault.CodeUnauthorized}) {
				t.Errorf("%s with token %q: %v", address, token, err)
			}
		}
		// With the secret the endpoint exists and reads the request.
		if err := s.Do(t.Context(), method, path, body{}, nil); fault.Code(err) == fault.CodeUnavailable {
			t.Errorf("%s with the secret: %v", address, err)
		}
	}
	stranger := s.Client
	stranger.Token = ""
	if err := stranger.Do(t.Context(), http.MethodGet, "/health", nil, nil); err != nil {
		t.Errorf("health: %v", err)
	}
}

func TestMalformedPath(t *testing.T) {
	s := start(t)
	for _, path := range strings.Fields("/orders/A-1 /transfers/A-1") {
		want(t, s.get(path, nil), fault.CodeInvalidUUID)
	}
	for _, path := range strings.Fields(`/orders/A-1/fail /orders/A-1/undo-confirm /transfers/A-1/await-otp /transfers/A-1/fail /transfers/A-1/dispute`) {
		want(t, s.post(path, body{"reason": "x"}, nil), fault.CodeInvalidUUID)
	}
}

func TestDatabaseGoneIsUnavailable(t *testing.T) {
	s := start(t)
	s.pool.Close()
	want(t, s.get("/orders/"+newID(), nil), fault.CodeUnavailable)
	want(t, s.post("/orders", pendingOrder(), nil), fault.CodeUnavailable)
	want(t, s.get("/health", nil), fault.CodeUnavailable)
}

func TestTwoReplicasMigrateAtOnce(t *testing.T) {
	dsn := testenv.Postgres(t)
	for _, err := range atOnce(2, func() error {
		pool, err := database.Open(t.Context(), dsn, postgres.Migrations)
		if err != nil {
			return err
		}
		defer pool.Close()
		_, err = pool.Exec(t.Context(), `SELECT FROM orders, transfers`)
		return err
	}) {
		if err != nil {
			t.Error(err)
		}
	}
}
