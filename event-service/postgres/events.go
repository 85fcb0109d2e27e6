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
	"ticketremaster/platform/web"
)

//go:embed migrations/*.sql
var files embed.FS

// Migrations make events_db.
var Migrations, _ = fs.Sub(files, "migrations")

// Store keeps events. Each of its methods is one round trip and one transaction: a batch is both.
type Store struct{ Pool *pgxpool.Pool }

const columns = `e.event_id, e.name, v.venue_id, v.name, v.address, v.city, v.total_halls, e.hall_id, e.event_date, e.ends_at,
	e.pricing_tiers, e.total_seats, e.seats_per_row, e.image, e.featured, e.status`

func scan(row pgx.CollectableRow) (e event.Event, err error) {
	err = row.Scan(&e.ID, &e.Name, &e.Venue.ID, &e.Venue.Name, &e.Venue.Address, &e.Venue.City, &e.Venue.TotalHalls, &e.HallID, &e.Date, &e.EndsAt,
		&e.Tiers, &e.TotalSeats, &e.SeatsPerRow, &e.Image, &e.Featured, &e.Status)
	return e, err
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

// lockID lets one of Create and Delete of the same event run at a time: whichever comes second sees the row or the
// mark that the first left, neither of which a row's lock could guard before it exists.
const lockID = `SELECT pg_advisory_xact_lock(hashtextextended($1::uuid::text, 0))`

// Create makes the draft, and its venue if no other event was there. Making it again returns it as it is; one that
// was deleted is event.ErrVoided.
func (s Store) Create(ctx context.Context, d event.Draft) (event.Event, error) {
	venueID, err := uuid.NewV7()
	if err != nil {
		return event.Event{}, err
	}
	var b pgx.Batch
	b.Queue(lockID, d.ID)
	// Of a venue that is known the newest word on its halls counts.
	b.Queue(`
		WITH venue AS (
			INSERT INTO venues AS v (venue_id, name, address, city, total_halls)
			SELECT $2::uuid, $3, $4, $5, $6
			WHERE NOT EXISTS (SELECT FROM voided_events WHERE event_id = $1) AND NOT EXISTS (SELECT FROM events WHERE event_id = $1)
			ON CONFLICT (name, address) DO UPDATE SET city = COALESCE(NULLIF(excluded.city, ''), v.city), total_halls = excluded.total_halls
			RETURNING venue_id
		)
		INSERT INTO events (event_id, name, venue_id, hall_id, event_date, ends_at, total_seats, seats_per_row, pricing_tiers, image, featured)
		SELECT $1, $7, venue_id, $8, $9::timestamptz, $10::timestamptz, $11, $12, $13::jsonb, $14, $15 FROM venue`,
		d.ID, venueID, d.Venue.Name, d.Venue.Address, d.Venue.City, d.Venue.TotalHalls,
		d.Name, d.HallID, d.Date, d.EndsAt(), d.TotalSeats, d.SeatsPerRow, d.Tiers, d.Image, d.Featured)
	b.Queue(getEvent, d.ID)
	results := s.Pool.SendBatch(ctx, &b)
	defer results.Close()
	for range b.Len() - 1 {
		if _, err := results.Exec(); err != nil {
			return event.Event{}, err
		}
	}
	e, err := one(results.Query())
	if errors.Is(err, event.ErrNotFound) { // only the mark keeps it from being there
		err = event.ErrVoided
	}
	return e, errors.Join(err, results.Close())
}

// Publish shows a draft to everyone; a repeat changes nothing. It returns event.ErrNotFound for one that is not there or was deleted.
func (s Store) Publish(ctx context.Context, id uuid.UUID) (event.Event, error) {
	var b pgx.Batch
	b.Queue(`UPDATE events SET status = 'PUBLISHED', published_at = now() WHERE event_id = $1 AND status = 'DRAFT'`, id)
	b.Queue(getEvent, id)
	results := s.Pool.SendBatch(ctx, &b)
	defer results.Close()
	if _, err := results.Exec(); err != nil {
		return event.Event{}, err
	}
	e, err := one(results.Query())
	return e, errors.Join(err, results.Close())
}

// Delete takes a draft away and leaves a mark that refuses a late Create; a repeat, and the delete of what never was, is fine. It
// returns event.ErrPublished for a published event.
func (s Store) Delete(ctx context.Context, id uuid.UUID) error {
	var b pgx.Batch
	b.Queue(lockID, id)
	// First the row, whose lock a Publish may hold, then the mark: it must not be set on an event that was published meanwhile.
	b.Queue(`DELETE FROM events WHERE event_id = $1 AND status = 'DRAFT'`, id)
	b.Queue(`INSERT INTO voided_events (event_id) SELECT $1::uuid WHERE NOT EXISTS (SELECT FROM events WHERE event_id = $1) ON CONFLICT (event_id) DO NOTHING`, id)
	b.Queue(`SELECT EXISTS (SELECT FROM events WHERE event_id = $1)`, id)
	results := s.Pool.SendBatch(ctx, &b)
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

// matching is what List and its count have in common: published events of a day, featured or not. $1 and $2 are the day's
// bounds, null without one.
const matching = ` FROM events e JOIN venues v USING (venue_id)
	WHERE e.status = 'PUBLISHED' AND ($1::timestamptz IS NULL OR e.event_date >= $1 AND e.event_date < $2::timestamptz)
	AND ($3::boolean IS NULL OR e.featured = $3)`

// List returns a page of the published events, and how many there are in all. The soonest comes first; what is over comes
// after all that is not.
func (s Store) List(ctx context.Context, f event.Filter, page web.Page) ([]event.Event, int, error) {
	var from, to *time.Time
	if f.Date != nil {
		next := f.Date.AddDate(0, 0, 1)
		from, to = f.Date, &next
	}
	var b pgx.Batch
	b.Queue(`SELECT count(*)`+matching, from, to, f.Featured)
	b.Queue(`SELECT `+columns+matching+` ORDER BY e.ends_at < now(), e.event_date, e.event_id LIMIT $4 OFFSET $5`,
		from, to, f.Featured, page.Size, page.Offset())
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
