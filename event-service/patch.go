package event

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"

	"ticketremaster/platform/fault"
	"ticketremaster/platform/money"
	"ticketremaster/platform/web"
)

// Author is who changes an event, and why.
type Author struct {
	By        uuid.UUID // uuid.Nil: nobody, and no history is kept
	Reason    string
	Operation uuid.UUID // identifies the change, so that a repeat changes nothing; may be uuid.Nil
	Version   int       // of the event that the author saw; 0: any
	AllowPast bool      // a date in the past is intended
}

// Patch holds the fields to be changed as they were written.
type Patch map[string]json.RawMessage

// changeable is what a patch may change, and how each field is read.
var changeable = map[string]func(e *Event, field string, raw json.RawMessage) error{
	"name": func(e *Event, field string, raw json.RawMessage) error {
		return text(&e.Name, field, raw, MaxName, true)
	},
	"image": func(e *Event, field string, raw json.RawMessage) error {
		return text(&e.Image, field, raw, MaxImage, false)
	},
	"featured":      func(e *Event, field string, raw json.RawMessage) error { return decode(field, raw, &e.Featured) },
	"event_date":    (*Event).move,
	"ends_at":       func(e *Event, field string, raw json.RawMessage) error { return e.moment(field, raw, &e.EndsAt) },
	"doors_open_at": func(e *Event, field string, raw json.RawMessage) error { return e.optional(field, raw, &e.DoorsOpenAt) },
	"sales_start":   func(e *Event, field string, raw json.RawMessage) error { return e.optional(field, raw, &e.SalesStart) },
	"sales_end":     func(e *Event, field string, raw json.RawMessage) error { return e.optional(field, raw, &e.SalesEnd) },
	"refund_until":  func(e *Event, field string, raw json.RawMessage) error { return e.optional(field, raw, &e.RefundUntil) },
	"pricing_tiers": (*Event).reprice,
	"max_per_customer": func(e *Event, field string, raw json.RawMessage) error {
		e.MaxPerCustomer = nil
		return decode(field, raw, &e.MaxPerCustomer)
	},
	"max_per_booking": func(e *Event, field string, raw json.RawMessage) error {
		e.MaxPerBooking = nil
		return decode(field, raw, &e.MaxPerBooking)
	},
	"no_single_seats": func(e *Event, field string, raw json.RawMessage) error { return decode(field, raw, &e.NoSingleSeats) },
	"transfers_count": func(e *Event, field string, raw json.RawMessage) error { return decode(field, raw, &e.TransfersCount) },
	"reentry_allowed": func(e *Event, field string, raw json.RawMessage) error { return decode(field, raw, &e.ReentryAllowed) },
	"refund_hours_before": func(e *Event, field string, raw json.RawMessage) error {
		e.RefundHoursBefore = nil
		return decode(field, raw, &e.RefundHoursBefore)
	},
	"refund_fee_percent": func(e *Event, field string, raw json.RawMessage) error {
		return decode(field, raw, &e.RefundFeePercent)
	},
	"resale_cap_percent": func(e *Event, field string, raw json.RawMessage) error {
		e.ResaleCapPercent = nil
		return decode(field, raw, &e.ResaleCapPercent)
	},
	"includes": func(e *Event, field string, raw json.RawMessage) error {
		e.Includes = nil
		return decode(field, raw, &e.Includes)
	},
}

// nullable are the fields for which null means the default.
var nullable = []string{"doors_open_at", "sales_start", "sales_end", "refund_until", "max_per_customer", "max_per_booking", "refund_hours_before", "resale_cap_percent"}

// fixed are the fields that cannot change.
var fixed = []string{"event_id", "hall_id", "venue", "total_seats", "seats_per_row", "status"}

// Apply changes the event's fields, in the venue's time. When event_date moves, the times that depend on it move too
// unless they are given. It returns a fault that names the first unusable field, also for the event as a whole.
func (e *Event) Apply(p Patch) error {
	if e.Status == StatusCancelled {
		return ErrCancelled
	}
	for _, field := range fixed {
		if _, given := p[field]; given {
			return fault.Field(field, "cannot be changed")
		}
	}
	if raw, given := p["event_date"]; given { // first: the others may be given beside it
		if err := e.move("event_date", raw); err != nil {
			return err
		}
	}
	for _, field := range slices.Sorted(maps.Keys(p)) {
		if isNull(p[field]) && !slices.Contains(nullable, field) {
			return fault.Field(field, "must not be null")
		}
		if set, known := changeable[field]; known && field != "event_date" {
			if err := set(e, field, p[field]); err != nil {
				return err
			}
		}
	}
	e.Localise()
	return e.check()
}

func (e *Event) move(field string, raw json.RawMessage) error {
	former := e.Date
	if err := e.moment(field, raw, &e.Date); err != nil {
		return err
	}
	by := e.Date.Sub(former)
	e.EndsAt = e.EndsAt.Add(by)
	for _, t := range []**time.Time{&e.DoorsOpenAt, &e.SalesEnd} {
		if *t != nil {
			moved := (*t).Add(by)
			*t = &moved
		}
	}
	return nil
}

