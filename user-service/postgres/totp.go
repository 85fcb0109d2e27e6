package postgres

import (
	"context"

	"github.com/google/uuid"
)

// Enroll keeps a sealed TOTP secret that waits for its first valid code; one in force stays so until then.
func (s *Store) Enroll(ctx context.Context, id uuid.UUID, sealed string) error {
	_, err := s.pool.Exec(ctx, `UPDATE users SET two_fa_pending = $2 WHERE user_id = $1`, id, sealed)
	return faulty(err)
}

// Activate enables the pending sealed secret, if it is still that one and the step was not used; false otherwise.
func (s *Store) Activate(ctx context.Context, id uuid.UUID, sealed string, step int64) (bool, error) {
	tag, err := s.pool.Exec(ctx, `
		UPDATE users SET two_fa_secret = two_fa_pending, two_fa_pending = NULL, two_fa_last_step = $3
		WHERE user_id = $1 AND two_fa_pending = $2`, id, sealed, step)
	return err == nil && tag.RowsAffected() == 1, faulty(err)
}

// Disenroll removes the authenticator app.
func (s *Store) Disenroll(ctx context.Context, id uuid.UUID) error {
	_, err := s.pool.Exec(ctx, `UPDATE users SET two_fa_secret = NULL, two_fa_pending = NULL, two_fa_last_step = 0 WHERE user_id = $1`, id)
	return faulty(err)
}
