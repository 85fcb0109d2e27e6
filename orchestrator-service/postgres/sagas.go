// Package postgres keeps the saga log in sagas_db.
package postgres

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"ticketremaster/orchestrator-service/saga"
	"ticketremaster/platform/database"
	"ticketremaster/platform/fault"
)

//go:embed migrations/*.sql
var files embed.FS

// Migrations are the schema of sagas_db.
func Migrations() fs.FS {
	sub, err := fs.Sub(files, "migrations")
	if err != nil {
		panic(err) // the folder is embedded above
	}
	return sub
}

// Sagas is the saga log.
type Sagas struct {
	Pool         *pgxpool.Pool
	begins, ends *database.GroupCommit
}

// New returns the saga log on an open, migrated pool.
func New(pool *pgxpool.Pool) *Sagas {
	return &Sagas{pool, database.NewGroupCommit(pool), database.NewGroupCommit(pool)}
}

var _ saga.Log = (*Sagas)(nil)

const columns = `saga_id, kind, subject, status, state, turned, refusal, trail, correlation_id, created_at, updated_at,
	lease_owner, epoch, reached, rounds, stalled_since, unreported, coalesce(parked_from, '')`

func scan(row pgx.Row) (*saga.Record, error) {
	var r saga.Record
	var refusal, trail []byte
	var stalled *time.Time
	err := row.Scan(&r.ID, &r.Kind, &r.Subject, &r.Status, &r.State, &r.Turned, &refusal, &trail, &r.CorrelationID, &r.CreatedAt, &r.UpdatedAt,
		&r.Owner, &r.Epoch, &r.Reached, &r.Rounds, &stalled, &r.Unreported, &r.ParkedFrom)
	if err != nil {
		return nil, err
	}
	if stalled != nil {
		r.StalledSince = *stalled
	}
	if refusal != nil {
		if err := json.Unmarshal(refusal, &r.Refusal); err != nil {
			return nil, err
		}
	}
	return &r, json.Unmarshal(trail, &r.Trail)
}

// Begin records a saga; see saga.Log. One round trip and one commit, which sagas that begin at the same time share.
func (s *Sagas) Begin(ctx context.Context, r *saga.Record, lease time.Duration) error {
	err := s.begins.Exec(ctx, database.Statement{SQL: `
		INSERT INTO sagas (saga_id, kind, subject, status, state, correlation_id, lease_owner, lease_until)
		VALUES ($1, $2, $3, $4, $5, $6, $7, clock_timestamp() + $8::interval)`,
		Args: []any{r.ID, r.Kind, r.Subject, r.Status, r.State, r.CorrelationID, r.Owner, lease}})
	var refused *pgconn.ConnectError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &refused) || pgconn.SafeToRetry(err):
		return known(fmt.Errorf("%w: %w", saga.ErrNotSent, err))
	case !database.Violates(err, "sagas_one_per_subject") && !database.Violates(err, "sagas_pkey"):
		return known(err)
	}
	other, err := s.inTheWay(ctx, r)
	if err != nil {
		return err
	}
	why := saga.ErrLive
	if other.Status == saga.Done {
		why = saga.ErrDone
	}
	return why.With("saga_id", other.ID.String())
}

// inTheWay reads why r could not be recorded: it exists already, or its subject has another saga.
func (s *Sagas) inTheWay(ctx context.Context, r *saga.Record) (*saga.Record, error) {
	other, err := scan(s.Pool.QueryRow(ctx, `
		SELECT `+columns+` FROM sagas WHERE saga_id = $1 OR kind = $2 AND subject = $3 AND status <> 'UNDONE'
		ORDER BY saga_id = $1 DESC LIMIT 1`, r.ID, r.Kind, r.Subject))
	if errors.Is(err, pgx.ErrNoRows) { // it was undone just now
		return nil, fault.Unreachable("the saga log", err)
	}
	return other, known(err)
}

// mine is the claim under which a record may be written. An owner that claims in the manner of an older version,
// without a new epoch, is told apart by its name.
const mine = ` WHERE saga_id = $1 AND lease_owner = $2 AND epoch = $3`

// written tells from the rows of a statement with mine whether the claim stands.
func written(tag pgconn.CommandTag, err error) error {
	if err == nil && tag.RowsAffected() == 0 {
		return saga.ErrLost
	}
	return known(err)
}

// Turn records that the saga turns back.
func (s *Sagas) Turn(ctx context.Context, r *saga.Record) error {
	return written(s.Pool.Exec(ctx, `
		UPDATE sagas SET status = $4, turned = $5, refusal = $6, state = $7, trail = coalesce($8, '[]'::jsonb), updated_at = clock_timestamp(),
			reached = 0, rounds = 0, stalled_since = NULL`+mine+` AND status IN ('RUNNING', 'COMPENSATING')`,
		r.ID, r.Owner, r.Epoch, saga.Compensating, r.Turned, r.Refusal, r.State, r.Trail))
}

