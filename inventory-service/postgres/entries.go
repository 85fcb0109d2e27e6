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

// lastEntry finds a seat's last admission that was not undone, as (log_id, at, entry, gone); seat is an SQL expression.
func lastEntry(seat string) string {
	return `SELECT log_id, coalesce(decided_at, scanned_at) AS at, entry,
		EXISTS (SELECT FROM entry_logs o WHERE o.seat_id = i.seat_id AND o.direction = 'OUT' AND o.entry = i.entry AND o.result = 'SUCCESS') AS gone
	FROM entry_logs i
	WHERE i.seat_id = ` + seat + ` AND i.direction = 'IN' AND i.result = 'SUCCESS' AND NOT EXISTS (
		SELECT FROM entry_logs u WHERE u.seat_id = i.seat_id AND u.direction = 'UNDO' AND u.entry = i.entry AND u.result = 'SUCCESS')
	ORDER BY i.entry DESC LIMIT 1`
}

// lockUnlessEntered is lockSeat for a seat that may still change. An entry with a ticket that was admitted is refused
// without the lock, so that many scans of one ticket wait for the first only, not for each other's commits.
const lockUnlessEntered = `SELECT FROM seats WHERE seat_id = $1 AND status <> 'CHECKED_IN' FOR NO KEY UPDATE`

// checkIn decides in the order of the gate's table: not this ownership (or nobody's), entered already, not paid for. It
// is logged under the seat's own event, by which entries are counted.
var checkIn = `
WITH logged AS (
	SELECT result, presented_seat_id = $1 AND direction = 'IN' AS same FROM entry_logs WHERE log_id = $2
), last AS (` + lastEntry("$1") + `
), entered AS (
	UPDATE seats SET status = 'CHECKED_IN', updated_at = clock_timestamp()
	WHERE seat_id = $1 AND status = 'SOLD' AND owner_user_id = coalesce($3, owner_user_id) AND ownership_version = $4 AND void_id IS NULL
		AND NOT EXISTS (SELECT FROM logged)
	RETURNING *
), again AS (
	SELECT FROM seats JOIN last ON last.gone
	WHERE seat_id = $1 AND status = 'CHECKED_IN' AND owner_user_id = coalesce($3, owner_user_id) AND ownership_version = $4
		AND $16 AND void_id IS NULL AND NOT EXISTS (SELECT FROM logged)
), seat AS (
	SELECT * FROM entered UNION ALL SELECT * FROM seats WHERE seat_id = $1 AND NOT EXISTS (SELECT FROM entered)
), decided AS (
	SELECT (CASE
		WHEN EXISTS (SELECT FROM entered) OR EXISTS (SELECT FROM again) THEN 'SUCCESS'
		WHEN seat.seat_id IS NULL THEN 'NOT_FOUND'
		WHEN owner_user_id IS NOT NULL AND (owner_user_id, ownership_version) <> (coalesce($3, owner_user_id), $4) THEN 'NOT_FOUND'
		WHEN status = 'SOLD' AND void_id IS NOT NULL THEN 'UNPAID' -- cancelled and refunded
		WHEN status IN ('SOLD', 'CHECKED_IN') THEN 'DUPLICATE'
		WHEN status = 'HELD' AND (pin_id IS NOT NULL OR held_until > clock_timestamp()) THEN 'UNPAID'
		ELSE 'NOT_FOUND'
	END)::scan_result AS result FROM (VALUES (1)) AS one LEFT JOIN seat ON true
), noted AS (
	INSERT INTO entry_logs (log_id, seat_id, presented_seat_id, event_id, scanned_by_staff_id, hall_id_presented, hall_id_expected, hall_id_staff,
		device, reason, note, manual, decided_at, device_result, conflicts_with, reentry, entry, result)
	SELECT $2, (SELECT seat_id FROM seat), $1, coalesce((SELECT event_id FROM seat), $5), $6, $7, $8, $9, $10, $11, $12, $13, $14, $15::text::scan_result,
		(SELECT log_id FROM last WHERE result = 'DUPLICATE' AND $15::text = 'SUCCESS'), EXISTS (SELECT FROM again),
		CASE WHEN result = 'SUCCESS' THEN 1 + coalesce(
			(SELECT max(entry) FROM entry_logs WHERE seat_id = $1 AND direction = 'IN' AND entry_logs.result = 'SUCCESS'), 0) ELSE 0 END, result
	FROM decided WHERE NOT EXISTS (SELECT FROM logged)
)
SELECT coalesce((SELECT result FROM logged), decided.result)::text, coalesce((SELECT same FROM logged), true), ` + columns + `
FROM decided LEFT JOIN seat ON true`

