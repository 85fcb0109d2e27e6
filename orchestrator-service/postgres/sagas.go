// Package postgres keeps the saga log in sagas_db.
package postgres

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"io/fs"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
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

// New gives the saga log on an open, migrated pool.
func New(pool *pgxpool.Pool) *Sagas {
	return &Sagas{pool, database.NewGroupCommit(pool), database.NewGroupCommit(pool)}
}

var _ saga.Log = (*Sagas)(nil)

const columns = `saga_id, kind, subject, status, state, turned, refusal, trail, correlation_id, created_at, updated_at`

func scan(row pgx.Row) (*saga.Record, error) {
	var r saga.Record
	var refusal, trail []byte
	err := row.Scan(&r.ID, &r.Kind, &r.Subject, &r.Status, &r.State, &r.Turned, &refusal, &trail, &r.CorrelationID, &r.CreatedAt, &r.UpdatedAt)
	if err != nil {
		return nil, err
	}
	if refusal != nil {
		if err := json.Unmarshal(refusal, &r.Refusal); err != nil {
			return nil, err
		}
	}
	return &r, json.Unmarshal(trail, &r.Trail)
}

// Begin writes a saga down; see saga.Log. One round trip and one commit, which sagas that begin at once share.
func (s *Sagas) Begin(ctx context.Context, r *saga.Record, owner uuid.UUID, lease time.Duration) error {
	err := s.begins.Exec(ctx, database.Statement{SQL: `
		INSERT INTO sagas (saga_id, kind, subject, status, state, correlation_id, lease_owner, lease_until)
		VALUES ($1, $2, $3, $4, $5, $6, $7, clock_timestamp() + $8::interval)`,
		Args: []any{r.ID, r.Kind, r.Subject, r.Status, r.State, r.CorrelationID, owner, lease}})
	if !database.Violates(err, "sagas_one_per_subject") && !database.Violates(err, "sagas_pkey") {
		return known(err)
	}
	other, err := s.Latest(ctx, r.Kind, r.Subject)
	if err != nil {
		return err
	}
	if other == nil {
		return fault.New(fault.Conflict, "SAGA_ID_TAKEN", "this id belongs to something else")
	}
	why := saga.ErrLive
	if other.Status == saga.Done {
		why = saga.ErrDone
	}
	return why.With("saga_id", other.ID.String())
}

// Turn writes down that the saga goes back. Of two that drive it at once, the first has its way.
func (s *Sagas) Turn(ctx context.Context, r *saga.Record) error {
	_, err := s.Pool.Exec(ctx, `
		UPDATE sagas SET status = $2, turned = $3, refusal = $4, state = $5, trail = coalesce($6, '[]'::jsonb), updated_at = clock_timestamp()
		WHERE saga_id = $1 AND status = 'RUNNING'`,
		r.ID, saga.Compensating, r.Turned, r.Refusal, r.State, r.Trail)
	return known(err)
}

// End writes a saga's end down. That it is not flushed before it answers does no harm: a saga that looks live
// after a power cut is run again and ends the same.
func (s *Sagas) End(ctx context.Context, r *saga.Record) error {
	return known(s.ends.Exec(ctx, database.Statement{SQL: `SELECT set_config('synchronous_commit', 'off', true)`}, database.Statement{SQL: `
		UPDATE sagas SET status = $2, turned = $3, refusal = $4, state = $5, trail = coalesce($6, '[]'::jsonb), updated_at = clock_timestamp()
		WHERE saga_id = $1 AND status IN ('RUNNING', 'COMPENSATING')`,
		Args: []any{r.ID, r.Status, r.Turned, r.Refusal, r.State, r.Trail}}))
}

// Claim leases abandoned sagas; replicas pass over each other's rows.
func (s *Sagas) Claim(ctx context.Context, owner uuid.UUID, lease time.Duration, limit int) ([]*saga.Record, error) {
	rows, err := s.Pool.Query(ctx, `
		UPDATE sagas SET lease_owner = $1, lease_until = clock_timestamp() + $2::interval
		WHERE saga_id IN (
			SELECT saga_id FROM sagas
			WHERE status IN ('RUNNING', 'COMPENSATING') AND lease_until < clock_timestamp()
			ORDER BY lease_until LIMIT $3 FOR UPDATE SKIP LOCKED)
		RETURNING `+columns, owner, lease, limit)
	if err != nil {
		return nil, known(err)
	}
	records, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (*saga.Record, error) { return scan(row) })
	return records, known(err)
}

// Renew extends a lease.
func (s *Sagas) Renew(ctx context.Context, id, owner uuid.UUID, lease time.Duration) (bool, error) {
	tag, err := s.Pool.Exec(ctx, `
		UPDATE sagas SET lease_until = clock_timestamp() + $3::interval
		WHERE saga_id = $1 AND lease_owner = $2`, id, owner, lease)
	return tag.RowsAffected() == 1, known(err)
}

// Rest gives a lease back early.
func (s *Sagas) Rest(ctx context.Context, id, owner uuid.UUID, pause time.Duration) error {
	_, err := s.Renew(ctx, id, owner, pause)
	return err
}

// Get reads a saga.
func (s *Sagas) Get(ctx context.Context, id uuid.UUID) (*saga.Record, error) {
	r, err := scan(s.Pool.QueryRow(ctx, `SELECT `+columns+` FROM sagas WHERE saga_id = $1`, id))
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, fault.New(fault.NotFound, fault.CodeNotFound, "there is no such saga")
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

// known turns a database that does not answer into SERVICE_UNAVAILABLE.
func known(err error) error {
	if database.Unreachable(err) {
		return fault.Unreachable("the saga log", err)
	}
	return err
}
