// Package database opens a service's own PostgreSQL, migrates it, and tells constraint violations apart.
package database

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
	pgxuuid "github.com/vgarvardt/pgx-google-uuid/v5"

	"ticketremaster/platform/config"
	"ticketremaster/platform/idle"
)

// Config says where the database is. Each service names the variable of its password (docs/internal-api.md#environment).
type Config struct {
	Host     string `env:"DB_HOST,required,notEmpty"`
	Port     int    `env:"DB_PORT" envDefault:"5432"`
	Name     string `env:"DB_NAME,required,notEmpty"`
	User     string `env:"DB_USER,required,notEmpty"`
	MaxConns int    `env:"DB_MAX_CONNS" envDefault:"16"` // two cores are busiest at 32 to 64 connections over all
	SSLMode  string `env:"DB_SSLMODE" envDefault:"disable"`
}

// DSN gives the connection string.
func (c Config) DSN(password config.Secret) string {
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword(c.User, password.Reveal()),
		Host: net.JoinHostPort(c.Host, strconv.Itoa(c.Port)), Path: c.Name,
	}
	q := url.Values{"sslmode": {c.SSLMode}, "pool_max_conns": {strconv.Itoa(c.MaxConns)}}
	u.RawQuery = q.Encode()
	return u.String()
}

// Open connects to dsn and migrates the database to the newest version in migrations (goose's files, at the
// root of the file system). It waits up to half a minute for a database that is still starting. Two replicas may open at
// once: the migration runs under a session lock.
func Open(ctx context.Context, dsn string, migrations fs.FS) (*pgxpool.Pool, error) {
	c, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		return nil, err
	}
	c.ConnConfig.ConnectTimeout = 2 * time.Second
	// A statement or an idle transaction that hangs must not hold a row's lock for ever.
	c.ConnConfig.RuntimeParams["statement_timeout"] = "10000"
	c.ConnConfig.RuntimeParams["idle_in_transaction_session_timeout"] = "10000"
	c.ConnConfig.RuntimeParams["timezone"] = "UTC"
	// Statements are few and prepared: each is planned once, and compiling one never pays.
	c.ConnConfig.RuntimeParams["plan_cache_mode"] = "force_generic_plan"
	c.ConnConfig.RuntimeParams["jit"] = "off"
	c.AfterConnect = registerTypes
	// After the database was started anew, what is left of the pool is found out here and not by somebody's request.
	c.ShouldPing = func(_ context.Context, p pgxpool.ShouldPingParams) bool {
		return p.IdleDuration > time.Second || idle.Closed(p.Conn.PgConn().Conn())
	}
	pool, err := pgxpool.NewWithConfig(ctx, c)
	if err != nil {
		return nil, err
	}
	if err := await(ctx, pool); err == nil {
		err = Migrate(ctx, dsn, migrations)
		if err == nil {
			return pool, nil
		}
		pool.Close()
		return nil, fmt.Errorf("migrating the database: %w", err)
	}
	pool.Close()
	return nil, fmt.Errorf("the database at %s:%d does not answer: %w", c.ConnConfig.Host, c.ConnConfig.Port, err)
}

// registerTypes has timestamptz columns read as UTC, whatever the machine's zone: they go on the wire as they are. And ids travel
// as their 16 bytes: by uuid.UUID's own methods they would go through text both ways.
func registerTypes(_ context.Context, conn *pgx.Conn) error {
	conn.TypeMap().RegisterType(&pgtype.Type{
		Name: "timestamptz", OID: pgtype.TimestamptzOID, Codec: &pgtype.TimestamptzCodec{ScanLocation: time.UTC},
	})
	pgxuuid.Register(conn.TypeMap())
	return nil
}

func await(ctx context.Context, pool *pgxpool.Pool) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		err := pool.Ping(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// Migrate brings the database at dsn to the newest version under a session lock.
func Migrate(ctx context.Context, dsn string, migrations fs.FS) error {
	c, err := pgx.ParseConfig(dsn)
	if err != nil {
		return err
	}
	delete(c.RuntimeParams, "pool_max_conns") // the pool's, not the server's
	db := stdlib.OpenDB(*c)
	defer db.Close()
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 60))
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(goose.DialectPostgres, db, migrations, goose.WithSessionLocker(locker))
	if err != nil {
		return err
	}
	_, err = p.Up(ctx)
	return err
}

// Fingerprint names the schema that migrations make: it changes when they do. Tests name their template by it.
func Fingerprint(migrations fs.FS) string {
	sum := sha256.New()
	err := fs.WalkDir(migrations, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(migrations, path)
		sum.Write(text)
		return err
	})
	if err != nil {
		panic(err) // embedded files can be read
	}
	return hex.EncodeToString(sum.Sum(nil)[:6])
}

// Violates reports whether err is a violation of the constraint of that name (unique, check, foreign key or
// exclusion), or an error that a trigger raised under that constraint's name.
func Violates(err error, constraint string) bool {
	var e *pgconn.PgError
	return errors.As(err, &e) && e.ConstraintName == constraint
}

// State gives err's SQLSTATE (see jackc/pgerrcode's names), "" if it is none of PostgreSQL's.
func State(err error) string {
	var e *pgconn.PgError
	if !errors.As(err, &e) {
		return ""
	}
	return e.Code
}

// SQLSTATEs that the services tell apart.
const (
	LockNotAvailable = "55P03" // FOR UPDATE NOWAIT met a lock
	UniqueViolation  = "23505"
)

// Unreachable reports whether err says that the database could not be asked or did not answer: the connection
// failed, the time was over, or the server is shutting down.
func Unreachable(err error) bool {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		switch e.Code[:2] {
		case "08", "53", "57": // connection, resources, operator intervention (statement timeout and shutdown too)
			return true
		}
		return false
	}
	return err != nil && !errors.Is(err, pgx.ErrNoRows)
}
