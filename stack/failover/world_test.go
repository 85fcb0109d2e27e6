// Package failover takes away the nodes of replicated servers, three nodes each, while people buy, and checks
// that nothing which was answered is lost. docs/failover.md has what was measured.
package failover

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"ticketremaster/stack"
	"ticketremaster/stack/audit"
	"ticketremaster/stack/client"
	"ticketremaster/stack/native"
)

var (
	own         *stack.Stack
	app         *client.App
	admin       *client.Person
	seats, book *native.Patroni // seats_db and users_db
)

const (
	password  = "correct horse battery"
	adminMail = "admin@example.com"
	lease     = 10 * time.Second // of a saga: for so long nobody takes up those of a process that died
)

func TestMain(m *testing.M) {
	flag.Parse()
	code, err := testMain(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "failover:", err)
		code = 1
	}
	os.Exit(code)
}

func testMain(m *testing.M) (code int, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	if err := native.Install(ctx, os.Stderr, "patroni", "etcd"); err != nil {
		return 1, err
	}
	dir, err := native.PassingDir()
	if err != nil {
		return 1, err
	}
	var closing []func() error
	defer func() {
		for i := len(closing) - 1; i >= 0; i-- {
			err = errors.Join(err, closing[i]())
		}
		err = errors.Join(err, os.RemoveAll(dir))
	}()
	// Durable, so that what was answered survives a kill.
	options := stack.Options{Private: true, Dir: filepath.Join(dir, "stack"), Progress: os.Stderr, Env: map[string]string{
		"BCRYPT_COST": "4", "MAX_HOLDS": "100",
	}}
	planned, err := stack.Open(options) // makes the passwords
	if err != nil {
		return 1, err
	}
	etcd := &native.Etcd{Dir: filepath.Join(dir, "etcd")}
	closing = append(closing, etcd.Kill)
	if err := etcd.Start(ctx); err != nil {
		return 1, err
	}
	seats = &native.Patroni{Name: "seats", Dir: filepath.Join(dir, "seats"), Etcd: etcd,
		User: "inventory_user", Password: planned.Secret("INVENTORY_DB_PASS"), Database: "seats_db"}
	book = &native.Patroni{Name: "users", Dir: filepath.Join(dir, "users"), Etcd: etcd,
		User: "user_svc_user", Password: planned.Secret("USER_DB_PASS"), Database: "users_db"}
	closing = append(closing, seats.Kill, book.Kill)
	var boots errgroup.Group
	boots.Go(func() error { return seats.Start(ctx) })
	boots.Go(func() error { return book.Start(ctx) })
	if err := boots.Wait(); err != nil {
		return 1, err
	}
	options.Elsewhere = map[string]string{"seats-db": seats.Addresses(), "users-db": book.Addresses()}
	if own, err = stack.Boot(ctx, options); err != nil {
		return 1, err
	}
	closing = append(closing, own.Close)
	app = &client.App{Gateway: own.URL(), Sandbox: own.SandboxURL(), HTTP: &http.Client{Timeout: 20 * time.Second}}
	if _, err := own.Command(ctx, "user-service", []string{"ADMIN_PASSWORD=" + password}, "create-admin", adminMail, "+6580000000"); err != nil {
		return 1, err
	}
	if admin, err = app.LogIn(ctx, adminMail, password); err != nil {
		return 1, err
	}
	return m.Run(), nil
}

// newEvent makes an event and returns the ids of its seats.
func newEvent(t *testing.T, n int) (ids []string) {
	t.Helper()
	a, err := admin.Post(t.Context(), "/admin/events", map[string]any{
		"name": "Concert " + t.Name(), "venue": map[string]any{"name": "Arena " + t.Name(), "address": "1 Stadium Way", "total_halls": 1}, "hall_id": "H1",
		"event_date": time.Now().AddDate(0, 2, 0).UTC().Format(time.RFC3339), "total_seats": n, "pricing_tiers": map[string]any{"CAT1": 1},
	})
	if err != nil || a.Status != http.StatusCreated {
		t.Fatal(a.Status, string(a.Raw), err)
	}
	a, err = app.Do(t.Context(), client.Call{Method: http.MethodGet, Path: "/events/" + a.Text("event_id")})
	var e struct {
		Seats []struct {
			ID string `json:"seat_id"`
		} `json:"seats"`
	}
	if err != nil || a.Into(&e) != nil {
		t.Fatal(string(a.Raw), err)
	}
	for _, s := range e.Seats {
		ids = append(ids, s.ID)
	}
	return ids
}

// person registers the test's n-th person, with 5,000.00 credits.
func person(t *testing.T, n int) *client.Person {
	t.Helper()
	p, err := app.Register(t.Context(), fmt.Sprintf("u%d@example.com", n), fmt.Sprintf("+65900000%02d", n), password)
	if err == nil {
		_, err = p.TopUp(t.Context(), 5_000_00)
	}
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// audited audits all databases.
func audited(t *testing.T) {
	t.Helper()
	dsns := map[string]string{}
	for _, name := range audit.Databases {
		dsns[name] = own.DSN(name)
	}
	var out bytes.Buffer
	if n, err := audit.Run(t.Context(), dsns, lease+5*time.Second, &out); n != 0 || err != nil {
		t.Errorf("the audit finds %d offenders, %v:\n%s", n, err, out.String())
	}
}

// ask reads one value of a database.
func ask[T any](t *testing.T, database, query string, args ...any) (value T) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), own.DSN(database))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	if err := conn.QueryRow(t.Context(), query, args...).Scan(&value); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return value
}

// eventually waits until is returns true.
func eventually(t *testing.T, what string, limit time.Duration, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(limit); !is(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", limit, what)
		}
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
