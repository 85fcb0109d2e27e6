package postgres

import (
	"context"
	"errors"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	order "ticketremaster/order-service"
	"ticketremaster/platform/database"
	"ticketremaster/platform/web"
)

const listingColumns = `listing_id, seat_id, event_id, seller_user_id, asking_price, status, end_reason, transfer_id, created_at, updated_at`

func oneListing(rows pgx.Rows, err error) (order.Listing, error) {
	return one[order.Listing](rows, err, order.ErrListingNotFound)
}

// Listing returns a listing, or order.ErrListingNotFound.
func (s Store) Listing(ctx context.Context, id uuid.UUID) (order.Listing, error) {
	return oneListing(s.Pool.Query(ctx, `SELECT `+listingColumns+` FROM listings WHERE listing_id = $1`, id))
}

// List records a listing. One that exists already is returned as it is. It returns order.ErrListed while the seat has a
// live one, and order.ErrTransferInProgress while it has a live transfer.
func (s Store) List(ctx context.Context, r order.ListingRequest) (order.Listing, error) {
	args := pgx.NamedArgs{
		"id": r.ID, "seat": r.SeatID, "event": r.EventID, "seller": r.SellerUserID, "price": r.AskingPrice, "check": r.CheckFrom,
	}
	var b pgx.Batch
	b.Queue(lockSeat, args)
	b.Queue(`
		INSERT INTO listings (listing_id, seat_id, event_id, seller_user_id, asking_price, check_from)
		SELECT @id, @seat, @event, @seller, @price, @check
		WHERE NOT EXISTS (SELECT FROM transfers WHERE seat_id = @seat AND status IN ('INITIATED', 'PENDING_OTP', 'DISPUTED'))
		ON CONFLICT (listing_id) DO NOTHING`, args)
	b.Queue(`SELECT `+listingColumns+` FROM listings WHERE listing_id = @id`, args)
	results := s.Pool.SendBatch(ctx, &b)
	defer results.Close()
	for range b.Len() - 1 {
		if _, err := results.Exec(); database.Violates(err, "listings_one_live_per_seat") {
			return order.Listing{}, order.ErrListed
		} else if err != nil {
			return order.Listing{}, err
		}
	}
	l, err := oneListing(results.Query())
	if errors.Is(err, order.ErrListingNotFound) {
		err = order.ErrTransferInProgress
	}
	return l, errors.Join(err, results.Close())
}

// Listings returns a page of the listings that f lets through, newest first, and how many there are in all: where the
// page does not tell, as they were counted up to countLife ago.
func (s Store) Listings(ctx context.Context, f order.ListingFilter, page web.Page) ([]order.Listing, int, error) {
	w := where{conditions: []string{"true"}}
	w.id("event_id", f.EventID)
	w.id("seller_user_id", f.SellerUserID)
	w.id("seat_id", f.SeatID)
	w.status(string(f.Status))
	return list(ctx, s.Pool, s.counts.recent, "listings", listingColumns, "created_at DESC, listing_id DESC", w, page, pgx.RowToStructByName[order.Listing])
}

// Buy claims a listing for a buyer: of concurrent calls one wins, the others get order.ErrListingTaken. The transfer it
// begins waits for the seller's one-time password; the buyer has agreed by buying. A repeat answers the same.
func (s Store) Buy(ctx context.Context, p order.Purchase) (t order.Transfer, err error) {
	l, err := s.Listing(ctx, p.ListingID)
	switch {
	case err != nil:
		return t, err
	case l.Status != order.Active && (l.TransferID == nil || *l.TransferID != p.TransferID):
		return t, order.ErrListingTaken // under contention most calls end here, without a lock
	case l.SellerUserID == p.BuyerUserID:
		return t, order.ErrListingTaken
	}
	args := pgx.NamedArgs{"id": p.ListingID, "transfer": p.TransferID, "buyer": p.BuyerUserID, "expires": p.ExpiresAt, "seat": l.SeatID}
	err = database.BeginFenced(ctx, s.Pool, func(tx pgx.Tx) error {
		var b pgx.Batch
		b.Queue(`SELECT FROM listings WHERE listing_id = @id FOR UPDATE NOWAIT`, args) // a rush for one listing does not queue here
		b.Queue(lockSeat, args)
		b.Queue(`
			INSERT INTO transfers (transfer_id, seat_id, event_id, seller_user_id, buyer_user_id, initiated_by, status, credits_amount, expires_at, listing_id)
			SELECT @transfer, seat_id, event_id, seller_user_id, @buyer, @buyer, 'INITIATED', asking_price, @expires, listing_id
			FROM listings WHERE listing_id = @id AND status = 'ACTIVE'
			ON CONFLICT (transfer_id) DO NOTHING`, args)
		b.Queue(`
			UPDATE transfers SET status = 'PENDING_OTP', buyer_otp_verified = true
			WHERE transfer_id = @transfer AND listing_id = @id AND buyer_user_id = @buyer AND status = 'INITIATED'`, args)
		b.Queue(`
			UPDATE listings SET status = 'PENDING_TRANSFER', transfer_id = @transfer, updated_at = now()
			WHERE listing_id = @id AND status = 'ACTIVE'
			AND EXISTS (SELECT FROM transfers WHERE transfer_id = @transfer AND listing_id = @id AND status = 'PENDING_OTP')`, args)
		b.Queue(`SELECT `+transferColumns+` FROM transfers WHERE transfer_id = @transfer AND listing_id = @id AND buyer_user_id = @buyer AND status <> 'FAILED'`, args)
		results := tx.SendBatch(ctx, &b)
		defer results.Close()
		for range b.Len() - 1 {
			if _, err := results.Exec(); database.Violates(err, "transfers_one_live_per_seat") {
				return order.ErrTransferInProgress
			} else if database.State(err) == database.LockNotAvailable {
				return order.ErrListingTaken
			} else if err != nil {
				return err
			}
		}
		t, err = oneTransfer(results.Query())
		if errors.Is(err, order.ErrTransferNotFound) {
			err = order.ErrListingTaken
		}
		return errors.Join(err, results.Close())
	})
	return t, err
}

