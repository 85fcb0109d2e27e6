package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	event "ticketremaster/event-service"
	"ticketremaster/platform/database"
	"ticketremaster/platform/fault"
)

// Create makes a checked draft, and its venue if it is new; the answer may have warnings. Making it again returns it as
// it is; one that was deleted is event.ErrVoided.
func (s Store) Create(ctx context.Context, d event.Draft) (e event.Event, err error) {
	err = database.BeginFenced(ctx, s.Pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, lockID, d.ID); err != nil {
			return err
		}
		var voided bool
		err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM voided_events WHERE event_id = $1)`, d.ID).Scan(&voided)
		if err == nil && voided {
			err = event.ErrVoided
		}
		if err != nil {
			return err
		}
		if e, err = one(tx.Query(ctx, getEvent, d.ID)); errors.Is(err, event.ErrNotFound) {
			e, err = s.create(ctx, tx, d)
		}
		if err == nil {
			e.Warnings, err = overlaps(ctx, tx, e)
		}
		return err
	})
	return e, err
}

func (s Store) create(ctx context.Context, tx pgx.Tx, d event.Draft) (event.Event, error) {
	var err error
	if d.Venue.ID, err = uuid.NewV7(); err != nil {
		return event.Event{}, err
	}
	known, timezone := false, d.Venue.Timezone
	halls := 0
	err = tx.QueryRow(ctx, `SELECT venue_id, total_halls, timezone FROM venues WHERE name = $1 AND address = $2 FOR UPDATE`,
		d.Venue.Name, d.Venue.Address).Scan(&d.Venue.ID, &halls, &d.Venue.Timezone)
	switch {
	case err == nil:
		known = true
	case !errors.Is(err, pgx.ErrNoRows):
		return event.Event{}, err
	case timezone == "":
		d.Venue.Timezone = s.Zone
	}
	if timezone != "" {
		d.Venue.Timezone = timezone
	}
	zone, err := event.Zone("venue.timezone", d.Venue.Timezone)
	if err != nil {
		return event.Event{}, err
	}
	e, err := d.Event(zone)
	if err != nil {
		return event.Event{}, err
	}
	if known {
		if err := hallFits(ctx, tx, e, halls); err != nil {
			return event.Event{}, err
		}
	}
	// For a known venue the newest city, number of halls and time zone apply.
	err = tx.QueryRow(ctx, `
		INSERT INTO venues AS v (venue_id, name, address, city, total_halls, timezone) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (name, address) DO UPDATE SET city = COALESCE(NULLIF(excluded.city, ''), v.city),
			total_halls = excluded.total_halls, timezone = CASE WHEN $7 THEN excluded.timezone ELSE v.timezone END
		RETURNING venue_id`,
		e.Venue.ID, e.Venue.Name, e.Venue.Address, e.Venue.City, e.Venue.TotalHalls, e.Venue.Timezone, timezone != "").Scan(&e.Venue.ID)
	if database.State(err) == unknownZone {
		return event.Event{}, fault.Field("venue.timezone", "is not a time zone that the database knows").Because(err)
	}
	if err != nil {
		return event.Event{}, err
	}
	var past bool
	err = tx.QueryRow(ctx, `
		INSERT INTO events (event_id, name, venue_id, hall_id, event_date, ends_at, total_seats, seats_per_row, pricing_tiers, image, featured,
			doors_open_at, sales_start, sales_end, max_per_customer, transfers_count, refund_hours_before, refund_fee_percent, includes,
			reentry_allowed, resale_cap_percent, max_per_booking, no_single_seats)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9::jsonb, $10, $11, $12, $13, $14, $15, $16, $17, $18, coalesce($19::jsonb, '[]'), $20, $21, $22, $23)
		RETURNING event_date <= now()`,
		e.ID, e.Name, e.Venue.ID, e.HallID, e.Date, e.EndsAt, e.TotalSeats, e.SeatsPerRow, e.Tiers, e.Image, e.Featured,
		e.DoorsOpenAt, e.SalesStart, e.SalesEnd, e.MaxPerCustomer, e.TransfersCount, e.RefundHoursBefore, e.RefundFeePercent, parts(e),
		e.ReentryAllowed, e.ResaleCapPercent, e.MaxPerBooking, e.NoSingleSeats).Scan(&past)
	if err == nil && past && !d.AllowPast {
		err = errPast
	}
	if err == nil && d.By != uuid.Nil {
		err = remember(ctx, tx, e, event.Author{By: d.By, Reason: "created"}, []event.FieldChange{{Field: "status", New: []byte(`"DRAFT"`)}})
	}
	if err != nil {
		return event.Event{}, err
	}
	return one(tx.Query(ctx, getEvent, e.ID))
}

var errPast = fault.Field("event_date", "is in the past; say allow_past if that is meant")

// unknownZone is PostgreSQL's invalid_parameter_value, by which it refuses a time zone.
const unknownZone = "22023"

func parts(e event.Event) event.Parts {
	if e.Includes == nil {
		return event.Parts{}
	}
	return e.Includes
}

// hallFits refuses a hall that would be one more than the venue has, and fewer halls than are in use. The venue's row
// is locked.
func hallFits(ctx context.Context, tx pgx.Tx, e event.Event, halls int) error {
	rows, err := tx.Query(ctx, `SELECT DISTINCT hall_id FROM events WHERE venue_id = $1`, e.Venue.ID)
	if err != nil {
		return err
	}
	labels, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	slices.SortFunc(labels, func(a, b string) int { return strings.Compare(plainHall(a), plainHall(b)) })
	labels = slices.CompactFunc(labels, sameHall)
	known := slices.ContainsFunc(labels, func(label string) bool { return sameHall(label, e.HallID) })
	switch {
	case !known && len(labels) >= e.Venue.TotalHalls:
		return fault.Field("hall_id", "is new, but the venue has %d halls in all, and they are known: %s", e.Venue.TotalHalls, strings.Join(labels, ", "))
	case e.Venue.TotalHalls < halls && e.Venue.TotalHalls < len(labels):
		return fault.Field("venue.total_halls", "must not be less than the halls in use: %s", strings.Join(labels, ", "))
	}
	return nil
}

// sameHall compares labels as people type them.
func sameHall(a, b string) bool { return plainHall(a) == plainHall(b) }

func plainHall(label string) string { return strings.ToLower(strings.Join(strings.Fields(label), " ")) }

// overlaps warns of other events in the same hall whose hours overlap.
func overlaps(ctx context.Context, tx pgx.Tx, e event.Event) (warnings []event.Warning, err error) {
	rows, err := tx.Query(ctx, `SELECT `+columns+` FROM events e JOIN venues v USING (venue_id)
		WHERE e.venue_id = $1 AND e.event_id <> $2 AND e.status <> 'CANCELLED' AND e.event_date < $4 AND e.ends_at > $3
		ORDER BY e.event_date LIMIT 100`, e.Venue.ID, e.ID, e.Date, e.EndsAt)
	if err != nil {
		return nil, err
	}
	others, err := pgx.CollectRows(rows, scan)
	for _, other := range others {
		if sameHall(other.HallID, e.HallID) {
			warnings = append(warnings, event.Warning{
				Code: event.WarnHallOverlap, EventID: other.ID,
				Message: fmt.Sprintf("%q is in %s too, from %s until %s", other.Name, other.HallID, local(other, other.Date), local(other, other.EndsAt)),
			})
		}
	}
	return warnings, err
}

// local formats a time in the venue's time zone.
func local(e event.Event, t time.Time) string {
	if zone, err := event.Zone("timezone", e.Timezone); err == nil {
		t = t.In(zone)
	}
	return t.Format("2006-01-02 15:04 -07:00")
}
