package postgres

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"ticketremaster/platform/database"
	"ticketremaster/platform/fault"
	"ticketremaster/platform/money"

	inventory "ticketremaster/inventory-service"
)

// free is the assignment that frees a HELD seat.
const free = `status = 'AVAILABLE', freed_at = least(seats.held_until, clock_timestamp()), held_by_user_id = NULL, held_until = NULL, hold_id = NULL, pin_id = NULL, updated_at = clock_timestamp()`

// The three statements of a payment are about all seats of a booking ($1) and their holds ($2): all of them change, or none.
// What is true of a seat is asked in the UPDATE itself, so that a booking of one seat is one look-up; a booking of more counts
// first. The mark stands under the first of the seats.
const (
	asked    = `asked AS MATERIALIZED (SELECT * FROM unnest($1::uuid[], $2::uuid[]) AS asked (seat, hold))`
	sameMark = `pins.seat_id = ($1::uuid[])[1] AND pins.hold_id = ($2::uuid[])[1]`
	all      = `(cardinality($1::uuid[]) = 1 OR (SELECT count(*) FROM ready) = cardinality($1::uuid[]))`
	// One clock for all of the seats.
	canPin = `seats.seat_id = asked.seat AND status = 'HELD' AND hold_id = asked.hold AND held_by_user_id = $3 AND pin_id IS NULL
		AND held_until > statement_timestamp() AND NOT blocked`
	canSell = `seats.seat_id = asked.seat AND status = 'HELD' AND hold_id = asked.hold AND held_by_user_id = $3 AND pin_id = $4`
)

const pin = `
WITH ` + asked + `, mark AS (
	SELECT state, ` + sameMark + ` AS same FROM pins WHERE pin_id = $4
), ready AS (
	SELECT FROM asked JOIN seats ON ` + canPin + `
), pinned AS (
	UPDATE seats SET pin_id = $4, updated_at = clock_timestamp() FROM asked
	WHERE ` + canPin + ` AND NOT EXISTS (SELECT FROM mark) AND ` + all + `
	RETURNING seats.*
), marked AS (
	INSERT INTO pins (pin_id, seat_id, hold_id, state) SELECT $4, ($1::uuid[])[1], ($2::uuid[])[1], 'PINNED' WHERE EXISTS (SELECT FROM pinned)
), seat AS (
	SELECT * FROM pinned UNION ALL SELECT seats.* FROM asked JOIN seats ON seats.seat_id = asked.seat WHERE NOT EXISTS (SELECT FROM pinned)
)
SELECT EXISTS (SELECT FROM pinned), coalesce((SELECT state::text FROM mark), ''), coalesce((SELECT same FROM mark), true),
	updated_at > created_at, ` + columns + ` FROM seat`

// Pin keeps holds from expiring while they are being paid: all of a booking's, or none. A repeat returns the seats as they
// are now, in the order of p.Seats; the refusals are inventory.Pin's.
func (s *Store) Pin(ctx context.Context, p inventory.Pin) ([]inventory.Seat, error) {
	type answer struct {
		done, same, touched bool
		mark                inventory.Mark
		row                 seatRow
	}
	answers, err := decideAll(ctx, s, p.SeatIDs(), pin, func(row pgx.CollectableRow) (a answer, err error) {
		err = row.Scan(a.row.into(&a.done, (*string)(&a.mark), &a.same, &a.touched)...)
		return a, err
	}, p.SeatIDs(), p.HoldIDs(), p.UserID, p.PinID)
	switch {
	case database.Violates(err, "pins_pkey"):
		return nil, errPinReused
	case err != nil:
		return nil, err
	case len(answers) < len(p.Seats):
		return nil, inventory.ErrSeatNotFound
	case !answers[0].same:
		return nil, errPinReused
	}
	seats := make([]inventory.Seat, len(p.Seats))
	for _, a := range answers {
		seat := a.row.seat()
		i := slices.Index(p.SeatIDs(), seat.ID)
		seats[i] = seat
		if a.done || a.mark == inventory.Confirmed || a.mark == inventory.Pinned && seat.HeldBy == p.UserID {
			continue
		}
		if a.mark != "" || !p.Fits(seat, p.Seats[i].HoldID) {
			return nil, p.Refusal(seat, p.Seats[i].HoldID, a.mark, a.touched)
		}
	}
	if !answers[0].done && answers[0].mark == "" { // each fits now, by a clock that is later than the statement's
		return nil, inventory.ErrHoldExpired
	}
	return seats, nil
}

var errPinReused = fault.Field("pin_id", "was used for another hold")