// decision is the answer of checkIn and of exit.
type decision struct {
	result inventory.Result
	same   bool // false: the scan's id was used for something else
	row    seatRow
}

func readDecision(row pgx.CollectableRow) (d decision, err error) {
	err = row.Scan(d.row.into((*string)(&d.result), &d.same)...)
	return d, err
}

// CheckIn lets the owner of a SOLD seat in, or one who has left in again, and logs the scan, in one transaction:
// SUCCESS for exactly one scan of an entry. A repeat of a scan answers what was logged. Seat is the zero Seat if there
// is none.
func (s *Store) CheckIn(ctx context.Context, c inventory.CheckIn) (inventory.Result, inventory.Seat, error) {
	lock := lockUnlessEntered
	if c.Reentry {
		lock = lockSeat
	}
	d, err := decide(ctx, s, lock, c.SeatID, checkIn, readDecision, append(decisionArgs(c), c.Reentry)...)
	return d.answer(err)
}

func (d decision) answer(err error) (inventory.Result, inventory.Seat, error) {
	switch {
	case database.Violates(err, "entry_logs_pkey"), err == nil && !d.same:
		return "", inventory.Seat{}, fault.Field("scan_id", "was used for another scan")
	case err != nil:
		return "", inventory.Seat{}, err
	}
	return d.result, d.row.seat(), nil
}

// decisionArgs are $1 to $15 of checkIn and of exit.
func decisionArgs(c inventory.CheckIn) []any {
	return []any{c.SeatID, c.ID, orNull(c.OwnerID), c.OwnershipVersion, orNull(c.EventID), c.StaffID, c.HallPresented, c.HallExpected, c.HallStaff,
		c.Device, c.Reason, c.Note, c.Manual, timeOrNull(c.DecidedAt), textOrNull(string(c.DeviceResult))}
}

// exit decides like checkIn, for a holder who leaves.
var exit = `
WITH logged AS (
	SELECT result, presented_seat_id = $1 AND direction = 'OUT' AS same FROM entry_logs WHERE log_id = $2
), last AS (` + lastEntry("$1") + `
), seat AS (
	SELECT * FROM seats WHERE seat_id = $1
), decided AS (
	SELECT (CASE
		WHEN seat.seat_id IS NULL OR owner_user_id IS NULL THEN 'NOT_FOUND'
		WHEN (owner_user_id, ownership_version) <> (coalesce($3, owner_user_id), $4) THEN 'NOT_FOUND'
		WHEN EXISTS (SELECT FROM last WHERE NOT gone) THEN 'SUCCESS'
		ELSE 'DUPLICATE'
	END)::scan_result AS result FROM (VALUES (1)) AS one LEFT JOIN seat ON true
), noted AS (
	INSERT INTO entry_logs (log_id, seat_id, presented_seat_id, event_id, scanned_by_staff_id, hall_id_presented, hall_id_expected, hall_id_staff,
		device, reason, note, manual, decided_at, device_result, conflicts_with, direction, entry, result)
	SELECT $2, (SELECT seat_id FROM seat), $1, coalesce((SELECT event_id FROM seat), $5), $6, $7, $8, $9, $10, $11, $12, $13, $14, $15::text::scan_result,
		(SELECT log_id FROM last WHERE result = 'DUPLICATE' AND $15::text = 'SUCCESS'), 'OUT', coalesce((SELECT entry FROM last), 0), result
	FROM decided WHERE NOT EXISTS (SELECT FROM logged)
)
SELECT coalesce((SELECT result FROM logged), decided.result)::text, coalesce((SELECT same FROM logged), true), ` + columns + `
FROM decided LEFT JOIN seat ON true`

// Exit logs that the holder of a ticket leaves: SUCCESS for exactly one scan of each admission. A repeat of a scan
// answers what was logged.
func (s *Store) Exit(ctx context.Context, c inventory.CheckIn) (inventory.Result, inventory.Seat, error) {
	d, err := decide(ctx, s, lockSeat, c.SeatID, exit, readDecision, decisionArgs(c)...)
	return d.answer(err)
}

