package inventory

import (
	"github.com/google/uuid"

	"ticketremaster/platform/fault"
	"ticketremaster/platform/money"
)

// Limits of what concerns many seats at once.
const (
	MaxBlocked = 1_000 // seats that one call blocks or releases
	MaxVoided  = 1_000 // tickets that one call makes void
)

// What is refused about blocked seats and refunds.
var (
	ErrTicketUsed = fault.New(fault.Conflict, fault.CodeTicketAlreadyUsed, "This ticket was used: who is inside gets no refund")
	ErrTicketVoid = fault.New(fault.Conflict, fault.CodeTicketRefunded, "This ticket is refunded, or on its way to be")
	ErrNoTicket   = fault.New(fault.Conflict, "TICKET_NOT_SOLD", "This seat is not sold under this order")
)

// Voiding makes one ticket void for its refund.
type Voiding struct {
	SeatID, OrderID, RefundID uuid.UUID
}

// Refusal says why the database would not make the ticket void in this state.
func (v Voiding) Refusal(s Seat) error {
	switch {
	case s.HoldID != v.OrderID || s.OwnerID == uuid.Nil:
		return ErrNoTicket
	case s.VoidID != uuid.Nil:
		return ErrTicketVoid
	case s.Status == CheckedIn:
		return ErrTicketUsed
	}
	return ErrNoTicket
}

// Closing is what became of the holds of an event whose sale is closed.
type Closing struct {
	Released int // holds that were given back by this call
	Pinned   int // holds that are being paid for: ask again
}

// Addition is rows that are added behind a hall's last one.
type Addition struct {
	EventID, OperationID uuid.UUID
	Rows, SeatsPerRow    int
	Tier                 string
}

// Check says what is wrong with the rows.
func (a Addition) Check() error {
	switch {
	case a.SeatsPerRow < 1 || a.SeatsPerRow > MaxSeatsPerRow:
		return fault.Field("seats_per_row", "must be from 1 to %d", MaxSeatsPerRow)
	case a.Rows < 1 || a.Rows*a.SeatsPerRow > MaxSeats:
		return fault.Field("rows", "must be at least 1, and at most %d seats", MaxSeats)
	case a.Tier == "" || len([]rune(a.Tier)) > MaxTierName:
		return fault.Field("tier", "must be a name of 1 to %d characters", MaxTierName)
	}
	return nil
}

// Added is the rows that were added.
type Added struct {
	Seats             int
	FirstRow, LastRow string
}

// RowIndex is the inverse of RowName.
func RowIndex(name string) int {
	n := 0
	for _, letter := range name {
		n = n*26 + int(letter-'A') + 1
	}
	return n - 1
}

// Unsettled is what a cancellation has still to do.
type Unsettled struct {
	Tickets  int         // to be refunded
	Owners   int         // of these
	Value    money.Cents // that they were bought for
	Refunded int         // tickets that are done
	Held     int         // seats in checkout
}