// End records a saga's end. That it is not flushed before it answers does no harm: a saga that looks live after a power
// cut is run again and ends the same.
func (s *Sagas) End(ctx context.Context, r *saga.Record) error {
	_, err := database.Commit(ctx, s.ends, pgx.RowTo[bool], database.Statement{SQL: `SELECT set_config('synchronous_commit', 'off', true)`}, database.Statement{SQL: `
		UPDATE sagas SET status = $4, turned = $5, refusal = $6, state = $7, trail = coalesce($8, '[]'::jsonb), updated_at = clock_timestamp(),
			reached = $9, parked_from = nullif($10, '')` + mine + ` AND status IN ('RUNNING', 'COMPENSATING', $4) RETURNING true`,
		Args: []any{r.ID, r.Owner, r.Epoch, r.Status, r.Turned, r.Refusal, r.State, r.Trail, r.Reached, r.ParkedFrom}})
	if errors.Is(err, pgx.ErrNoRows) {
		return saga.ErrLost
	}
	return known(err)
}

// Claim leases abandoned sagas; replicas pass over each other's rows. A lease that nobody gave back is a driver that
// vanished.
func (s *Sagas) Claim(ctx context.Context, owner uuid.UUID, lease time.Duration, limit int) ([]*saga.Record, error) {
	rows, err := s.Pool.Query(ctx, `
		WITH fresh AS (
			SELECT saga_id FROM sagas
			WHERE status IN ('RUNNING', 'COMPENSATING') AND lease_until < clock_timestamp() AND stalled_since IS NULL
			ORDER BY lease_until LIMIT $3 FOR UPDATE SKIP LOCKED
		), stalled AS (
			SELECT saga_id FROM sagas
			WHERE status IN ('RUNNING', 'COMPENSATING') AND lease_until < clock_timestamp() AND stalled_since IS NOT NULL
			ORDER BY lease_until LIMIT $4 FOR UPDATE SKIP LOCKED
		)
		UPDATE sagas SET lease_owner = $1, lease_until = clock_timestamp() + $2::interval, epoch = epoch + 1,
			unreported = unreported OR lease_owner <> $5
		WHERE saga_id IN (SELECT saga_id FROM fresh UNION ALL SELECT saga_id FROM stalled)
		RETURNING `+columns, owner, lease, limit-limit/2, limit/2, nobody)
	if err != nil {
		return nil, known(err)
	}
	records, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (*saga.Record, error) { return scan(row) })
	return records, known(err)
}

// nobody owns a lease that was given back.
var nobody uuid.UUID

// Renew extends a lease.
func (s *Sagas) Renew(ctx context.Context, r *saga.Record, lease time.Duration) error {
	return written(s.Pool.Exec(ctx, `UPDATE sagas SET lease_until = clock_timestamp() + $4::interval`+mine, r.ID, r.Owner, r.Epoch, lease))
}

// Rest ends a lease early, and the claim with it: a repeat is ErrLost.
func (s *Sagas) Rest(ctx context.Context, r *saga.Record, pause time.Duration) error {
	var stalled *time.Time
	if !r.StalledSince.IsZero() {
		stalled = &r.StalledSince
	}
	return written(s.Pool.Exec(ctx, `
		UPDATE sagas SET lease_owner = $4, lease_until = clock_timestamp() + $5::interval, reached = $6, rounds = $7, stalled_since = $8`+mine,
		r.ID, r.Owner, r.Epoch, nobody, pause, r.Reached, r.Rounds, stalled))
}

// Reopen makes a parked saga claimable. Its epoch grows, so that the claim that parked it can write nothing more.
func (s *Sagas) Reopen(ctx context.Context, r *saga.Record) error {
	err := written(s.Pool.Exec(ctx, `
		UPDATE sagas SET status = $4, turned = $5, refusal = $6, trail = $7, updated_at = clock_timestamp(), lease_owner = $8,
			lease_until = clock_timestamp(), epoch = epoch + 1, rounds = 0, stalled_since = NULL, parked_from = NULL`+mine+` AND status = 'PARKED'`,
		r.ID, r.Owner, r.Epoch, r.Status, r.Turned, r.Refusal, r.Trail, nobody))
	if errors.Is(err, saga.ErrLost) {
		return saga.ErrNotParked
	}
	return err
}

// List reads sagas of one status, newest first, and how many there are in all.
func (s *Sagas) List(ctx context.Context, status saga.Status, limit, offset int) ([]*saga.Record, int, error) {
	var total int
	if err := s.Pool.QueryRow(ctx, `SELECT count(*) FROM sagas WHERE status = $1`, status).Scan(&total); err != nil {
		return nil, 0, known(err)
	}
	rows, err := s.Pool.Query(ctx, `SELECT `+columns+` FROM sagas WHERE status = $1 ORDER BY created_at DESC LIMIT $2 OFFSET $3`, status, limit, offset)
	if err != nil {
		return nil, 0, known(err)
	}
	records, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (*saga.Record, error) { return scan(row) })
	return records, total, known(err)
}

// Get reads a saga.
func (s *Sagas) Get(ctx context.Context, id uuid.UUID) (*saga.Record, error) {
	r, err := scan(s.Pool.QueryRow(ctx, `SELECT `+columns+` FROM sagas WHERE saga_id = $1`, id))
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, fault.New(fault.NotFound, fault.CodeNotFound, "There is no such saga")
	}
	return r, known(err)
}

// Latest reads the newest saga of a subject, nil if there is none.
func (s *Sagas) Latest(ctx context.Context, kind, subject string) (*saga.Record, error) {
	r, err := scan(s.Pool.QueryRow(ctx, `
		SELECT `+columns+` FROM sagas WHERE kind = $1 AND subject = $2
		ORDER BY created_at DESC LIMIT 1`, kind, subject))
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	return r, known(err)
}

func known(err error) error { return database.Fault(err, "the saga log") }
