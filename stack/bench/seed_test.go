package bench

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"ticketremaster/platform/token"
	"ticketremaster/stack/audit"
	"ticketremaster/stack/client"
)

// world is the data of a run. Users are written to the database, their credits through the ledger: registering
// thousands by OTP and bcrypt would take too long.
type world struct {
	app     *client.App
	admin   *client.Person
	staff   string // access token
	users   []string
	tokens  []string
	user    atomic.Int64 // the next one
	seats   seatSource   // distinct seats to reserve
	ceiling float64      // C1, per second
}

// seatSource returns each seat once.
type seatSource struct {
	ids  []string
	next atomic.Int64
}

func (s *seatSource) take() (string, error) {
	n := int(s.next.Add(1) - 1)
	if n >= len(s.ids) {
		return "", fmt.Errorf("all %d seats are used up", len(s.ids))
	}
	return s.ids[n], nil
}

const credits = 1000 // of each user

func (b *bench) seed(ctx context.Context) error {
	w := &b.world
	w.app = &client.App{Gateway: b.stack.URL(), Sandbox: b.stack.SandboxURL(), HTTP: &http.Client{
		Timeout: 10 * time.Second, Transport: &http.Transport{MaxIdleConns: 2048, MaxIdleConnsPerHost: 2048}}}
	const email, password = "admin@ticketremaster.example", "bench-password"
	if _, err := b.stack.Command(ctx, "user-service", []string{"ADMIN_PASSWORD=" + password}, "create-admin", email, "+6580000000"); err != nil {
		return err
	}
	var err error
	if w.admin, err = w.app.LogIn(ctx, email, password); err != nil {
		return err
	}
	if err := b.seedUsers(ctx); err != nil {
		return err
	}
	b.say("%d users, each with %d credits", b.plan.users, credits)
	return nil
}

func (b *bench) seedUsers(ctx context.Context) error {
	w := &b.world
	db, err := pgx.Connect(ctx, b.stack.DSN("users_db"))
	if err != nil {
		return err
	}
	defer db.Close(ctx)
	rows, err := db.Query(ctx, `
		INSERT INTO users (user_id, email, phone, password_hash, is_verified, role)
		SELECT gen_random_uuid(), 'bench' || n || '@example.com', '+65' || 81000000 + n, 'none', true, 'customer' FROM generate_series(1, $1) n
		RETURNING user_id::text`, b.plan.users)
	if err != nil {
		return err
	}
	if w.users, err = pgx.CollectRows(rows, pgx.RowTo[string]); err != nil {
		return err
	}
	_, err = db.Exec(ctx, `
		INSERT INTO movements (kind, operation_id, source, target, target_id, amount)
		SELECT 'grant', gen_random_uuid(), 'platform', 'user', user_id, $1 FROM users WHERE password_hash = 'none'`, credits)
	if err != nil {
		return err
	}
	for _, id := range w.users {
		t, err := b.sign(id, token.Customer)
		if err != nil {
			return err
		}
		w.tokens = append(w.tokens, t)
	}
	w.staff, err = b.sign(uuid.NewString(), token.Staff)
	return err
}

func (b *bench) sign(user, role string) (string, error) {
	keys := token.Keys{Secret: []byte(b.stack.Secret("JWT_SECRET")), Issuer: "ticketremaster"}
	return keys.Sign(token.Caller{UserID: uuid.MustParse(user), Role: role, SessionID: uuid.New(), ExpiresAt: time.Now().Add(time.Hour)})
}

// nextUser returns users in turn. A user may have ten holds, which last longer than a run, so each user can be used ten
// times.
func (w *world) nextUser() int { return int(w.user.Add(1)-1) % len(w.users) }

// event creates an event through the gateway and returns its id and seats.
func (b *bench) event(ctx context.Context, seats int) (string, []string, error) {
	a, err := b.world.admin.Post(ctx, "/admin/events", map[string]any{
		"name": fmt.Sprintf("Bench %d %s", seats, uuid.NewString()), "venue": map[string]any{"name": "Bench", "address": "Loopback 1", "total_halls": 1}, "hall_id": "H1",
		"event_date": time.Now().AddDate(0, 1, 0).UTC().Format(time.RFC3339), "total_seats": seats, "pricing_tiers": map[string]any{"CAT1": 2, "CAT2": 1},
	})
	if err == nil {
		err = a.Err(http.StatusCreated)
	}
	if err != nil {
		return "", nil, err
	}
	id := a.Text("event_id")
	a, err = b.world.app.Do(ctx, client.Call{Method: http.MethodGet, Path: "/events/" + id})
	if err != nil {
		return "", nil, err
	}
	var e struct {
		Seats []struct {
			ID string `json:"seat_id"`
		} `json:"seats"`
	}
	if err := a.Into(&e); err != nil {
		return "", nil, err
	}
	ids := make([]string, len(e.Seats))
	for i, s := range e.Seats {
		ids[i] = s.ID
	}
	return id, ids, nil
}

// settle has the databases do the work that a bulk load left behind (vacuum, checkpoint), so that it is not measured.
func (b *bench) settle(ctx context.Context) error {
	for _, name := range audit.Databases {
		db, err := pgx.Connect(ctx, b.stack.DSN(name))
		if err != nil {
			return err
		}
		defer db.Close(ctx)
		// Like autovacuum, it skips empty tables.
		rows, err := db.Query(ctx, `SELECT relname::text FROM pg_stat_user_tables WHERE pg_relation_size(relid) > 0`)
		if err != nil {
			return err
		}
		tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return err
		}
		for _, statement := range []string{"VACUUM (ANALYZE) " + strings.Join(tables, ", "), "CHECKPOINT"} {
			if _, err := db.Exec(ctx, statement); err != nil {
				return fmt.Errorf("%s: %s: %w", name, statement, err)
			}
		}
	}
	return nil
}
