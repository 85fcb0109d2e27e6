package postgres

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"ticketremaster/platform/database"
	"ticketremaster/platform/fault"

	inventory "ticketremaster/inventory-service"
)

type ticket struct {
	seat    inventory.Seat
	entered bool
}

const tickets = `SELECT EXISTS (SELECT FROM entry_logs WHERE entry_logs.seat_id = seats.seat_id AND result = 'SUCCESS'), ` + columns + `
	FROM seats WHERE seat_id = ANY($1)`

// Ticket gives what the gate's rules need of a seat: its state, and whether its entry is logged already. Those that are asked
// for at once are read in one statement.
func (s *Store) Ticket(ctx context.Context, id uuid.UUID) (seat inventory.Seat, entered bool, err error) {
	t, err := s.tickets.Do(ctx, id, s.readTickets)
	switch {
	case err != nil:
		return inventory.Seat{}, false, translate(err)
	case t == nil:
		return inventory.Seat{}, false, inventory.ErrSeatNotFound
	}
	return t.seat, t.entered, nil
}

// readTickets leaves nil in the place of a seat that does not exist.
func (s *Store) readTickets(ctx context.Context, ids []uuid.UUID) ([]*ticket, error) {
	ctx, cancel := context.WithTimeout(ctx, readTime)
	defer cancel()
	rows, err := s.pool.Query(ctx, tickets, ids)
	if err != nil {
		return nil, translate(err)
	}
	byID := make(map[uuid.UUID]*ticket, len(ids))
	var t ticket
	var row seatRow
	_, err = pgx.ForEachRow(rows, row.into(&t.entered), func() error {
		byID[row.id.Bytes] = &ticket{row.seat(), t.entered}
		return nil
	})
	read := make([]*ticket, len(ids))
	for i, id := range ids {
		read[i] = byID[id]
	}
	return read, translate(err)
}

// readTime bounds a reading that several callers share.
const readTime = 5 * time.Second

// lockUnlessEntered is lockSeat for a seat that may still change. CHECKED_IN is final: the many scans of one ticket
// wait for the first only, not for each other's commits.
const lockUnlessEntered = `SELECT FROM seats WHERE seat_id = $1 AND status <> 'CHECKED_IN' FOR NO KEY UPDATE`

// checkIn decides in the order of the gate's table: not this owner's (or nobody's), entered already, not paid for. It is logged under
// the seat's own event, by which entries are counted.
const checkIn = `
WITH logged AS (
	SELECT result, presented_seat_id = $1 AS same FROM entry_logs WHERE log_id = $2
), entered AS (
	UPDATE seats SET status = 'CHECKED_IN', updated_at = clock_timestamp()
	WHERE seat_id = $1 AND status = 'SOLD' AND owner_user_id = $3 AND ownership_version = $4 AND NOT EXISTS (SELECT FROM logged)
	RETURNING *
), seat AS (
	SELECT * FROM entered UNION ALL SELECT * FROM seats WHERE seat_id = $1 AND NOT EXISTS (SELECT FROM entered)
), decided AS (
	SELECT (CASE
		WHEN EXISTS (SELECT FROM entered) THEN 'SUCCESS'
		WHEN seat.seat_id IS NULL THEN 'NOT_FOUND'
		WHEN owner_user_id IS NOT NULL AND (owner_user_id, ownership_version) <> ($3, $4) THEN 'NOT_FOUND'
		WHEN status = 'CHECKED_IN' THEN 'DUPLICATE'
		WHEN status = 'HELD' AND (pin_id IS NOT NULL OR held_until > clock_timestamp()) THEN 'UNPAID'
		ELSE 'NOT_FOUND'
	END)::scan_result AS result FROM (VALUES (1)) AS one LEFT JOIN seat ON true
), noted AS (
	INSERT INTO entry_logs (log_id, seat_id, presented_seat_id, event_id, scanned_by_staff_id, hall_id_presented, hall_id_expected, result)
	SELECT $2, (SELECT seat_id FROM seat), $1, coalesce((SELECT event_id FROM seat), $5), $6, $7, $8, result FROM decided WHERE NOT EXISTS (SELECT FROM logged)
)
SELECT coalesce((SELECT result FROM logged), decided.result)::text, coalesce((SELECT same FROM logged), true), ` + columns + `
FROM decided LEFT JOIN seat ON true`

