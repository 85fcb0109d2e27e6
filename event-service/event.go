// Package event is the catalogue: venues, and the events in their halls with dates and prices. An event is made as
// a draft and published once its seats exist, so that nobody sees one that is half made.
package event

import (
	"time"

	"github.com/google/uuid"

	"ticketremaster/platform/fault"
	"ticketremaster/platform/money"
)

// Status says who sees an event.
type Status string

// The statuses. A published event stays: it is neither unpublished nor deleted.
const (
	StatusDraft     Status = "DRAFT"
	StatusPublished Status = "PUBLISHED"
)

// Venue is a house with one or more halls. Name and address together name it.
type Venue struct {
	ID         uuid.UUID `json:"venue_id"`
	Name       string    `json:"name"`
	Address    string    `json:"address"`
	City       string    `json:"city"`
	TotalHalls int       `json:"total_halls"`
}

// Tiers are the prices of an event's seats by the tier's name. Falling price is the order of the blocks of seats.
type Tiers map[string]money.Cents

// Event is one event as other services read it.
type Event struct {
	ID          uuid.UUID `json:"event_id"`
	Name        string    `json:"name"`
	Venue       Venue     `json:"venue"`
	HallID      string    `json:"hall_id"`
	Date        time.Time `json:"event_date"` // UTC
	EndsAt      time.Time `json:"ends_at"`
	Tiers       Tiers     `json:"pricing_tiers"`
	TotalSeats  int       `json:"total_seats"`
	SeatsPerRow int       `json:"seats_per_row"`
	Image       string    `json:"image"` // an address, or empty
	Featured    bool      `json:"featured"`
	Status      Status    `json:"status"`
}

// Filter narrows the list of published events; the zero Filter lets all through.
type Filter struct {
	Date     *time.Time // the day, at midnight UTC
	Featured *bool
}

// What the catalogue refuses.
var (
	ErrNotFound  = fault.New(fault.NotFound, "EVENT_NOT_FOUND", "This event does not exist")
	ErrPublished = fault.New(fault.Conflict, "EVENT_PUBLISHED", "A published event cannot be deleted")
	ErrVoided    = fault.New(fault.Conflict, "OPERATION_VOIDED", "This event was given up before it was made")
)
