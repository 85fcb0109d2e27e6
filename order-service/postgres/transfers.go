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

const transferColumns = `transfer_id, seat_id, event_id, seller_user_id, buyer_user_id, initiated_by, status, seller_otp_verified, buyer_otp_verified,
	credits_amount, dispute_id, disputed_by, dispute_reason, failure_reason, swapping, reversal_id, expires_at, created_at, completed_at`

const getTransfer = `SELECT ` + transferColumns + ` FROM transfers WHERE transfer_id = $1`

// lockSeat lets one thing at a time happen to the set of a seat's transfers: a new one, or a dispute that ends later ones.
// It comes before any row's lock.
const lockSeat = `SELECT pg_advisory_xact_lock(hashtextextended(@seat::uuid::text, 0))`

func oneTransfer(rows pgx.Rows, err error) (order.Transfer, error) {
	if err != nil {
		return order.Transfer{}, err
	}
	t, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[order.Transfer])
	if errors.Is(err, pgx.ErrNoRows) {
		err = order.ErrTransferNotFound
	}
	return t, err
}

// Transfer returns a transfer, or order.ErrTransferNotFound.
func (s Store) Transfer(ctx context.Context, id uuid.UUID) (order.Transfer, error) {
	return oneTransfer(s.Pool.Query(ctx, getTransfer, id))
}

// Initiate writes down a transfer. One that exists already is returned as it is. It returns order.ErrTransferInProgress while another
// one of the seat is live, unless this one is written down as failed.
func (s Store) Initiate(ctx context.Context, r order.TransferRequest) (order.Transfer, error) {
	var b pgx.Batch
	b.Queue(lockSeat, pgx.NamedArgs{"seat": r.SeatID})
	b.Queue(`
		INSERT INTO transfers (transfer_id, seat_id, event_id, seller_user_id, buyer_user_id, initiated_by, status, credits_amount, failure_reason, expires_at)
		VALUES ($1, $2, $3, $4, $5, $6, CASE WHEN $8 = '' THEN 'INITIATED'::transfer_status ELSE 'FAILED' END, $7, NULLIF($8, ''), $9)
		ON CONFLICT (transfer_id) DO NOTHING`,
		r.ID, r.SeatID, r.EventID, r.SellerUserID, r.BuyerUserID, r.InitiatedBy, r.CreditsAmount, r.FailureReason, r.ExpiresAt)
	b.Queue(getTransfer, r.ID)
	results := s.Pool.SendBatch(ctx, &b)
	defer results.Close()
	for range b.Len() - 1 {
		if _, err := results.Exec(); database.Violates(err, "transfers_one_live_per_seat") {
			return order.Transfer{}, order.ErrTransferInProgress
		} else if err != nil {
			return order.Transfer{}, err
		}
	}
	t, err := oneTransfer(results.Query())
	return t, errors.Join(err, results.Close())
}

// Move does one action, in one round trip, and returns the transfer as it is then. It returns order.ErrTransferNotFound,
// order.ErrTransferInvalidState with the present state, or order.ErrVoided for an operation that was undone. A dispute is Dispute's to do.
func (s Store) Move(ctx context.Context, id uuid.UUID, m order.Move) (order.Transfer, error) {
	return move(ctx, s.Pool, id, m)
}

// batcher is a pool or a transaction.
type batcher interface {
	SendBatch(context.Context, *pgx.Batch) pgx.BatchResults
}

