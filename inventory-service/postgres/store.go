// Package postgres keeps seats, holds, ownership and scans in seats_db. Every decision about a seat is made under that
// seat's row lock, in one round trip and one commit, which concurrent decisions share; the schema refuses what this
// package must never try.
package postgres

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"ticketremaster/platform/database"
	"ticketremaster/platform/fault"
	"ticketremaster/platform/gather"
	"ticketremaster/platform/money"

	inventory "ticketremaster/inventory-service"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrations are goose's files, at the root.
func Migrations() fs.FS {
	root, err := fs.Sub(migrations, "migrations")
	if err != nil {
		panic(err) // the folder is embedded above
	}
	return database.Fenced(root)
}

// settings of each connection beside the platform's. A lock is waited for briefly: the caller tries again. Every
// statement here has an index, and a plan made while a table was small must not scan the whole hall later
// (docs/adr/fixed-plans.md).
var settings = map[string]string{
	"lock_timeout":     "1000", // ms
	"enable_seqscan":   "off",
	"enable_hashjoin":  "off", // likewise: seats are looked up by id one by one
	"enable_mergejoin": "off",
	"application_name": "inventory-service",
}

// Store is seats_db. Its errors are faults; a database that cannot be reached is SERVICE_UNAVAILABLE.
type Store struct {
	pool         *pgxpool.Pool
	reservations gather.Group[inventory.Reservation, reserved]
	decisions    *database.GroupCommit // all others over one seat
	holders      gather.Group[inventory.Best, []inventory.Seat]
	halls        halls
	tickets      gather.Group[uuid.UUID, *inventory.Ticket]
}

// Open connects to dsn (a postgres:// URL) and migrates the database; see database.Open.
func Open(ctx context.Context, dsn string) (*Store, error) {
	u, err := url.Parse(dsn)
	if err != nil {
		return nil, fmt.Errorf("the database's address: %w", err)
	}
	q := u.Query()
	for name, value := range settings {
		q.Set(name, value)
	}
	u.RawQuery = q.Encode()
	pool, err := database.Open(ctx, u.String(), Migrations())
	if err != nil {
		return nil, err
	}
	s := &Store{pool: pool, decisions: database.NewGroupCommit(pool)}
	s.reservations.Lanes = database.CommitLanes
	return s, nil
}

// Close closes the connections.
func (s *Store) Close() { s.pool.Close() }

// Ping reports whether the database answers.
func (s *Store) Ping(ctx context.Context) error { return translate(s.pool.Ping(ctx)) }

// translate maps errors of the database to faults, once for the package. A fault is returned as it is.
func translate(err error) error {
	var known *fault.Error
	switch {
	case err == nil || errors.As(err, &known):
		return err
	case errors.Is(err, pgx.ErrNoRows):
		return inventory.ErrSeatNotFound
	}
	switch database.State(err) {
	case database.LockNotAvailable, deadlockDetected:
		return inventory.ErrBusy.Because(err)
	}
	return database.Fault(err, "inventory")
}

const deadlockDetected = "40P01"

// lockSeat waits for the seat's row lock. Statements after it in the same batch see everything that its former holders
// did. It excludes a reservation's FOR UPDATE, but not the checks of foreign keys.
const lockSeat = `SELECT FROM seats WHERE seat_id = $1 FOR NO KEY UPDATE`

// decide locks a seat and runs one deciding statement, in one transaction. read reads the statement's only row; without
// a row the error is SEAT_NOT_FOUND. A step of a saga whose driver was replaced is STALE_DRIVER.
func decide[T any](ctx context.Context, s *Store, lock string, seat uuid.UUID, sql string, read pgx.RowToFunc[T], args ...any) (decided T, err error) {
	statements, err := database.Fence(ctx, s.pool)
	if err == nil {
		statements = append(statements, database.Statement{SQL: lock, Args: []any{seat}}, database.Statement{SQL: sql, Args: args})
		decided, err = database.Commit(ctx, s.decisions, read, statements...)
	}
	return decided, translate(err)
}

// lockSeats is lockSeat for the seats of a booking, always in the order of their ids, so that no two wait for each other.
const lockSeats = `SELECT FROM seats WHERE seat_id = ANY ($1) ORDER BY seat_id FOR NO KEY UPDATE`

// decideAll is decide for the seats of a booking. read reads a row of the statement for each seat that there is.
func decideAll[T any](ctx context.Context, s *Store, seats []uuid.UUID, sql string, read pgx.RowToFunc[T], args ...any) (decided []T, err error) {
	statements, err := database.Fence(ctx, s.pool)
	if err == nil {
		statements = append(statements, database.Statement{SQL: lockSeats, Args: []any{seats}}, database.Statement{SQL: sql, Args: args})
		decided, err = database.CommitAll(ctx, s.decisions, read, statements...)
	}
	return decided, translate(err)
}

// columns are a seat as readSeat reads it. The last but one tells whether the hold's time is over, although it was not
// cleared yet.
const columns = `seat_id, event_id, status::text, owner_user_id, held_by_user_id, held_until, hold_id, pin_id, tier, row_number, seat_number,
	(price_paid * 100)::bigint, ownership_version, sold_at, blocked, void_id,
	status = 'HELD' AND pin_id IS NULL AND held_until <= clock_timestamp(), qr_code_hash IS NOT NULL`

// seatRow takes one row of columns, all of which may be null after an outer join.
type seatRow struct {
	id, event, owner, heldBy, hold, pin, void pgtype.UUID
	heldUntil, soldAt                         pgtype.Timestamptz
	status, tier, row                         pgtype.Text
	number                                    pgtype.Int4
	price, version                            pgtype.Int8
	blocked, over, qr                         pgtype.Bool
}

// into returns the places to scan to, after those of the columns that come first.
func (r *seatRow) into(first ...any) []any {
	return append(first, &r.id, &r.event, &r.status, &r.owner, &r.heldBy, &r.heldUntil, &r.hold, &r.pin, &r.tier, &r.row, &r.number,
		&r.price, &r.version, &r.soldAt, &r.blocked, &r.void, &r.over, &r.qr)
}

// seat returns the row as the rules see it: an expired hold is no hold.
func (r *seatRow) seat() inventory.Seat {
	s := inventory.Seat{
		ID: r.id.Bytes, EventID: r.event.Bytes, Status: inventory.Status(r.status.String), OwnerID: r.owner.Bytes,
		HeldBy: r.heldBy.Bytes, HeldUntil: r.heldUntil.Time, HoldID: r.hold.Bytes, PinID: r.pin.Bytes,
		Tier: r.tier.String, Row: r.row.String, Number: int(r.number.Int32), PricePaid: money.Cents(r.price.Int64),
		OwnershipVersion: r.version.Int64, SoldAt: r.soldAt.Time, QRRecorded: r.qr.Bool,
		Blocked: r.blocked.Bool, VoidID: r.void.Bytes,
	}
	if r.over.Bool {
		s.Status, s.HeldBy, s.HeldUntil, s.HoldID = inventory.Available, uuid.Nil, time.Time{}, uuid.Nil
	}
	return s
}

// readSeats reads rows of columns.
func readSeats(rows pgx.Rows, err error) ([]inventory.Seat, error) {
	if err != nil {
		return nil, translate(err)
	}
	defer rows.Close()
	var seats []inventory.Seat
	var r seatRow
	into := r.into()
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return nil, translate(err)
		}
		seats = append(seats, r.seat())
	}
	return seats, translate(rows.Err())
}
