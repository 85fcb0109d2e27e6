// Package order is the ledger of orders and of transfers between users: what was agreed, its state, and which step each
// state allows. It moves neither money nor seats; the orchestrator does, and records it here.
package order

import (
	"encoding/json"
	"time"

	"github.com/google/uuid"

	"ticketremaster/platform/fault"
	"ticketremaster/platform/money"
)

// Status is the state of an order.
type Status string

// The states: Pending → Confirmed → Refunded, or Pending → Failed. A trigger refuses everything else.
const (
	Pending   Status = "PENDING"
	Confirmed Status = "CONFIRMED"
	Failed    Status = "FAILED"
	Refunded  Status = "REFUNDED"
)

// Valid reports whether s is one of the states.
func (s Status) Valid() bool {
	switch s {
	case Pending, Confirmed, Failed, Refunded:
		return true
	}
	return false
}

// Order is one user's order of one seat, as other services read it. Its id names the hold.
type Order struct {
	ID             uuid.UUID       `json:"order_id" db:"order_id"`
	UserID         uuid.UUID       `json:"user_id"`
	SeatID         uuid.UUID       `json:"seat_id"`
	EventID        uuid.UUID       `json:"event_id"`
	Status         Status          `json:"status"`
	Price          money.Cents     `json:"price"`           // of the seat, when it was reserved
	CreditsCharged money.Cents     `json:"credits_charged"` // 0 until it is confirmed; stays after a refund
	HeldUntil      time.Time       `json:"held_until"`      // UTC, as all times
	CreatedAt      time.Time       `json:"created_at"`
	ConfirmedAt    *time.Time      `json:"confirmed_at"`
	FailureReason  *string         `json:"failure_reason"`       // why it failed or was refunded
	AttemptID      *uuid.UUID      `json:"attempt_id"`           // the attempt to pay that confirmed it
	Includes       json.RawMessage `json:"includes"`             // fees and tax that the price included when the seat was reserved; null: nothing
	BookingID      *uuid.UUID      `json:"booking_id,omitempty"` // with which it is held and paid for; nil: by itself
}

// Request is a request for an order. The caller chooses the id: the same id is the same order.
type Request struct {
	ID        uuid.UUID
	UserID    uuid.UUID
	SeatID    uuid.UUID
	EventID   uuid.UUID
	Price     money.Cents
	HeldUntil time.Time
	Includes  json.RawMessage // what the price includes; may be empty
	BookingID *uuid.UUID      // nil: it is a booking by itself
}

// MaxBooking is the most orders that are paid for together.
const MaxBooking = 20

// Limit bounds the orders of an event that one person has: paid ones, and holds that are not over.
type Limit struct {
	PersonID uuid.UUID // all accounts of a person
	Most     int
	Received bool // tickets that the person has by a transfer count too
}

// Payment is the attempt to pay that confirms the orders of a booking.
type Payment struct {
	AttemptID      uuid.UUID
	CreditsCharged []money.Cents // for each of them
}

// Filter narrows a list of orders; a nil or empty field does not filter. One of the ids must be given. An order without a
// booking is found as the booking of its own id.
type Filter struct {
	UserID, SeatID, EventID, BookingID *uuid.UUID
	Status                             Status
}

// Refusals of the ledger.
var (
	ErrNotFound     = fault.New(fault.NotFound, fault.CodeOrderNotFound, "This order does not exist")
	ErrInvalidState = fault.New(fault.Conflict, fault.CodeOrderInvalidState, "The order is not in a state that allows this")
	ErrLimit        = fault.New(fault.Conflict, fault.CodeTicketLimit, "You have as many tickets of this event as one person may have")
	// ErrVoided refuses an action that arrives after it was undone.
	ErrVoided = fault.New(fault.Conflict, fault.CodeOperationVoided, "This operation was undone before it arrived")
)

// InvalidState is ErrInvalidState with the order's present state.
func InvalidState(s Status) error { return ErrInvalidState.With("status", string(s)) }
