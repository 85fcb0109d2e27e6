package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"ticketremaster/orchestrator-service/gate"
)

// Unheard remembers tries of scans whose answers were not heard; see gate.Unheard.
type Unheard struct{ Pool *pgxpool.Pool }

// Note remembers a try, and forgets those that are a minute old.
func (u Unheard) Note(ctx context.Context, key gate.ScanKey, try uuid.UUID) error {
	_, err := u.Pool.Exec(ctx, `
		WITH forgotten AS (DELETE FROM unheard_scans WHERE noted_at < clock_timestamp() - interval '1 minute')
		INSERT INTO unheard_scans (key, scan_id) VALUES ($1, $2) ON CONFLICT (key, scan_id) DO UPDATE SET noted_at = clock_timestamp()`, key[:], try)
	return known(err)
}

// Claim takes the oldest try that was noted at most within ago; false if there is none.
func (u Unheard) Claim(ctx context.Context, key gate.ScanKey, within time.Duration) (try uuid.UUID, ok bool, err error) {
	err = u.Pool.QueryRow(ctx, `
		DELETE FROM unheard_scans WHERE (key, scan_id) = (
			SELECT key, scan_id FROM unheard_scans WHERE key = $1 AND noted_at > clock_timestamp() - $2::interval ORDER BY noted_at LIMIT 1 FOR UPDATE SKIP LOCKED)
		RETURNING scan_id`, key[:], within).Scan(&try)
	if errors.Is(err, pgx.ErrNoRows) {
		return uuid.Nil, false, nil
	}
	return try, err == nil, known(err)
}