// CheckIn lets the owner of a SOLD seat in and logs the scan, in one transaction: SUCCESS for exactly one scan of a
// seat. A repeat of a scan answers what was logged. Seat is the zero Seat if there is none.
func (s *Store) CheckIn(ctx context.Context, c inventory.CheckIn) (inventory.Result, inventory.Seat, error) {
	type answer struct {
		result inventory.Result
		same   bool
		row    seatRow
	}
	a, err := decide(ctx, s, lockUnlessEntered, c.SeatID, checkIn, func(row pgx.CollectableRow) (a answer, err error) {
		err = row.Scan(a.row.into((*string)(&a.result), &a.same)...)
		return a, err
	}, c.SeatID, c.ID, c.OwnerID, c.OwnershipVersion, orNull(c.EventID), c.StaffID, c.HallPresented, c.HallExpected)
	switch {
	case database.Violates(err, "entry_logs_pkey"), err == nil && !a.same:
		return "", inventory.Seat{}, fault.Field("scan_id", "was used for another scan")
	case err != nil:
		return "", inventory.Seat{}, err
	}
	return a.result, a.row.seat(), nil
}

// RecordScan logs a scan that was decided without CheckIn, once per id. A seat that is not ours is logged as presented only.
func (s *Store) RecordScan(ctx context.Context, scan inventory.Scan) error {
	_, err := s.pool.Exec(ctx, `INSERT INTO entry_logs (log_id, seat_id, presented_seat_id, event_id, scanned_by_staff_id, hall_id_presented,
			hall_id_expected, result)
		VALUES ($1, (SELECT seat_id FROM seats WHERE seat_id = $2), $3, $4, $5, $6, $7, $8::text::scan_result) ON CONFLICT (log_id) DO NOTHING`,
		scan.ID, orNull(scan.SeatID), orNull(scan.PresentedSeatID), orNull(scan.EventID), scan.StaffID, scan.HallPresented, scan.HallExpected,
		string(scan.Result))
	return translate(err)
}

// Scans gives a page of an event's scans, newest first; an empty result asks for all. page counts from 1.
func (s *Store) Scans(ctx context.Context, event uuid.UUID, result inventory.Result, page, perPage int) (inventory.ScanPage, error) {
	const scanColumns = `log_id, seat_id, presented_seat_id, event_id, scanned_by_staff_id, result::text, hall_id_presented, hall_id_expected, scanned_at`
	var b pgx.Batch
	b.Queue(`SELECT result::text, count(*) FROM entry_logs WHERE event_id = $1 GROUP BY result`, event)
	if result == "" {
		b.Queue(`SELECT `+scanColumns+` FROM entry_logs WHERE event_id = $1
			ORDER BY event_id, scanned_at DESC, log_id DESC LIMIT $2 OFFSET $3`, event, perPage, (page-1)*perPage)
	} else {
		b.Queue(`SELECT `+scanColumns+` FROM entry_logs WHERE event_id = $1 AND result = $4::text::scan_result
			ORDER BY event_id, result, scanned_at DESC, log_id DESC LIMIT $2 OFFSET $3`, event, perPage, (page-1)*perPage, string(result))
	}
	answers := s.pool.SendBatch(ctx, &b)
	defer answers.Close()
	p := inventory.ScanPage{Counts: map[inventory.Result]int{}}
	rows, err := answers.Query()
	if err != nil {
		return p, translate(err)
	}
	var r inventory.Result
	var n int
	if _, err := pgx.ForEachRow(rows, []any{(*string)(&r), &n}, func() error {
		p.Counts[r] = n
		if result == "" || result == r {
			p.Total += n
		}
		return nil
	}); err != nil {
		return p, translate(err)
	}
	if rows, err = answers.Query(); err != nil {
		return p, translate(err)
	}
	p.Scans, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (scan inventory.Scan, err error) {
		var seat, presented, of pgtype.UUID
		err = row.Scan(&scan.ID, &seat, &presented, &of, &scan.StaffID, (*string)(&scan.Result), &scan.HallPresented, &scan.HallExpected, &scan.At)
		scan.SeatID, scan.PresentedSeatID, scan.EventID = seat.Bytes, presented.Bytes, of.Bytes
		return scan, err
	})
	return p, translate(err)
}

// orNull gives a parameter that is NULL for no id.
func orNull(id uuid.UUID) pgtype.UUID { return pgtype.UUID{Bytes: id, Valid: id != uuid.Nil} }
