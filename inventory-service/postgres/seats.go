package postgres

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"ticketremaster/platform/database"
	"ticketremaster/platform/fault"
	"ticketremaster/platform/money"

	inventory "ticketremaster/inventory-service"
)

// bulkTime bounds the making and deleting of a whole hall. It continues when its caller gives up, because a repeat
// would start again: the repeat waits for it and gets its answer.
const bulkTime = 30 * time.Second

// bulk runs work as one transaction, takes turns with all else that creates or deletes the event's seats, and gives it
// time.
func (s *Store) bulk(ctx context.Context, event uuid.UUID, work func(context.Context, pgx.Tx) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), bulkTime)
	defer cancel()
	b, err := database.FencedBatch(ctx, s.pool)
	if err != nil {
		return err
	}
	b.Queue(`SELECT pg_advisory_xact_lock(2, hashtext($1::uuid::text))`, event)
	b.Queue(`SELECT set_config('statement_timeout', $1, true)`, strconv.FormatInt(bulkTime.Milliseconds(), 10))
	return pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		if err := tx.SendBatch(ctx, b).Close(); err != nil {
			return err
		}
		return work(ctx, tx)
	})
}

// CreateSeats makes a checked plan's seats and returns their number. A repeat returns it again; another plan is
// SEATS_EXIST, and one whose seats were deleted OPERATION_VOIDED.
func (s *Store) CreateSeats(ctx context.Context, p inventory.Plan) (int, error) {
	err := s.bulk(ctx, p.EventID, func(ctx context.Context, tx pgx.Tx) error {
		var total, perRow *int
		var tiers []string
		var voided bool
		err := tx.QueryRow(ctx, `SELECT total_seats, seats_per_row, tiers, deleted_at IS NOT NULL FROM seat_plans WHERE event_id = $1 FOR UPDATE`, // so that a repeat waits as the first did
			p.EventID).Scan(&total, &perRow, &tiers, &voided)
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			return createSeats(ctx, tx, p)
		case err != nil:
			return err
		case voided:
			return inventory.ErrVoided
		case *total != p.Total || *perRow != p.SeatsPerRow || !slices.Equal(tiers, p.Tiers):
			return inventory.ErrSeatsExist
		}
		return nil
	})
	if err != nil {
		return 0, translate(err)
	}
	return p.Total, nil
}

func createSeats(ctx context.Context, tx pgx.Tx, p inventory.Plan) error {
	_, err := tx.Exec(ctx, `INSERT INTO seat_plans (event_id, total_seats, seats_per_row, tiers) VALUES ($1, $2, $3, $4)`,
		p.EventID, p.Total, p.SeatsPerRow, p.Tiers)
	if err != nil {
		return err
	}
	var rows [][]any
	for place := range p.Places() {
		id, err := inventory.NewSeatID(0)
		if err != nil {
			return err
		}
		rows = append(rows, []any{id, p.EventID, place.Tier, place.Row, place.Number})
	}
	return copySeats(ctx, tx, rows)
}

// AddRows makes rows behind a hall's last one, once per operation. SEATS_EXIST if the hall would become too large, SEAT_NOT_FOUND
// for an event that has no seats.
func (s *Store) AddRows(ctx context.Context, a inventory.Addition) (added inventory.Added, err error) {
	err = s.bulk(ctx, a.EventID, func(ctx context.Context, tx pgx.Tx) error {
		var of uuid.UUID
		err := tx.QueryRow(ctx, `SELECT event_id, seats, first_row, last_row FROM seat_additions WHERE operation_id = $1 FOR UPDATE`, a.OperationID).
			Scan(&of, &added.Seats, &added.FirstRow, &added.LastRow)
		switch {
		case err == nil && of != a.EventID:
			return fault.Field("operation_id", "was used for another event")
		case !errors.Is(err, pgx.ErrNoRows):
			return err
		}
		added, err = addRows(ctx, tx, a)
		return err
	})
	return added, translate(err)
}

