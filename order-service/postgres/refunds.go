package postgres

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	order "ticketremaster/order-service"
	"ticketremaster/platform/database"
	"ticketremaster/platform/fault"
	"ticketremaster/platform/money"
)

const refundColumns = `refund_id, order_id, kind::text AS kind, amount, to_user_id, refunded_by, reason, created_at`

// owing is an order as a refund sees it, under its lock.
type owing struct {
	status         order.Status
	paid, returned money.Cents
	blocked        *fault.Error // by a transfer
}

// lockSeatsOf is lockSeat for the seats of several orders, in one order: of a dispute and a refund the second sees the first.
const lockSeatsOf = `SELECT pg_advisory_xact_lock(lock) FROM (
	SELECT DISTINCT hashtextextended(seat_id::text, 0) AS lock FROM orders WHERE order_id = ANY ($1) ORDER BY 1) AS locks`

// Refund records refunds of different orders, each by itself: one that is refused leaves the others alone. A repeat answers the refund
// as it is. The answers are in the order of the requests.
func (s Store) Refund(ctx context.Context, requests []order.RefundRequest) (results []order.RefundResult, err error) {
	err = database.BeginFenced(ctx, s.Pool, func(tx pgx.Tx) error {
		results = make([]order.RefundResult, len(requests))
		ids, orders := make([]uuid.UUID, len(requests)), make([]uuid.UUID, len(requests))
		for i, r := range requests {
			ids[i], orders[i] = r.ID, r.OrderID
		}
		if _, err := tx.Exec(ctx, lockSeatsOf, orders); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `SELECT FROM orders WHERE order_id = ANY ($1) ORDER BY order_id FOR UPDATE`, orders); err != nil {
			return err
		}
		known, err := refundsByID(ctx, tx, ids)
		if err != nil {
			return err
		}
		open, err := owings(ctx, tx, orders)
		if err != nil {
			return err
		}
		var accepted accepted
		for i, r := range requests {
			if done, ok := known[r.ID]; ok {
				results[i].Refund = &done
				if done.OrderID != r.OrderID {
					results[i] = order.RefundResult{Refusal: fault.Field("refund_id", "was used for another order")}
				}
				continue
			}
			amount, refusal := open[r.OrderID].refund(r)
			if refusal != nil {
				results[i].Refusal = refusal
				continue
			}
			accepted.add(r, amount)
		}
		if len(accepted.ids) == 0 {
			return nil
		}
		if err := accepted.write(ctx, tx); err != nil {
			return err
		}
		if known, err = refundsByID(ctx, tx, ids); err != nil {
			return err
		}
		for i, r := range requests {
			if done, ok := known[r.ID]; ok && results[i].Refusal == nil {
				results[i].Refund = &done
			}
		}
		return nil
	})
	return results, err
}

// refund decides over one request.
func (o owing) refund(r order.RefundRequest) (money.Cents, *fault.Error) {
	switch {
	case o.status == "":
		return 0, order.ErrNotFound
	case o.status != order.Confirmed:
		return 0, fault.From(order.InvalidState(o.status))
	case r.Kind == order.Whole && o.blocked != nil:
		return 0, o.blocked
	}
	amount, err := r.Amounts(o.paid, o.returned)
	if err != nil {
		return 0, fault.From(err)
	}
	return amount, nil
}

// accepted are refunds to be recorded, field by field: a batch of a cancellation is four statements, however many tickets
// it has.
type accepted struct {
	ids, orders, receivers []uuid.UUID
	kinds, reasons         []string
	amounts                []money.Cents
	by                     []pgtype.UUID
	wholes                 []uuid.UUID // orders that end
	endings                []string    // and why
}

func (a *accepted) add(r order.RefundRequest, amount money.Cents) {
	a.ids, a.orders, a.receivers = append(a.ids, r.ID), append(a.orders, r.OrderID), append(a.receivers, r.ToUserID)
	a.kinds, a.reasons, a.amounts = append(a.kinds, string(r.Kind)), append(a.reasons, r.Reason), append(a.amounts, amount)
	a.by = append(a.by, pgtype.UUID{Bytes: r.By, Valid: r.By != uuid.Nil})
	if r.Kind == order.Whole {
		a.wholes, a.endings = append(a.wholes, r.OrderID), append(a.endings, r.Reason)
	}
}

// write records them; with the whole price an order ends, and with it what was offered of its ticket.
func (a *accepted) write(ctx context.Context, tx pgx.Tx) error {
	var b pgx.Batch
	b.Queue(`INSERT INTO order_refunds (refund_id, order_id, kind, amount, to_user_id, refunded_by, reason)
		SELECT id, "order", kind::refund_kind, amount, receiver, by, reason
		FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::numeric[], $5::uuid[], $6::uuid[], $7::text[]) AS r (id, "order", kind, amount, receiver, by, reason)`,
		a.ids, a.orders, a.kinds, a.amounts, a.receivers, a.by, a.reasons)
	if len(a.wholes) > 0 {
		b.Queue(`UPDATE orders SET status = 'REFUNDED', failure_reason = reason FROM unnest($1::uuid[], $2::text[]) AS r (id, reason) WHERE order_id = id`, a.wholes, a.endings)
		b.Queue(`UPDATE transfers SET status = 'FAILED', failure_reason = 'TICKET_REFUNDED'
			WHERE seat_id IN (SELECT seat_id FROM orders WHERE order_id = ANY ($1)) AND status IN ('INITIATED', 'PENDING_OTP') AND NOT swapping`, a.wholes)
		b.Queue(`UPDATE listings SET status = 'CANCELLED', end_reason = 'TICKET_REFUNDED', updated_at = now()
			WHERE seat_id IN (SELECT seat_id FROM orders WHERE order_id = ANY ($1)) AND status = 'ACTIVE'`, a.wholes)
	}
	return tx.SendBatch(ctx, &b).Close()
}