// undo undoes an admission. One that a device made offline and that conflicted with another changed nothing, so undoing
// it is only logged. Time between two decisions of devices is by their clock, else by the database's.
const undo = `
WITH logged AS (
	SELECT undoes = $5 AND seat_id = $1 AND direction = 'UNDO' AS same FROM entry_logs WHERE log_id = $2
), target AS (
	SELECT l.*, l.result = 'SUCCESS' AS stood,
		EXISTS (SELECT FROM entry_logs u WHERE u.undoes = l.log_id) OR EXISTS (SELECT FROM entry_logs o
			WHERE o.seat_id = l.seat_id AND o.direction = 'OUT' AND o.entry = l.entry AND o.result = 'SUCCESS' AND l.result = 'SUCCESS') AS settled
	FROM entry_logs l
	WHERE l.log_id = $5 AND l.seat_id = $1 AND l.direction = 'IN' AND 'SUCCESS' IN (l.result, l.device_result)
), verdict AS (
	SELECT CASE
		WHEN EXISTS (SELECT FROM logged) THEN 'REPEAT'
		WHEN target.log_id IS NULL THEN 'UNKNOWN'
		WHEN scanned_by_staff_id <> $3 AND NOT $4 THEN 'NOT_YOURS'
		WHEN settled THEN 'SETTLED'
		WHEN NOT $4 AND coalesce(CASE WHEN decided_at IS NOT NULL THEN $8::timestamptz END, clock_timestamp())
			> coalesce(decided_at, scanned_at) + $9::bigint * interval '1 ms' THEN 'LATE'
		ELSE 'UNDONE'
	END AS verdict FROM (VALUES (1)) AS one LEFT JOIN target ON true
), back AS (
	UPDATE seats SET status = 'SOLD', updated_at = clock_timestamp()
	WHERE seat_id = $1 AND status = 'CHECKED_IN' AND (SELECT verdict FROM verdict) = 'UNDONE' AND (SELECT stood FROM target)
		AND NOT EXISTS (SELECT FROM entry_logs i WHERE i.seat_id = $1 AND i.direction = 'IN' AND i.result = 'SUCCESS' AND i.log_id <> $5
			AND NOT EXISTS (SELECT FROM entry_logs u WHERE u.undoes = i.log_id))
	RETURNING *
), noted AS (
	INSERT INTO entry_logs (log_id, seat_id, presented_seat_id, event_id, scanned_by_staff_id, hall_id_expected, device, note, decided_at, device_result,
		direction, undoes, entry, reentry, result)
	SELECT $2, $1, $1, event_id, $3, hall_id_expected, $7, $6, $8::timestamptz, CASE WHEN $8::timestamptz IS NOT NULL THEN 'SUCCESS'::scan_result END,
		'UNDO', $5, entry, NOT EXISTS (SELECT FROM back), result
	FROM target, verdict WHERE verdict = 'UNDONE'
)
SELECT verdict, coalesce((SELECT same FROM logged), true), ` + columns + `
FROM verdict LEFT JOIN (SELECT * FROM back UNION ALL SELECT * FROM seats WHERE seat_id = $1 AND NOT EXISTS (SELECT FROM back)) AS seat ON true`

// UndoCheckIn takes the admission scan.Undoes of a seat back, if it is its last, and returns the seat: SOLD, or still
// CHECKED_IN for who has entered before. byAdmin lifts the limits of who and when. A repeat answers the same.
func (s *Store) UndoCheckIn(ctx context.Context, scan inventory.Scan, byAdmin bool) (inventory.Seat, error) {
	type answer struct {
		verdict string
		same    bool
		row     seatRow
	}
	a, err := decide(ctx, s, lockSeat, scan.SeatID, undo, func(row pgx.CollectableRow) (a answer, err error) {
		err = row.Scan(a.row.into(&a.verdict, &a.same)...)
		return a, err
	}, scan.SeatID, scan.ID, scan.StaffID, byAdmin, scan.Undoes, scan.Note, scan.Device, timeOrNull(scan.DecidedAt), inventory.UndoTime.Milliseconds())
	switch {
	case err == nil && !a.same:
		return inventory.Seat{}, fault.Field("scan_id", "was used for another scan")
	case err != nil:
		return inventory.Seat{}, err
	}
	switch a.verdict {
	case "UNKNOWN":
		return inventory.Seat{}, inventory.ErrScanNotFound
	case "NOT_YOURS":
		return inventory.Seat{}, inventory.ErrNotYourScan
	case "SETTLED":
		return inventory.Seat{}, inventory.ErrUndoNotPossible
	case "LATE":
		return inventory.Seat{}, inventory.ErrUndoTooLate
	}
	return a.row.seat(), nil
}

// orNull returns a parameter that is NULL for no id.
func orNull(id uuid.UUID) pgtype.UUID { return pgtype.UUID{Bytes: id, Valid: id != uuid.Nil} }

func timeOrNull(t time.Time) pgtype.Timestamptz {
	return pgtype.Timestamptz{Time: t, Valid: !t.IsZero()}
}

func textOrNull(s string) pgtype.Text { return pgtype.Text{String: s, Valid: s != ""} }
