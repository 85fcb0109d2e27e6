package user

import (
	"time"

	"github.com/google/uuid"

	"ticketremaster/platform/fault"
	"ticketremaster/platform/money"
)

// What refuses an operation on credits. docs/money.md says when.
var (
	ErrTooLittle      = fault.New(fault.PaymentRequired, fault.CodeInsufficientCredits, "You do not have enough credits, please top up")
	ErrVoided         = fault.New(fault.Conflict, fault.CodeOperationVoided, "This operation was undone and cannot happen any more")
	ErrDiffers        = fault.New(fault.Conflict, "OPERATION_MISMATCH", "Another operation has this id")
	ErrNoEscrow       = fault.New(fault.NotFound, "ESCROW_NOT_FOUND", "There is no such escrow")
	ErrEscrowReleased = fault.New(fault.Conflict, "ESCROW_RELEASED", "The escrow was paid out already")
	ErrNoFreeze       = fault.New(fault.NotFound, "FREEZE_NOT_FOUND", "Nothing is frozen for this dispute")
	ErrFrozenTaken    = fault.New(fault.Conflict, "FROZEN_TAKEN", "The frozen credits are on their way back already")
	ErrFrozenShort    = fault.New(fault.Conflict, "FROZEN_SHORT", "The seller does not have all of the credits yet")
)

// Currency is what credits are bought in; one credit is one Singapore dollar.
const Currency = "sgd"

// Movement is one entry of a user's account, newest first in lists.
type Movement struct {
	ID          int64
	Kind        string
	Amount      money.Cents // negative: taken
	Balance     money.Cents // after it
	ReferenceID *uuid.UUID  // order, transfer or top-up
	At          time.Time
}

// TopUp is a request to buy credits. Only Stripe's webhook credits it.
type TopUp struct {
	ID     uuid.UUID
	UserID uuid.UUID
	Amount money.Cents
	Intent string // PaymentIntent, "" while Stripe has not answered
}

// PaymentEvent is the content of one webhook event about a payment. Amounts are Stripe's, not the client's.
type PaymentEvent struct {
	ID, Type, Intent string
	TopUpID          *uuid.UUID   // from the intent's metadata
	Paid             *money.Cents // the payment succeeded with this amount
	Currency         string
	Refunded         *money.Cents // in all, so far
	DisputeID        *string      // a chargeback
	DisputeAmount    money.Cents
	DisputeWon       bool // the funds are ours again
}
