package postgres

import (
	"context"
	"time"

	"github.com/google/uuid"

	user "ticketremaster/user-service"
)

// TryPassword takes one try of everything that slows it, all or none; wait is how long it must still wait, 0 if the
// tries are taken.
func (s *Store) TryPassword(ctx context.Context, slowed []user.Slowed) (wait time.Duration, err error) {
	keys, free := make([][]byte, len(slowed)), make([]int, len(slowed))
	most, forget := make([]time.Duration, len(slowed)), make([]time.Duration, len(slowed))
	for i, by := range slowed {
		keys[i], free[i], most[i], forget[i] = by.Key, by.Free, by.Most, by.Forget
	}
	var seconds float64
	err = s.pool.QueryRow(ctx, `SELECT password_try($1, $2, $3, $4)`, keys, free, most, forget).Scan(&seconds)
	return time.Duration(seconds * float64(time.Second)), faulty(err)
}

// PasswordWasRight returns the tries that TryPassword took; the count of the account's from this network is reset.
func (s *Store) PasswordWasRight(ctx context.Context, slowed []user.Slowed) error {
	keys := make([][]byte, len(slowed))
	for i, by := range slowed {
		keys[i] = by.Key
	}
	_, err := s.pool.Exec(ctx, `
		UPDATE password_tries p SET wrong = CASE p.key WHEN $2 THEN 0 ELSE greatest(wrong - 1, 0) END, next_at = CASE p.key WHEN $2 THEN '-infinity' ELSE next_at END
		FROM (SELECT key FROM password_tries WHERE key = ANY($1) ORDER BY key FOR UPDATE) l WHERE p.key = l.key`, keys, keys[0])
	return faulty(err)
}

// Knows reports whether the account with this e-mail address was logged in from that network lately.
func (s *Store) Knows(ctx context.Context, id uuid.UUID, origin string) (known bool, err error) {
	err = s.pool.QueryRow(ctx, `
		SELECT EXISTS (SELECT FROM known_origins WHERE user_id = $1 AND origin = $2 AND seen_at > now() - $3::interval)`,
		id, origin, user.KnownFor).Scan(&known)
	return known, faulty(err)
}

// Know notes that an account was logged in from a network; it is written once a day.
func (s *Store) Know(ctx context.Context, id uuid.UUID, origin string) error {
	_, err := s.pool.Exec(ctx, `
		INSERT INTO known_origins AS k (user_id, origin) VALUES ($1, $2)
		ON CONFLICT (user_id, origin) DO UPDATE SET seen_at = now() WHERE k.seen_at < now() - interval '1 day'`, id, origin)
	return faulty(err)
}
