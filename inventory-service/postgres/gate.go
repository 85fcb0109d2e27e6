package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	inventory "ticketremaster/inventory-service"
)

// gateColumns are a seat as the gate sees it, in the order of readTicket.
var gateColumns = `last.log_id, last.at, last.gone,
	EXISTS (SELECT FROM entry_permits p WHERE p.seat_id = seats.seat_id AND p.ownership_version = seats.ownership_version), ` + columns

var gateRows = `SELECT ` + gateColumns + ` FROM seats LEFT JOIN LATERAL (` + lastEntry("seats.seat_id") + `) AS last ON true`

type ticketRow struct {
	scan    pgtype.UUID
	at      pgtype.Timestamptz
	gone    pgtype.Bool
	allowed bool
	seatRow
}

func (r *ticketRow) into() []any {
	return r.seatRow.into(&r.scan, &r.at, &r.gone, &r.allowed)
}

func (r *ticketRow) ticket() inventory.Ticket {
	return inventory.Ticket{Seat: r.seat(), Entry: inventory.Entry{ScanID: r.scan.Bytes, At: r.at.Time, Left: r.gone.Bool}, EntryAllowed: r.allowed}
}

func readTickets(rows pgx.Rows, err error) (tickets []inventory.Ticket, _ error) {
	if err != nil {
		return nil, translate(err)
	}
	var r ticketRow
	_, err = pgx.ForEachRow(rows, r.into(), func() error {
		tickets = append(tickets, r.ticket())
		return nil
	})
	return tickets, translate(err)
}

var ticketsByID = gateRows + ` WHERE seat_id = ANY($1)`

// Ticket returns what the gate's rules need of a seat: its state, its last admission, and whether it may enter unpaid.
// Concurrent calls are read in one statement.
func (s *Store) Ticket(ctx context.Context, id uuid.UUID) (inventory.Ticket, error) {
	t, err := s.tickets.Do(ctx, id, s.ticketsInOrder)
	switch {
	case err != nil:
		return inventory.Ticket{}, translate(err)
	case t == nil:
		return inventory.Ticket{}, inventory.ErrSeatNotFound
	}
	return *t, nil
}

// ticketsInOrder leaves nil in the place of a seat that does not exist.
func (s *Store) ticketsInOrder(ctx context.Context, ids []uuid.UUID) ([]*inventory.Ticket, error) {
	ctx, cancel := context.WithTimeout(ctx, readTime)
	defer cancel()
	tickets, err := readTickets(s.pool.Query(ctx, ticketsByID, ids))
	byID := make(map[uuid.UUID]*inventory.Ticket, len(tickets))
	for i := range tickets {
		byID[tickets[i].ID] = &tickets[i]
	}
	read := make([]*inventory.Ticket, len(ids))
	for i, id := range ids {
		read[i] = byID[id]
	}
	return read, err
}

// readTime bounds a read that several callers share.
const readTime = 5 * time.Second

// TicketPortion is the most tickets that Tickets returns.
const TicketPortion = 5_000

var ticketsOfEvent = gateRows + `
	WHERE event_id = $1 AND owner_user_id IS NOT NULL AND void_id IS NULL AND (length(row_number), row_number, seat_number) > (length($2::text), $2::text COLLATE "C", $3)
	ORDER BY event_id, length(row_number), row_number, seat_number LIMIT $4`

// Tickets returns at most TicketPortion of an event's sold seats by row, then number, from behind that place on (row
// "": from the first).
func (s *Store) Tickets(ctx context.Context, event uuid.UUID, afterRow string, afterNumber int) ([]inventory.Ticket, error) {
	return readTickets(s.pool.Query(ctx, ticketsOfEvent, event, afterRow, afterNumber, TicketPortion))
}

// maxFound is the most tickets that one search shows.
const maxFound = 100

// found looks up each criterion by its own index.
var found = gateRows + `
	WHERE status IN ('SOLD', 'CHECKED_IN') AND seat_id IN (
		SELECT seat_id FROM seats WHERE owner_user_id = ANY($2) AND event_id = $1
		UNION SELECT seat_id FROM seats WHERE seat_id = ANY($3) AND event_id = $1
		UNION SELECT seat_id FROM seats WHERE event_id = $1 AND length(row_number) = length($4::text) AND row_number = $4 AND seat_number = $5)
	ORDER BY length(row_number), row_number, seat_number LIMIT $6`

// FindTickets returns an event's sold seats that one of these users owns, or with one of these ids, or at this place,
// 100 at most.
func (s *Store) FindTickets(ctx context.Context, event uuid.UUID, owners, seats []uuid.UUID, row string, number int) ([]inventory.Ticket, error) {
	return readTickets(s.pool.Query(ctx, found, event, owners, seats, row, number, maxFound))
}

// Inside counts an event's admissions and who is inside, from an index of the log.
func (s *Store) Inside(ctx context.Context, event uuid.UUID) (n inventory.Inside, err error) {
	err = s.pool.QueryRow(ctx, `
		SELECT count(*) FILTER (WHERE direction = 'IN') - count(*) FILTER (WHERE direction <> 'IN'),
			count(*) FILTER (WHERE direction = 'IN' AND NOT reentry) - count(*) FILTER (WHERE direction = 'UNDO' AND NOT reentry),
			(SELECT count(*) FROM entry_logs c WHERE `+isConflict+`)
		FROM entry_logs WHERE event_id = $1 AND result = 'SUCCESS'`, event).Scan(&n.Inside, &n.Entered, &n.Conflicts)
	return n, translate(err)
}

// AllowEntry allows entry for a seat's ownership of that version although its payment was taken back; the first reason
// is kept. SEAT_UNAVAILABLE unless it is the present one.
func (s *Store) AllowEntry(ctx context.Context, seat uuid.UUID, version int64, admin uuid.UUID, reason string) error {
	var present bool
	err := s.pool.QueryRow(ctx, `
		WITH allowed AS (
			INSERT INTO entry_permits (seat_id, ownership_version, admin_id, reason)
			SELECT seat_id, ownership_version, $3, $4 FROM seats WHERE seat_id = $1 AND ownership_version = $2 AND owner_user_id IS NOT NULL
			ON CONFLICT DO NOTHING)
		SELECT ownership_version = $2 AND owner_user_id IS NOT NULL FROM seats WHERE seat_id = $1`, seat, version, admin, reason).Scan(&present)
	if err == nil && !present {
		err = inventory.ErrSeatUnavailable
	}
	return translate(err)
}

// Assignment returns where a member of staff works.
func (s *Store) Assignment(ctx context.Context, staff uuid.UUID) (a inventory.Assignment, err error) {
	err = s.pool.QueryRow(ctx, `SELECT venue_ids, event_ids FROM staff_assignments WHERE staff_id = $1 ORDER BY number DESC LIMIT 1`, staff).
		Scan(&a.Venues, &a.Events)
	if errors.Is(err, pgx.ErrNoRows) {
		return a, nil
	}
	return a, translate(err)
}

// Assign sets where a member of staff works. Earlier assignments stay in the table, with author and reason.
func (s *Store) Assign(ctx context.Context, staff uuid.UUID, a inventory.Assignment, admin uuid.UUID, reason string) error {
	_, err := s.pool.Exec(ctx, `INSERT INTO staff_assignments (staff_id, venue_ids, event_ids, admin_id, reason)
		VALUES ($1, coalesce($2::uuid[], '{}'), coalesce($3::uuid[], '{}'), $4, $5)`, staff, a.Venues, a.Events, admin, reason)
	return translate(err)
}
