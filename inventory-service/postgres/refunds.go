package postgres

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"ticketremaster/platform/database"

	inventory "ticketremaster/inventory-service"
)

// voidTicket makes a ticket void. A repeat under the same refund answers the seat as it is, even when it is free again.
const voidTicket = `
WITH voided AS (
	UPDATE seats SET void_id = $3, qr_code_hash = NULL, updated_at = clock_timestamp()
	WHERE seat_id = $1 AND hold_id = $2 AND status = 'SOLD' AND void_id IS NULL
		AND NOT EXISTS (SELECT FROM seat_ownership WHERE operation_id = $3)
	RETURNING *
), seat AS (
	SELECT * FROM voided UNION ALL SELECT * FROM seats WHERE seat_id = $1 AND NOT EXISTS (SELECT FROM voided)
)
SELECT EXISTS (SELECT FROM voided) OR void_id IS NOT DISTINCT FROM $3 OR EXISTS (SELECT FROM seat_ownership WHERE operation_id = $3), ` + columns + ` FROM seat`

// Void makes a SOLD ticket void for its refund: it cannot be shown, used or handed on any more. The refusals are inventory.Voiding's.
func (s *Store) Void(ctx context.Context, v inventory.Voiding) (inventory.Seat, error) {
	type answer struct {
		done bool
		row  seatRow
	}
	a, err := decide(ctx, s, lockSeat, v.SeatID, voidTicket, func(row pgx.CollectableRow) (a answer, err error) {
		err = row.Scan(a.row.into(&a.done)...)
		return a, err
	}, v.SeatID, v.OrderID, v.RefundID)
	if err != nil {
		return inventory.Seat{}, err
	}
	seat := a.row.seat()
	if !a.done {
		return inventory.Seat{}, v.Refusal(seat)
	}
	return seat, nil
}

const restore = `
UPDATE seats SET void_id = NULL, updated_at = clock_timestamp()
FROM unnest($1::uuid[], $2::uuid[]) AS given (seat, refund)
WHERE seat_id = seat AND void_id = refund AND refunded_at IS NULL`

// Restore makes tickets valid again whose refunds were given up; what is settled stays as it is. Tickets and refunds stand in pairs.
func (s *Store) Restore(ctx context.Context, seats, refunds []uuid.UUID) error {
	return s.exec(ctx, restore, seats, refunds)
}

// exec runs one statement of a saga's step.
func (s *Store) exec(ctx context.Context, sql string, args ...any) error {
	return translate(database.BeginFenced(ctx, s.pool, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, sql, args...)
		return err
	}))
}

// freeTicket ends a refund: the seat is for sale again, or blocked. The chain of custody has the refund as its last link.
const freeTicket = `
WITH ticket AS (
	SELECT seat_id, owner_user_id, ownership_version FROM seats WHERE seat_id = $1 AND void_id = $2
), freed AS (
	UPDATE seats SET status = 'AVAILABLE', owner_user_id = NULL, hold_id = NULL, price_paid = NULL, sold_at = NULL, qr_code_hash = NULL,
		void_id = NULL, refunded_at = NULL, ownership_version = seats.ownership_version + 1, blocked = $3, updated_at = clock_timestamp()
	FROM ticket WHERE seats.seat_id = ticket.seat_id
	RETURNING seats.seat_id, seats.ownership_version
), noted AS (
	INSERT INTO seat_ownership (operation_id, seat_id, from_user_id, to_user_id, cause, version, at)
	SELECT $2, freed.seat_id, owner_user_id, NULL, 'REFUND', freed.ownership_version, clock_timestamp() FROM freed JOIN ticket USING (seat_id)
), unpinned AS (
	UPDATE pins SET refunded = true, updated_at = clock_timestamp()
	FROM freed WHERE pins.seat_id = freed.seat_id AND state = 'CONFIRMED' AND NOT refunded
)
SELECT EXISTS (SELECT FROM freed) OR EXISTS (SELECT FROM seat_ownership WHERE operation_id = $2)`

// Free puts the seat of a void ticket on sale again, or blocks it; a repeat changes nothing. TICKET_NOT_SOLD if the ticket is not
// void by this refund.
func (s *Store) Free(ctx context.Context, seat, refund uuid.UUID, blocked bool) error {
	freed, err := decide(ctx, s, lockSeat, seat, freeTicket, pgx.RowTo[bool], seat, refund, blocked)
	if err == nil && !freed {
		err = inventory.ErrNoTicket
	}
	return err
}

// closeEvent blocks all that can still be sold of an event and gives its holds back, but those that are being paid for.
const closeEvent = `
WITH closed AS (
	UPDATE seats SET blocked = true, updated_at = clock_timestamp(),
		status = CASE WHEN pin_id IS NULL THEN 'AVAILABLE' ELSE status END,
		held_by_user_id = CASE WHEN pin_id IS NOT NULL THEN held_by_user_id END,
		held_until = CASE WHEN pin_id IS NOT NULL THEN held_until END,
		hold_id = CASE WHEN pin_id IS NOT NULL THEN hold_id END
	FROM (SELECT seat_id, status = 'HELD' AS held FROM seats WHERE event_id = $1 AND sold_at IS NULL
		AND (NOT blocked OR status = 'HELD' AND pin_id IS NULL) ORDER BY seat_id FOR NO KEY UPDATE) AS open
	WHERE seats.seat_id = open.seat_id
	RETURNING open.held AND pin_id IS NULL AS released
)
SELECT count(*) FILTER (WHERE released) FROM closed`

