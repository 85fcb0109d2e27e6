package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"ticketremaster/platform/token"
	user "ticketremaster/user-service"
)

// revocationsLock is the advisory lock under which revocations get their numbers: it ends after the commit, so that a
// reader who has seen one number has seen all before it.
const revocationsLock = 7_020_001

// maxRevocations bounds one read of the feed; a reader that gets that many reads again.
const maxRevocations = 5000

// OpenSession begins a session whose refresh token has that hash, if the user still has the password that was checked,
// and gives the role and the person as they are at that moment; UNAUTHORIZED otherwise. The shared lock makes a change
// of password or role come before or after, so that its revocation misses no session.
func (s *Store) OpenSession(ctx context.Context, id, userID uuid.UUID, passwordHash string, refreshHash []byte, life time.Duration) (role string, person uuid.UUID, err error) {
	err = s.pool.QueryRow(ctx, `
		WITH u AS (SELECT user_id, role, `+personOf+` AS person FROM users AS u WHERE user_id = $2 AND password_hash = $3 FOR SHARE),
		     opened AS (INSERT INTO sessions (session_id, user_id, refresh_hash, expires_at) SELECT $1, user_id, $4, now() + $5::interval FROM u)
		SELECT role::text, person FROM u`, id, userID, passwordHash, refreshHash, life).Scan(&role, &person)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", uuid.Nil, user.ErrSession
	}
	return role, person, faulty(err)
}

// personOf is the person whose account u is: all accounts of one confirmed number are one person's.
const personOf = `coalesce((SELECT person_id FROM people WHERE u.is_verified AND key = phone_key(u.phone)), u.user_id)`

// SessionOf returns the session of a refresh token and the role its user has now; UNAUTHORIZED unless it is alive.
func (s *Store) SessionOf(ctx context.Context, refreshHash []byte) (c token.Caller, err error) {
	err = s.pool.QueryRow(ctx, `
		SELECT s.session_id, u.user_id, u.role::text, `+personOf+` FROM sessions s JOIN users u USING (user_id)
		WHERE s.refresh_hash = $1 AND s.revoked_at IS NULL AND s.expires_at > now()`, refreshHash).Scan(&c.SessionID, &c.UserID, &c.Role, &c.PersonID)
	if errors.Is(err, pgx.ErrNoRows) {
		return c, user.ErrSession
	}
	return c, faulty(err)
}

// CloseSession revokes one session; until is when its last access token ends.
func (s *Store) CloseSession(ctx context.Context, id uuid.UUID, until time.Time) error {
	return s.tx(ctx, func(tx pgx.Tx) error {
		_, err := revoke(ctx, tx, `session_id = $1`, id, until)
		return err
	})
}

// SetPassword changes the hash, revokes every session of the user, and returns those sessions.
func (s *Store) SetPassword(ctx context.Context, id uuid.UUID, hash string, until time.Time) (revoked []uuid.UUID, err error) {
	err = s.tx(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `UPDATE users SET password_hash = $2 WHERE user_id = $1`, id, hash); err != nil {
			return err
		}
		revoked, err = revoke(ctx, tx, `user_id = $1`, id, until)
		return err
	})
	return revoked, err
}

// revoke ends the sessions that match the condition on $1 and publishes them. It must be the last statement of its
// transaction that waits for a lock.
func revoke(ctx context.Context, tx pgx.Tx, condition string, arg uuid.UUID, until time.Time) ([]uuid.UUID, error) {
	if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock($1)`, revocationsLock); err != nil {
		return nil, err
	}
	rows, err := tx.Query(ctx, `
		WITH forgotten AS (DELETE FROM revocations WHERE until < now()),
		     ended AS (UPDATE sessions SET revoked_at = now() WHERE `+condition+` AND revoked_at IS NULL AND expires_at > now() RETURNING session_id)
		INSERT INTO revocations (session_id, until) SELECT session_id, $2 FROM ended RETURNING session_id`, arg, until)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
}

// Revocations returns what was revoked after that number, oldest first, 5,000 at most.
func (s *Store) Revocations(ctx context.Context, after int64) ([]token.Revocation, error) {
	rows, err := s.pool.Query(ctx, `
		SELECT seq, session_id, until FROM revocations WHERE seq > $1 AND until > now() ORDER BY seq LIMIT $2`, after, maxRevocations)
	if err != nil {
		return nil, faulty(err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[token.Revocation])
	return list, faulty(err)
}
