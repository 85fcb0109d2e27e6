package inventory

import (
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"ticketremaster/platform/fault"
)

// Result is what the gate decided about a ticket (docs/architecture.md#verification).
type Result string

// The results.
const (
	Success   Result = "SUCCESS"
	Duplicate Result = "DUPLICATE"
	WrongHall Result = "WRONG_HALL"
	Unpaid    Result = "UNPAID"
	NotFound  Result = "NOT_FOUND"
	Expired   Result = "EXPIRED"
)

// Direction is whether a ticket entered or left.
type Direction string

// The directions. Undo undoes an admission.
const (
	In   Direction = "IN"
	Out  Direction = "OUT"
	Undo Direction = "UNDO"
)

// Limits of the scan log.
const (
	MaxHallName     = 20 // characters
	MaxDevice       = 64 // characters
	MaxReason       = 40 // characters
	MaxNote         = 500
	MaxScansPerPage = 200
	// UndoTime is how long an admission can be undone by who made it; an administrator may at any time.
	UndoTime = 10 * time.Minute
)

// Scan is one decided scan at the gate, or an undoing.
type Scan struct {
	ID              uuid.UUID
	SeatID          uuid.UUID // uuid.Nil: no seat of ours
	PresentedSeatID uuid.UUID // as the QR said, if it could be read
	EventID         uuid.UUID
	StaffID         uuid.UUID
	Direction       Direction
	Result          Result
	HallPresented   string // in the QR
	HallExpected    string // the event's
	HallStaff       string // where the member of staff stood
	Device          string
	Reason          string    // more specific than the result
	Note            string    // free text
	Manual          bool      // no code was read
	DecidedAt       time.Time // by the clock of a device without network; zero: decided by the service
	DeviceResult    Result    // what that device decided
	ConflictsWith   uuid.UUID // the admission that was there already
	Undoes          uuid.UUID // the admission that is undone
	Entry           int       // which admission of the seat, from 1
	At              time.Time // when it was logged, by the database's clock
}

// Check says what is wrong with the scan's texts.
func (s Scan) Check() error {
	for _, text := range []struct {
		field, value string
		most         int
	}{
		{"hall_id_presented", s.HallPresented, MaxHallName}, {"hall_id_expected", s.HallExpected, MaxHallName},
		{"hall_id_staff", s.HallStaff, MaxHallName}, {"device", s.Device, MaxDevice},
		{"reason", s.Reason, MaxReason}, {"note", s.Note, MaxNote},
	} {
		if utf8.RuneCountInString(text.value) > text.most {
			return fault.Field(text.field, "must be at most %d characters", text.most)
		}
	}
	if s.DecidedAt.IsZero() != (s.DeviceResult == "") {
		return fault.Field("device_result", "and decided_at belong together")
	}
	return nil
}

// CheckIn admits the holder of a ticket if the ownership still has that version. Seat and scan id identify it: a repeat
// returns what was logged.
type CheckIn struct {
	Scan
	OwnerID          uuid.UUID // uuid.Nil, of an exit: whoever owns the seat at that version
	OwnershipVersion int64
	Reentry          bool // a holder who left may enter again
}

// Entry is the last admission of a seat that was not undone; the zero Entry means none.
type Entry struct {
	ScanID uuid.UUID
	At     time.Time
	Left   bool // its holder has left since
}

// Ticket is a seat as the gate sees it.
type Ticket struct {
	Seat
	Entry
	EntryAllowed bool // an administrator lets the present ownership in, though its payment was taken back
}

// Entered reports whether the ticket was admitted, whoever has left since.
func (t Ticket) Entered() bool { return t.ScanID != uuid.Nil }

// ScanPage is a page of an event's scans, and the counts per result over all of its admissions.
type ScanPage struct {
	Scans    []Scan
	Total    int // under the filter
	Counts   map[Result]int
	Standing map[uuid.UUID]Scan // of conflicts: the admissions that they collide with
}

// Inside counts admissions and people inside.
type Inside struct{ Inside, Entered, Conflicts int }

// Assignment is where a member of staff works; none at all means everywhere.
type Assignment struct{ Venues, Events []uuid.UUID }

// MaxAssigned is how many venues, and how many events, an assignment names.
const MaxAssigned = 200

// Refusals of undoing a check-in.
var (
	ErrScanNotFound    = fault.New(fault.NotFound, fault.CodeScanNotFound, "There is no such check-in of this ticket")
	ErrNotYourScan     = fault.New(fault.Forbidden, fault.CodeForbidden, "This check-in was made by someone else: an administrator can undo it")
	ErrUndoTooLate     = fault.New(fault.Gone, "UNDO_TOO_LATE", "This check-in is older than ten minutes: an administrator can undo it")
	ErrUndoNotPossible = fault.New(fault.Conflict, fault.CodeUndoNotPossible, "This check-in was undone before, or its holder has left since")
)
