package audit

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Databases are the names by which Run expects the connection strings.
var Databases = []string{"seats_db", "users_db", "orders_db", "events_db", "sagas_db"}

// jobs is how many invariants are looked at at the same time. Each reads from at most two databases at once.
const jobs = 3

// books are the five databases.
type books map[string]*pgxpool.Pool

// open prepares the connections; the databases are reached when they are read. No session of theirs writes anything,
// whatever its role may do.
func open(ctx context.Context, dsns map[string]string) (books, error) {
	b := books{}
	for _, name := range Databases {
		c, err := pgxpool.ParseConfig(dsns[name])
		if err != nil {
			b.close()
			return nil, fmt.Errorf("the address of %s is wrong", name) // err may have the password
		}
		c.MaxConns = 2 * jobs
		for setting, value := range map[string]string{
			"application_name": "audit", "default_transaction_read_only": "on",
			"jit": "off", "plan_cache_mode": "force_custom_plan", "work_mem": "32MB", // for a few large queries
		} {
			c.ConnConfig.RuntimeParams[setting] = value
		}
		if b[name], err = pgxpool.NewWithConfig(ctx, c); err != nil {
			b.close()
			return nil, err
		}
	}
	return b, nil
}

func (b books) close() {
	for _, pool := range b {
		pool.Close()
	}
}

// query reads from a database. Every value comes as PostgreSQL writes it, so that values of two databases are compared
// as they are, and nothing is made of a row that is all right.
func (b books) query(ctx context.Context, database, sql string, args ...any) (pgx.Rows, error) {
	rows, err := b[database].Query(ctx, sql, append([]any{pgx.QueryResultFormats{pgx.TextFormatCode}}, args...)...)
	if err != nil {
		return nil, fmt.Errorf("%s cannot be read: %w", database, err)
	}
	return rows, nil
}

// ids reads the only column of a query.
func (b books) ids(ctx context.Context, database, sql string, args ...any) ([]string, error) {
	rows, err := b.query(ctx, database, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (string, error) { return string(row.RawValues()[0]), nil })
}
