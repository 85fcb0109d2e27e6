// Package database opens and migrates a service's PostgreSQL database and tells constraint violations apart.
package database

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
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

// Config says where the database is: at DB_HOST, or, where several servers replicate one database, at DB_HOSTS. The
// password's variable is named by each service (docs/internal-api.md#environment).
type Config struct {
	Host     string `env:"DB_HOST"`
	Port     uint16 `env:"DB_PORT" envDefault:"5432"`
	Hosts    string `env:"DB_HOSTS"` // host:port,host:port; connections go to the one that takes writes
	Name     string `env:"DB_NAME,required,notEmpty"`
	User     string `env:"DB_USER,required,notEmpty"`
	MaxConns int    `env:"DB_MAX_CONNS" envDefault:"16"` // per process; on two cores throughput peaks at 32 to 64 connections in all
	SSLMode  string `env:"DB_SSLMODE" envDefault:"disable"`
}

// Validate reports what is wrong with the addresses.
func (c *Config) Validate() error {
	if c.Hosts == "" {
		if c.Host == "" {
			return errors.New(`required environment variable "DB_HOST" is not set, nor is DB_HOSTS`)
		}
		return nil
	}
	for _, address := range strings.Split(c.Hosts, ",") {
		host, port, err := net.SplitHostPort(address)
		if n, notNumber := strconv.ParseUint(port, 10, 16); err != nil || host == "" || notNumber != nil || n == 0 {
			return fmt.Errorf("DB_HOSTS must be host:port, with commas between several; %q is none", address)
		}
	}
	return nil
}

// DSN returns the connection string. With DB_HOSTS each new connection goes to the first server that takes writes, so
// that after a failover the pool finds the new primary by itself.
func (c Config) DSN(password config.Secret) string {
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword(c.User, password.Reveal()),
		Host: net.JoinHostPort(c.Host, strconv.Itoa(int(c.Port))), Path: c.Name,
	}
	q := url.Values{"sslmode": {c.SSLMode}, "pool_max_conns": {strconv.Itoa(c.MaxConns)}}
	if c.Hosts != "" {
		u.Host = c.Hosts
		q.Set("target_session_attrs", "read-write")
	}
	u.RawQuery = q.Encode()
	return u.String()
}

// startLimit bounds how long Open waits for a database that is still starting.
const startLimit = 30 * time.Second

// Open connects to dsn and migrates the database to the newest version in migrations (goose's files, at the root of the
// file system). It waits up to half a minute for a database that is still starting, and then returns the reason why it
// does not answer. Several replicas may open at once: the migration runs under a session lock.
func Open(ctx context.Context, dsn string, migrations fs.FS) (*pgxpool.Pool, error) {
	pool, err := connect(ctx, dsn, startLimit)
	if err != nil {
		return nil, err
	}
	if err := Migrate(ctx, dsn, migrations); err != nil {
		pool.Close()
		return nil, fmt.Errorf("migrating the database: %w", err)
	}
	opened.Store(pool)
	return pool, nil
}

// connect opens a pool and waits until the database answers, for at most limit.
func connect(ctx context.Context, dsn string, limit time.Duration) (*pgxpool.Pool, error) {
	c, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		return nil, err
	}
	c.ConnConfig.ConnectTimeout = 2 * time.Second
	// A statement or an idle transaction that hangs must not hold a row's lock for ever.
	c.ConnConfig.RuntimeParams["statement_timeout"] = "10000"
	c.ConnConfig.RuntimeParams["idle_in_transaction_session_timeout"] = "10000"
	c.ConnConfig.RuntimeParams["timezone"] = "UTC"
	// Statements are few and prepared: each is planned once, and JIT compilation never pays.
	c.ConnConfig.RuntimeParams["plan_cache_mode"] = "force_generic_plan"
	c.ConnConfig.RuntimeParams["jit"] = "off"
	c.AfterConnect = registerTypes
	// After a restart of the database, stale connections are found here and not by a request.
	c.ShouldPing = func(_ context.Context, p pgxpool.ShouldPingParams) bool {
		return p.IdleDuration > time.Second || idle.Closed(p.Conn.PgConn().Conn())
	}
	pool, err := pgxpool.NewWithConfig(ctx, c)
	if err != nil {
		return nil, err
	}
	if err := await(ctx, pool, limit); err != nil {
		pool.Close()
		return nil, fmt.Errorf("the database at %s:%d does not answer: %w", c.ConnConfig.Host, c.ConnConfig.Port, err)
	}
	return pool, nil
}

// registerTypes has timestamptz columns read as UTC, whatever the machine's time zone, because they are sent to clients
// as they are. UUIDs are sent as 16 bytes; uuid.UUID's own methods would convert them to text and back.
func registerTypes(_ context.Context, conn *pgx.Conn) error {
	conn.TypeMap().RegisterType(&pgtype.Type{
		Name: "timestamptz", OID: pgtype.TimestamptzOID, Codec: &pgtype.TimestamptzCodec{ScanLocation: time.UTC},
	})
	pgxuuid.Register(conn.TypeMap())
	return nil
}

// await tries until the database answers. The error is the last attempt's, not the timeout: it says what is wrong.
func await(ctx context.Context, pool *pgxpool.Pool, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var last error
	for {
		err := pool.Ping(ctx)
		if err == nil {
			return nil
		}
		if last == nil || ctx.Err() == nil {
			last = err
		}
		select {
		case <-ctx.Done():
			return last
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
	delete(c.RuntimeParams, "pool_max_conns") // a setting of the pool, not of the server
	db := stdlib.OpenDB(*c)
	defer db.Close()
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 60))
	if err != nil {
		return err
	}
	for versions, set := range migrationSets(migrations) {
		p, err := goose.NewProvider(goose.DialectPostgres, db, set, goose.WithSessionLocker(locker), goose.WithTableName(versions))
		if err != nil {
			return err
		}
		if _, err := p.Up(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Fingerprint names the schema that migrations make: it changes when they do. Tests name their template by it.
func Fingerprint(migrations fs.FS) string {
	sum := sha256.New()
	sets := migrationSets(migrations)
	for _, versions := range slices.Sorted(maps.Keys(sets)) {
		files := sets[versions]
		err := fs.WalkDir(files, ".", func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			text, err := fs.ReadFile(files, path)
			sum.Write(text)
			return err
		})
		if err != nil {
			panic(err) // embedded files can be read
		}
	}
	return hex.EncodeToString(sum.Sum(nil)[:6])
}

// Violates reports whether err is a violation of the constraint of that name (unique, check, foreign key or
// exclusion), or an error that a trigger raised under that constraint's name.
func Violates(err error, constraint string) bool {
	var e *pgconn.PgError
	return errors.As(err, &e) && e.ConstraintName == constraint
}

// State returns err's SQLSTATE, "" if err is not PostgreSQL's.
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

// readOnly is the SQLSTATE of a server that was the primary and is now a standby, on a connection made before a
// failover.
const readOnly = "25006"

// Unreachable reports whether the database could not be reached or did not answer: the connection failed, a timeout, a
// shutdown, or a server that no longer takes writes.
func Unreachable(err error) bool {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		switch e.Code[:2] {
		case "08", "53", "57": // connection, resources, operator intervention (statement timeout and shutdown too)
			return true
		}
		return e.Code == readOnly
	}
	return err != nil && !errors.Is(err, pgx.ErrNoRows)
}
