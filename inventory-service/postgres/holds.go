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

// free is the assignment that frees a HELD seat.
const free = `status = 'AVAILABLE', freed_at = least(seats.held_until, clock_timestamp()), held_by_user_id = NULL, held_until = NULL, hold_id = NULL, pin_id = NULL, updated_at = clock_timestamp()`

const pin = `
WITH mark AS (
	SELECT state, seat_id = $1 AND hold_id = $2 AS same FROM pins WHERE pin_id = $4
), pinned AS (
	UPDATE seats SET pin_id = $4, updated_at = clock_timestamp()
	WHERE seat_id = $1 AND status = 'HELD' AND hold_id = $2 AND held_by_user_id = $3 AND pin_id IS NULL
		AND held_until > clock_timestamp() AND NOT blocked AND NOT EXISTS (SELECT FROM mark)
	RETURNING *
), marked AS (
	INSERT INTO pins (pin_id, seat_id, hold_id, state) SELECT pin_id, seat_id, hold_id, 'PINNED' FROM pinned
), seat AS (
	SELECT * FROM pinned UNION ALL SELECT * FROM seats WHERE seat_id = $1 AND NOT EXISTS (SELECT FROM pinned)
)
SELECT EXISTS (SELECT FROM pinned), coalesce((SELECT state::text FROM mark), ''), coalesce((SELECT same FROM mark), true),
	updated_at > created_at, ` + columns + ` FROM seat`

// Pin keeps a hold from expiring while it is being paid. A repeat returns the seat as it is now; the refusals are
// inventory.Pin's.
func (s *Store) Pin(ctx context.Context, p inventory.Pin) (inventory.Seat, error) {
	type answer struct {
		done, same, touched bool
		mark                inventory.Mark
		row                 seatRow
	}
	a, err := decide(ctx, s, lockSeat, p.SeatID, pin, func(row pgx.CollectableRow) (a answer, err error) {
		err = row.Scan(a.row.into(&a.done, (*string)(&a.mark), &a.same, &a.touched)...)
		return a, err
	}, p.SeatID, p.HoldID, p.UserID, p.PinID)
	switch {
	case database.Violates(err, "pins_pkey"):
		return inventory.Seat{}, errPinReused
	case err != nil:
		return inventory.Seat{}, err
	case !a.same:
		return inventory.Seat{}, errPinReused
	}
	seat := a.row.seat()
	if a.done || a.mark == inventory.Confirmed || a.mark == inventory.Pinned && seat.HeldBy == p.UserID {
		return seat, nil
	}
	return inventory.Seat{}, p.Refusal(seat, a.mark, a.touched)
}

var errPinReused = fault.Field("pin_id", "was used for another hold")

const unpin = `
WITH mark AS (
	SELECT state, released, seat_id = $1 AND hold_id = $2 AS same FROM pins WHERE pin_id = $3
), held AS (
	SELECT seat_id, held_until <= clock_timestamp() AS over FROM seats WHERE seat_id = $1 AND status = 'HELD' AND pin_id = $3 AND hold_id = $2
), freed AS (
	UPDATE seats SET ` + free + ` FROM held WHERE seats.seat_id = held.seat_id AND held.over RETURNING seats.seat_id
), unpinned AS (
	UPDATE seats SET pin_id = NULL, updated_at = clock_timestamp() FROM held WHERE seats.seat_id = held.seat_id AND NOT held.over
), voided AS (
	INSERT INTO pins (pin_id, seat_id, hold_id, state) SELECT $3, seat_id, $2, 'UNPINNED' FROM seats WHERE seat_id = $1
	ON CONFLICT (pin_id) DO UPDATE SET state = 'UNPINNED', released = EXISTS (SELECT FROM freed), updated_at = clock_timestamp()
	WHERE pins.state = 'PINNED' AND pins.seat_id = $1 AND pins.hold_id = $2
)
SELECT EXISTS (SELECT FROM freed) OR coalesce((SELECT released FROM mark), false), coalesce((SELECT state::text FROM mark), ''),
	coalesce((SELECT same FROM mark), true)`

