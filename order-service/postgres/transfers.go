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
	credits_amount, dispute_id, disputed_by, dispute_reason, failure_reason, swapping, reversal_id, expires_at, created_at, completed_at, refused, listing_id`

const getTransfer = `SELECT ` + transferColumns + ` FROM transfers WHERE transfer_id = $1`

// lockSeat serialises changes to the set of a seat's transfers: a new one, or a dispute that ends later ones. It is
// taken before any row lock.
const lockSeat = `SELECT pg_advisory_xact_lock(hashtextextended(@seat::uuid::text, 0))`

func oneTransfer(rows pgx.Rows, err error) (order.Transfer, error) {
	return one[order.Transfer](rows, err, order.ErrTransferNotFound)
}

// Transfer returns a transfer, or order.ErrTransferNotFound.
func (s Store) Transfer(ctx context.Context, id uuid.UUID) (order.Transfer, error) {
	return oneTransfer(s.Pool.Query(ctx, getTransfer, id))
}

// Initiate records a transfer. One that exists already is returned as it is. It returns order.ErrTransferInProgress
// while another one of the seat is live, unless this one is recorded as failed.
func (s Store) Initiate(ctx context.Context, r order.TransferRequest) (order.Transfer, error) {
	var b pgx.Batch
	b.Queue(lockSeat, pgx.NamedArgs{"seat": r.SeatID})
	b.Queue(`
		INSERT INTO transfers (transfer_id, seat_id, event_id, seller_user_id, buyer_user_id, initiated_by, status, credits_amount, failure_reason, expires_at, refused)
		VALUES ($1, $2, $3, $4, $5, $6, CASE WHEN $8 = '' THEN 'INITIATED'::transfer_status ELSE 'FAILED' END, $7, NULLIF($8, ''), $9, $8 <> '')
		ON CONFLICT (transfer_id) DO NOTHING`,
		r.ID, r.SeatID, r.EventID, r.SellerUserID, r.BuyerUserID, r.InitiatedBy, r.CreditsAmount, r.FailureReason, r.ExpiresAt)
	b.Queue(endOffer, r.ID, order.OfferMade, r.FailureReason == "")
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

// Move does one action, in one round trip, and returns the transfer as it is then. It returns
// order.ErrTransferNotFound, order.ErrTransferInvalidState with the present state, or order.ErrVoided for an operation
// that was undone. Disputes go through Dispute.
func (s Store) Move(ctx context.Context, id uuid.UUID, m order.Move) (order.Transfer, error) {
	b, err := database.FencedBatch(ctx, s.Pool)
	if err != nil {
		return order.Transfer{}, err
	}
	return move(ctx, s.Pool, b, id, m)
}

// batcher is a pool or a transaction.
type batcher interface {
	SendBatch(context.Context, *pgx.Batch) pgx.BatchResults
}

// move locks the row, tries the action's transition, and reads the result: with the row locked each statement sees the
// row's newest state. b is a batch that has what must come first.
func move(ctx context.Context, db batcher, b *pgx.Batch, id uuid.UUID, m order.Move) (order.Transfer, error) {
	arrow := transitions[m.Action]
	args := pgx.NamedArgs{"id": id, "operation": m.Operation, "by": m.By, "reason": m.Reason, "ending": m.Ending}
	b.Queue(`SELECT FROM transfers WHERE transfer_id = @id FOR UPDATE`, args)
	update := `UPDATE transfers SET ` + arrow.set + ` WHERE transfer_id = @id AND NOT ` + voided + ` AND (` + arrow.from + `)`
	if arrow.void { // the mark is left only if the action is allowed
		update = `WITH moved AS (` + update + ` RETURNING transfer_id), mark AS (` + leaveMark + `) SELECT FROM moved`
	}
	b.Queue(update, args)
	b.Queue(`SELECT COALESCE(`+arrow.done+`, false) AS done, `+voided+` AS voided, `+transferColumns+` FROM transfers WHERE transfer_id = @id`, args)
	results := db.SendBatch(ctx, b)
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

// Dispute freezes a completed transfer, and ends the live onward transfer of the ticket, if there is one, which it
// returns too; a repeat answers the same. Beside what Move refuses, order.ErrTransferInvalidState says that the ticket
// was transferred onward, or is being transferred.
func (s Store) Dispute(ctx context.Context, id uuid.UUID, m order.Move) (t order.Transfer, cancelled *order.Transfer, err error) {
	// All or nothing: a refused dispute must not end the other transfer.
	err = database.BeginFenced(ctx, s.Pool, func(tx pgx.Tx) error {
		if t, err = oneTransfer(tx.Query(ctx, getTransfer, id)); err != nil {
			return err
		}
		if m.By != t.SellerUserID && m.By != t.BuyerUserID {
			return order.ErrNotParty
		}
		args := pgx.NamedArgs{"id": id, "seat": t.SeatID, "operation": m.Operation, "by": m.By}
		if _, err := tx.Exec(ctx, lockSeat, args); err != nil {
			return err
		}
		before, err := disputesOf(ctx, tx, id, m)
		if err != nil {
			return err
		}
		status := t.Status
		// A live one beside a completed one is later. While it swaps it stays, and the dispute is refused; it stays,
		// too, when this is a repeat, and when the party has ended one before: it could block the ticket for ever
		// otherwise.
		if _, err := tx.Exec(ctx, `
			UPDATE transfers AS later SET status = 'FAILED', failure_reason = 'an earlier transfer of this ticket is disputed', cancelled_by = @operation
			FROM transfers AS disputed
			WHERE NOT EXISTS (SELECT FROM transfer_operations AS o WHERE o.transfer_id = @id AND o.raised_by = @by AND o.ending IS DISTINCT FROM 'UNDONE')
			AND disputed.transfer_id = @id AND disputed.status = 'COMPLETED' AND later.seat_id = disputed.seat_id
			AND later.status IN ('INITIATED', 'PENDING_OTP') AND NOT later.swapping`, args); err != nil {
			return err
		}
		if t, err = move(ctx, tx, &pgx.Batch{}, id, m); err != nil {
			return err
		}
		if err := before.allow(status); err != nil { // a refusal by the state takes precedence; this rolls back all of the above
			return err
		}
		if _, err := tx.Exec(ctx, `
			INSERT INTO transfer_operations (operation_id, transfer_id, raised_by, raised_at) VALUES (@operation, @id, @by, now())
			ON CONFLICT DO NOTHING`, args); err != nil {
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

// disputes is what a party has raised of one transfer, the present dispute left out.
type disputes struct {
	Raised         int  // without those that were undone because they could not be recorded whole
	WithdrewLately bool // within the last hour
}

func disputesOf(ctx context.Context, tx pgx.Tx, transfer uuid.UUID, m order.Move) (disputes, error) {
	rows, err := tx.Query(ctx, `
		SELECT count(*) AS raised, coalesce(bool_or(ending = 'WITHDRAWN' AND voided_at > now() - interval '1 hour'), false) AS withdrew_lately
		FROM transfer_operations WHERE transfer_id = $1 AND raised_by = $2 AND operation_id <> $3 AND ending IS DISTINCT FROM 'UNDONE'`,
		transfer, m.By, m.Operation)
	if err != nil {
		return disputes{}, err
	}
	return pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[disputes])
}

// allow refuses a party's next dispute of a completed transfer. Each party has a count of its own, so that neither can
// use up the other's.
func (d disputes) allow(status order.TransferStatus) error {
	switch {
	case status != order.Completed:
		return nil // the state machine decides: it may be a repeat
	case d.WithdrewLately:
		return order.ErrDisputeWithdrawn
	case d.Raised >= order.MaxDisputes:
		return order.ErrTooManyDisputes
	}
	return nil
}

// Transfers returns a page of the transfers that f lets through, newest first, and how many there are in all.
func (s Store) Transfers(ctx context.Context, f order.TransferFilter, page web.Page) ([]order.Transfer, int, error) {
	var w where
	switch {
	case f.UserID != nil && f.Role == "":
		w.add("(seller_user_id = $%d OR buyer_user_id = $%d) AND (NOT refused OR initiated_by = $%d)", *f.UserID)
	case f.UserID != nil:
		w.add(f.Role+"_user_id = $%d AND (NOT refused OR initiated_by = $%d)", *f.UserID)
	}
	w.id("seat_id", f.SeatID)
	if len(f.Statuses) > 0 {
		w.add("status = ANY ($%d::text[]::transfer_status[])", f.Statuses)
	}
	return list(ctx, s.Pool, countNow, "transfers", transferColumns, "created_at DESC, transfer_id DESC", w, page, pgx.RowToStructByName[order.Transfer])
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
