package order

import (
	"time"

	"github.com/google/uuid"

	"ticketremaster/platform/fault"
	"ticketremaster/platform/money"
)

// RefundKind says whether the ticket goes with the money.
type RefundKind string

// The kinds. Whole returns what is left of the price, less the fee, and ends the order; Part returns an amount.
const (
	Whole RefundKind = "WHOLE"
	Part  RefundKind = "PART"
)

// RefundRequest is a refund to be recorded. The caller chooses its id: the same id is the same refund.
type RefundRequest struct {
	ID         uuid.UUID
	OrderID    uuid.UUID
	Kind       RefundKind
	Amount     money.Cents // of a Part
	FeePercent int         // that is kept of a Whole
	ToUserID   uuid.UUID
	By         uuid.UUID // uuid.Nil: the event was cancelled
	Reason     string
}

// Refund is a recorded refund.
type Refund struct {
	ID         uuid.UUID   `json:"refund_id" db:"refund_id"`
	OrderID    uuid.UUID   `json:"order_id"`
	Kind       RefundKind  `json:"kind"`
	Amount     money.Cents `json:"amount"`
	ToUserID   uuid.UUID   `json:"to_user_id"`
	RefundedBy *uuid.UUID  `json:"refunded_by"` // nil: the event was cancelled
	Reason     string      `json:"reason"`
	CreatedAt  time.Time   `json:"created_at"`
}

// RefundResult is what became of one request among several: a refund, or why there is none.
type RefundResult struct {
	Refund  *Refund
	Refusal *fault.Error
}

// What refuses a refund.
var (
	ErrTicketDisputed = fault.New(fault.Conflict, fault.CodeTicketDisputed, "A transfer of this ticket is disputed: the refund waits for the end of the dispute")
	ErrOverRefunded   = fault.New(fault.Conflict, "REFUND_TOO_LARGE", "No more than what was paid can be refunded")
)

// Amounts says what a request returns of an order of that price, of which that much went back before.
func (r RefundRequest) Amounts(paid, returned money.Cents) (money.Cents, error) {
	left := paid - returned
	if r.Kind == Whole {
		return left - left*money.Cents(r.FeePercent)/100, nil
	}
	if r.Amount > left {
		return 0, ErrOverRefunded.With("left", left.String())
	}
	return r.Amount, nil
}