// reprice sets new prices of some or all existing tiers. A held seat keeps its price.
func (e *Event) reprice(field string, raw json.RawMessage) error {
	var given map[string]json.RawMessage
	if err := decode(field, raw, &given); err != nil {
		return err
	}
	e.Tiers = maps.Clone(e.Tiers)
	for name, raw := range given {
		if _, known := e.Tiers[name]; !known {
			return fault.Field(field+"."+name, "is no tier of this event: a new one comes with added rows")
		}
		price, err := web.Amount(field+"."+name, raw)
		if err != nil {
			return err
		}
		e.Tiers[name] = price
	}
	return nil
}

func (e *Event) moment(field string, raw json.RawMessage, to *time.Time) error {
	var written string
	if err := decode(field, raw, &written); err != nil {
		return err
	}
	zone, err := Zone("venue.timezone", e.Venue.Timezone)
	if err != nil {
		return err
	}
	*to, err = ParseTime(field, written, zone)
	return err
}

func (e *Event) optional(field string, raw json.RawMessage, to **time.Time) error {
	if isNull(raw) {
		*to = nil
		return nil
	}
	var t time.Time
	if err := e.moment(field, raw, &t); err != nil {
		return err
	}
	*to = &t
	return nil
}

func text(to *string, field string, raw json.RawMessage, most int, required bool) error {
	if err := decode(field, raw, to); err != nil || *to == "" && !required {
		return err
	}
	clean, err := web.Text(field, *to, most)
	*to = clean
	return err
}

func decode(field string, raw json.RawMessage, to any) error {
	if err := json.Unmarshal(raw, to); err != nil {
		return fault.Field(field, "is not usable: %s", err)
	}
	return nil
}

func isNull(raw json.RawMessage) bool { return string(bytes.TrimSpace(raw)) == "null" }

// Postpone moves a public event to another date. Tickets stay valid; every holder may have a refund until refundUntil.
// It returns ErrState for a draft.
func (e *Event) Postpone(p Patch) error {
	if e.Status != StatusPublished && e.Status != StatusPostponed {
		return ErrState.With("status", string(e.Status))
	}
	for _, field := range []string{"event_date", "refund_until"} {
		if raw, given := p[field]; !given || isNull(raw) {
			return fault.Field(field, "is required")
		}
	}
	former := e.Date
	if err := e.Apply(p); err != nil {
		return err
	}
	switch {
	case e.Date.Equal(former):
		return fault.Field("event_date", "must be another than the present one")
	case e.RefundUntil.After(e.Date):
		return fault.Field("refund_until", "must not be after the event begins")
	}
	e.Status = StatusPostponed
	return nil
}

// Cancel cancels a public event. Cancelling again changes nothing; a draft is deleted instead.
func (e *Event) Cancel(Patch) error {
	if e.Status == StatusDraft {
		return ErrState.With("status", string(e.Status))
	}
	e.Status = StatusCancelled
	return nil
}

// FieldChange is a field that differs between two states of an event.
type FieldChange struct {
	Field    string
	Old, New json.RawMessage
}

// derived are fields that follow from others.
var derived = []string{"version", "timezone", "event_date_local", "warnings"}

// Differences lists the fields in which two states of an event differ, in alphabetical order.
func Differences(old, new Event) ([]FieldChange, error) {
	before, err := fieldsOf(old)
	if err != nil {
		return nil, err
	}
	after, err := fieldsOf(new)
	if err != nil {
		return nil, err
	}
	var changes []FieldChange
	for _, field := range slices.Sorted(maps.Keys(after)) {
		if !slices.Contains(derived, field) && !bytes.Equal(before[field], after[field]) {
			changes = append(changes, FieldChange{field, before[field], after[field]})
		}
	}
	return changes, nil
}

func fieldsOf(e Event) (fields map[string]json.RawMessage, err error) {
	raw, err := json.Marshal(e)
	if err == nil {
		err = json.Unmarshal(raw, &fields)
	}
	return fields, err
}

// Grow adds seats to an event that is not over, of a tier that it has or a new one at price.
func (e *Event) Grow(seats int, tier string, price *money.Cents) error {
	if e.Status == StatusCancelled {
		return ErrCancelled
	}
	if seats < 1 || e.TotalSeats+seats > MaxSeats {
		return fault.Field("seats", "must be at least 1, and the event have %d in all at most", MaxSeats)
	}
	e.TotalSeats += seats
	switch present, known := e.Tiers[tier]; {
	case !known && price == nil:
		return fault.Field("price", "is required for a new tier")
	case !known:
		e.Tiers = maps.Clone(e.Tiers)
		e.Tiers[tier] = *price
	case price != nil && *price != present:
		return fault.Field("price", "of this tier is %s: change it for the event, or name a new tier", present)
	}
	return e.check()
}
