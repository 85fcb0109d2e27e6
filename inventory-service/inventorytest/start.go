// Package inventorytest starts the real service for tests: a database of the test's own, and gRPC on a free port.
package inventorytest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"net"
	"net/url"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"ticketremaster/platform/database"
	"ticketremaster/platform/rpc"
	"ticketremaster/platform/testenv"
	inventoryv1 "ticketremaster/proto/inventory/v1"

	"ticketremaster/inventory-service/grpcapi"
	"ticketremaster/inventory-service/postgres"
)

// Secret is the started service's.
const Secret = "inventory-secret-of-tests"

// Service is a started service.
type Service struct {
	inventoryv1.InventoryClient
	Addr  string
	URL   string // of its database
	Store *postgres.Store
	// SQL bypasses the service for what its API cannot do: reading all columns, holding locks, moving time.
	SQL *pgxpool.Pool
}

// Start starts the service on an empty database; it ends with the test.
func Start(t testing.TB) *Service {
	t.Helper()
	s := &Service{URL: Database(t)}
	s.Store = Open(t, s.URL)
	s.SQL = Pool(t, s.URL)
	s.Addr, s.InventoryClient = Serve(t, s.Store)
	return s
}

// Database makes an empty, migrated database and returns its URL.
func Database(t testing.TB) string {
	t.Helper()
	hash := sha256.New()
	migrations := postgres.Migrations()
	files, err := fs.Glob(migrations, "*.sql")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		text, err := fs.ReadFile(migrations, name)
		if err != nil {
			t.Fatal(err)
		}
		hash.Write(text)
	}
	name := "inventory_" + hex.EncodeToString(hash.Sum(nil)[:8])
	address := testenv.Template(t, name, func(ctx context.Context, dsn string) error {
		return database.Migrate(ctx, dsn, migrations)
	})
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	q.Set("pool_max_conns", "16")
	u.RawQuery = q.Encode()
	return u.String()
}

// Pool opens connections of the test's own.
func Pool(t testing.TB, dsn string) *pgxpool.Pool {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

// Open opens a store as the service does; it closes with the test.
func Open(t testing.TB, dsn string) *postgres.Store {
	t.Helper()
	store, err := postgres.Open(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	return store
}

// Serve serves gRPC on a free port until the test ends.
func Serve(t testing.TB, store *postgres.Store) (addr string, client inventoryv1.InventoryClient) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- grpcapi.New(store, Secret).Serve(ctx, l, 0) }()
	conn, err := rpc.Dial("inventory", l.Addr().String(), Secret)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = conn.Close()
		stop()
		if err := <-ended; err != nil {
			t.Errorf("the server ended with %v", err)
		}
	})
	return l.Addr().String(), inventoryv1.NewInventoryClient(conn)
}

// Hall makes an event with that many seats, one tier, and returns the seats in order.
func (s *Service) Hall(t testing.TB, seats int) []*inventoryv1.Seat {
	t.Helper()
	event := NewID()
	if _, err := s.CreateSeats(t.Context(), &inventoryv1.CreateSeatsRequest{EventId: event, TotalSeats: int32(seats), Tiers: []string{"CAT1"}}); err != nil {
		t.Fatal(err)
	}
	list, err := s.ListSeats(t.Context(), &inventoryv1.ListSeatsRequest{EventId: event})
	if err != nil {
		t.Fatal(err)
	}
	if len(list.Seats) != seats {
		t.Fatalf("%d seats listed, want %d", len(list.Seats), seats)
	}
	return list.Seats
}

// Seat reads a seat's present state.
func (s *Service) Seat(t testing.TB, id string) *inventoryv1.Seat {
	t.Helper()
	answer, err := s.GetSeatOwner(t.Context(), &inventoryv1.GetSeatOwnerRequest{SeatId: id})
	if err != nil {
		t.Fatal(err)
	}
	return answer.Seat
}

// Reserve holds a seat for a minute, ten holds a user, under a new hold id.
func (s *Service) Reserve(ctx context.Context, seat, user string) (*inventoryv1.ReserveSeatResponse, error) {
	return s.ReserveSeat(ctx, &inventoryv1.ReserveSeatRequest{SeatId: seat, UserId: user, HoldId: NewID(), HoldTtlMs: 60_000, MaxHolds: 10})
}

// Hold is Reserve for a test that needs it to succeed; it returns the hold's id.
func (s *Service) Hold(t testing.TB, seat, user string) string {
	t.Helper()
	held, err := s.Reserve(t.Context(), seat, user)
	if err != nil {
		t.Fatal(err)
	}
	return held.Seat.HoldId
}

// Buy sells a seat and returns its hold's and pin's id.
func (s *Service) Buy(t testing.TB, seat, user string) (hold, pin string) {
	t.Helper()
	hold, pin = s.Hold(t, seat, user), NewID()
	if _, err := s.PinHold(t.Context(), &inventoryv1.PinHoldRequest{SeatId: seat, HoldId: hold, UserId: user, PinId: pin}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.ConfirmSeat(t.Context(), &inventoryv1.ConfirmSeatRequest{SeatId: seat, HoldId: hold, UserId: user, PinId: pin, PriceCents: 12_050}); err != nil {
		t.Fatal(err)
	}
	return hold, pin
}

// Expire moves the end of a seat's hold to that long ago, which the service's own API cannot do.
func (s *Service) Expire(t testing.TB, seat string, ago time.Duration) {
	t.Helper()
	// The state machine forbids it: only a superuser's session can bypass the triggers.
	tx, err := s.SQL.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.Background()) }()
	if _, err := tx.Exec(t.Context(), `SET LOCAL session_replication_role = replica`); err != nil {
		t.Fatal(err)
	}
	tag, err := tx.Exec(t.Context(), `UPDATE seats SET held_until = clock_timestamp() - $2::bigint * interval '1 millisecond'
		WHERE seat_id = $1 AND status = 'HELD'`, seat, ago.Milliseconds())
	if err != nil {
		t.Fatal(err)
	}
	if tag.RowsAffected() != 1 {
		t.Fatalf("seat %s is not held", seat)
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// Eventually polls until the condition is true, for at most that long.
func Eventually(t testing.TB, within time.Duration, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(within); !condition(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", within, what)
		}
	}
}

// NewID makes an id.
func NewID() string { return uuid.Must(uuid.NewV7()).String() }
