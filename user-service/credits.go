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

// Where a top-up stands.
const (
	TopUpPending   = "pending"
	TopUpSucceeded = "succeeded" // the credits are there
	TopUpFailed    = "failed"    // a payment was refused; another card may still pay
	TopUpExpired   = "expired"   // cancelled, or not paid within TopUpLife; a payment that comes all the same is credited
)

// TopUpLife is how long a top-up counts as pending.
const TopUpLife = 24 * time.Hour

// TopUpUnderWay is how long somebody counts as being at paying a top-up: a card with 3-D Secure takes some minutes.
const TopUpUnderWay = 10 * time.Minute

// MostPayers is how many payers one reading gives.
const MostPayers = 500

// Payer is a user whose top-up is under way.
type Payer struct {
	UserID   uuid.UUID `json:"user_id"`
	PersonID uuid.UUID `json:"person_id"` // whose account it is
}

// TopUpStatus is a top-up as its owner sees it.
type TopUpStatus struct {
	ID          uuid.UUID
	Status      string
	Amount      money.Cents  // asked for
	Credited    *money.Cents // paid, once it is
	FailureCode string       // Stripe's, such as card_declined
	Failure     string       // in words for the payer
	Created     time.Time
	CreditedAt  *time.Time
}

// ErrNoTopUp says that the caller has no such top-up.
var ErrNoTopUp = fault.New(fault.NotFound, fault.CodeNotFound, "You have no such top-up")

// ErrTopUpsTooMany refuses another top-up while so many are not paid.
var ErrTopUpsTooMany = &fault.Error{Kind: fault.TooMany, Code: fault.CodeRateLimited, RetryAfter: 10 * time.Minute,
	Message: "You have begun several top-ups without paying, please pay one of them or try again later"}

// PaymentEvent is what one webhook event says of a payment; what is nil it does not speak of. Amounts are Stripe's, not
// the client's. As JSON it is what payment_told of migrations/0008_payments.sql reads.
type PaymentEvent struct {
	ID        string          `json:"event_id"`
	Type      string          `json:"type"`
	Told      time.Time       `json:"told_at"`
	Intent    string          `json:"payment_intent_id"`
	ObjectID  string          `json:"object_id"` // the payment, charge, refund or dispute
	Currency  string          `json:"currency,omitempty"`
	Ours      string          `json:"our_currency"`
	TopUpID   *uuid.UUID      `json:"topup_id,omitempty"` // from the intent's metadata
	Paid      *money.Cents    `json:"paid,omitempty"`     // the payment succeeded with this amount
	Failure   *PaymentFailure `json:"failure,omitempty"`  // the payment was refused
	Cancelled bool            `json:"cancelled,omitempty"`
	Refunded  *money.Cents    `json:"refunded,omitempty"`      // in all, as Stripe counted when it told
	Failed    *FailedRefund   `json:"failed_refund,omitempty"` // the money is with us again
	Dispute   *PaymentDispute `json:"dispute,omitempty"`       // a chargeback
}

// PaymentFailure is why a payment was refused.
type PaymentFailure struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// FailedRefund is a refund that its bank did not take.
type FailedRefund struct {
	Amount money.Cents `json:"amount"`
}

// PaymentDispute is a chargeback.
type PaymentDispute struct {
	Amount money.Cents `json:"amount"`
	Won    bool        `json:"won"` // the funds are ours again
}

// Payment is a payment at Stripe with what does not fit about it.
type Payment struct {
	Intent              string
	TopUpID, UserID     *uuid.UUID // that it was credited for
	Paid                *money.Cents
	Currency            *string
	Refunded, TakenBack money.Cents
	Created             time.Time
	Anomalies           []Anomaly
}

// Anomaly is something that Stripe said and that did not fit.
type Anomaly struct {
	Kind       string       `json:"kind"` // unknown_topup, wrong_currency, topup_paid_twice, refund_currency, dispute_currency
	Subject    string       `json:"subject"`
	Amount     *money.Cents `json:"amount"`
	Currency   *string      `json:"currency"`
	At         time.Time    `json:"created_at"`
	ResolvedAt *time.Time   `json:"resolved_at"`
	ResolvedBy *uuid.UUID   `json:"resolved_by"`
	Reason     *string      `json:"reason"`
}

// ErrNoAnomaly says that there is no payment of that id with anything to resolve.
var ErrNoAnomaly = fault.New(fault.NotFound, "PAYMENT_NOT_FOUND", "There is no such payment, or nothing is wrong with it")
