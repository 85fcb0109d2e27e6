package database

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// The error of a database that does not answer says why it does not.
func TestWhyTheDatabaseDoesNotAnswerIsTold(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	_, err = connect(t.Context(), "postgres://u:p@"+addr+"/d", 300*time.Millisecond)
	if !errors.Is(err, syscall.ECONNREFUSED) || !strings.Contains(err.Error(), addr) {
		t.Errorf("%v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err = connect(ended, "postgres://u:p@"+addr+"/d", time.Minute); !errors.Is(err, context.Canceled) {
		t.Errorf("after its context ended: %v", err)
	}
}

func TestUnreachable(t *testing.T) {
	for code, want := range map[string]bool{
		"08006": true, "53300": true, "57P01": true, "57014": true, // connection, too many, shutdown, cancelled
		"25006": true, // a standby, once the primary
		"23505": false, "40P01": false, "25P02": false,
	} {
		if got := Unreachable(fmt.Errorf("asking: %w", &pgconn.PgError{Code: code})); got != want {
			t.Errorf("%s: %t", code, got)
		}
	}
}

func TestSeveralHosts(t *testing.T) {
	c := Config{Hosts: "db1:5433,db2:5434,[::1]:5435", Name: "seats_db", User: "inventory", MaxConns: 4, SSLMode: "disable"}
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	parsed, err := pgconn.ParseConfig(strings.Replace(c.DSN("s ecret"), "&pool_max_conns=4", "", 1))
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprint(parsed.Host, ":", parsed.Port)
	for _, f := range parsed.Fallbacks {
		got += fmt.Sprint(" ", f.Host, ":", f.Port)
	}
	if got != "db1:5433 db2:5434 ::1:5435" || parsed.ValidateConnect == nil || parsed.Password != "s ecret" || parsed.Database != "seats_db" {
		t.Errorf("%s %+v", got, parsed)
	}
	for _, hosts := range []string{"", "db1", "db1:", ":5432", "db1:5432,", "db1:5432,db2", "db1:0", "db1:70000", "db1:5432 db2:5432"} {
		if c := (Config{Hosts: hosts}); c.Validate() == nil {
			t.Errorf("%q was accepted", hosts)
		}
	}
}
