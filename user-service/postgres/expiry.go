package postgres

import (
	"context"
	"time"

	user "ticketremaster/user-service"
)

// sweepBatch is how many rows one statement of Sweep removes at most.
const sweepBatch = 500

// Sweep removes what is over: registrations that were not confirmed in time, whose e-mail addresses are free then, and
// counts that no limit looks at any more. more says that a batch was full.
func (s *Store) Sweep(ctx context.Context, registrationLife time.Duration) (more bool, err error) {
	for _, over := range []struct {
		sql  string
		args []any
	}{
		{`DELETE FROM users WHERE user_id IN (
			SELECT user_id FROM users u WHERE NOT is_verified AND phone_lost_at IS NULL AND created_at < now() - $2::interval
			AND NOT EXISTS (SELECT FROM movements m WHERE m.user_id = u.user_id) AND NOT EXISTS (SELECT FROM topups t WHERE t.user_id = u.user_id)
			ORDER BY created_at LIMIT $1 FOR UPDATE SKIP LOCKED)`, []any{sweepBatch, registrationLife}},
		{`DELETE FROM sms_sent WHERE challenge_id IN (SELECT challenge_id FROM sms_sent WHERE sent_at < now() - interval '1 hour' LIMIT $1)`, []any{sweepBatch}},
		{`DELETE FROM wrong_codes WHERE wrong_id IN (SELECT wrong_id FROM wrong_codes WHERE entered_at < now() - interval '1 day' LIMIT $1)`, []any{sweepBatch}},
		{`DELETE FROM password_tries WHERE key IN (SELECT key FROM password_tries WHERE last_at < now() - interval '1 day' LIMIT $1 FOR UPDATE SKIP LOCKED)`, []any{sweepBatch}},
		{`DELETE FROM known_origins WHERE (user_id, origin) IN (
			SELECT user_id, origin FROM known_origins WHERE seen_at < now() - $2::interval LIMIT $1)`, []any{sweepBatch, user.KnownFor}},
	} {
		tag, err := s.pool.Exec(ctx, over.sql, over.args...)
		if err != nil {
			return false, faulty(err)
		}
		more = more || tag.RowsAffected() == sweepBatch
	}
	return more, nil
}
