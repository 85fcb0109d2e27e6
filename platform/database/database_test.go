package database_test

import (
	"context"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/jackc/pgx/v5"

	"ticketremaster/platform/config"
	"ticketremaster/platform/database"
	"ticketremaster/platform/testenv"
)

// A database that was killed and restarted leaves a pool full of dead connections. No request fails because of one.
func TestAfterARestartNoRequestMeetsADeadConnection(t *testing.T) {
	server := testenv.PrivatePostgres(t)
	pool, err := database.Open(t.Context(), server.URL, fstest.MapFS{"0001_none.sql": {Data: []byte("-- +goose Up\nSELECT 1;\n")}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	ask := func(at string) {
		t.Helper()
		var all sync.WaitGroup
		for range 8 { // at once, so that the pool has several connections
			all.Go(func() {
				if _, err := pool.Exec(t.Context(), `SELECT pg_sleep(0.02)`); err != nil {
					t.Errorf("%s: %v", at, err)
				}
			})
		}
		all.Wait()
	}
	ask("before")
	server.Kill()
	server.Start()
	ask("after")
}

// Of several servers the one that takes writes is used, and after a failover the other one is, by the same pool.
func TestConnectionsGoToWhatTakesWrites(t *testing.T) {
	var hosts, servers []string
	var settings []database.Config
	var password config.Secret
	for range 2 {
		server := testenv.PrivatePostgres(t)
		c, err := pgx.ParseConfig(server.URL)
		if err != nil {
			t.Fatal(err)
		}
		hosts = append(hosts, net.JoinHostPort(c.Host, strconv.Itoa(int(c.Port))))
		admin, err := pgx.Connect(t.Context(), server.URL)
		if err != nil {
			t.Fatal(err)
		}
		defer admin.Close(context.Background())
		// Both have the same password, as replicas do.
		if _, err := admin.Exec(t.Context(), `CREATE ROLE replicated SUPERUSER LOGIN PASSWORD 'the same'`); err != nil {
			t.Fatal(err)
		}
		var identifier string
		if err := admin.QueryRow(t.Context(), `SELECT system_identifier::text FROM pg_control_system()`).Scan(&identifier); err != nil {
			t.Fatal(err)
		}
		servers = append(servers, identifier)
		password = "the same"
		settings = append(settings, database.Config{Host: c.Host, Port: c.Port, Name: c.Database, User: "replicated", MaxConns: 2, SSLMode: "disable"})
	}
	// standby has a server refuse writes, or take them, and ends its connections, as a failover does.
	standby := func(i int, is bool) {
		t.Helper()
		conn, err := pgx.Connect(t.Context(), strings.Replace(settings[i].DSN(password), "pool_max_conns=2", "default_transaction_read_only=off", 1))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close(context.Background())
		for _, sql := range []string{
			`ALTER DATABASE ` + settings[i].Name + ` SET default_transaction_read_only = ` + strconv.FormatBool(is),
			`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'`,
		} {
			if _, err := conn.Exec(t.Context(), sql); err != nil {
				t.Fatal(err)
			}
		}
	}
	standby(0, true)
	c := settings[0]
	c.Host, c.Port, c.Hosts = "", 0, strings.Join(hosts, ",")
	pool, err := database.Open(t.Context(), c.DSN(password), fstest.MapFS{"0001_none.sql": {Data: []byte("-- +goose Up\nSELECT 1;\n")}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	writesTo := func(want string) {
		t.Helper()
		var server string
		write := func() error {
			return pool.QueryRow(t.Context(), `WITH x AS (SELECT pg_current_xact_id()) SELECT system_identifier::text FROM pg_control_system(), x`).Scan(&server)
		}
		err := write()
		for deadline := time.Now().Add(5 * time.Second); database.Unreachable(err) && time.Now().Before(deadline); err = write() { // a backend ends a moment after it was told to
			time.Sleep(10 * time.Millisecond)
		}
		if err != nil || server != want {
			t.Errorf("server %s was asked, want %s: %v", server, want, err)
		}
	}
	writesTo(servers[1])
	standby(0, false)
	standby(1, true)
	writesTo(servers[0])
}
