// Package rules decides at the door. It is pure: the service calls it with what it looked up, a device without network with
// what its manifest says. page/rules.js is the same table for the page; testdata/vectors.json holds both to one another.
package rules

import (
	"slices"
	"time"

	"github.com/google/uuid"
)

// Result is what the client of the gate is told; these six are all.
type Result string

// The results.
const (
	Success   Result = "SUCCESS"
	Duplicate Result = "DUPLICATE"
	Unpaid    Result = "UNPAID"
	NotFound  Result = "NOT_FOUND"
	WrongHall Result = "WRONG_HALL"
	Expired   Result = "EXPIRED"
)

// Reason is finer than a result; it is what the entry log keeps.
type Reason string

// The reasons.
const (
	NoSuchSeat       Reason = "NO_SUCH_SEAT"
	NotOfEvent       Reason = "NOT_OF_EVENT" // the seat is not of the event in the code
	NotSold          Reason = "NOT_SOLD"
	HandedOn         Reason = "HANDED_ON" // a former owner's code
	AlreadyIn        Reason = "ALREADY_IN"
	NoReentry        Reason = "NO_REENTRY"
	NotInside        Reason = "NOT_INSIDE" // of an exit
	NotPaid          Reason = "NOT_PAID"
	PaymentTakenBack Reason = "PAYMENT_TAKEN_BACK"
	OtherEvent       Reason = "OTHER_EVENT" // than the device is set to
	NotAssigned      Reason = "NOT_ASSIGNED"
	OtherHall        Reason = "OTHER_HALL"
	DoorsClosed      Reason = "DOORS_CLOSED"
	CodeOld          Reason = "CODE_OLD"
	CodeFuture       Reason = "CODE_FUTURE"
	EventOver        Reason = "EVENT_OVER"
	Refunded         Reason = "REFUNDED"
)

// Direction is which way the bearer of a ticket goes.
type Direction string

// The directions.
const (
	In  Direction = "IN"
	Out Direction = "OUT"
)

// Status is a seat's.
type Status string

// The statuses.
const (
	Available Status = "AVAILABLE"
	Held      Status = "HELD"
	Sold      Status = "SOLD"
	CheckedIn Status = "CHECKED_IN"
)

// CodeLife is how long after it was made a code is valid, beside the skew of clocks.
const CodeLife = 60 * time.Second

// Code is what a scanned code says. A search by hand stands for a code that is fresh and of the present ownership.
type Code struct {
	EventID  uuid.UUID `json:"event_id"`
	HallID   string    `json:"hall_id"` // empty: the code names none
	Version  int64     `json:"version"` // of the ownership
	IssuedAt time.Time `json:"issued_at"`
}

// Seat is a seat as it is now.
type Seat struct {
	EventID uuid.UUID `json:"event_id"`
	Status  Status    `json:"status"`
	Version int64     `json:"version"`
	Void    bool      `json:"void,omitempty"` // it is refunded, or about to be
}

// Event is what the gate knows of an event; the zero Event is one that is unknown.
type Event struct {
	ID          uuid.UUID `json:"event_id,omitzero"`
	Name        string    `json:"name"`
	VenueID     uuid.UUID `json:"venue_id,omitzero"`
	Venue       string    `json:"venue"`
	HallID      string    `json:"hall_id"`
	DoorsOpenAt time.Time `json:"doors_open_at,omitzero"` // zero: not checked
	EndsAt      time.Time `json:"ends_at"`
	DoorsText   string    `json:"doors_text,omitempty"` // both times as the venue's clocks show them: see Local
	BeginsText  string    `json:"begins_text"`
	Reentry     bool      `json:"reentry"`
	Cancelled   bool      `json:"cancelled,omitempty"`
}

// Assignment is where a member of staff works; none at all means everywhere.
type Assignment struct {
	Venues []uuid.UUID `json:"venues"`
	Events []uuid.UUID `json:"events"`
}

// Covers reports whether the event is one of those.
func (a Assignment) Covers(e Event) bool {
	return len(a.Venues)+len(a.Events) == 0 || slices.Contains(a.Events, e.ID) || slices.Contains(a.Venues, e.VenueID)
}

// Facts are all that a decision looks at.
type Facts struct {
	Now        time.Time     `json:"now"`
	Skew       time.Duration `json:"skew_ns"` // between clocks, that does no harm
	Direction  Direction     `json:"direction"`
	StaffHall  string        `json:"staff_hall"`           // where the member of staff stands; empty: not said
	StaffEvent uuid.UUID     `json:"staff_event,omitzero"` // that the device is set to; uuid.Nil: none
	Assigned   Assignment    `json:"assigned"`
	Code       Code          `json:"code"`
	Seat       *Seat         `json:"seat"`       // nil: there is no such seat
	Entered    bool          `json:"entered"`    // the ticket was admitted, and that was not undone
	Left       bool          `json:"left"`       // its holder has left since
	Paid       bool          `json:"paid"`       // there is a confirmed order
	TakenBack  bool          `json:"taken_back"` // its payment was taken back since, and nobody allowed it in
	Event      Event         `json:"event"`
}

// Verdict is a decision: what the client is told, what a person reads, what the log keeps.
type Verdict struct {
	Result  Result `json:"result"`
	Reason  Reason `json:"reason,omitempty"`
	Message string `json:"message"`
}

// rule is one line of the table: what it refuses, when, and what the staff read.
type rule struct {
	result  Result
	reason  Reason
	when    func(f Facts) bool
	message func(f Facts) string
}