// Unpin undoes Pin and voids the pin's id, also one that never came. It reports whether that freed the seat, the hold's
// time being over. A pin that became a ticket is SEAT_ALREADY_SOLD.
func (s *Store) Unpin(ctx context.Context, p inventory.Pin) (released bool, err error) {
	type answer struct {
		released, same bool
		mark           inventory.Mark
	}
	a, err := decide(ctx, s, lockSeat, p.SeatID, unpin, func(row pgx.CollectableRow) (a answer, err error) {
		err = row.Scan(&a.released, (*string)(&a.mark), &a.same)
		return a, err
	}, p.SeatID, p.HoldID, p.PinID)
	switch {
	case err != nil:
		return false, err
	case !a.same:
		return false, errPinReused
	case a.mark == inventory.Confirmed:
		return false, inventory.ErrAlreadySold
	}
	return a.released, nil
}

const confirm = `
WITH sold AS (
	UPDATE seats SET status = 'SOLD', owner_user_id = held_by_user_id, price_paid = $5, ownership_version = ownership_version + 1, sold_at = clock_timestamp(),
		qr_code_hash = nullif($6, ''), held_by_user_id = NULL, held_until = NULL, pin_id = NULL, updated_at = clock_timestamp()
	WHERE seat_id = $1 AND status = 'HELD' AND hold_id = $2 AND held_by_user_id = $3 AND pin_id = $4
	RETURNING *
), marked AS (
	UPDATE pins SET state = 'CONFIRMED', updated_at = clock_timestamp() WHERE pin_id = $4 AND EXISTS (SELECT FROM sold)
), bought AS (
	INSERT INTO seat_ownership (operation_id, seat_id, to_user_id, cause, version, at)
	SELECT hold_id, seat_id, owner_user_id, 'PURCHASE', ownership_version, sold_at FROM sold
), seat AS (
	SELECT * FROM sold UNION ALL SELECT * FROM seats WHERE seat_id = $1 AND NOT EXISTS (SELECT FROM sold)
)
SELECT EXISTS (SELECT FROM sold) OR EXISTS (
		SELECT FROM pins JOIN seat_ownership AS first ON first.operation_id = pins.hold_id
		WHERE pin_id = $4 AND state = 'CONFIRMED' AND pins.seat_id = $1 AND pins.hold_id = $2 AND first.to_user_id = $3
	), ` + columns + ` FROM seat`

// Confirm sells a pinned seat to the hold's user. A repeat returns the seat as it is now, even if it was transferred or
// checked in since; SEAT_NOT_HELD when the seat is not pinned under this pin and was not sold by it.
func (s *Store) Confirm(ctx context.Context, sale inventory.Sale) (inventory.Seat, error) {
	type answer struct {
		done bool
		row  seatRow
	}
	a, err := decide(ctx, s, lockSeat, sale.SeatID, confirm, func(row pgx.CollectableRow) (a answer, err error) {
		err = row.Scan(a.row.into(&a.done)...)
		return a, err
	}, sale.SeatID, sale.HoldID, sale.UserID, sale.PinID, sale.Price, sale.QRHash)
	switch {
	case database.Violates(err, "seat_ownership_pkey"):
		return inventory.Seat{}, fault.Field("hold_id", "has bought another seat")
	case err != nil:
		return inventory.Seat{}, err
	case !a.done:
		return inventory.Seat{}, inventory.ErrNotHeld
	}
	return a.row.seat(), nil
}

const release = `
WITH freed AS (
	UPDATE seats SET ` + free + `
	WHERE seat_id = $1 AND status = 'HELD' AND hold_id = $2 AND pin_id IS NULL AND (NOT $3 OR held_until <= clock_timestamp())
	RETURNING seat_id
)
SELECT CASE
	WHEN EXISTS (SELECT FROM freed) THEN 'RELEASED'
	ELSE coalesce((SELECT CASE
		WHEN status <> 'HELD' THEN 'BOUGHT'
		WHEN pin_id IS NOT NULL THEN 'PINNED'
		ELSE 'NOT_DUE'
	END FROM seats WHERE seat_id = $1 AND hold_id = $2), 'GONE')
END, (SELECT held_until FROM seats WHERE seat_id = $1 AND hold_id = $2)`

