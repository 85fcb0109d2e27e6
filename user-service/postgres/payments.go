package postgres

import (
	"context"
	"encoding/json"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	user "ticketremaster/user-service"
)

// PaymentEvent takes in one event of Stripe's, in one transaction with what it does to the ledger, and says what came
// of it: duplicate, credited, recorded, taken_back, given_back, or what does not fit. It is payment_told of
// migrations/0008_payments.sql.
func (s *Store) PaymentEvent(ctx context.Context, e user.PaymentEvent) (outcome string, err error) {
	event, err := json.Marshal(e)
	if err != nil {
		return "", err
	}
	err = s.pool.QueryRow(ctx, `SELECT payment_told($1::jsonb)`, string(event)).Scan(&outcome)
	if err == nil && outcome == "duplicate" { // Stripe must not stop before a standby has the first, too
		_, err = s.pool.Exec(ctx, `SELECT pg_logical_emit_message(true, '', '')`)
	}
	return outcome, faulty(err)
}

// States of a payment, of which Payments lists.
const (
	Anomalous = "anomaly"  // something does not fit, and nobody has settled it
	Resolved  = "resolved" // somebody has
)

// oddPayments are those with something that does not fit: settled ($1 true) or not.
const oddPayments = `
	FROM (SELECT payment_intent_id, max(created_at) AS since, bool_and(resolved_at IS NOT NULL) AS settled FROM payment_anomalies GROUP BY payment_intent_id) o
	JOIN payments p USING (payment_intent_id) LEFT JOIN topups t ON t.topup_id = p.topup_id
	WHERE settled = $1`

// Payments returns one page of the payments with something that did not fit, the newest of that first, and how many
// there are.
func (s *Store) Payments(ctx context.Context, state string, limit, offset int) (list []user.Payment, total int, err error) {
	settled := state == Resolved
	if err := s.pool.QueryRow(ctx, `SELECT count(*)`+oddPayments, settled).Scan(&total); err != nil {
		return nil, 0, faulty(err)
	}
	rows, err := s.pool.Query(ctx, `SELECT `+paymentColumns+oddPayments+` ORDER BY since DESC, payment_intent_id LIMIT $2 OFFSET $3`, settled, limit, offset)
	if err != nil {
		return nil, 0, faulty(err)
	}
	list, err = pgx.CollectRows(rows, pgx.RowToStructByPos[user.Payment])
	return list, total, faulty(err)
}

// paymentColumns are user.Payment's, in its order.
const paymentColumns = `p.payment_intent_id, p.topup_id, t.user_id, p.paid, p.currency, p.refunded, p.taken_back, p.created_at,
	(SELECT coalesce(jsonb_agg(jsonb_build_object('kind', kind, 'subject', subject, 'amount', amount, 'currency', currency, 'created_at', created_at,
		'resolved_at', resolved_at, 'resolved_by', resolved_by, 'reason', reason) ORDER BY created_at, kind, subject), '[]')
	 FROM payment_anomalies a WHERE a.payment_intent_id = p.payment_intent_id)`

// Resolve notes that a person has settled what did not fit about a payment, and why; what was settled before keeps its
// reason. It returns the payment; NOT_FOUND.
func (s *Store) Resolve(ctx context.Context, intent string, by uuid.UUID, reason string) (p user.Payment, err error) {
	err = s.tx(ctx, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			UPDATE payment_anomalies SET resolved_at = now(), resolved_by = $2, reason = $3
			WHERE payment_intent_id = $1 AND resolved_at IS NULL`, intent, by, reason)
		if err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `
			SELECT `+paymentColumns+` FROM payments p LEFT JOIN topups t ON t.topup_id = p.topup_id
			WHERE p.payment_intent_id = $1 AND EXISTS (SELECT FROM payment_anomalies a WHERE a.payment_intent_id = $1)`, intent)
		if err != nil {
			return err
		}
		list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[user.Payment])
		if err == nil && len(list) == 0 {
			return user.ErrNoAnomaly
		}
		if err == nil {
			p = list[0]
		}
		return err
	})
	return p, err
}
