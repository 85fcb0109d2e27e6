package postgres

import (
	"context"
	"errors"
	"math"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"ticketremaster/platform/fault"

	inventory "ticketremaster/inventory-service"
)

// Limits of choosing the best available (docs/adr/best-available.md).
const (
	mostHalls  = 32                    // that a process remembers
	staleAfter = time.Second           // then a hall is read again, behind the answers
	readPause  = 20 * time.Millisecond // between two readings of a hall, at least
	choices    = 20                    // of one request, before it is told to come again
	settleTime = 2 * time.Second       // of others' reservations, before there is nothing left
)

// halls are what this process knows of the halls whose best seats are asked for.
type halls struct {
	mu  sync.Mutex
	all map[uuid.UUID]*hall
}

// hall is a hall in memory, by which seats are chosen; the database decides. Seats that were chosen and are not decided yet are taken
// for all others.
type hall struct {
	mu       sync.Mutex
	seats    *inventory.Hall // nil: not read yet
	count    int64           // of takings, by which a reading is older or newer than they
	deciding map[string]int  // reservations that are not decided yet, by tier
	settled  chan struct{}   // closed when one of them is decided
	next     *reading        // that has not begun
	reading  sync.Mutex      // one at a time
	readAt   time.Time
	took     time.Duration // the last reading
}

type reading struct {
	done chan struct{}
	err  error
}

func (h *halls) of(event uuid.UUID) *hall {
	h.mu.Lock()
	defer h.mu.Unlock()
	if one := h.all[event]; one != nil {
		return one
	}
	if h.all == nil || len(h.all) >= mostHalls {
		h.all = map[uuid.UUID]*hall{}
	}
	one := &hall{deciding: map[string]int{}, settled: make(chan struct{})}
	h.all[event] = one
	return one
}

// ReserveBest holds the best free seats of a tier. They are chosen in memory, where no two requests are given the same, and
// decided by Reserve; what another process took meanwhile is noted, and others are chosen. A user who asks again for as many
// gets the same holds. SEAT_UNAVAILABLE only if the database, read after the request came, has no such seats left.
func (s *Store) ReserveBest(ctx context.Context, b inventory.Best) (inventory.Hold, error) {
	if held, err := s.heldTogether(ctx, b); err != nil || len(held.Seats) > 0 {
		return held, err
	}
	h := s.halls.of(b.EventID)
	avoid := map[int]bool{}
	fresh := false
	for tries := 0; tries < choices; {
		chosen, ids, err := h.choose(ctx, s, b, avoid)
		if err != nil {
			return inventory.Hold{}, err
		}
		if chosen == nil {
			if fresh {
				return inventory.Hold{}, inventory.ErrNoneLeft
			}
			if fresh, err = h.freshen(ctx, s, b); err != nil {
				return inventory.Hold{}, err
			}
			continue
		}
		tries++
		fresh = false
		hold, err := s.Reserve(ctx, b.Reservation(ids))
		h.decided(b.Tier, chosen, ids, err)
		switch {
		case err == nil:
			return hold, nil
		case errors.Is(err, inventory.ErrHeldLately) && fault.From(err).Message == inventory.ErrHeldLately.Message:
			for _, i := range chosen {
				avoid[i] = true
			}
		case fault.Code(err) != fault.CodeSeatUnavailable && fault.Code(err) != inventory.ErrAlreadySold.Code:
			return inventory.Hold{}, err
		}
	}
	return inventory.Hold{}, inventory.ErrBusy
}

