// Package event is the catalogue: venues, and the events in their halls with dates, prices and rules of sale. An event
// is made as a draft and published once its seats exist, so that nobody sees an incomplete one. Later changes are
// recorded with author and reason.
package event

import (
	"time"

	"github.com/google/uuid"

	"ticketremaster/platform/fault"
	"ticketremaster/platform/money"
)

// Status is the state of an event:
//
//	DRAFT → PUBLISHED → POSTPONED → CANCELLED
//
// A postponed event may be postponed again, a published one cancelled at once. The database refuses everything else
// (trigger events_guard).
type Status string

// The statuses. All but a draft are public; none of them is withdrawn or deleted.
const (
	StatusDraft     Status = "DRAFT"
	StatusPublished Status = "PUBLISHED"
	StatusPostponed Status = "POSTPONED"
	StatusCancelled Status = "CANCELLED"
)

// Valid reports whether s is one of the statuses.
func (s Status) Valid() bool {
	return s == StatusDraft || s == StatusPublished || s == StatusPostponed || s == StatusCancelled
}

// Venue is a building with one or more halls. Name and address together identify it.
type Venue struct {
	ID         uuid.UUID `json:"venue_id"`
	Name       string    `json:"name"`
	Address    string    `json:"address"`
	City       string    `json:"city"`
	TotalHalls int       `json:"total_halls"`
	Timezone   string    `json:"timezone"` // IANA name
}

// Tiers are the prices of an event's seats by the tier's name. Falling price is the order of the blocks of seats.
type Tiers map[string]money.Cents

// Event is one event as other services read it. Its times are UTC; null where a default applies.
type Event struct {
	ID          uuid.UUID `json:"event_id"`
	Name        string    `json:"name"`
	Venue       Venue     `json:"venue"`
	HallID      string    `json:"hall_id"`
	Date        time.Time `json:"event_date"`
	Timezone    string    `json:"timezone"`         // the venue's
	DateLocal   string    `json:"event_date_local"` // event_date in the venue's time zone, with its offset
	EndsAt      time.Time `json:"ends_at"`
	Tiers       Tiers     `json:"pricing_tiers"`
	TotalSeats  int       `json:"total_seats"`
	SeatsPerRow int       `json:"seats_per_row"`
	Image       string    `json:"image"` // an address, or empty
	Featured    bool      `json:"featured"`
	Status      Status    `json:"status"`
	Version     int       `json:"version"` // grows by one with every change

	DoorsOpenAt *time.Time `json:"doors_open_at"` // null: the gate's default
	SalesStart  *time.Time `json:"sales_start"`   // null: from the moment it is published
	SalesEnd    *time.Time `json:"sales_end"`     // null: until it begins
	RefundUntil *time.Time `json:"refund_until"`  // until when every holder of a postponed event may have a refund

	Rules

	// Warnings name what is allowed but may be a mistake; only in the answer to a change.
	Warnings []Warning `json:"warnings,omitempty"`
}

// Rules are the rules of sale that an organiser may turn on; the zero Rules has none.
type Rules struct {
	MaxPerCustomer    *int  `json:"max_per_customer"`    // tickets and holds of one person
	MaxPerBooking     *int  `json:"max_per_booking"`     // seats that may be held and paid for together; null: 10
	NoSingleSeats     bool  `json:"no_single_seats"`     // a booking may not leave a free seat alone
	TransfersCount    bool  `json:"transfers_count"`     // a ticket received by transfer counts too
	RefundHoursBefore *int  `json:"refund_hours_before"` // hours before the beginning until which a holder may return a ticket; null: never
	RefundFeePercent  int   `json:"refund_fee_percent"`  // of the price, kept from such a refund
	ResaleCapPercent  *int  `json:"resale_cap_percent"`  // of a ticket's first price, for resale at most; null: 100, 0: no resale
	Includes          Parts `json:"includes"`            // what a price includes
	ReentryAllowed    bool  `json:"reentry_allowed"`     // who leaves may come in again
}

// Warning is something that the administrator should look at.
type Warning struct {
	Code    string    `json:"code"`
	Message string    `json:"message"`
	EventID uuid.UUID `json:"event_id"` // the other event
}

// Change is one field's change, as administrators read it.
type Change struct {
	Version int       `json:"version"` // of the event, after the change
	Field   string    `json:"field"`
	From    any       `json:"from"`
	To      any       `json:"to"`
	By      uuid.UUID `json:"changed_by"`
	At      time.Time `json:"changed_at"`
	Reason  string    `json:"reason"`
}

// Filter narrows the list of events; the zero Filter shows public events that are not over.
type Filter struct {
	Day      string // a day such as 2027-12-31, on the venue's calendar
	Featured *bool
	Past     bool // those that are over too
	Status   Status
}

// Codes of warnings.
const (
	WarnHallOverlap = "HALL_OVERLAP"
)

// Refusals of the catalogue.
var (
	ErrNotFound  = fault.New(fault.NotFound, fault.CodeEventNotFound, "This event does not exist")
	ErrPublished = fault.New(fault.Conflict, "EVENT_PUBLISHED", "A published event cannot be deleted")
	ErrVoided    = fault.New(fault.Conflict, fault.CodeOperationVoided, "This event was given up before it was made")
	ErrCancelled = fault.New(fault.Conflict, fault.CodeEventCancelled, "This event is cancelled")
	ErrState     = fault.New(fault.Conflict, fault.CodeEventInvalidState, "This event's state does not allow that")
	ErrVersion   = fault.New(fault.Conflict, "VERSION_CONFLICT", "Someone else changed this event since you looked at it: look again, then change it")
)
