package inventory

import (
	"strings"
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
	// MaxBooking is the most seats that are held and paid for together.
	MaxBooking = 20
)

// Refusals of holds.
var (
	// ErrHeldLately lets others have a seat first that the same person held a moment ago.
	ErrHeldLately        = fault.New(fault.Conflict, fault.CodeSeatUnavailable, "You held this seat a moment ago; others may have it first, please try again shortly")
	ErrSomeGone          = fault.New(fault.Conflict, fault.CodeSeatUnavailable, "Some of these seats are not available right now; none is held")
	ErrTwoEvents         = fault.Field("seat_ids", "must be seats of one event")
	ErrTooManyHolds      = fault.New(fault.TooMany, "TOO_MANY_HOLDS", "You hold as many seats as you may; pay for one or give one back first")
	ErrHoldExpired       = fault.New(fault.Gone, fault.CodeHoldExpired, "The time to pay for this seat is over")
	ErrNotHeld           = fault.New(fault.Conflict, fault.CodeSeatNotHeld, "This seat is not held for you")
	ErrPaymentInProgress = fault.New(fault.Conflict, fault.CodePaymentInProgress, "This seat is being paid for already")
)

// HeldSeat is a seat and its hold: one of a booking's, which are decided together. A booking of one seat is the plain case.
type HeldSeat struct {
	SeatID, HoldID uuid.UUID
}

// seatIDs returns the seats of a booking, in its order.
func seatIDs(seats []HeldSeat) []uuid.UUID {
	ids := make([]uuid.UUID, len(seats))
	for i, s := range seats {
		ids[i] = s.SeatID
	}
	return ids
}

// checkBooking says what is wrong with the seats of a booking.
func checkBooking(seats []HeldSeat) error {
	if len(seats) > MaxBooking {
		return fault.Field("seat_ids", "must be at most %d seats", MaxBooking)
	}
	for i, s := range seats {
		for _, other := range seats[:i] {
			if s.SeatID == other.SeatID || s.HoldID == other.HoldID {
				return fault.Field("seat_ids", "must be different seats, and different holds")
			}
		}
	}
	return nil
}

// Reservation asks for seats: all of them, or none. Their holds are proposed, and become the orders' ids.
type Reservation struct {
	Seats    []HeldSeat
	UserID   uuid.UUID
	PersonID uuid.UUID // the same for all accounts of one person
	TTL      time.Duration
	MaxHolds int           // live holds the person may have, these included
	Pause    time.Duration // before the person may hold a seat again whose hold ended without a sale
}

// Check says what is wrong with the request.
func (r Reservation) Check() error {
	if err := checkBooking(r.Seats); err != nil {
		return err
	}
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

// SeatIDs returns the seats that are asked for.
func (r Reservation) SeatIDs() []uuid.UUID { return seatIDs(r.Seats) }

// Gone refuses a booking of several seats, and names those that are gone.
func (r Reservation) Gone(seats []uuid.UUID) error {
	names := make([]string, len(seats))
	for i, id := range seats {
		names[i] = id.String()
	}
	return ErrSomeGone.With("seat_ids", strings.Join(names, ","))
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

// Hold is what is held for a user: the seats of a booking, in the order asked.
type Hold struct {
	Seats     []Seat
	Already   bool          // the user had them: their HoldID are the earlier holds
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

// Pin names one payment of a booking's holds. A pinned hold is neither released nor swept nor reserved again. Its mark
// (table pins, under the booking's first seat) remains: it identifies repeats, and refuses a pin that arrives after it was
// undone.
type Pin struct {
	Seats         []HeldSeat
	UserID, PinID uuid.UUID
}

// Check says what is wrong with the seats.
func (p Pin) Check() error { return checkBooking(p.Seats) }

// SeatIDs returns the booking's seats.
func (p Pin) SeatIDs() []uuid.UUID { return seatIDs(p.Seats) }

// HoldIDs returns the holds of its seats, in the same order.
func (p Pin) HoldIDs() []uuid.UUID {
	ids := make([]uuid.UUID, len(p.Seats))
	for i, s := range p.Seats {
		ids[i] = s.HoldID
	}
	return ids
}

// Mark is the outcome of a pin.
type Mark string

// The marks; empty: no such pin.
const (
	Pinned    Mark = "PINNED"
	Unpinned  Mark = "UNPINNED"
	Confirmed Mark = "CONFIRMED"
)

// Fits reports whether the seat is as a pin of that hold wants it.
func (p Pin) Fits(s Seat, hold uuid.UUID) bool {
	return s.Status == Held && s.HoldID == hold && s.HeldBy == p.UserID && s.PinID == uuid.Nil && !s.Blocked
}

// Refusal returns why a seat in this state cannot be pinned under that hold. touched: the seat was held before, so that a
// missing hold is an expired one.
func (p Pin) Refusal(s Seat, hold uuid.UUID, mark Mark, touched bool) error {
	mine := s.HoldID == hold
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

// Sale turns pinned holds into tickets.
type Sale struct {
	Pin
	Terms []Terms // of each of the seats
}

// Terms are for what a seat is sold.
type Terms struct {
	Price  money.Cents
	QRHash string // SHA-256, in hex, of the first QR payload; empty: none was issued
}

// Check says what is wrong with the seats and prices; 0 is a free ticket.
func (s Sale) Check() error {
	for _, t := range s.Terms {
		if t.Price < 0 || t.Price > money.Max {
			return fault.Field("price_cents", "must be from 0 to %d", money.Max)
		}
	}
	return s.Pin.Check()
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