func refundsByID(ctx context.Context, tx pgx.Tx, ids []uuid.UUID) (map[uuid.UUID]order.Refund, error) {
	rows, err := tx.Query(ctx, `SELECT `+refundColumns+` FROM order_refunds WHERE refund_id = ANY ($1)`, ids)
	if err != nil {
		return nil, err
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[order.Refund])
	known := make(map[uuid.UUID]order.Refund, len(list))
	for _, r := range list {
		known[r.ID] = r
	}
	return known, err
}

// owings reads the orders. What a swap or a listing's buyer has in escrow must end by its own flow first.
func owings(ctx context.Context, tx pgx.Tx, ids []uuid.UUID) (map[uuid.UUID]owing, error) {
	rows, err := tx.Query(ctx, `
		SELECT o.order_id, o.status::text, o.credits_charged, coalesce((SELECT sum(amount) FROM order_refunds r WHERE r.order_id = o.order_id), 0),
			EXISTS (SELECT FROM transfers t WHERE t.seat_id = o.seat_id AND t.status = 'DISPUTED'),
			EXISTS (SELECT FROM transfers t WHERE t.seat_id = o.seat_id AND (t.swapping OR t.listing_id IS NOT NULL AND t.status IN ('INITIATED', 'PENDING_OTP')))
		FROM orders o WHERE o.order_id = ANY ($1)`, ids)
	if err != nil {
		return nil, err
	}
	open := make(map[uuid.UUID]owing, len(ids))
	var id uuid.UUID
	var o owing
	var disputed, moving bool
	_, err = pgx.ForEachRow(rows, []any{&id, (*string)(&o.status), &o.paid, &o.returned, &disputed, &moving}, func() error {
		switch o.blocked = nil; {
		case disputed:
			o.blocked = order.ErrTicketDisputed
		case moving:
			o.blocked = order.ErrTransferInProgress
		}
		open[id] = o
		return nil
	})
	return open, err
}

// Refunds returns an order's refunds, oldest first.
func (s Store) Refunds(ctx context.Context, id uuid.UUID) ([]order.Refund, error) {
	rows, err := s.Pool.Query(ctx, `SELECT `+refundColumns+` FROM order_refunds WHERE order_id = $1 ORDER BY created_at, refund_id`, id)
	if err != nil {
		return nil, err
	}
	return pgx.AppendRows([]order.Refund{}, rows, pgx.RowToStructByName[order.Refund])
}

// FailPending ends all unpaid orders of an event, and returns how many. A payment of one that is under way is refused then.
func (s Store) FailPending(ctx context.Context, event uuid.UUID, reason string) (n int64, err error) {
	err = database.BeginFenced(ctx, s.Pool, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `
			UPDATE orders SET status = 'FAILED', failure_reason = $2
			WHERE order_id IN (SELECT order_id FROM orders WHERE event_id = $1 AND status = 'PENDING' ORDER BY order_id FOR UPDATE)`, event, reason)
		n = tag.RowsAffected()
		return err
	})
	return n, err
}

// Unsettled returns the seats of an event whose tickets cannot be refunded yet: they are disputed, or changing hands.
func (s Store) Unsettled(ctx context.Context, event uuid.UUID) ([]uuid.UUID, error) {
	rows, err := s.Pool.Query(ctx, `SELECT DISTINCT seat_id FROM transfers
		WHERE event_id = $1 AND (status = 'DISPUTED' OR swapping OR listing_id IS NOT NULL AND status IN ('INITIATED', 'PENDING_OTP'))`, event)
	if err != nil {
		return nil, err
	}
	return pgx.AppendRows([]uuid.UUID{}, rows, pgx.RowTo[uuid.UUID])
}

// LiveTransfers returns at most limit transfers of an event that nobody has confirmed yet.
func (s Store) LiveTransfers(ctx context.Context, event uuid.UUID, limit int) ([]order.Transfer, error) {
	rows, err := s.Pool.Query(ctx, `SELECT `+transferColumns+` FROM transfers
		WHERE event_id = $1 AND status IN ('INITIATED', 'PENDING_OTP') AND NOT swapping ORDER BY transfer_id LIMIT $2`, event, limit)
	if err != nil {
		return nil, err
	}
	return pgx.AppendRows([]order.Transfer{}, rows, pgx.RowToStructByName[order.Transfer])
}
