package event

import (
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"

	"ticketremaster/platform/fault"
	"ticketremaster/platform/money"
	"ticketremaster/platform/web"
)

// Defaults of fields that a draft may omit.
const (
	DefaultDurationMinutes = 360
	DefaultSeatsPerRow     = 20
)

// Limits of a draft. The columns' widths set those of name and hall; the others keep an event at a size that the
// system was built for.
const (
	MaxName        = 255
	MaxAddress     = 500
	MaxCity        = 100
	MaxHallID      = 20
	MaxImage       = 2048
	MaxHalls       = 1000
	MaxSeats       = 100_000
	MaxSeatsPerRow = 1000
	MaxTiers       = 20
	MaxTierName    = 32
	MaxTimezone    = 64
	MaxReason      = 500

	MaxDurationMinutes = 31 * 24 * 60

	firstYear = 2000
	lastYear  = 2100
)

// Draft is a request for an event. The caller chooses the id: the same id is the same event.
type Draft struct {
	ID     uuid.UUID
	Name   string
	Venue  Venue // without its id: name and address find it; an empty time zone means the venue's, or the default
	HallID string
	By     uuid.UUID // the administrator; uuid.Nil: unknown

	Times           Times
	AllowPast       bool // a date in the past is intended
	DurationMinutes int  // 0: DefaultDurationMinutes; ignored if Times has an end
	TotalSeats      int
	SeatsPerRow     int // 0: DefaultSeatsPerRow

	Tiers    Tiers
	Rules    Rules
	Image    string // http(s) address or a path of the web app; may be empty
	Featured bool
}

// Times are an event's times as they were written; those without a zone are wall times of the venue. All but Date may
// be empty.
type Times struct {
	Date, EndsAt, DoorsOpenAt, SalesStart, SalesEnd string
}

// Check trims texts, fills in defaults and returns a fault that names the first unusable field. What depends on the
// venue's time zone is checked by Event.
func (d *Draft) Check() error {
	texts := []struct {
		field string
		value *string
		most  int
	}{
		{"name", &d.Name, MaxName},
		{"venue.name", &d.Venue.Name, MaxName},
		{"venue.address", &d.Venue.Address, MaxAddress},
		{"venue.city", &d.Venue.City, MaxCity},
		{"hall_id", &d.HallID, MaxHallID},
		{"image", &d.Image, MaxImage},
	}
	for _, t := range texts {
		if *t.value == "" && (t.field == "venue.city" || t.field == "image") {
			continue
		}
		text, err := web.Text(t.field, *t.value, t.most)
		if err != nil {
			return err
		}
		*t.value = text
	}
	if d.Venue.Timezone != "" {
		if _, err := Zone("venue.timezone", d.Venue.Timezone); err != nil {
			return err
		}
	}
	if d.SeatsPerRow == 0 {
		d.SeatsPerRow = DefaultSeatsPerRow
	}
	if d.DurationMinutes == 0 {
		d.DurationMinutes = DefaultDurationMinutes
	}
	numbers := []struct {
		field       string
		value, most int
	}{
		{"venue.total_halls", d.Venue.TotalHalls, MaxHalls},
		{"total_seats", d.TotalSeats, MaxSeats},
		{"seats_per_row", d.SeatsPerRow, MaxSeatsPerRow},
		{"duration_minutes", d.DurationMinutes, MaxDurationMinutes},
	}
	for _, n := range numbers {
		if n.value < 1 || n.value > n.most {
			return fault.Field(n.field, "must be a whole number from 1 to %d", n.most)
		}
	}
	_, err := d.Event(time.UTC) // whatever the zone, it has to be an event
	return err
}

// Event returns the event of a checked draft in that time zone, or a fault that names the first unusable field.
func (d Draft) Event(zone *time.Location) (e Event, err error) {
	e = Event{
		ID: d.ID, Name: d.Name, Venue: d.Venue, HallID: d.HallID, Tiers: d.Tiers, TotalSeats: d.TotalSeats, SeatsPerRow: d.SeatsPerRow,
		Image: d.Image, Featured: d.Featured, Status: StatusDraft, Version: 1, Rules: d.Rules,
	}
	if e.Date, err = ParseTime("event_date", d.Times.Date, zone); err != nil {
		return e, err
	}
	e.EndsAt = e.Date.Add(time.Duration(d.DurationMinutes) * time.Minute)
	if d.Times.EndsAt != "" {
		if e.EndsAt, err = ParseTime("ends_at", d.Times.EndsAt, zone); err != nil {
			return e, err
		}
	}
	for _, optional := range []struct {
		field, value string
		to           **time.Time
	}{
		{"doors_open_at", d.Times.DoorsOpenAt, &e.DoorsOpenAt},
		{"sales_start", d.Times.SalesStart, &e.SalesStart},
		{"sales_end", d.Times.SalesEnd, &e.SalesEnd},
	} {
		if optional.value == "" {
			continue
		}
		t, err := ParseTime(optional.field, optional.value, zone)
		if err != nil {
			return e, err
		}
		*optional.to = &t
	}
	return e, e.check()
}

// check returns a fault that names the first unusable field of the event. A date in the past is usable.
func (e *Event) check() error {
	longest := time.Duration(MaxDurationMinutes) * time.Minute
	switch y := e.Date.Year(); {
	case y < firstYear || y > lastYear:
		return fault.Field("event_date", "must lie in the years %d to %d", firstYear, lastYear)
	case !usableImage(e.Image):
		return fault.Field("image", "must be an http or https address, or a path that begins with /")
	case !e.EndsAt.After(e.Date) || e.EndsAt.Sub(e.Date) > longest:
		return fault.Field("ends_at", "must be after event_date, by %d days at most", MaxDurationMinutes/24/60)
	case e.DoorsOpenAt != nil && (!e.DoorsOpenAt.Before(e.EndsAt) || e.Date.Sub(*e.DoorsOpenAt) > longest):
		return fault.Field("doors_open_at", "must be before the event ends, and at most %d days before it begins", MaxDurationMinutes/24/60)
	case e.SalesStart != nil && !e.SalesStart.Before(e.EndsAt):
		return fault.Field("sales_start", "must be before the event ends")
	case e.SalesEnd != nil && e.SalesEnd.After(e.EndsAt):
		return fault.Field("sales_end", "must not be after the event ends")
	case e.SalesStart != nil && e.SalesEnd != nil && !e.SalesStart.Before(*e.SalesEnd):
		return fault.Field("sales_end", "must be after sales_start")
	}
	if err := e.Tiers.check(); err != nil {
		return err
	}
	return e.Rules.check(e.Tiers)
}

func (t Tiers) check() error {
	if len(t) == 0 || len(t) > MaxTiers {
		return fault.Field("pricing_tiers", "must have 1 to %d tiers", MaxTiers)
	}
	for name, price := range t {
		if trimmed, err := web.Text("pricing_tiers", name, MaxTierName); err != nil || trimmed != name {
			return fault.Field("pricing_tiers", "a tier's name must have 1 to %d characters, without blanks around it", MaxTierName)
		}
		if price < 0 || price > money.Max {
			return fault.Field("pricing_tiers."+name, "must be an amount from 0 to %s", money.Max)
		}
	}
	return nil
}

func usableImage(s string) bool {
	u, err := url.Parse(s)
	if err != nil {
		return false
	}
	switch u.Scheme {
	case "http", "https":
		return u.Host != ""
	case "":
		return s == "" || strings.HasPrefix(s, "/") && u.Host == ""
	}
	return false
}
