package postgres

import (
	"context"
	"errors"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"ticketremaster/platform/fault"
	"ticketremaster/platform/money"
	user "ticketremaster/user-service"
)

// topUpLocks is the class of the advisory locks under which one user's top-ups are begun.
const topUpLocks = 7_020_005

// BeginTopUp records a top-up before Stripe is called. With a client's key (not "") that was used before it gives the
// top-up of that time; VALIDATION_ERROR if that one was of another amount. RATE_LIMITED if the user has begun perHour
// in the last hour and not paid them. USER_NOT_FOUND.
func (s *Store) BeginTopUp(ctx context.Context, id, userID uuid.UUID, amount money.Cents, clientKey string, perHour int) (t user.TopUp, err error) {
	err = s.tx(ctx, func(tx pgx.Tx) error {
		if err := lock(ctx, tx, topUpLocks, userID.String()); err != nil {
			return err
		}
		var unpaid int
		err := tx.QueryRow(ctx, `
			SELECT count(*) FROM topups WHERE user_id = $1 AND created_at > now() - interval '1 hour' AND credited_at IS NULL
			  AND (payment_intent_id IS NOT NULL OR created_at > now() - interval '1 minute') -- of an outage of Stripe's nothing is left`, userID).Scan(&unpaid)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `
			INSERT INTO topups AS t (topup_id, user_id, amount, client_key) SELECT $1, $2, $3, nullif($4, '') WHERE $5
			ON CONFLICT ON CONSTRAINT topups_client_key_unique DO UPDATE SET amount = t.amount WHERE false -- a repeat waits as the first did`, id, userID, amount, clientKey, unpaid < perHour)
		if err != nil {
			return err
		}
		return tx.QueryRow(ctx, `
			SELECT topup_id, user_id, amount, coalesce(payment_intent_id, '') FROM topups
			WHERE topup_id = $1 OR user_id = $2 AND client_key = nullif($3, '')`, id, userID, clientKey).Scan(&t.ID, &t.UserID, &t.Amount, &t.Intent)
	})
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return t, user.ErrTopUpsTooMany
	case err == nil && t.Amount != amount:
		return t, fault.New(fault.Invalid, fault.CodeValidation, "This Idempotency-Key was used for another amount")
	}
	return t, err
}

// SetIntent keeps the PaymentIntent that Stripe made for a top-up.
func (s *Store) SetIntent(ctx context.Context, topUp uuid.UUID, intent string) error {
	_, err := s.pool.Exec(ctx, `UPDATE topups SET payment_intent_id = $2 WHERE topup_id = $1 AND payment_intent_id IS NULL`, topUp, intent)
	return faulty(err)
}

// TopUp tells where a user's top-up stands; NOT_FOUND, also for another user's.
func (s *Store) TopUp(ctx context.Context, id, userID uuid.UUID) (t user.TopUpStatus, err error) {
	err = s.pool.QueryRow(ctx, `
		SELECT t.topup_id, t.amount, p.paid, coalesce(failure_code, ''), coalesce(failure, ''), t.created_at, credited_at,
		       CASE WHEN credited_at IS NOT NULL THEN 'succeeded' WHEN cancelled_at IS NOT NULL THEN 'expired' WHEN failed_at IS NOT NULL THEN 'failed'
		            WHEN t.created_at < now() - $3::interval THEN 'expired' ELSE 'pending' END
		FROM topups t LEFT JOIN payments p ON p.topup_id = t.topup_id WHERE t.topup_id = $1 AND user_id = $2`, id, userID, user.TopUpLife).Scan(
		&t.ID, &t.Amount, &t.Credited, &t.FailureCode, &t.Failure, &t.Created, &t.CreditedAt, &t.Status)
	if errors.Is(err, pgx.ErrNoRows) {
		return t, user.ErrNoTopUp
	}
	return t, faulty(err)
}

// Payers returns the users whose top-up is under way: a PaymentIntent of the last TopUpUnderWay that was not paid,
// refused or cancelled. They are those whose id comes after this one, in the order of their ids, MostPayers at most.
func (s *Store) Payers(ctx context.Context, after uuid.UUID) ([]user.Payer, error) {
	rows, err := s.pool.Query(ctx, `
		SELECT DISTINCT u.user_id, coalesce(p.person_id, u.user_id) FROM topups t JOIN users u USING (user_id) LEFT JOIN people p ON u.is_verified AND p.key = phone_key(u.phone)
		WHERE t.created_at > now() - $2::interval AND credited_at IS NULL AND failed_at IS NULL AND cancelled_at IS NULL AND payment_intent_id IS NOT NULL
		  AND u.user_id > $1
		ORDER BY u.user_id LIMIT $3`, after, user.TopUpUnderWay, user.MostPayers)
	if err != nil {
		return nil, faulty(err)
	}
	payers, err := pgx.AppendRows([]user.Payer{}, rows, pgx.RowToStructByPos[user.Payer])
	return payers, faulty(err)
}
