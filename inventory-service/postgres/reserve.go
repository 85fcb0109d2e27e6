package postgres

import (
	"bytes"
	"context"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"ticketremaster/platform/database"

	inventory "ticketremaster/inventory-service"
)

// lockPeople serialises one person's reservations, so that the count of the person's holds is exact. All take the locks
// in the same order.
const lockPeople = `
SELECT pg_advisory_xact_lock(1, lock) FROM (SELECT DISTINCT hashtext(id::text) AS lock FROM unnest($1::uuid[]) AS id ORDER BY 1) AS locks`

// reserve holds the seats of each reservation (n) for a user: all of them, or none, if they are free and of one event, and the
// person may have so many more holds and did not hold one of them a moment ago. FOR UPDATE NOWAIT fails at once where another
// transaction has locked a seat; the seats come in the order of their ids, so that of any number of overlapping bookings one
// gets all of its locks. No seat and no person is in two reservations of a request. A missing row means that there is no such
// seat. What all seats of a reservation must agree on is asked by one clock.
const reserve = `
WITH asked AS MATERIALIZED (
	SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::bigint[], $5::int[], $6::uuid[], $7::bigint[], $8::int[], $9::int[])
		AS asked (seat, "user", hold, ttl, max_holds, person, pause, n, size)
), seat AS (
	SELECT seats.*, asked.*, NOT blocked AND (status = 'AVAILABLE' OR status = 'HELD' AND pin_id IS NULL AND held_until <= clock_timestamp()) AS free,
		coalesce(held_by_person = asked.person AND
			CASE status WHEN 'HELD' THEN held_until ELSE freed_at END > clock_timestamp() - asked.pause * interval '1 millisecond', false) AS lately
	FROM asked JOIN seats ON seats.seat_id = asked.seat FOR UPDATE OF seats NOWAIT
), took AS (
	UPDATE seats SET status = 'HELD', held_by_user_id = seat."user", held_by_person = seat.person, hold_id = seat.hold, updated_at = clock_timestamp(),
		held_until = statement_timestamp() + seat.ttl * interval '1 millisecond'
	FROM seat
	WHERE seats.seat_id = seat.seat_id AND seat.free AND NOT seat.lately
		AND (seat.size = 1 OR seat.size = (SELECT count(*) FROM seat AS other
			WHERE other.n = seat.n AND other.free AND NOT other.lately AND other.event_id = seat.event_id))
		AND seat.max_holds >= seat.size + (
		SELECT count(*) FROM seats AS mine
		WHERE mine.held_by_person = seat.person AND mine.held_by_user_id IS NOT NULL AND mine.sold_at IS NULL AND mine.seat_id <> seat.seat_id
			AND (mine.pin_id IS NOT NULL OR mine.held_until > statement_timestamp()))
	RETURNING seats.*, seat.n
)
SELECT n, true, true, false, extract(epoch FROM held_until - clock_timestamp())::float8, ` + columns + ` FROM took
UNION ALL
SELECT n, false, free, lately, coalesce(extract(epoch FROM held_until - clock_timestamp()), 0)::float8, ` + columns + ` FROM seat
WHERE NOT EXISTS (SELECT FROM took WHERE took.n = seat.n)`

// reserved is the outcome of a reservation: what became of each of its seats that exist, by their ids.
type reserved map[uuid.UUID]reservedSeat

type reservedSeat struct {
	took, free bool
	lately     bool    // the person held it a moment ago
	seconds    float64 // of the hold that are left
	row        seatRow
}

// Reserve holds free seats for a user; the rules are on inventory.Reservation and the contract. A user's live holds on
// the seats are returned again. Concurrent reservations are batched into one statement and one commit.
func (s *Store) Reserve(ctx context.Context, r inventory.Reservation) (inventory.Hold, error) {
	done, err := s.reservations.Do(ctx, r, s.reserveAll)
	switch {
	case database.State(err) == database.LockNotAvailable && len(r.Seats) > 1:
		return inventory.Hold{}, r.Gone(s.gone(ctx, r))
	case database.State(err) == database.LockNotAvailable:
		return inventory.Hold{}, inventory.ErrSeatUnavailable
	case err != nil:
		return inventory.Hold{}, translate(err)
	}
	return done.hold(r)
}

// gone returns which of the seats another just took. It may not be committed yet, so that it is looked for again, briefly.
func (s *Store) gone(ctx context.Context, r inventory.Reservation) (gone []uuid.UUID) {
	for pause := 2 * time.Millisecond; pause < 20*time.Millisecond && len(gone) == 0; pause *= 2 {
		time.Sleep(pause)
		seats, err := s.SeatsByID(ctx, r.SeatIDs())
		if err != nil {
			return nil
		}
		for _, seat := range seats {
			if seat.Status != inventory.Available || seat.Blocked {
				gone = append(gone, seat.ID)
			}
		}
	}
	return gone
}