func addRows(ctx context.Context, tx pgx.Tx, a inventory.Addition) (added inventory.Added, err error) {
	var last string
	var total int
	err = tx.QueryRow(ctx, `SELECT row_number, (SELECT total_seats + added_seats FROM seat_plans WHERE event_id = $1 AND deleted_at IS NULL)
		FROM seats WHERE event_id = $1 ORDER BY event_id DESC, length(row_number) DESC, row_number DESC, seat_number DESC LIMIT 1`, a.EventID).Scan(&last, &total)
	if err != nil {
		return added, err
	}
	added.Seats = a.Rows * a.SeatsPerRow
	if total+added.Seats > inventory.MaxSeats {
		return added, fault.Field("rows", "must leave the event with at most %d seats", inventory.MaxSeats)
	}
	first := inventory.RowIndex(last) + 1
	added.FirstRow, added.LastRow = inventory.RowName(first), inventory.RowName(first+a.Rows-1)
	var b pgx.Batch
	b.Queue(`UPDATE seat_plans SET added_seats = added_seats + $2 WHERE event_id = $1`, a.EventID, added.Seats)
	b.Queue(`INSERT INTO seat_additions (operation_id, event_id, seats, first_row, last_row) VALUES ($1, $2, $3, $4, $5)`,
		a.OperationID, a.EventID, added.Seats, added.FirstRow, added.LastRow)
	if err := tx.SendBatch(ctx, &b).Close(); err != nil {
		return added, err
	}
	var rows [][]any
	for i := range added.Seats {
		id, err := inventory.NewSeatID(0)
		if err != nil {
			return added, err
		}
		rows = append(rows, []any{id, a.EventID, a.Tier, inventory.RowName(first + i/a.SeatsPerRow), i%a.SeatsPerRow + 1})
	}
	return added, copySeats(ctx, tx, rows)
}

// copySeats makes seats of rows of id, event, tier, row and number.
func copySeats(ctx context.Context, tx pgx.Tx, rows [][]any) error {
	_, err := tx.CopyFrom(ctx, pgx.Identifier{"seats"}, []string{"seat_id", "event_id", "tier", "row_number", "seat_number"}, pgx.CopyFromRows(rows))
	return err
}

// DeleteSeats deletes an event's seats, returns their number, and leaves a mark that refuses a CreateSeats that comes
// late. A repeat answers the same number. SEATS_IN_USE once one of them was held, sold or scanned.
func (s *Store) DeleteSeats(ctx context.Context, event uuid.UUID) (int, error) {
	var planned int
	err := s.bulk(ctx, event, func(ctx context.Context, tx pgx.Tx) error {
		err := tx.QueryRow(ctx, `INSERT INTO seat_plans (event_id, deleted_at) VALUES ($1, now())
			ON CONFLICT (event_id) DO UPDATE SET deleted_at = coalesce(seat_plans.deleted_at, now())
			RETURNING coalesce(total_seats, 0)`, event).Scan(&planned)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `DELETE FROM seats WHERE event_id = $1`, event)
		return err
	})
	if database.Violates(err, "seats_delete_untouched") || database.Violates(err, "entry_logs_seat") {
		return 0, inventory.ErrSeatsInUse
	}
	return planned, translate(err)
}

// listSeats reads the index of places from where the last portion ended.
const listSeats = `SELECT ` + columns + ` FROM seats
	WHERE event_id = $1 AND (length(row_number), row_number, seat_number) > (length($2::text), $2::text COLLATE "C", $3)
	ORDER BY event_id, length(row_number), row_number, seat_number LIMIT $4`

// Seats returns at most limit of an event's seats by row, then number, from behind that place on (row "": from the
// first); none for an unknown event.
func (s *Store) Seats(ctx context.Context, event uuid.UUID, afterRow string, afterNumber, limit int) ([]inventory.Seat, error) {
	return readSeats(s.pool.Query(ctx, listSeats, event, afterRow, afterNumber, limit))
}

// listStatuses reads a whole hall as one text with a letter for each seat: a row each would cost five times as much. A seat that is not
// for sale reads HELD, so that clients that know the four statuses offer none.
const listStatuses = `
SELECT coalesce(string_agg(status, ''), '') FROM (
	SELECT CASE WHEN blocked AND sold_at IS NULL THEN 'H' WHEN status = 'HELD' AND pin_id IS NULL AND held_until <= clock_timestamp() THEN 'A'
		ELSE left(status::text, 1) END AS status
	FROM seats WHERE event_id = $1 ORDER BY event_id, length(row_number), row_number, seat_number
) AS seats`

// Statuses returns the first letter of the status of each of an event's seats, in the order of Seats.
func (s *Store) Statuses(ctx context.Context, event uuid.UUID) (letters string, err error) {
	err = s.pool.QueryRow(ctx, listStatuses, event).Scan(&letters)
	return letters, translate(err)
}

