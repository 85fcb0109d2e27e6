package inventory

import (
	"time"

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

// Limits of the scan log.
const (
	MaxHallName     = 20 // characters: entry_logs has VARCHAR(20)
	MaxScansPerPage = 200
)

// Scan is one decided scan at the gate.
type Scan struct {
	ID              uuid.UUID
	SeatID          uuid.UUID // uuid.Nil: no seat of ours
	PresentedSeatID uuid.UUID // as the QR said, if it could be read
	EventID         uuid.UUID
	StaffID         uuid.UUID
	Result          Result
	HallPresented   string
	HallExpected    string
	At              time.Time // by the database's clock
}

// Check says what is wrong with the scan's texts.
func (s Scan) Check() error {
	if len([]rune(s.HallPresented)) > MaxHallName {
		return fault.Field("hall_id_presented", "must be at most %d characters", MaxHallName)
	}
	if len([]rune(s.HallExpected)) > MaxHallName {
		return fault.Field("hall_id_expected", "must be at most %d characters", MaxHallName)
	}
	return nil
}

// CheckIn lets the holder of a ticket in, if it is still the owner's at that version. Seat and scan's id name it: a
// repeat answers what was logged.
type CheckIn struct {
	Scan
	OwnerID          uuid.UUID
	OwnershipVersion int64
}

// ScanPage is a page of an event's scans, and the counts per result over all of them.
type ScanPage struct {
	Scans  []Scan
	Total  int // under the filter
	Counts map[Result]int
}
