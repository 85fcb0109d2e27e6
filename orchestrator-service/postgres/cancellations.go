package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"ticketremaster/orchestrator-service/refund"
)

// Cancellations keeps the cancellations of events; see refund.Cancellations.
type Cancellations struct{ Pool *pgxpool.Pool }

var _ refund.Cancellations = Cancellations{}

// Preview keeps a dry run.
func (c Cancellations) Preview(ctx context.Context, p refund.Preview, codeHash []byte) error {
	tag, err := c.Pool.Exec(ctx, `
		INSERT INTO cancellations AS c (event_id, code_hash, previewed_by, tickets, holders, credits) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (event_id) DO UPDATE SET code_hash = excluded.code_hash, previewed_by = excluded.previewed_by, previewed_at = clock_timestamp(),
			tickets = excluded.tickets, holders = excluded.holders, credits = excluded.credits
		WHERE c.started_at IS NULL`, p.EventID, codeHash, p.By, p.Tickets, p.Holders, p.Credits)
	if err == nil && tag.RowsAffected() == 0 {
		return refund.ErrStarted
	}
	return known(err)
}

const cancellationColumns = `event_id, previewed_by, coalesce(reason, ''), tickets, batches, coalesce(started_at, previewed_at), settled_at`

func readCancellation(row pgx.CollectableRow) (x refund.Cancellation, err error) {
	err = row.Scan(&x.EventID, &x.By, &x.Reason, &x.Tickets, &x.Batches, &x.StartedAt, &x.SettledAt)
	return x, err
}

// Start starts a cancellation by the code of a dry run.
func (c Cancellations) Start(ctx context.Context, event, admin uuid.UUID, codeHash []byte, reason string, life time.Duration) (refund.Cancellation, error) {
	rows, err := c.Pool.Query(ctx, `
		WITH started AS (
			UPDATE cancellations SET started_at = clock_timestamp(), look_at = clock_timestamp() + interval '2 seconds', reason = $4
			WHERE event_id = $1 AND started_at IS NULL AND previewed_by = $2 AND code_hash = $3 AND previewed_at > clock_timestamp() - $5::interval
			RETURNING *
		), known AS (
			SELECT * FROM started UNION ALL
			SELECT * FROM cancellations WHERE event_id = $1 AND started_at IS NOT NULL AND previewed_by = $2 AND code_hash = $3
		)
		SELECT `+cancellationColumns+` FROM known LIMIT 1`, event, admin, codeHash, reason, life)
	if err != nil {
		return refund.Cancellation{}, known(err)
	}
	x, err := pgx.CollectExactlyOneRow(rows, readCancellation)
	if errors.Is(err, pgx.ErrNoRows) {
		return x, refund.ErrCode
	}
	return x, known(err)
}

// Abort takes a start back.
func (c Cancellations) Abort(ctx context.Context, event uuid.UUID) error {
	return c.exec(ctx, `UPDATE cancellations SET started_at = NULL, reason = NULL WHERE event_id = $1 AND settled_at IS NULL AND batches = 0`, event)
}

// Get reads a started cancellation.
func (c Cancellations) Get(ctx context.Context, event uuid.UUID) (refund.Cancellation, error) {
	rows, err := c.Pool.Query(ctx, `SELECT `+cancellationColumns+` FROM cancellations WHERE event_id = $1 AND started_at IS NOT NULL`, event)
	if err != nil {
		return refund.Cancellation{}, known(err)
	}
	x, err := pgx.CollectExactlyOneRow(rows, readCancellation)
	if errors.Is(err, pgx.ErrNoRows) {
		return x, refund.ErrNoCancellation
	}
	return x, known(err)
}

// Due lists what is to be looked at, the longest overdue first.
func (c Cancellations) Due(ctx context.Context, limit int) ([]refund.Cancellation, error) {
	rows, err := c.Pool.Query(ctx, `SELECT `+cancellationColumns+` FROM cancellations
		WHERE started_at IS NOT NULL AND settled_at IS NULL AND look_at <= clock_timestamp() ORDER BY look_at LIMIT $1`, limit)
	if err != nil {
		return nil, known(err)
	}
	due, err := pgx.CollectRows(rows, readCancellation)
	return due, known(err)
}

// Advance counts a batch.
func (c Cancellations) Advance(ctx context.Context, event uuid.UUID, batch int) error {
	return c.exec(ctx, `UPDATE cancellations SET batches = $2 + 1 WHERE event_id = $1 AND batches = $2`, event, batch)
}

// Later puts the next look off.
func (c Cancellations) Later(ctx context.Context, event uuid.UUID, pause time.Duration) error {
	return c.exec(ctx, `UPDATE cancellations SET look_at = clock_timestamp() + $2::interval WHERE event_id = $1`, event, pause)
}

// Settled ends a cancellation.
func (c Cancellations) Settled(ctx context.Context, event uuid.UUID) error {
	return c.exec(ctx, `UPDATE cancellations SET settled_at = clock_timestamp() WHERE event_id = $1 AND settled_at IS NULL`, event)
}

func (c Cancellations) exec(ctx context.Context, sql string, args ...any) error {
	_, err := c.Pool.Exec(ctx, sql, args...)
	return known(err)
}