// AbortBuy undoes Buy for the reason given, unless the swap has begun: then it returns order.ErrTransferInvalidState.
// Before the call that it undoes it leaves a transfer that has failed, so that the late one is refused.
func (s Store) AbortBuy(ctx context.Context, p order.Purchase, reason string) (order.Transfer, error) {
	l, err := s.Listing(ctx, p.ListingID)
	if err != nil {
		return order.Transfer{}, err
	}
	var t order.Transfer
	err = database.BeginFenced(ctx, s.Pool, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			INSERT INTO transfers (transfer_id, seat_id, event_id, seller_user_id, buyer_user_id, initiated_by, status, credits_amount, expires_at, listing_id, failure_reason, refused)
			VALUES ($1, $2, $3, $4, $5, $5, 'FAILED', $6, now(), $7, $8, true) ON CONFLICT (transfer_id) DO NOTHING`,
			p.TransferID, l.SeatID, l.EventID, l.SellerUserID, p.BuyerUserID, l.AskingPrice, l.ID, reason)
		if err != nil {
			return err
		}
		t, err = move(ctx, tx, &pgx.Batch{}, p.TransferID, order.Move{Action: order.AbortPurchase, Reason: reason})
		return err
	})
	return t, err
}

// EndListing cancels an active listing for the reason given. A repeat answers the same; it returns
// order.ErrListingTaken once it is bought.
func (s Store) EndListing(ctx context.Context, id uuid.UUID, reason string) (order.Listing, error) {
	if _, err := s.Pool.Exec(ctx, `
		UPDATE listings SET status = 'CANCELLED', end_reason = $2, updated_at = now() WHERE listing_id = $1 AND status = 'ACTIVE'`, id, reason); err != nil {
		return order.Listing{}, err
	}
	l, err := s.Listing(ctx, id)
	if err == nil && l.Status != order.Cancelled {
		err = order.ErrListingTaken
	}
	return l, err
}

// EndListingsOfEvent cancels up to limit active listings of an event and returns how many; fewer than limit were the
// last.
func (s Store) EndListingsOfEvent(ctx context.Context, event uuid.UUID, reason string, limit int) (int64, error) {
	tag, err := s.Pool.Exec(ctx, `
		UPDATE listings SET status = 'CANCELLED', end_reason = $2, updated_at = now()
		WHERE listing_id IN (SELECT listing_id FROM listings WHERE event_id = $1 AND status = 'ACTIVE' LIMIT $3)`, event, reason, limit)
	return tag.RowsAffected(), err
}

// ListingsToCheck returns up to limit active listings whose ticket may have been used, or whose event may be over,
// those first that were looked at longest ago, and none that was within half a minute. Replicas that ask at once get
// different ones.
func (s Store) ListingsToCheck(ctx context.Context, limit int) ([]order.Listing, error) {
	rows, err := s.Pool.Query(ctx, `
		UPDATE listings SET checked_at = now() WHERE listing_id IN (
			SELECT listing_id FROM listings WHERE status = 'ACTIVE' AND checked_at < now() - interval '30 seconds' AND check_from < now()
			ORDER BY checked_at LIMIT $1 FOR UPDATE SKIP LOCKED)
		RETURNING `+listingColumns, limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[order.Listing])
}
