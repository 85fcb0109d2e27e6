package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	user "ticketremaster/user-service"
)

// userColumns are user.User's, in its order.
const userColumns = `user_id, email, phone, credit_balance, role::text, is_flagged, is_verified, created_at`

const credentialColumns = userColumns + `, password_hash, phone_lost_at IS NOT NULL, coalesce(two_fa_secret, ''), coalesce(two_fa_pending, '')`

func orNotFound(err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return user.ErrNotFound
	}
	return faulty(err)
}

func (s *Store) users(ctx context.Context, sql string, args ...any) ([]user.User, error) {
	rows, err := s.pool.Query(ctx, sql, args...)
	if err != nil {
		return nil, faulty(err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[user.User])
	return list, faulty(err)
}

func exactlyOne(list []user.User, err error) (user.User, error) {
	if err != nil {
		return user.User{}, err
	}
	if len(list) == 0 {
		return user.User{}, user.ErrNotFound
	}
	return list[0], nil
}

// User returns a user; USER_NOT_FOUND.
func (s *Store) User(ctx context.Context, id uuid.UUID) (user.User, error) {
	return exactlyOne(s.users(ctx, `SELECT `+userColumns+` FROM users WHERE user_id = $1`, id))
}

// Lookup returns the users with these ids or e-mail addresses (lower case); unknown ones are left out.
func (s *Store) Lookup(ctx context.Context, ids []uuid.UUID, emails []string) ([]user.User, error) {
	return s.users(ctx, `SELECT `+userColumns+` FROM users WHERE user_id = ANY($1) OR email = ANY($2)`, ids, emails)
}

// List returns one page of users whose address contains part, in the order they came, and how many there are.
func (s *Store) List(ctx context.Context, part string, limit, offset int) ([]user.User, int, error) {
	var total int
	if err := s.pool.QueryRow(ctx, `SELECT count(*) FROM users WHERE strpos(email, lower($1)) > 0`, part).Scan(&total); err != nil {
		return nil, 0, err
	}
	list, err := s.users(ctx, `SELECT `+userColumns+` FROM users WHERE strpos(email, lower($1)) > 0
		ORDER BY user_id LIMIT $2 OFFSET $3`, part, limit, offset)
	return list, total, err
}

// Credentials returns a user by id or by e-mail address; USER_NOT_FOUND.
func (s *Store) Credentials(ctx context.Context, id uuid.UUID, email string) (user.Credentials, error) {
	var c user.Credentials
	u := &c.User
	err := s.pool.QueryRow(ctx, `SELECT `+credentialColumns+` FROM users WHERE user_id = $1 OR email = $2`, id, email).Scan(
		&u.ID, &u.Email, &u.Phone, &u.Balance, &u.Role, &u.Flagged, &u.Verified, &u.Created, &c.PasswordHash, &c.PhoneLost, &c.Secret, &c.Pending)
	return c, orNotFound(err)
}

// Risk is what a purchase needs to know of its buyer.
type Risk struct {
	UserID                  uuid.UUID
	PersonID                uuid.UUID // the same for all accounts of one person
	Known                   bool      // there is such a user
	Flagged, Verified       bool
	OTPVerified, OTPPending bool // for the purchase that was asked about
}

// Risks returns users' risks in the order asked, each with where the OTP of one purchase stands: orders is as long as
// users, nil for none.
func (s *Store) Risks(ctx context.Context, users []uuid.UUID, orders []*uuid.UUID) ([]Risk, error) {
	rows, err := s.pool.Query(ctx, `
		SELECT asked.user_id, coalesce(p.person_id, asked.user_id), u.user_id IS NOT NULL, coalesce(u.is_flagged, false), coalesce(u.is_verified, false),
		       coalesce(otp.verified, false), coalesce(otp.pending, false)
		FROM unnest($1::uuid[], $2::uuid[]) WITH ORDINALITY AS asked (user_id, purchase, place)
		LEFT JOIN users u USING (user_id)
		LEFT JOIN people p ON u.is_verified AND p.key = phone_key(u.phone)
		LEFT JOIN LATERAL (
			SELECT bool_or(state = 'VERIFIED') AS verified, bool_or(state = 'PENDING' AND expires_at > now()) AS pending
			FROM otp_challenges c WHERE c.user_id = u.user_id AND purpose = 'purchase' AND reference_id = asked.purchase
		) AS otp ON true
		ORDER BY asked.place`, users, orders)
	if err != nil {
		return nil, faulty(err)
	}
	risks, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Risk])
	return risks, faulty(err)
}

