package inventory

import (
	"time"

	"github.com/google/uuid"

	"ticketremaster/platform/fault"
	"ticketremaster/platform/money"
)

// Limits of a hold.
const (
	MinHold  = time.Second
	MaxHold  = time.Hour
	MaxHolds = 1_000 // the most that a caller may allow one user
)

// Refusals of holds.
var (
	// ErrHeldLately lets others have a seat first that the same person held a moment ago.
	ErrHeldLately        = fault.New(fault.Conflict, fault.CodeSeatUnavailable, "You held this seat a moment ago; others may have it first, please try again shortly")
	ErrTooManyHolds      = fault.New(fault.TooMany, "TOO_MANY_HOLDS", "You hold as many seats as you may; pay for one or give one back first")
	ErrHoldExpired       = fault.New(fault.Gone, fault.CodeHoldExpired, "The time to pay for this seat is over")
	ErrNotHeld           = fault.New(fault.Conflict, fault.CodeSeatNotHeld, "This seat is not held for you")
	ErrPaymentInProgress = fault.New(fault.Conflict, fault.CodePaymentInProgress, "This seat is being paid for already")
)

// Reservation asks for a seat. HoldID is proposed, and becomes the order's id.
type Reservation struct {
	SeatID, UserID, HoldID uuid.UUID
	PersonID               uuid.UUID // the same for all accounts of one person
	TTL                    time.Duration
	MaxHolds               int           // live holds the person may have, this one included
	Pause                  time.Duration // before the person may hold a seat again whose hold ended without a sale
}

// Check says what is wrong with the request.
func (r Reservation) Check() error {
	switch {
	case r.TTL < MinHold || r.TTL > MaxHold:
		return fault.Field("hold_ttl_ms", "must be from %d to %d", MinHold.Milliseconds(), MaxHold.Milliseconds())
	case r.Pause < 0 || r.Pause > MaxHold:
		return fault.Field("hold_pause_ms", "must be from 0 to %d", MaxHold.Milliseconds())
	case r.MaxHolds < 1 || r.MaxHolds > MaxHolds:
		return fault.Field("max_holds", "must be from 1 to %d", MaxHolds)
	}
	return nil
}

// Refusal returns why a seat in this state cannot be held; nil: the user holds it already.
func (r Reservation) Refusal(s Seat) error {
	switch {
	case s.Status == Held && s.HeldBy == r.UserID:
		return nil
	case s.Status == Sold || s.Status == CheckedIn:
		return ErrAlreadySold
	default:
		return ErrSeatUnavailable
	}
}

// Hold is a seat held for a user.
type Hold struct {
	Seat      Seat
	Already   bool          // the user had it: Seat.HoldID is the earlier hold
	Remaining time.Duration // by the database's clock, never negative
}

// MaxHolders is the most users whose holds one call extends.
const MaxHolders = 1_000

// Holder is a user with an account of a person.
type Holder struct {
	UserID, PersonID uuid.UUID
}

// Extension prolongs holds that are about to end, each once.
type Extension struct {
	Holders []Holder
	Within  time.Duration // before a hold's end
	By      time.Duration
}

// Check says what is wrong with the request.
func (e Extension) Check() error {
	switch {
	case len(e.Holders) == 0 || len(e.Holders) > MaxHolders:
		return fault.Field("holders", "must be 1 to %d users", MaxHolders)
	case e.Within <= 0 || e.Within > MaxHold:
		return fault.Field("within_ms", "must be from 1 to %d", MaxHold.Milliseconds())
	case e.By < MinHold || e.By > MaxHold:
		return fault.Field("by_ms", "must be from %d to %d", MinHold.Milliseconds(), MaxHold.Milliseconds())
	}
	return nil
}

// Pin names one payment of a hold. A pinned hold is neither released nor swept nor reserved again. Its mark (table
// pins) remains: it identifies repeats, and refuses a pin that arrives after it was undone.
type Pin struct {
	SeatID, HoldID, UserID, PinID uuid.UUID
}

// Mark is the outcome of a pin.
type Mark string

// The marks; empty: no such pin.
const (
	Pinned    Mark = "PINNED"
	Unpinned  Mark = "UNPINNED"
	Confirmed Mark = "CONFIRMED"
)

// Refusal returns why a seat in this state cannot be pinned. touched: the seat was held before, so that a missing hold
// is an expired one.
func (p Pin) Refusal(s Seat, mark Mark, touched bool) error {
	mine := s.HoldID == p.HoldID
	switch {
	case mark == Unpinned:
		return ErrVoided
	case mine && s.Status == Held && s.HeldBy != p.UserID:
		return ErrNotHeld
	case mine && s.Status == Held && s.PinID != uuid.Nil:
		return ErrPaymentInProgress
	case mine && (s.Status == Sold || s.Status == CheckedIn): // paid for under another pin
		return ErrNotHeld
	case !touched:
		return ErrNotHeld
	default:
		return ErrHoldExpired
	}
}

// Sale turns a pinned hold into a ticket.
type Sale struct {
	Pin
	Price  money.Cents
	QRHash string // SHA-256, in hex, of the first QR payload; empty: none was issued
}

// Check says what is wrong with the price; 0 is a free ticket.
func (s Sale) Check() error {
	if s.Price < 0 || s.Price > money.Max {
		return fault.Field("price_cents", "must be from 0 to %d", money.Max)
	}
	return nil
}

// Outcome is the outcome of a release.
type Outcome string

// The outcomes.
const (
	Released    Outcome = "RELEASED" // the seat is free by this call
	Gone        Outcome = "GONE"     // this hold is no more: released before, or another's hold or ticket now
	NotDue      Outcome = "NOT_DUE"  // only_if_expired was set, and the hold is not over
	StillPinned Outcome = "PINNED"   // being paid for
	Bought      Outcome = "BOUGHT"   // this hold became a ticket
)