const unpin = `
WITH ` + asked + `, mark AS (
	SELECT state, released, ` + sameMark + ` AS same FROM pins WHERE pin_id = $3
), held AS (
	SELECT seat_id, held_until <= statement_timestamp() AS over FROM asked JOIN seats
	ON seats.seat_id = asked.seat AND status = 'HELD' AND pin_id = $3 AND hold_id = asked.hold
), freed AS (
	UPDATE seats SET ` + free + ` FROM held WHERE seats.seat_id = held.seat_id AND held.over RETURNING seats.seat_id
), unpinned AS (
	UPDATE seats SET pin_id = NULL, updated_at = clock_timestamp() FROM held WHERE seats.seat_id = held.seat_id AND NOT held.over
), voided AS (
	INSERT INTO pins (pin_id, seat_id, hold_id, state) SELECT $3, seat_id, ($2::uuid[])[1], 'UNPINNED' FROM seats WHERE seat_id = ($1::uuid[])[1]
	ON CONFLICT (pin_id) DO UPDATE SET state = 'UNPINNED', released = EXISTS (SELECT FROM freed), updated_at = clock_timestamp()
	WHERE pins.state = 'PINNED' AND ` + sameMark + `
)
SELECT EXISTS (SELECT FROM freed) OR coalesce((SELECT released FROM mark), false), coalesce((SELECT state::text FROM mark), ''),
	coalesce((SELECT same FROM mark), true)`

// Unpin undoes Pin and voids the pin's id, also one that never came. It reports whether that freed the seats, the hold's
// time being over. A pin that became tickets is SEAT_ALREADY_SOLD.
func (s *Store) Unpin(ctx context.Context, p inventory.Pin) (released bool, err error) {
	type answer struct {
		released, same bool
		mark           inventory.Mark
	}
	answers, err := decideAll(ctx, s, p.SeatIDs(), unpin, func(row pgx.CollectableRow) (a answer, err error) {
		err = row.Scan(&a.released, (*string)(&a.mark), &a.same)
		return a, err
	}, p.SeatIDs(), p.HoldIDs(), p.PinID)
	switch {
	case err != nil:
		return false, err
	case !answers[0].same:
		return false, errPinReused
	case answers[0].mark == inventory.Confirmed:
		return false, inventory.ErrAlreadySold
	}
	return answers[0].released, nil
}

const confirm = `
WITH asked AS MATERIALIZED (
	SELECT * FROM unnest($1::uuid[], $2::uuid[], $5::numeric[], $6::text[]) AS asked (seat, hold, price, qr)
), ready AS (
	SELECT FROM asked JOIN seats ON ` + canSell + `
), sold AS (
	UPDATE seats SET status = 'SOLD', owner_user_id = held_by_user_id, price_paid = asked.price, ownership_version = ownership_version + 1,
		sold_at = clock_timestamp(), qr_code_hash = nullif(asked.qr, ''), held_by_user_id = NULL, held_until = NULL, pin_id = NULL, updated_at = clock_timestamp()
	FROM asked
	WHERE ` + canSell + ` AND ` + all + `
	RETURNING seats.*
), marked AS (
	UPDATE pins SET state = 'CONFIRMED', updated_at = clock_timestamp() WHERE pin_id = $4 AND EXISTS (SELECT FROM sold)
), bought AS (
	INSERT INTO seat_ownership (operation_id, seat_id, to_user_id, cause, version, at)
	SELECT hold_id, seat_id, owner_user_id, 'PURCHASE', ownership_version, sold_at FROM sold
), seat AS (
	SELECT * FROM sold UNION ALL SELECT seats.* FROM asked JOIN seats ON seats.seat_id = asked.seat WHERE NOT EXISTS (SELECT FROM sold)
)
SELECT EXISTS (SELECT FROM sold) OR EXISTS (SELECT FROM pins WHERE pin_id = $4 AND state = 'CONFIRMED' AND ` + sameMark + `)
	AND NOT EXISTS (SELECT FROM asked WHERE NOT EXISTS (
		SELECT FROM seat_ownership AS first WHERE first.operation_id = asked.hold AND first.seat_id = asked.seat AND first.to_user_id = $3)
	), ` + columns + ` FROM seat`

// Confirm sells pinned seats to the holds' user: all of a booking's, or none. A repeat returns the seats as they are now, even
// if they were transferred or checked in since; SEAT_NOT_HELD when one is not pinned under this pin and was not sold by it.
func (s *Store) Confirm(ctx context.Context, sale inventory.Sale) ([]inventory.Seat, error) {
	type answer struct {
		done bool
		row  seatRow
	}
	prices, hashes := make([]money.Cents, len(sale.Terms)), make([]string, len(sale.Terms))
	for i, t := range sale.Terms {
		prices[i], hashes[i] = t.Price, t.QRHash
	}
	answers, err := decideAll(ctx, s, sale.SeatIDs(), confirm, func(row pgx.CollectableRow) (a answer, err error) {
		err = row.Scan(a.row.into(&a.done)...)
		return a, err
	}, sale.SeatIDs(), sale.HoldIDs(), sale.UserID, sale.PinID, prices, hashes)
	switch {
	case database.Violates(err, "seat_ownership_pkey"):
		return nil, fault.Field("hold_id", "has bought another seat")
	case err != nil:
		return nil, err
	case len(answers) < len(sale.Seats):
		return nil, inventory.ErrSeatNotFound
	case !answers[0].done:
		return nil, inventory.ErrNotHeld
	}
	seats := make([]inventory.Seat, len(sale.Seats))
	for _, a := range answers {
		seat := a.row.seat()
		seats[slices.Index(sale.SeatIDs(), seat.ID)] = seat
	}
	return seats, nil
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