// hold turns the outcome of a reservation into its caller's answer.
func (done reserved) hold(r inventory.Reservation) (inventory.Hold, error) {
	hold := inventory.Hold{Seats: make([]inventory.Seat, len(r.Seats)), Already: true, Remaining: inventory.MaxHold}
	var free, lately int
	var refusal error
	var gone []uuid.UUID
	for i, asked := range r.Seats {
		one, found := done[asked.SeatID]
		if !found {
			return inventory.Hold{}, inventory.ErrSeatNotFound
		}
		hold.Seats[i] = one.row.seat()
		hold.Remaining = min(hold.Remaining, time.Duration(max(one.seconds, 0)*float64(time.Second)))
		if hold.Seats[i].EventID != hold.Seats[0].EventID {
			return inventory.Hold{}, inventory.ErrTwoEvents
		}
		switch {
		case one.took:
			hold.Already = false
		case one.free && one.lately:
			lately++
		case one.free:
			free++
		default:
			gone = append(gone, asked.SeatID)
			if err := r.Refusal(hold.Seats[i]); err != nil {
				refusal = err
			}
		}
	}
	switch {
	case len(gone) > 0 && (refusal != nil || len(gone) < len(r.Seats)): // of the user's own holds none is taken into another booking
		if len(r.Seats) > 1 {
			refusal = r.Gone(gone)
		}
		return inventory.Hold{}, refusal
	case lately > 0:
		return inventory.Hold{}, inventory.ErrHeldLately
	case free > 0:
		return inventory.Hold{}, inventory.ErrTooManyHolds
	}
	return hold, nil
}

// reserveAll decides several reservations, each as if it came after those before it.
func (s *Store) reserveAll(ctx context.Context, all []inventory.Reservation) ([]reserved, error) {
	people := make([]uuid.UUID, len(all))
	for i, r := range all {
		people[i] = r.PersonID
	}
	rounds := apart(all)
	done := make([]reserved, len(all))
	err := database.Share(ctx, s.pool, len(all), func(b *pgx.Batch) {
		b.Queue(lockPeople, people)
		for _, round := range rounds {
			b.Queue(reserve, reserveArgs(all, round)...)
		}
	}, func(answers pgx.BatchResults) error {
		if _, err := answers.Exec(); err != nil {
			return err
		}
		for range rounds {
			rows, err := answers.Query()
			if err != nil {
				return err
			}
			var n int
			var r reservedSeat
			_, err = pgx.ForEachRow(rows, r.row.into(&n, &r.took, &r.free, &r.lately, &r.seconds), func() error {
				if done[n] == nil {
					done[n] = make(reserved, len(all[n].Seats))
				}
				done[n][r.row.id.Bytes] = r
				return nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if database.Unreachable(err) {
		err = translate(err) // now: after an outage they are not retried one by one
	}
	return done, err
}

// reserveArgs are the arguments of reserve for a round: a line for each seat, by the seats' ids.
func reserveArgs(all []inventory.Reservation, round []int) []any {
	type line struct {
		inventory.HeldSeat
		n int
	}
	var lines []line
	for _, n := range round {
		for _, seat := range all[n].Seats {
			lines = append(lines, line{seat, n})
		}
	}
	slices.SortFunc(lines, func(a, b line) int { return bytes.Compare(a.SeatID[:], b.SeatID[:]) })
	count := len(lines)
	seats, users, holds, people := make([]uuid.UUID, count), make([]uuid.UUID, count), make([]uuid.UUID, count), make([]uuid.UUID, count)
	ttls, pauses := make([]int64, count), make([]int64, count)
	most, ns, sizes := make([]int32, count), make([]int32, count), make([]int32, count)
	for i, l := range lines {
		r := all[l.n]
		seats[i], users[i], holds[i], ttls[i], most[i] = l.SeatID, r.UserID, l.HoldID, r.TTL.Milliseconds(), int32(r.MaxHolds)
		people[i], pauses[i], ns[i], sizes[i] = r.PersonID, r.Pause.Milliseconds(), int32(l.n), int32(len(r.Seats))
	}
	return []any{seats, users, holds, ttls, most, people, pauses, ns, sizes}
}

// apart divides reservations, by their index in all, into rounds in which no seat and no person occurs twice. Of two that
// share one, the former is in an earlier round.
func apart(all []inventory.Reservation) (rounds [][]int) {
	next := map[uuid.UUID]int{} // by seat or person
	for i, r := range all {
		n := next[r.PersonID]
		for _, seat := range r.Seats {
			n = max(n, next[seat.SeatID])
		}
		if n == len(rounds) {
			rounds = append(rounds, nil)
		}
		rounds[n] = append(rounds[n], i)
		next[r.PersonID] = n + 1
		for _, seat := range r.Seats {
			next[seat.SeatID] = n + 1
		}
	}
	return rounds
}
