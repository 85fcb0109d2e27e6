// Package postgres keeps the catalogue in events_db.
package postgres

import (
	"context"
	"embed"
	"errors"
	"io/fs"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	event "ticketremaster/event-service"
	"ticketremaster/platform/database"
	"ticketremaster/platform/web"
)

//go:embed migrations/*.sql
var files embed.FS

// Migrations make events_db.
var Migrations = database.Fenced(migrations)

var migrations, _ = fs.Sub(files, "migrations")

// Store keeps events. Each of its methods is one transaction; what customers wait for takes one round trip.
type Store struct {
	Pool *pgxpool.Pool
	Zone string // IANA name: the time zone of a venue that has none given
}

const columns = `e.event_id, e.name, v.venue_id, v.name, v.address, v.city, v.total_halls, v.timezone, e.hall_id, e.event_date, e.ends_at,
	e.pricing_tiers, e.total_seats, e.seats_per_row, e.image, e.featured, e.status, e.version, e.doors_open_at, e.sales_start, e.sales_end,
	e.refund_until, e.max_per_customer, e.transfers_count, e.refund_hours_before, e.refund_fee_percent, e.includes, e.reentry_allowed, e.resale_cap_percent,
	e.max_per_booking, e.no_single_seats`

func scan(row pgx.CollectableRow) (e event.Event, err error) {
	err = row.Scan(&e.ID, &e.Name, &e.Venue.ID, &e.Venue.Name, &e.Venue.Address, &e.Venue.City, &e.Venue.TotalHalls, &e.Venue.Timezone,
		&e.HallID, &e.Date, &e.EndsAt, &e.Tiers, &e.TotalSeats, &e.SeatsPerRow, &e.Image, &e.Featured, &e.Status, &e.Version,
		&e.DoorsOpenAt, &e.SalesStart, &e.SalesEnd, &e.RefundUntil,
		&e.MaxPerCustomer, &e.TransfersCount, &e.RefundHoursBefore, &e.RefundFeePercent, &e.Includes, &e.ReentryAllowed, &e.ResaleCapPercent,
		&e.MaxPerBooking, &e.NoSingleSeats)
	utc(&e.Date, &e.EndsAt, e.DoorsOpenAt, e.SalesStart, e.SalesEnd, e.RefundUntil)
	e.Localise()
	return e, err
}

// utc converts times to UTC, as all answers have them; the driver returns them in the machine's zone.
func utc(times ...*time.Time) {
	for _, t := range times {
		if t != nil {
			*t = t.UTC()
		}
	}
}

// one reads the single event of a query, or returns event.ErrNotFound.
func one(rows pgx.Rows, err error) (event.Event, error) {
	if err != nil {
		return event.Event{}, err
	}
	e, err := pgx.CollectExactlyOneRow(rows, scan)
	if errors.Is(err, pgx.ErrNoRows) {
		err = event.ErrNotFound
	}
	return e, err
}

const getEvent = `SELECT ` + columns + ` FROM events e JOIN venues v USING (venue_id) WHERE e.event_id = $1`

// Get returns an event, a draft too, or event.ErrNotFound.
func (s Store) Get(ctx context.Context, id uuid.UUID) (event.Event, error) {
	return one(s.Pool.Query(ctx, getEvent, id))
}

// lockID serialises Create, Change and Delete of the same event: the second sees the row or the mark of the first,
// which no row lock could protect before it exists.
const lockID = `SELECT pg_advisory_xact_lock(hashtextextended($1::uuid::text, 0))`

// Delete deletes a draft and leaves a mark that refuses a late Create; a repeat, and deleting an unknown event,
// succeed. It returns event.ErrPublished for a published event.
func (s Store) Delete(ctx context.Context, id uuid.UUID) error {
	b, err := database.FencedBatch(ctx, s.Pool)
	if err != nil {
		return err
	}
	b.Queue(lockID, id)
	// First the row, whose lock a Publish may hold, then the mark: it must not be set on an event that was published
	// meanwhile.
	b.Queue(`DELETE FROM events WHERE event_id = $1 AND status = 'DRAFT'`, id)
	b.Queue(`INSERT INTO voided_events (event_id) SELECT $1::uuid WHERE NOT EXISTS (SELECT FROM events WHERE event_id = $1) ON CONFLICT (event_id) DO NOTHING`, id)
	b.Queue(`SELECT EXISTS (SELECT FROM events WHERE event_id = $1)`, id)
	results := s.Pool.SendBatch(ctx, b)
	defer results.Close()
	for range b.Len() - 1 {
		if _, err := results.Exec(); err != nil {
			return err
		}
	}
	var stands bool
	if err := results.QueryRow().Scan(&stands); err != nil {
		return err
	}
	if err := results.Close(); err != nil {
		return err
	}
	if stands {
		return event.ErrPublished
	}
	return nil
}

// matching is the common part of List and its count. $1 is a day or null, $2 featured or null, $3 whether what is over
// is asked for too, $4 a status, or null for what the public may see. The bounds on event_date follow from the day and
// are there for the index: no zone is further from UTC than 14 hours.
const matching = ` FROM events e JOIN venues v USING (venue_id)
	WHERE CASE WHEN $4::event_status IS NULL THEN e.status IN ('PUBLISHED', 'POSTPONED') ELSE e.status = $4 END
	AND ($1::date IS NULL OR e.event_date > $1::date - interval '15 hours' AND e.event_date < $1::date + interval '39 hours'
		AND (e.event_date AT TIME ZONE v.timezone)::date = $1)
	AND ($2::boolean IS NULL OR e.featured = $2)
	AND ($3 OR e.ends_at > now())`

// List returns a page of events, and how many there are in all: by date, the next first. Past events come last if they
// are asked for, the latest first.
func (s Store) List(ctx context.Context, f event.Filter, page web.Page) ([]event.Event, int, error) {
	var day, status *string
	if f.Day != "" {
		day = &f.Day
	}
	if f.Status != "" {
		status = (*string)(&f.Status)
	}
	var b pgx.Batch
	b.Queue(`SELECT count(*)`+matching, day, f.Featured, f.Past, status)
	b.Queue(`SELECT `+columns+matching+` ORDER BY e.ends_at <= now(), CASE WHEN e.ends_at > now() THEN e.event_date END,
		e.event_date DESC, e.event_id LIMIT $5 OFFSET $6`, day, f.Featured, f.Past, status, page.Size, page.Offset())
	results := s.Pool.SendBatch(ctx, &b)
	defer results.Close()
	var total int
	if err := results.QueryRow().Scan(&total); err != nil {
		return nil, 0, err
	}
	rows, err := results.Query()
	if err != nil {
		return nil, 0, err
	}
	events, err := pgx.CollectRows(rows, scan)
	return events, total, errors.Join(err, results.Close())
}