// choose chooses seats and keeps them from others until decided. It reads a hall that is not known, and has one read that was
// read a while ago.
func (h *hall) choose(ctx context.Context, s *Store, b inventory.Best, avoid map[int]bool) (chosen []int, ids []uuid.UUID, err error) {
	h.mu.Lock()
	if h.seats == nil {
		h.mu.Unlock()
		if err := h.read(ctx, s, b.EventID); err != nil {
			return nil, nil, err
		}
		h.mu.Lock()
	}
	defer h.mu.Unlock()
	if time.Since(h.readAt) > max(staleAfter, 100*h.took) { // a hundredth of the time at most, where nobody waits for it
		h.begin(s, b.EventID)
	}
	if !h.seats.Has(b.Tier) {
		return nil, nil, inventory.ErrNoTier
	}
	chosen = h.seats.Choose(b.Tier, len(b.HoldIDs), b.Split, b.NoSingles, avoid)
	if chosen == nil {
		return nil, nil, nil
	}
	h.seats.Take(chosen, math.MaxInt64) // no reading frees them before they are decided
	h.deciding[b.Tier]++
	for _, i := range chosen {
		ids = append(ids, h.seats.IDs[i])
	}
	return chosen, ids, nil
}

// decided notes what became of chosen seats: those that another has are taken, the others of a refused reservation free. Where the
// outcome is unknown, or it is not known which were taken, the next reading tells.
func (h *hall) decided(tier string, chosen []int, ids []uuid.UUID, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.count++
	h.seats.Take(chosen, h.count)
	switch gone := fault.From(err).Details["seat_ids"]; {
	case err == nil, fault.Unknown(err):
	case gone != "":
		var free []int
		for k, i := range chosen {
			if !strings.Contains(gone, ids[k].String()) {
				free = append(free, i)
			}
		}
		h.seats.Free(free)
	case fault.Code(err) == fault.CodeSeatUnavailable && fault.From(err).Message != inventory.ErrHeldLately.Message, fault.Code(err) == inventory.ErrAlreadySold.Code:
	default: // refused for another reason than its seats
		h.seats.Free(chosen)
	}
	h.deciding[tier]--
	close(h.settled)
	h.settled = make(chan struct{})
}

// freshen waits until others' seats of the tier are decided, since a refusal may free some, and then reads the hall. It reports
// whether the hall was read; else it is worth choosing again first.
func (h *hall) freshen(ctx context.Context, s *Store, b inventory.Best) (bool, error) {
	h.mu.Lock()
	deciding, settled := h.deciding[b.Tier], h.settled
	h.mu.Unlock()
	if deciding == 0 {
		return true, h.read(ctx, s, b.EventID)
	}
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	select {
	case <-settled:
		return false, nil
	case <-ctx.Done():
		return false, inventory.ErrBusy
	}
}

// read waits for a reading that begins after the call; all who wait share one.
func (h *hall) read(ctx context.Context, s *Store, event uuid.UUID) error {
	h.mu.Lock()
	r := h.begin(s, event)
	h.mu.Unlock()
	select {
	case <-r.done:
		return r.err
	case <-ctx.Done():
		return translate(ctx.Err())
	}
}

// begin returns the next reading, and starts it if need be. The caller holds the lock.
func (h *hall) begin(s *Store, event uuid.UUID) *reading {
	if h.next == nil {
		r := &reading{done: make(chan struct{})}
		h.next = r
		go func() {
			h.reading.Lock()
			defer h.reading.Unlock()
			ctx, cancel := context.WithTimeout(context.Background(), bulkTime)
			defer cancel()
			began := time.Now()
			r.err = h.update(ctx, s, event)
			close(r.done)
			time.Sleep(max(readPause, 4*time.Since(began))) // a fifth of the time at most, however many ask
		}()
	}
	return h.next
}

