package postgres_test

import (
	"context"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"ticketremaster/orchestrator-service/postgres"
	"ticketremaster/orchestrator-service/saga"
	"ticketremaster/orchestrator-service/saga/sagatest"
	"ticketremaster/platform/database"
	"ticketremaster/platform/fault"
	"ticketremaster/platform/testenv"
)

func openLog(t *testing.T) *postgres.Sagas {
	t.Helper()
	dsn := testenv.Template(t, "sagas_"+database.Fingerprint(postgres.Migrations()), func(ctx context.Context, url string) error {
		return database.Migrate(ctx, url, postgres.Migrations())
	})
	pool, err := pgxpool.New(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return postgres.New(pool)
}

func TestLog(t *testing.T) {
	sagatest.Contract(t, func(t *testing.T) saga.Log { return openLog(t) })
}

func TestTheSchemaGuardsTheLog(t *testing.T) {
	log := openLog(t)
	r := &saga.Record{ID: uuid.New(), Kind: "trip", Subject: "x", Status: saga.Running, State: []byte(`{}`), Owner: uuid.New(), Epoch: 1}
	if err := log.Begin(t.Context(), r, time.Minute); err != nil {
		t.Fatal(err)
	}
	for constraint, sql := range map[string]string{
		"sagas_kept":          `DELETE FROM sagas`,
		"sagas_transition":    `UPDATE sagas SET status = 'UNDONE', refusal = '{}'`,
		"sagas_status_known":  `INSERT INTO sagas (saga_id, kind, subject, status, state, lease_owner, lease_until) VALUES (gen_random_uuid(), 'k', 's', 'LOST', '{}', gen_random_uuid(), now())`,
		"sagas_refusal_known": `UPDATE sagas SET status = 'COMPENSATING'`,
	} {
		if _, err := log.Pool.Exec(t.Context(), sql); !database.Violates(err, constraint) {
			t.Errorf("%s: got %v", constraint, err)
		}
	}
}

// The census counts what has not ended or is parked, and reads no saga that has ended.
func TestCensus(t *testing.T) {
	log := openLog(t)
	if _, err := log.Pool.Exec(t.Context(), `INSERT INTO sagas (saga_id, kind, subject, status, state, refusal, lease_owner, lease_until, created_at)
		SELECT gen_random_uuid(), kind, gen_random_uuid()::text, status, '{}', '{}', gen_random_uuid(), now(), now() - n * interval '1 minute'
		FROM (VALUES ('pay', 'RUNNING', 2), ('pay', 'RUNNING', 9), ('swap', 'COMPENSATING', 1), ('pay', 'PARKED', 60), ('pay', 'DONE', 99), ('pay', 'UNDONE', 99)) s (kind, status, n)`); err != nil {
		t.Fatal(err)
	}
	found, err := log.Census(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for _, c := range found {
		got[c.Kind+" "+string(c.Status)] = c.Count*1000 + int(c.Oldest/time.Minute)
	}
	if want := map[string]int{"pay RUNNING": 2009, "swap COMPENSATING": 1001, "pay PARKED": 1060}; !maps.Equal(got, want) {
		t.Errorf("%v, not %v", got, want)
	}
}

func TestADatabaseThatIsGoneIsUnavailable(t *testing.T) {
	server := testenv.PrivatePostgres(t)
	pool, err := database.Open(t.Context(), server.URL, postgres.Migrations())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	log := postgres.New(pool)
	server.Stop()
	r := &saga.Record{ID: uuid.New(), Kind: "trip", Subject: "x", Status: saga.Running, State: []byte(`{}`), Owner: uuid.New(), Epoch: 1}
	if err := log.Begin(within(t, 5*time.Second), r, time.Minute); fault.Code(err) != fault.CodeUnavailable {
		t.Errorf("got %v", err)
	}
}

func TestTwoReplicasMigrateAtOnce(t *testing.T) {
	dsn := testenv.Postgres(t)
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() {
			if err := database.Migrate(t.Context(), dsn, postgres.Migrations()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

func within(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}
