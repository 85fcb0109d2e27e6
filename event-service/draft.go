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

// Defaults of what a draft may leave out.
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

	MaxDurationMinutes = 31 * 24 * 60

	firstYear = 2000
	lastYear  = 2100
)

// Draft is an event to be made. Its maker gives it its id: making it twice makes one event.
type Draft struct {
	ID     uuid.UUID
	Name   string
	Venue  Venue // without its id: name and address find it
	HallID string
	Date   time.Time

	DurationMinutes int // 0: DefaultDurationMinutes
	TotalSeats      int
	SeatsPerRow     int // 0: DefaultSeatsPerRow

	Tiers    Tiers
	Image    string // http(s) address or a path of the web app; may be empty
	Featured bool
}

// EndsAt is when the event is over.
func (d Draft) EndsAt() time.Time { return d.Date.Add(time.Duration(d.DurationMinutes) * time.Minute) }

// Check trims the texts, fills in the defaults and returns a fault that names the first field that is not usable. A date in the past
// is fine here: whether tickets are sold is not the catalogue's matter.
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
	if d.SeatsPerRow == 0 {
		d.SeatsPerRow = DefaultSeatsPerRow
	}
	if d.DurationMinutes == 0 {
		d.DurationMinutes = DefaultDurationMinutes
	}
	if !usableImage(d.Image) {
		return fault.Field("image", "must be an http or https address, or a path that begins with /")
	}
	if y := d.Date.Year(); y < firstYear || y > lastYear {
		return fault.Field("event_date", "must lie in the years %d to %d", firstYear, lastYear)
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
	return d.Tiers.check()
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

// dateForms are the ways to write a date and time: RFC 3339, and what a browser's date field gives, which has no
// zone and often no seconds (docs/clients.md#administration).
var dateForms = []string{time.RFC3339Nano, "2006-01-02T15:04Z07:00", "2006-01-02T15:04:05.999999999", "2006-01-02T15:04"}

// ParseDate reads a date and time; one without a zone is UTC. The result is in UTC.
func ParseDate(field, s string) (time.Time, error) {
	for _, form := range dateForms {
		if t, err := time.Parse(form, s); err == nil {
			return t.UTC(), nil
		}
	}
	if s == "" {
		return time.Time{}, fault.Field(field, "is required")
	}
	return time.Time{}, fault.Field(field, "must be a date and time such as 2027-12-31T20:00:00Z or 2027-12-31T20:00")
}

// ParseDay reads a day such as 2027-12-31 and gives its midnight in UTC.
func ParseDay(field, s string) (time.Time, error) {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil || t.Year() < 1 {
		return time.Time{}, fault.Field(field, "must be a day such as 2027-12-31")
	}
	return t, nil
}
