// Package postgres keeps users, sessions, one-time passwords and the ledger in users_db.
package postgres

import (
	"context"
	"embed"
	"errors"
	"io/fs"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"ticketremaster/platform/database"
	"ticketremaster/platform/fault"
	"ticketremaster/platform/money"
	user "ticketremaster/user-service"
)

//go:embed migrations/*.sql
var files embed.FS

// Migrations are the schema's versions, for database.Open.
func Migrations() fs.FS {
	sub, err := fs.Sub(files, "migrations")
	if err != nil {
		panic(err) // the folder is embedded above
	}
	return database.Fenced(sub)
}

// Store is users_db.
type Store struct {
	pool     *pgxpool.Pool
	bookings *database.GroupCommit
}

// New returns the store on an open, migrated pool.
func New(pool *pgxpool.Pool) *Store { return &Store{pool, database.NewGroupCommit(pool)} }

// Health reports whether the database answers.
func (s *Store) Health(ctx context.Context) error { return s.pool.Ping(ctx) }

// Connections is how many connections there are at most.
func (s *Store) Connections() int { return int(s.pool.Config().MaxConns) }

// refusals is the one table from a constraint, or the name that a function of ours raises, to its fault.
var refusals = map[string]*fault.Error{
	"users_email_unique":                user.ErrEmailTaken,
	"users_credit_balance_not_negative": user.ErrTooLittle,
	"movements_user":                    user.ErrNotFound,
	"topups_user_fkey":                  user.ErrNotFound,
	"operation_voided":                  user.ErrVoided,
	"operation_differs":                 user.ErrDiffers,
	"escrow_not_found":                  user.ErrNoEscrow,
	"escrow_released":                   user.ErrEscrowReleased,
	"freeze_not_found":                  user.ErrNoFreeze,
	"frozen_taken":                      user.ErrFrozenTaken,
}

// faulty maps an error of the database to a fault.
func faulty(err error) error {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		if f := refusals[e.ConstraintName]; f != nil {
			return f
		}
		if e.ConstraintName == "frozen_short" {
			return user.ErrFrozenShort.With("short", e.Detail)
		}
		if e.Code == numericOverflow {
			return fault.Field("amount", "the balance would exceed %s", money.Max)
		}
	}
	return database.Fault(err, "the user service")
}

const numericOverflow = "22003"

// tx runs work in a transaction.
func (s *Store) tx(ctx context.Context, work func(pgx.Tx) error) error {
	return faulty(pgx.BeginFunc(ctx, s.pool, work))
}
