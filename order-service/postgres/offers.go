package postgres

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	order "ticketremaster/order-service"
)

// endOffer settles an offer ($1) as $2 if $3.
const endOffer = `UPDATE offers SET outcome = $2::offer_outcome WHERE offer_id = $1 AND $3 AND outcome IS NULL`

// BeginOffer counts an offer before it is checked, so that many at once are counted too. It returns
// order.ErrTooManyOffers when the user had order.MaxRefusedOffers refused within an hour; what is still being checked
// counts for a minute. A repeat answers the same.
func (s Store) BeginOffer(ctx context.Context, id, user uuid.UUID) error {
	var b pgx.Batch
	b.Queue(`SELECT pg_advisory_xact_lock(hashtextextended($1::uuid::text, 1))`, user)
	b.Queue(`DELETE FROM offers WHERE user_id = $1 AND created_at < now() - interval '1 day'`, user)
	b.Queue(`
		INSERT INTO offers (offer_id, user_id)
		SELECT $1, $2 WHERE (
			SELECT count(*) FROM offers WHERE user_id = $2 AND offer_id <> $1 AND (
				outcome = 'REFUSED' AND created_at > now() - interval '1 hour' OR
				outcome IS NULL AND created_at > now() - interval '1 minute')) < $3
		ON CONFLICT (offer_id) DO UPDATE SET user_id = excluded.user_id`, id, user, order.MaxRefusedOffers)
	results := s.Pool.SendBatch(ctx, &b)
	defer results.Close()
	for range 2 {
		if _, err := results.Exec(); err != nil {
			return err
		}
	}
	tag, err := results.Exec()
	if err == nil && tag.RowsAffected() == 0 {
		err = order.ErrTooManyOffers
	}
	return err
}

// RefuseOffer settles an offer as refused; one that is settled, or was never begun, is left as it is.
func (s Store) RefuseOffer(ctx context.Context, id uuid.UUID) error {
	_, err := s.Pool.Exec(ctx, endOffer, id, order.OfferRefused, true)
	return err
}