// CloseEvent stops the sale of an event for good: it blocks every seat that is not sold and gives the holds back. What is being paid
// for it leaves and counts: it is repeated until there is none.
func (s *Store) CloseEvent(ctx context.Context, event uuid.UUID) (c inventory.Closing, err error) {
	err = s.bulk(ctx, event, func(ctx context.Context, tx pgx.Tx) error {
		if err := tx.QueryRow(ctx, closeEvent, event).Scan(&c.Released); err != nil {
			return err
		}
		return tx.QueryRow(ctx, `SELECT count(*) FROM seats WHERE event_id = $1 AND held_until IS NOT NULL AND sold_at IS NULL AND pin_id IS NOT NULL`,
			event).Scan(&c.Pinned)
	})
	return c, translate(err)
}

// voidSome makes the next tickets of a cancelled event void, each under a refund of its own. What is void already and not settled is
// given again: whoever refunds it goes on there.
const voidSome = `
UPDATE seats SET void_id = coalesce(void_id, gen_random_uuid()), qr_code_hash = NULL, updated_at = clock_timestamp()
FROM (SELECT seat_id AS next_id FROM seats WHERE event_id = $1 AND sold_at IS NOT NULL AND refunded_at IS NULL AND seat_id <> ALL ($2::uuid[])
	ORDER BY seat_id LIMIT $3 FOR NO KEY UPDATE) AS next
WHERE seat_id = next_id
RETURNING ` + columns

// VoidSome makes at most limit tickets of an event void, but for those in spare, and gives all of the event's void tickets that are not
// settled, as many as limit.
func (s *Store) VoidSome(ctx context.Context, event uuid.UUID, spare []uuid.UUID, limit int) (seats []inventory.Seat, err error) {
	err = database.BeginFenced(ctx, s.pool, func(tx pgx.Tx) error {
		seats, err = readSeats(tx.Query(ctx, voidSome, event, spare, limit))
		return err
	})
	return seats, translate(err)
}

const settle = `
UPDATE seats SET refunded_at = clock_timestamp(), updated_at = clock_timestamp()
FROM unnest($1::uuid[], $2::uuid[]) AS given (seat, refund)
WHERE seat_id = seat AND void_id = refund AND refunded_at IS NULL`

// Settle marks void tickets whose owners have their credits. Tickets and refunds stand in pairs; a repeat changes nothing.
func (s *Store) Settle(ctx context.Context, seats, refunds []uuid.UUID) error {
	return s.exec(ctx, settle, seats, refunds)
}

// Unsettled adds up what a cancellation has still to refund, and what it has refunded.
func (s *Store) Unsettled(ctx context.Context, event uuid.UUID) (u inventory.Unsettled, err error) {
	err = s.pool.QueryRow(ctx, `
		SELECT count(*) FILTER (WHERE refunded_at IS NULL), count(DISTINCT owner_user_id) FILTER (WHERE refunded_at IS NULL),
			coalesce((sum(price_paid) FILTER (WHERE refunded_at IS NULL) * 100)::bigint, 0), count(*) FILTER (WHERE refunded_at IS NOT NULL),
			(SELECT count(*) FROM seats WHERE event_id = $1 AND held_until IS NOT NULL AND sold_at IS NULL)
		FROM seats WHERE event_id = $1 AND sold_at IS NOT NULL`, event).Scan(&u.Tickets, &u.Owners, (*int64)(&u.Value), &u.Refunded, &u.Held)
	return u, translate(err)
}

// block changes all of the seats or, if one of them is held or sold, none.
const block = `
WITH given AS (
	SELECT seat_id, status, pin_id, held_until FROM seats WHERE event_id = $1 AND seat_id = ANY ($2::uuid[]) ORDER BY seat_id FOR NO KEY UPDATE
), usable AS (
	SELECT count(*) AS known, count(*) FILTER (WHERE status = 'AVAILABLE' OR status = 'HELD' AND pin_id IS NULL AND held_until <= clock_timestamp()) AS free FROM given
), changed AS (
	UPDATE seats SET ` + free + `, blocked = $3
	FROM given, usable WHERE seats.seat_id = given.seat_id AND usable.free = cardinality($2::uuid[]) AND seats.blocked <> $3
	RETURNING seats.seat_id
)
SELECT known, usable.free, (SELECT count(*) FROM changed) FROM usable`

// Block takes seats of an event off sale, or puts them back, all or none, and reports how many that changed. SEAT_NOT_FOUND if one is
// not the event's, SEATS_IN_USE if one is held or sold.
func (s *Store) Block(ctx context.Context, event uuid.UUID, seats []uuid.UUID, blocked bool) (changed int, err error) {
	var known, unused int
	err = database.BeginFenced(ctx, s.pool, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, block, event, seats, blocked).Scan(&known, &unused, &changed)
	})
	switch {
	case err != nil:
		return 0, translate(err)
	case known != len(seats):
		return 0, inventory.ErrSeatNotFound
	case unused != known:
		return 0, inventory.ErrSeatsInUse
	}
	return changed, nil
}
