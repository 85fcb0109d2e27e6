package postgres

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Requests remembers which operation each request of an administrator began.
type Requests struct{ Pool *pgxpool.Pool }

// Claim returns the operation of an administrator's request: proposed, or, if the same key came within the window, the
// operation and fingerprint of that request.
func (r Requests) Claim(ctx context.Context, admin uuid.UUID, key string, fingerprint []byte, proposed uuid.UUID, window time.Duration) (operation uuid.UUID, first []byte, err error) {
	err = r.Pool.QueryRow(ctx, `
		INSERT INTO admin_requests AS known (admin_id, key, fingerprint, operation_id) VALUES ($1, $2, $3, $4)
		ON CONFLICT (admin_id, key) DO UPDATE SET
			fingerprint = CASE WHEN known.made_at < clock_timestamp() - $5::interval THEN excluded.fingerprint ELSE known.fingerprint END,
			operation_id = CASE WHEN known.made_at < clock_timestamp() - $5::interval THEN excluded.operation_id ELSE known.operation_id END,
			made_at = CASE WHEN known.made_at < clock_timestamp() - $5::interval THEN clock_timestamp() ELSE known.made_at END
		RETURNING operation_id, fingerprint`,
		admin, key, fingerprint, proposed, window).Scan(&operation, &first)
	return operation, first, known(err)
}

// Forget allows a refused request to be made again.
func (r Requests) Forget(ctx context.Context, admin uuid.UUID, key string, operation uuid.UUID) error {
	_, err := r.Pool.Exec(ctx, `DELETE FROM admin_requests WHERE admin_id = $1 AND key = $2 AND operation_id = $3`, admin, key, operation)
	return known(err)
}