// move locks the row, tries the action's arrow, and reads back what is: with the row locked each statement sees what
// the one before it saw, and the row's newest state.
func move(ctx context.Context, db batcher, id uuid.UUID, m order.Move) (order.Transfer, error) {
	arrow := transitions[m.Action]
	args := pgx.NamedArgs{"id": id, "operation": m.Operation, "by": m.By, "reason": m.Reason}
	var b pgx.Batch
	b.Queue(`SELECT FROM transfers WHERE transfer_id = @id FOR UPDATE`, args)
	b.Queue(`UPDATE transfers SET `+arrow.set+` WHERE transfer_id = @id AND NOT `+voided+` AND (`+arrow.from+`)`, args)
	b.Queue(`SELECT COALESCE(`+arrow.done+`, false) AS done, `+voided+` AS voided, `+transferColumns+` FROM transfers WHERE transfer_id = @id`, args)
	results := db.SendBatch(ctx, &b)
	defer results.Close()
	for range b.Len() - 1 {
		if _, err := results.Exec(); err != nil {
			return order.Transfer{}, err
		}
	}
	rows, err := results.Query()
	if err != nil {
		return order.Transfer{}, err
	}
	after, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[struct {
		Done, Voided bool
		order.Transfer
	}])
	if err := errors.Join(err, results.Close()); errors.Is(err, pgx.ErrNoRows) {
		return order.Transfer{}, order.ErrTransferNotFound
	} else if err != nil {
		return order.Transfer{}, err
	}
	switch {
	case after.Done:
		return after.Transfer, nil
	case after.Voided:
		return after.Transfer, order.ErrVoided
	}
	return after.Transfer, order.InvalidTransferState(after.Status)
}

// Dispute freezes a completed transfer, and ends the live transfer by which the ticket was being handed on, if there is one, which it
// returns too; a repeat answers the same. Beside what Move refuses, order.ErrTransferInvalidState says that the ticket was handed on, or is in this moment.
func (s Store) Dispute(ctx context.Context, id uuid.UUID, m order.Move) (t order.Transfer, cancelled *order.Transfer, err error) {
	// All or nothing: a dispute that is refused must not end the other transfer.
	err = pgx.BeginFunc(ctx, s.Pool, func(tx pgx.Tx) error {
		if t, err = oneTransfer(tx.Query(ctx, getTransfer, id)); err != nil {
			return err
		}
		if m.By != t.SellerUserID && m.By != t.BuyerUserID {
			return order.ErrNotParty
		}
		args := pgx.NamedArgs{"id": id, "seat": t.SeatID, "operation": m.Operation}
		if _, err := tx.Exec(ctx, lockSeat, args); err != nil {
			return err
		}
		// A live one beside a completed one is later. While it swaps it stays, and the dispute is refused; it stays, too, when this is a repeat.
		if _, err := tx.Exec(ctx, `
			UPDATE transfers AS later SET status = 'FAILED', failure_reason = 'an earlier transfer of this ticket is disputed', cancelled_by = @operation
			FROM transfers AS disputed
			WHERE disputed.transfer_id = @id AND disputed.status = 'COMPLETED' AND later.seat_id = disputed.seat_id
			AND later.status IN ('INITIATED', 'PENDING_OTP') AND NOT later.swapping`, args); err != nil {
			return err
		}
		if t, err = move(ctx, tx, id, m); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `SELECT `+transferColumns+` FROM transfers WHERE cancelled_by = @operation`, args)
		if err != nil {
			return err
		}
		found, err := pgx.CollectRows(rows, pgx.RowToAddrOfStructByName[order.Transfer])
		if len(found) > 0 {
			cancelled = found[0]
		}
		return err
	})
	return t, cancelled, err
}

// Transfers returns a page of the transfers that f lets through, newest first, and how many there are in all.
func (s Store) Transfers(ctx context.Context, f order.TransferFilter, page web.Page) ([]order.Transfer, int, error) {
	var w where
	switch {
	case f.UserID != nil && f.Role == "":
		w.add("(seller_user_id = $%d OR buyer_user_id = $%d)", *f.UserID)
	case f.UserID != nil:
		w.id(f.Role+"_user_id", f.UserID)
	}
	w.id("seat_id", f.SeatID)
	if len(f.Statuses) > 0 {
		w.add("status = ANY ($%d::text[]::transfer_status[])", f.Statuses)
	}
	return list(ctx, s.Pool, "transfers", transferColumns, "created_at DESC, transfer_id DESC", w, page, pgx.RowToStructByName[order.Transfer])
}

// OverdueTransfers returns up to limit live transfers whose time is over and that are not swapping, oldest first.
func (s Store) OverdueTransfers(ctx context.Context, limit int) ([]order.Transfer, error) {
	rows, err := s.Pool.Query(ctx, `SELECT `+transferColumns+` FROM transfers
		WHERE status IN ('INITIATED', 'PENDING_OTP') AND NOT swapping AND expires_at < now() ORDER BY expires_at LIMIT $1`, limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[order.Transfer])
}
