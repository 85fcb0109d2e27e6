package testenv

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Replicated is a PostgreSQL server whose standbys can be taken away: then, as under Patroni's strict synchronous mode,
// no commit is answered, and what it wrote is seen by readers as soon as its connection is gone.
type Replicated struct{ *Server }

// ReplicatedPostgres starts such a server for this test alone, with an empty database.
func ReplicatedPostgres(t testing.TB) Replicated {
	t.Helper()
	r := Replicated{PrivatePostgres(t)}
	r.run("ALTER ROLE CURRENT_USER SET synchronous_commit = on") // test servers are started with it off
	return r
}

// Unanswered fails the test if repeat is answered while there is no standby, or fails once there is none to wait for.
// repeat repeats what was done before: answered from what a reader sees, it would claim what can still be lost.
func (r Replicated) Unanswered(what string, repeat func() error) {
	r.t.Helper()
	r.run("ALTER SYSTEM SET synchronous_standby_names = 'gone'")
	r.run("SELECT pg_reload_conf()")
	for { // until the server knows
		if probe := r.waits(func() error { return administer(r.URL, "SELECT pg_logical_emit_message(true, '', '')") }); probe != nil {
			defer func() { <-probe }()
			break
		}
	}
	done := r.waits(repeat)
	if done == nil {
		r.t.Errorf("%s was answered though no standby has it", what)
	}
	r.run("ALTER SYSTEM RESET synchronous_standby_names")
	r.run("SELECT pg_reload_conf()")
	if done != nil {
		if err := <-done; err != nil {
			r.t.Errorf("%s: %v", what, err)
		}
	}
}

// waits runs do, and returns where its error will come once one commit more waits for a standby; nil if do ends before.
func (r Replicated) waits(do func() error) <-chan error {
	r.t.Helper()
	before := r.waiting()
	done := make(chan error, 1)
	go func() { done <- do() }()
	for {
		select {
		case <-done:
			return nil
		case <-time.After(10 * time.Millisecond):
			if r.waiting() > before {
				return done
			}
		}
	}
}

// waiting counts the commits that wait for a standby.
func (r Replicated) waiting() (n int) {
	r.t.Helper()
	r.connected(func(ctx context.Context, conn *pgx.Conn) error {
		return conn.QueryRow(ctx, "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'").Scan(&n)
	})
	return n
}

func (r Replicated) run(command string) {
	r.t.Helper()
	r.connected(func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, command)
		return err
	})
}

func (r Replicated) connected(use func(context.Context, *pgx.Conn) error) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), databaseLimit)
	defer cancel()
	conn, err := pgx.Connect(ctx, r.URL)
	if err != nil {
		r.t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if err := use(ctx, conn); err != nil {
		r.t.Fatal(err)
	}
}