// update reads the hall: its statuses alone if its seats are known.
func (h *hall) update(ctx context.Context, s *Store, event uuid.UUID) error {
	began := time.Now()
	h.mu.Lock()
	h.next = nil
	seats := h.seats
	h.count++
	at := h.count
	h.mu.Unlock()
	letters, err := s.Statuses(ctx, event)
	if err != nil {
		return err
	}
	if seats == nil || len(seats.IDs) < len(letters) { // not known, or rows were added behind
		all, err := s.Seats(ctx, event, "", 0, inventory.MaxSeats)
		if err != nil {
			return err
		}
		if len(all) != len(letters) {
			return inventory.ErrBusy
		}
		seats = inventory.NewHall(all)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.seats, h.readAt, h.took = seats, time.Now(), time.Since(began)
	seats.Update(func(i int) bool { return i < len(letters) && letters[i] == 'A' }, at)
	return nil
}

// together are a user's live holds, of all events: nothing but the person may look like a way to find them. OFFSET 0 has each be looked
// up by itself (docs/adr/fixed-plans.md).
const together = `
SELECT asked.n, ` + columns + ` FROM unnest($1::uuid[], $2::uuid[]) WITH ORDINALITY AS asked ("user", person, n)
CROSS JOIN LATERAL (
	SELECT * FROM seats WHERE held_by_person = asked.person AND held_by_user_id IS NOT NULL AND sold_at IS NULL OFFSET 0
) AS seats
WHERE held_by_user_id = asked."user" AND pin_id IS NULL AND held_until > clock_timestamp()`

// heldTogether returns the holds that the user got for the same request before, if they last; none, else. Concurrent requests are one query.
func (s *Store) heldTogether(ctx context.Context, b inventory.Best) (inventory.Hold, error) {
	held, err := s.holders.Do(ctx, b, s.heldByAll)
	if err != nil {
		return inventory.Hold{}, translate(err)
	}
	byEnd := map[int64][]inventory.Seat{}
	for _, seat := range held {
		if seat.EventID == b.EventID && seat.Tier == b.Tier { // what is held by one statement ends at one moment
			end := seat.HeldUntil.UnixMicro()
			byEnd[end] = append(byEnd[end], seat)
		}
	}
	for _, seats := range byEnd {
		if len(seats) == len(b.HoldIDs) {
			return inventory.Hold{Seats: seats, Already: true, Remaining: max(time.Until(seats[0].HeldUntil), 0)}, nil
		}
	}
	return inventory.Hold{}, nil
}

func (s *Store) heldByAll(ctx context.Context, all []inventory.Best) ([][]inventory.Seat, error) {
	users, people := make([]uuid.UUID, len(all)), make([]uuid.UUID, len(all))
	for i, b := range all {
		users[i], people[i] = b.UserID, b.PersonID
	}
	held := make([][]inventory.Seat, len(all))
	rows, err := s.pool.Query(ctx, together, users, people)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var n int
	var r seatRow
	into := r.into(&n)
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return nil, err
		}
		held[n-1] = append(held[n-1], r.seat())
	}
	return held, rows.Err()
}

// singles are the free seats beside these ones that are left alone: behind them is none, or one that is not free.
const singles = `
WITH asked AS MATERIALIZED (
	SELECT seats.* FROM seats WHERE seat_id = ANY ($1)
)
SELECT DISTINCT beside.seat_id FROM asked CROSS JOIN (VALUES (-1), (1)) AS side (step)
JOIN seats AS beside ON beside.event_id = asked.event_id AND length(beside.row_number) = length(asked.row_number)
	AND beside.row_number = asked.row_number AND beside.seat_number = asked.seat_number + step
LEFT JOIN seats AS behind ON behind.event_id = asked.event_id AND length(behind.row_number) = length(asked.row_number)
	AND behind.row_number = asked.row_number AND behind.seat_number = asked.seat_number + 2 * step
WHERE NOT beside.blocked AND (beside.status = 'AVAILABLE' OR beside.status = 'HELD' AND beside.pin_id IS NULL AND beside.held_until <= clock_timestamp())
	AND (behind.seat_id IS NULL OR behind.blocked
		OR NOT (behind.status = 'AVAILABLE' OR behind.status = 'HELD' AND behind.pin_id IS NULL AND behind.held_until <= clock_timestamp()))`

// Singles returns the free seats that these leave alone in their row.
func (s *Store) Singles(ctx context.Context, seats []uuid.UUID) (alone []uuid.UUID, err error) {
	rows, err := s.pool.Query(ctx, singles, seats)
	if err != nil {
		return nil, translate(err)
	}
	defer rows.Close()
	var id uuid.UUID
	for rows.Next() {
		if err := rows.Scan(&id); err != nil {
			return nil, translate(err)
		}
		alone = append(alone, id)
	}
	return alone, translate(rows.Err())
}
