package postgres

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// MostDebtors is how many debtors one reading gives.
const MostDebtors = 5000

// Debtor is a user who owes what Stripe took back, by a refund or a chargeback.
type Debtor struct {
	UserID uuid.UUID `json:"user_id"`
	Since  time.Time `json:"since"` // when the last of the debts that are open was made
}

// Debtors returns those whose id comes after this one, in the order of their ids, MostDebtors at most.
func (s *Store) Debtors(ctx context.Context, after uuid.UUID) ([]Debtor, error) {
	rows, err := s.pool.Query(ctx, `SELECT user_id, max(created_at) AS since FROM debts WHERE remaining > 0 AND target = 'stripe' AND user_id > $1
		GROUP BY user_id ORDER BY user_id LIMIT $2`, after, MostDebtors)
	if err != nil {
		return nil, faulty(err)
	}
	debtors, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Debtor])
	return debtors, faulty(err)
}