// SeatsByID returns the seats with these ids, in no order; unknown ids are left out.
func (s *Store) SeatsByID(ctx context.Context, ids []uuid.UUID) ([]inventory.Seat, error) {
	return readSeats(s.pool.Query(ctx, `SELECT `+columns+` FROM seats WHERE seat_id = ANY($1)`, ids))
}

// OwnedBy returns at most limit of the seats that a user owns now, newest first, after the first offset of them, and how many they
// are in all. They are counted only where the page does not tell.
func (s *Store) OwnedBy(ctx context.Context, user uuid.UUID, offset, limit int) (seats []inventory.Seat, total int, err error) {
	seats, err = readSeats(s.pool.Query(ctx, `SELECT `+columns+` FROM seats WHERE owner_user_id = $1
		ORDER BY sold_at DESC, seat_id LIMIT $2 OFFSET $3`, user, limit, offset))
	if total = offset + len(seats); err != nil || len(seats) < limit && (len(seats) > 0 || offset == 0) {
		return seats, total, err
	}
	err = s.pool.QueryRow(ctx, `SELECT count(*) FROM seats WHERE owner_user_id = $1`, user).Scan(&total)
	return seats, total, translate(err)
}

// Seat returns one seat, or SEAT_NOT_FOUND.
func (s *Store) Seat(ctx context.Context, id uuid.UUID) (inventory.Seat, error) {
	var r seatRow
	err := s.pool.QueryRow(ctx, `SELECT `+columns+` FROM seats WHERE seat_id = $1`, id).Scan(r.into()...)
	return r.seat(), translate(err)
}

// countSeats reads what is held and what is sold from partial indexes of that size, and who has entered from the log;
// the total is the plan's.
const countSeats = `
SELECT asked.event_id, coalesce(plan.total_seats + plan.added_seats, 0), held.n, sold.n, entered.n, (sold.revenue * 100)::bigint,
	blocked.n, void.n, (void.revenue * 100)::bigint
FROM unnest($1::uuid[]) AS asked (event_id)
LEFT JOIN seat_plans AS plan ON plan.event_id = asked.event_id AND plan.deleted_at IS NULL
CROSS JOIN LATERAL (
	SELECT count(*) AS n FROM seats
	WHERE event_id = asked.event_id AND held_until IS NOT NULL AND sold_at IS NULL AND (held_until > now() OR pin_id IS NOT NULL)
) AS held
CROSS JOIN LATERAL (
	SELECT count(*) AS n, coalesce(sum(price_paid), 0) AS revenue FROM seats WHERE event_id = asked.event_id AND sold_at IS NOT NULL
) AS sold
CROSS JOIN LATERAL (
	SELECT count(*) FILTER (WHERE direction = 'IN') - count(*) FILTER (WHERE direction = 'UNDO') AS n
	FROM entry_logs WHERE event_id = asked.event_id AND result = 'SUCCESS' AND NOT reentry
) AS entered
CROSS JOIN LATERAL (
	SELECT count(*) AS n FROM seats
	WHERE event_id = asked.event_id AND blocked AND sold_at IS NULL AND NOT (held_until IS NOT NULL AND (held_until > now() OR pin_id IS NOT NULL))
) AS blocked
CROSS JOIN LATERAL (
	SELECT count(*) AS n, coalesce(sum(price_paid), 0) AS revenue FROM seats WHERE event_id = asked.event_id AND void_id IS NOT NULL AND sold_at IS NOT NULL
) AS void`

// Counts counts the seats of each event asked for; zero for an unknown event.
func (s *Store) Counts(ctx context.Context, events []uuid.UUID) ([]inventory.Count, error) {
	rows, err := s.pool.Query(ctx, countSeats, events)
	if err != nil {
		return nil, translate(err)
	}
	counts, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (c inventory.Count, err error) {
		var returned money.Cents
		err = row.Scan(&c.EventID, &c.Total, &c.Held, &c.Sold, &c.CheckedIn, (*int64)(&c.Revenue), &c.Blocked, &c.Refunded, (*int64)(&returned))
		c.Available = c.Total - c.Held - c.Sold - c.Blocked
		c.Sold, c.Revenue = c.Sold-c.Refunded, c.Revenue-returned
		return c, err
	})
	return counts, translate(err)
}
