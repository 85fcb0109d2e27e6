package testenv

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// startLimit bounds the making of a template, databaseLimit one administrative command.
const (
	startLimit    = 3 * time.Minute
	databaseLimit = 30 * time.Second
)

// sharedPostgres is the superuser's URL of this test program's server.
var sharedPostgres = sync.OnceValues(func() (string, error) {
	if url := os.Getenv("TEST_POSTGRES_URL"); url != "" {
		say("PostgreSQL from TEST_POSTGRES_URL")
		return url, nil
	}
	server, err := start("postgres")
	return server.URL, err
})

// Postgres returns the URL of a fresh, empty database, which is dropped when the
// test ends. Its user is the server's superuser.
func Postgres(t testing.TB) string {
	t.Helper()
	return createDatabase(t, "template1")
}

// Template returns the URL of a fresh database with the schema that migrate
// makes. That runs once per server and name, on a database that is then
// copied for each test. The name must change when the schema does (a hash of the
// migrations in it): test programs that share a server share its templates.
// Migrate must have closed its connections when it returns.
func Template(t testing.TB, name string, migrate func(ctx context.Context, url string) error) string {
	t.Helper()
	if err := makeTemplate(t, name, migrate); err != nil {
		t.Fatalf("testenv: template %s: %v", name, err)
	}
	return createDatabase(t, "template_"+name)
}

func makeTemplate(t testing.TB, name string, migrate func(ctx context.Context, url string) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	server := postgresServer(t)
	conn, err := pgx.Connect(ctx, server)
	if err != nil {
		return err
	}
	defer conn.Close(context.Background())

	// One test program makes it, the others wait. What has the name is complete.
	template, building := "template_"+name, "building_"+name
	if _, err := conn.Exec(ctx, "SELECT pg_advisory_lock(hashtext($1))", template); err != nil {
		return err
	}
	var made bool
	if err := conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", template).Scan(&made); err != nil || made {
		return err
	}
	if _, err := conn.Exec(ctx, "DROP DATABASE IF EXISTS "+quote(building)+" WITH (FORCE)"); err != nil {
		return err
	}
	if _, err := conn.Exec(ctx, "CREATE DATABASE "+quote(building)); err != nil {
		return err
	}
	if err := migrate(ctx, withDatabase(server, building)); err != nil {
		return err
	}
	_, err = conn.Exec(ctx, "ALTER DATABASE "+quote(building)+" RENAME TO "+quote(template))
	return err
}

func createDatabase(t testing.TB, template string) string {
	t.Helper()
	server, name := postgresServer(t), "test_"+uuid.NewString()
	if err := administer(server, "CREATE DATABASE "+quote(name)+" TEMPLATE "+quote(template)); err != nil {
		t.Fatalf("testenv: create a database: %v", err)
	}
	t.Cleanup(func() {
		if err := administer(server, "DROP DATABASE IF EXISTS "+quote(name)+" WITH (FORCE)"); err != nil {
			t.Errorf("testenv: drop the test's database: %v", err)
		}
	})
	return withDatabase(server, name)
}

func postgresServer(t testing.TB) string {
	t.Helper()
	server, err := sharedPostgres()
	if err != nil {
		t.Fatalf("testenv: this test needs PostgreSQL: %v", err)
	}
	return server
}

func administer(server, command string) error {
	ctx, cancel := context.WithTimeout(context.Background(), databaseLimit)
	defer cancel()
	conn, err := pgx.Connect(ctx, server)
	if err != nil {
		return err
	}
	defer conn.Close(context.Background())
	_, err = conn.Exec(ctx, command)
	return err
}

func quote(name string) string { return pgx.Identifier{name}.Sanitize() }

func withDatabase(server, name string) string {
	u, err := url.Parse(server)
	if err != nil {
		panic(fmt.Sprintf("testenv: the server's URL: %v", err))
	}
	u.Path = "/" + name
	return u.String()
}
