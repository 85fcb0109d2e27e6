package postgres

import (
	"context"
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

// reserve holds each free seat for a user whose person may have one more hold and did not hold it a moment ago; FOR UPDATE NOWAIT fails at once where another
// transaction has locked a seat. No seat and no person occurs twice in a request. A missing row means that there is no
// such seat.
const reserve = `
WITH asked AS MATERIALIZED (
	SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::bigint[], $5::int[], $6::uuid[], $7::bigint[])
		WITH ORDINALITY AS asked (seat, "user", hold, ttl, max_holds, person, pause, n)
), seat AS (
	SELECT seats.*, asked.*, NOT blocked AND (status = 'AVAILABLE' OR status = 'HELD' AND pin_id IS NULL AND held_until <= clock_timestamp()) AS free,
		coalesce(held_by_person = asked.person AND
			CASE status WHEN 'HELD' THEN held_until ELSE freed_at END > clock_timestamp() - asked.pause * interval '1 millisecond', false) AS lately
	FROM asked JOIN seats ON seats.seat_id = asked.seat FOR UPDATE OF seats NOWAIT
), took AS (
	UPDATE seats SET status = 'HELD', held_by_user_id = seat."user", held_by_person = seat.person, hold_id = seat.hold, updated_at = clock_timestamp(),
		held_until = clock_timestamp() + seat.ttl * interval '1 millisecond'
	FROM seat
	WHERE seats.seat_id = seat.seat_id AND seat.free AND NOT seat.lately AND seat.max_holds > (
		SELECT count(*) FROM seats AS mine
		WHERE mine.held_by_person = seat.person AND mine.held_by_user_id IS NOT NULL AND mine.sold_at IS NULL AND mine.seat_id <> seat.seat_id AND (mine.pin_id IS NOT NULL OR mine.held_until > clock_timestamp()))
	RETURNING seats.*, seat.n
)
SELECT n, true, true, false, extract(epoch FROM held_until - clock_timestamp())::float8, ` + columns + ` FROM took
UNION ALL
SELECT n, false, free, lately, coalesce(extract(epoch FROM held_until - clock_timestamp()), 0)::float8, ` + columns + ` FROM seat
WHERE NOT EXISTS (SELECT FROM took WHERE took.n = seat.n)`

// reserved is the outcome of a reservation; nil: there is no such seat.
type reserved struct {
	took, free bool
	lately     bool    // the person held it a moment ago
	seconds    float64 // of the hold that are left
	row        seatRow
}

// Reserve holds a free seat for a user; the rules are on inventory.Reservation and the contract. A user's live hold on
// the seat is returned again. Concurrent reservations are batched into one statement and one commit.
func (s *Store) Reserve(ctx context.Context, r inventory.Reservation) (inventory.Hold, error) {
	done, err := s.reservations.Do(ctx, r, s.reserveAll)
	switch {
	case database.State(err) == database.LockNotAvailable:
		return inventory.Hold{}, inventory.ErrSeatUnavailable
	case err != nil:
		return inventory.Hold{}, translate(err)
	}
	return done.hold(r)
}

// hold turns the outcome of a reservation into its caller's answer.
func (done *reserved) hold(r inventory.Reservation) (inventory.Hold, error) {
	switch {
	case done == nil:
		return inventory.Hold{}, inventory.ErrSeatNotFound
	case !done.took && done.free && done.lately:
		return inventory.Hold{}, inventory.ErrHeldLately
	case !done.took && done.free:
		return inventory.Hold{}, inventory.ErrTooManyHolds
	}
	hold := inventory.Hold{Seat: done.row.seat(), Already: !done.took, Remaining: time.Duration(max(done.seconds, 0) * float64(time.Second))}
	if !done.took {
		return hold, r.Refusal(hold.Seat)
	}
	return hold, nil
}

// reserveAll decides several reservations, each as if it came after those before it; nil in the place of one whose seat
// does not exist.
func (s *Store) reserveAll(ctx context.Context, all []inventory.Reservation) ([]*reserved, error) {
	people := make([]uuid.UUID, len(all))
	for i, r := range all {
		people[i] = r.PersonID
	}
	rounds := apart(all)
	done := make([]*reserved, len(all))
	err := database.Share(ctx, s.pool, len(all), func(b *pgx.Batch) {
		b.Queue(lockPeople, people)
		for _, round := range rounds {
			b.Queue(reserve, reserveArgs(all, round)...)
		}
	}, func(answers pgx.BatchResults) error {
		if _, err := answers.Exec(); err != nil {
			return err
		}
		for _, round := range rounds {
			rows, err := answers.Query()
			if err != nil {
				return err
			}
			var n int
			var r reserved
			_, err = pgx.ForEachRow(rows, r.row.into(&n, &r.took, &r.free, &r.lately, &r.seconds), func() error {
				one := r
				done[round[n-1]] = &one
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

func reserveArgs(all []inventory.Reservation, round []int) []any {
	seats, users, holds := make([]uuid.UUID, len(round)), make([]uuid.UUID, len(round)), make([]uuid.UUID, len(round))
	people, pauses := make([]uuid.UUID, len(round)), make([]int64, len(round))
	ttls, most := make([]int64, len(round)), make([]int32, len(round))
	for i, n := range round {
		r := all[n]
		seats[i], users[i], holds[i], ttls[i], most[i] = r.SeatID, r.UserID, r.HoldID, r.TTL.Milliseconds(), int32(r.MaxHolds)
		people[i], pauses[i] = r.PersonID, r.Pause.Milliseconds()
	}
	return []any{seats, users, holds, ttls, most, people, pauses}
}

// apart divides reservations, by their index in all, into rounds in which no seat and no person occurs twice. Of two that
// share one, the former is in an earlier round.
func apart(all []inventory.Reservation) (rounds [][]int) {
	next := map[uuid.UUID]int{} // by seat or person
	for i, r := range all {
		n := max(next[r.SeatID], next[r.PersonID])
		if n == len(rounds) {
			rounds = append(rounds, nil)
		}
		rounds[n] = append(rounds[n], i)
		next[r.SeatID], next[r.PersonID] = n+1, n+1
	}
	return rounds
}
