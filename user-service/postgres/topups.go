package postgres

import (
	"context"

	"github.com/google/uuid"

	"ticketremaster/platform/fault"
	"ticketremaster/platform/money"
	user "ticketremaster/user-service"
)

// BeginTopUp records a top-up before Stripe is called. With a client's key (not "") that was used before it returns
// that top-up; VALIDATION_ERROR if that one was of another amount. USER_NOT_FOUND.
func (s *Store) BeginTopUp(ctx context.Context, id, userID uuid.UUID, amount money.Cents, clientKey string) (t user.TopUp, err error) {
	_, err = s.pool.Exec(ctx, `
		INSERT INTO topups (topup_id, user_id, amount, client_key) VALUES ($1, $2, $3, nullif($4, ''))
		ON CONFLICT ON CONSTRAINT topups_client_key_unique DO NOTHING`, id, userID, amount, clientKey)
	if err != nil {
		return t, faulty(err)
	}
	err = s.pool.QueryRow(ctx, `
		SELECT topup_id, user_id, amount, coalesce(payment_intent_id, '') FROM topups
		WHERE topup_id = $1 OR user_id = $2 AND client_key = nullif($3, '')`, id, userID, clientKey).Scan(&t.ID, &t.UserID, &t.Amount, &t.Intent)
	if err == nil && t.Amount != amount {
		return t, fault.New(fault.Invalid, fault.CodeValidation, "This Idempotency-Key was used for another amount")
	}
	return t, faulty(err)
}

// SetIntent keeps the PaymentIntent that Stripe made for a top-up.
func (s *Store) SetIntent(ctx context.Context, topUp uuid.UUID, intent string) error {
	_, err := s.pool.Exec(ctx, `UPDATE topups SET payment_intent_id = $2 WHERE topup_id = $1 AND payment_intent_id IS NULL`, topUp, intent)
	return faulty(err)
}

// PaymentEvent records one event of Stripe's and its effect on the ledger in one transaction, and returns the outcome:
// duplicate, credited, recorded, taken_back, given_back, or why it is not credited. It is payment_event of
// migrations/0004_payments.sql.
func (s *Store) PaymentEvent(ctx context.Context, e user.PaymentEvent) (outcome string, err error) {
	var disputed *money.Cents
	if e.DisputeID != nil {
		disputed = &e.DisputeAmount
	}
	err = s.pool.QueryRow(ctx, `SELECT payment_event($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
		e.ID, e.Type, e.Intent, e.TopUpID, e.Paid, e.Currency, user.Currency, e.Refunded, e.DisputeID, disputed, e.DisputeWon).Scan(&outcome)
	return outcome, faulty(err)
}