// Release frees the seat from this hold and from no other, unless it is pinned or sold, or onlyIfExpired and its time
// is not over: then until is when it will be. It has an outcome for every state of a seat, and GONE for an unknown seat.
func (s *Store) Release(ctx context.Context, seat, hold uuid.UUID, onlyIfExpired bool) (outcome inventory.Outcome, until time.Time, err error) {
	type answer struct {
		outcome inventory.Outcome
		until   pgtype.Timestamptz
	}
	a, err := decide(ctx, s, lockSeat, seat, release, func(row pgx.CollectableRow) (a answer, err error) {
		err = row.Scan((*string)(&a.outcome), &a.until)
		return a, err
	}, seat, hold, onlyIfExpired)
	return a.outcome, a.until.Time, err
}

// extend prolongs holds that end soon. seats_transition allows it once per hold. What is locked is left out: it is asked
// again a moment later. That sold_at is null selects the index of a person's holds (0008_indexes_of_many.sql), and that the
// holds of one payer are locked by themselves keeps that index from being read whole.
const extend = `
WITH due AS (
	SELECT due_id FROM unnest($1::uuid[], $2::uuid[]) AS payer ("user", person), LATERAL (
		SELECT seat_id AS due_id FROM seats
		WHERE held_by_person = payer.person AND held_by_user_id = payer."user" AND sold_at IS NULL
			AND status = 'HELD' AND pin_id IS NULL AND NOT blocked AND extended_hold_id IS DISTINCT FROM hold_id
			AND coalesce(held_until > clock_timestamp() AND held_until <= clock_timestamp() + $3::bigint * interval '1 millisecond', false)
		FOR NO KEY UPDATE SKIP LOCKED
	) AS soon
)
UPDATE seats SET held_until = held_until + $4::bigint * interval '1 millisecond', extended_hold_id = hold_id, updated_at = clock_timestamp()
FROM due WHERE seat_id = due_id
RETURNING ` + columns

// Extend prolongs the live holds of users that end soon, each hold once, and returns their seats.
func (s *Store) Extend(ctx context.Context, e inventory.Extension) ([]inventory.Seat, error) {
	users, people := make([]uuid.UUID, len(e.Holders)), make([]uuid.UUID, len(e.Holders))
	for i, h := range e.Holders {
		users[i], people[i] = h.UserID, h.PersonID
	}
	return readSeats(s.pool.Query(ctx, extend, users, people, e.Within.Milliseconds(), e.By.Milliseconds()))
}

// sweep skips locked rows: it runs again. That sold_at is null follows from HELD, but selects the index of holds
// (0002_indexes.sql).
const sweep = `
WITH due AS (
	SELECT seat_id, hold_id, held_until FROM seats
	WHERE status = 'HELD' AND sold_at IS NULL AND pin_id IS NULL AND held_until < clock_timestamp() - $1::bigint * interval '1 millisecond'
	LIMIT $2 FOR UPDATE SKIP LOCKED
)
UPDATE seats SET ` + free + ` FROM due
WHERE seats.seat_id = due.seat_id
RETURNING due.hold_id, clock_timestamp() - due.held_until`

// Swept is a hold that the sweep ended, and how long after its time.
type Swept struct {
	HoldID uuid.UUID
	Late   time.Duration
}

// Sweep frees at most limit seats whose hold ended longer than grace ago and is not pinned, and returns the holds.
func (s *Store) Sweep(ctx context.Context, grace time.Duration, limit int) ([]Swept, error) {
	rows, err := s.pool.Query(ctx, sweep, grace.Milliseconds(), limit)
	if err != nil {
		return nil, translate(err)
	}
	ended, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Swept])
	return ended, translate(err)
}
