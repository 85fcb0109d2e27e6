// Package inventory holds the rules of seats: what a seat is, how a hall is laid out, who may hold, buy and transfer a
// seat, and what the gate decides. Package postgres applies them under its locks, package grpcapi serves them, package
// release frees abandoned holds.
package inventory

import (
	"time"

	"github.com/google/uuid"

	"ticketremaster/platform/fault"
	"ticketremaster/platform/money"
)

// Status is the state of a seat:
//
//	AVAILABLE ⇄ HELD → SOLD ⇄ CHECKED_IN
//	    ↑───── refund ──┘
//
// A HELD seat may also go to another hold, once its own time is over; a SOLD one to another owner; an admission may be
// undone. The database lets nothing else through (trigger seats_transition).
type Status string

// The statuses (docs/glossary.md).
const (
	Available Status = "AVAILABLE"
	Held      Status = "HELD"
	Sold      Status = "SOLD"
	CheckedIn Status = "CHECKED_IN"
)

// Seat is the present state of a seat; uuid.Nil and the zero time mean none. A hold whose time is over, and which is
// not being paid for, reads as AVAILABLE.
type Seat struct {
	ID, EventID uuid.UUID
	Status      Status
	OwnerID     uuid.UUID
	HeldBy      uuid.UUID
	HeldUntil   time.Time
	HoldID      uuid.UUID // of the present hold, or of the one that sold the seat
	PinID       uuid.UUID // the payment under way
	Tier        string
	Row         string
	Number      int
	PricePaid   money.Cents
	// OwnershipVersion grows by one with every change of owner; 0: never sold.
	OwnershipVersion int64
	SoldAt           time.Time // when the present owner got it
	QRRecorded       bool      // the hash of a QR payload of the present owner is kept
	Blocked          bool      // not for sale
	VoidID           uuid.UUID // the refund by which the ticket is void
}

// Count is what an event's seats add up to. Sold includes CheckedIn; Revenue is what the sold ones were bought for.
// Refunded are the tickets of a cancelled event that are void; they are none of the sold.
type Count struct {
	EventID                                                    uuid.UUID
	Total, Available, Held, Sold, CheckedIn, Blocked, Refunded int
	Revenue                                                    money.Cents
}

// Refusals of seats. ErrBusy is not a refusal: the seat's lock was held for too long, and a retry makes sense.
var (
	ErrSeatNotFound    = fault.New(fault.NotFound, fault.CodeSeatNotFound, "This seat does not exist")
	ErrSeatUnavailable = fault.New(fault.Conflict, fault.CodeSeatUnavailable, "This seat is not available right now")
	ErrAlreadySold     = fault.New(fault.Conflict, "SEAT_ALREADY_SOLD", "This seat is sold")
	ErrNotOwner        = fault.New(fault.Forbidden, fault.CodeNotSeatOwner, "This ticket belongs to someone else")
	ErrSeatsExist      = fault.New(fault.Conflict, "SEATS_EXIST", "This event has its seats already, in another number or order")
	ErrSeatsInUse      = fault.New(fault.Conflict, "SEATS_IN_USE", "Seats of this event were held or sold")
	ErrVoided          = fault.New(fault.Conflict, fault.CodeOperationVoided, "This operation was undone before it came")
	ErrBusy            = fault.New(fault.Unavailable, fault.CodeUnavailable, "The seat is busy right now, please try again shortly")
)

// Cause is why a seat changed its owner.
type Cause string

// The causes.
const (
	Purchase Cause = "PURCHASE"
	Transfer Cause = "TRANSFER"
	Reversal Cause = "REVERSAL"
	Refund   Cause = "REFUND"
)

// Ownership is one link in a seat's chain of custody.
type Ownership struct {
	OperationID uuid.UUID // a purchase's is its hold's id
	From        uuid.UUID // uuid.Nil: bought
	To          uuid.UUID // uuid.Nil: given back
	Cause       Cause
	At          time.Time
	Version     int64
}

// Handover transfers a sold seat from its owner to another user, once per OperationID.
type Handover struct {
	SeatID, From, To, OperationID uuid.UUID
	Cause                         Cause
}

// Refusal returns why a seat in this state cannot be transferred.
func (h Handover) Refusal(s Seat) error {
	switch {
	case s.OwnerID != uuid.Nil && s.OwnerID != h.From:
		return ErrNotOwner
	default: // checked in, or nobody's
		return ErrSeatUnavailable
	}
}