// Create adds a user; EMAIL_ALREADY_EXISTS.
func (s *Store) Create(ctx context.Context, u user.User, passwordHash string) error {
	_, err := s.pool.Exec(ctx, `
		INSERT INTO users (user_id, email, phone, password_hash, role, is_verified) VALUES ($1, $2, $3, $4, $5, $6)`,
		u.ID, u.Email, u.Phone, passwordHash, u.Role, u.Verified)
	return faulty(err)
}

// Replace reuses an account that was not verified within the time since its registration for a new registration of the
// address; taken is false if there is none.
func (s *Store) Replace(ctx context.Context, u user.User, passwordHash string, after time.Duration) (taken bool, err error) {
	err = s.tx(ctx, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `
			DELETE FROM users WHERE email = $1 AND NOT is_verified AND phone_lost_at IS NULL AND created_at < now() - $2::interval
			AND NOT EXISTS (SELECT FROM movements m WHERE m.user_id = users.user_id)`, u.Email, after)
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		taken = true
		_, err = tx.Exec(ctx, `INSERT INTO users (user_id, email, phone, password_hash) VALUES ($1, $2, $3, $4)`,
			u.ID, u.Email, u.Phone, passwordHash)
		return err
	})
	return taken, err
}

// Forget removes an account that was never verified.
func (s *Store) Forget(ctx context.Context, id uuid.UUID) error {
	_, err := s.pool.Exec(ctx, `DELETE FROM users WHERE user_id = $1 AND NOT is_verified AND phone_lost_at IS NULL`, id)
	return faulty(err)
}

// MarkVerified confirms an account's phone. With exclusive the number belongs to one account: whoever had it before has
// to confirm a phone again.
func (s *Store) MarkVerified(ctx context.Context, id uuid.UUID, exclusive bool) error {
	return s.tx(ctx, func(tx pgx.Tx) error {
		var phone string
		if err := tx.QueryRow(ctx, `SELECT phone FROM users WHERE user_id = $1`, id).Scan(&phone); err != nil {
			return orNotFound(err)
		}
		if err := takeOver(ctx, tx, id, phone, exclusive); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `UPDATE users SET is_verified = true, phone_exclusive = $2, phone_lost_at = NULL WHERE user_id = $1`, id, exclusive)
		return err
	})
}

// takeOver makes a number one account's alone, if it is to be exclusive.
func takeOver(ctx context.Context, tx pgx.Tx, id uuid.UUID, phone string, exclusive bool) error {
	if !exclusive {
		return nil
	}
	if err := lock(ctx, tx, phoneLocks, phone); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `
		UPDATE users SET is_verified = false, phone_exclusive = false, phone_lost_at = now() WHERE phone = $2 AND is_verified AND user_id <> $1`, id, phone)
	return err
}

// SetContact changes e-mail address and phone, which is confirmed. Codes on their way to the old phone are void.
// EMAIL_ALREADY_EXISTS.
func (s *Store) SetContact(ctx context.Context, id uuid.UUID, email, phone string, exclusive bool) (user.User, error) {
	var u user.User
	err := s.tx(ctx, func(tx pgx.Tx) error {
		if err := takeOver(ctx, tx, id, phone, exclusive); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `
			UPDATE otp_challenges SET state = 'VOID' WHERE user_id = $1 AND state IN ('SENDING', 'PENDING')`, id); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `
			UPDATE users SET email = $2, phone = $3, is_verified = true, phone_exclusive = $4, phone_lost_at = NULL
			WHERE user_id = $1 RETURNING `+userColumns, id, email, phone, exclusive)
		if err != nil {
			return err
		}
		u, err = pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[user.User])
		return err
	})
	return u, orNotFound(err)
}

// SetStanding changes role and flag, where not nil. A new value revokes the user's sessions. USER_NOT_FOUND.
func (s *Store) SetStanding(ctx context.Context, id uuid.UUID, role *string, flagged *bool, until time.Time) (u user.User, revoked []uuid.UUID, err error) {
	err = s.tx(ctx, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `
			UPDATE users SET role = coalesce($2::user_role, role), is_flagged = coalesce($3, is_flagged)
			WHERE user_id = $1 AND (role, is_flagged) IS DISTINCT FROM (coalesce($2::user_role, role), coalesce($3, is_flagged))`, id, role, flagged)
		if err != nil {
			return err
		}
		if tag.RowsAffected() > 0 {
			if revoked, err = revoke(ctx, tx, `user_id = $1`, id, until); err != nil {
				return err
			}
		}
		rows, err := tx.Query(ctx, `SELECT `+userColumns+` FROM users WHERE user_id = $1`, id)
		if err != nil {
			return err
		}
		u, err = pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[user.User])
		return err
	})
	return u, revoked, orNotFound(err)
}