// table stands in this order for a reason: the first line that fits decides, and SUCCESS is what is left.
var table = []rule{
	{NotFound, NoSuchSeat, func(f Facts) bool { return f.Seat == nil }, say("Possible Counterfeit: there is no such ticket")},
	{NotFound, NotOfEvent, func(f Facts) bool { return f.Seat.EventID != f.Code.EventID }, say("Possible Counterfeit: the ticket is not of this event")},
	{NotFound, NotSold, func(f Facts) bool { return f.Seat.Status == Available }, say("Possible Counterfeit: this seat is not sold")},
	{NotFound, HandedOn, handedOn, say("This ticket was handed on: ask for the present owner's QR code")},
	{Duplicate, NoReentry, func(f Facts) bool { return f.Direction == Out && !f.Event.Reentry }, say("This event has no re-entry: who leaves cannot come in again")},
	{Duplicate, NotInside, func(f Facts) bool { return f.Direction == Out && (!f.used() || f.Left) }, say("Nobody is inside on this ticket")},
	{Duplicate, NoReentry, func(f Facts) bool { return f.entering() && f.used() && f.Left && !f.Event.Reentry }, say("Already Checked In, and left: this event has no re-entry")},
	{Duplicate, AlreadyIn, func(f Facts) bool { return f.entering() && f.used() && !f.Left }, say("Already Checked In")},
	{Unpaid, Refunded, func(f Facts) bool { return f.entering() && (f.Seat.Void || f.Event.Cancelled) }, say("This ticket was cancelled and refunded")},
	{Unpaid, NotPaid, func(f Facts) bool { return f.entering() && (f.Seat.Status == Held || !f.Paid) }, say("Incomplete Payment")},
	{Unpaid, PaymentTakenBack, func(f Facts) bool { return f.entering() && f.TakenBack }, say("The payment for this ticket was taken back: send the guest to the box office")},
	{WrongHall, OtherEvent, func(f Facts) bool { return f.StaffEvent != uuid.Nil && f.StaffEvent != f.Code.EventID }, whereAndWhen},
	{WrongHall, NotAssigned, func(f Facts) bool { return !f.Assigned.Covers(f.Event) }, whereAndWhen},
	{WrongHall, OtherHall, wrongHall, func(f Facts) string { return "Go to Hall " + f.Event.HallID }},
	{WrongHall, DoorsClosed, func(f Facts) bool { return f.entering() && f.Now.Before(f.Event.DoorsOpenAt) }, func(f Facts) string {
		return "Too early: the doors of " + f.Event.place() + " open on " + f.Event.DoorsText + ". Go to Hall " + f.Event.HallID + " then"
	}},
	{Expired, CodeOld, func(f Facts) bool { return f.Now.Sub(f.Code.IssuedAt) > CodeLife+f.Skew }, say("Expired QR: refresh the ticket")},
	{Expired, CodeFuture, func(f Facts) bool { return f.Code.IssuedAt.Sub(f.Now) > f.Skew }, say("This QR code is from the future: check the clocks and refresh the ticket")},
	{Expired, EventOver, func(f Facts) bool { return f.entering() && f.Now.After(f.Event.EndsAt) }, say("This event is over")},
}

// Decide runs the table.
func Decide(f Facts) Verdict {
	for _, r := range table {
		if r.when(f) {
			return Verdict{r.result, r.reason, r.message(f)}
		}
	}
	return Passed(f.Direction)
}

// Passed is the verdict of who may pass.
func Passed(d Direction) Verdict {
	if d == Out {
		return Verdict{Result: Success, Message: "Goodbye"}
	}
	return Verdict{Result: Success, Message: "Welcome"}
}

// Lost is the verdict of a scan that was decided SUCCESS and then was not the first: the entry log says what it is instead.
func Lost(d Direction, result Result) Verdict {
	switch {
	case result == Duplicate && d == Out:
		return Verdict{result, NotInside, "Nobody is inside on this ticket"}
	case result == Duplicate:
		return Verdict{result, AlreadyIn, "Already Checked In"}
	default: // the ticket changed hands, or was taken back, between look-up and mark
		return Verdict{result, HandedOn, "This ticket was handed on: ask for the present owner's QR code"}
	}
}

func say(text string) func(Facts) string { return func(Facts) string { return text } }

func (f Facts) entering() bool { return f.Direction != Out }

// used is a ticket that was admitted, whoever has left since.
func (f Facts) used() bool { return f.Entered || f.Seat.Status == CheckedIn }

// handedOn is a code that was made before the ticket changed hands; it dies with the change, though its 60 seconds are not
// over.
func handedOn(f Facts) bool {
	return (f.Seat.Status == Sold || f.Seat.Status == CheckedIn) && f.Code.Version != f.Seat.Version
}

func wrongHall(f Facts) bool {
	staffElsewhere := f.StaffHall != "" && !SameHall(f.StaffHall, f.Event.HallID)
	codeElsewhere := f.Code.HallID != "" && !SameHall(f.Code.HallID, f.Event.HallID)
	return staffElsewhere || codeElsewhere
}

// whereAndWhen sends the bearer to the right door; the gatekeeper app looks for "Go to Hall X".
func whereAndWhen(f Facts) string {
	return "This ticket is for " + f.Event.place() + ", " + f.Event.BeginsText + ". Go to Hall " + f.Event.HallID
}

func (e Event) place() string { return e.Name + " at " + e.Venue }

// Local gives a time as the clocks of a zone show it; an unknown or empty zone is UTC.
func Local(t time.Time, timezone string) string {
	zone, err := time.LoadLocation(timezone)
	if err != nil {
		zone = time.UTC
	}
	return t.In(zone).Format("2 January 2006, 15:04")
}
