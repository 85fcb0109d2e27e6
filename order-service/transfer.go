package order

import (
	"time"

	"github.com/google/uuid"

	"ticketremaster/platform/fault"
	"ticketremaster/platform/money"
)

// TransferStatus is the state of a transfer.
type TransferStatus string

// The states of a transfer. Initiated, PendingOTP and Disputed are live: a seat has one live transfer at most.
const (
	Initiated      TransferStatus = "INITIATED"
	PendingOTP     TransferStatus = "PENDING_OTP"
	Completed      TransferStatus = "COMPLETED"
	Disputed       TransferStatus = "DISPUTED"
	Reversed       TransferStatus = "REVERSED"
	TransferFailed TransferStatus = "FAILED"
)

// Valid reports whether s is one of the states.
func (s TransferStatus) Valid() bool {
	switch s {
	case Initiated, PendingOTP, Completed, Disputed, Reversed, TransferFailed:
		return true
	}
	return false
}

// Transfer is a transfer of a ticket between two users, as other services read it.
type Transfer struct {
	ID                uuid.UUID      `json:"transfer_id" db:"transfer_id"`
	SeatID            uuid.UUID      `json:"seat_id"`
	EventID           uuid.UUID      `json:"event_id"`
	SellerUserID      uuid.UUID      `json:"seller_user_id"`
	BuyerUserID       uuid.UUID      `json:"buyer_user_id"`
	InitiatedBy       uuid.UUID      `json:"initiated_by"` // seller or buyer
	Status            TransferStatus `json:"status"`
	SellerOTPVerified bool           `json:"seller_otp_verified"`
	BuyerOTPVerified  bool           `json:"buyer_otp_verified"`
	CreditsAmount     money.Cents    `json:"credits_amount"` // 0: a gift
	DisputeID         *uuid.UUID     `json:"dispute_id"`     // of the latest dispute; it stays when that has ended
	DisputedBy        *uuid.UUID     `json:"disputed_by"`
	DisputeReason     *string        `json:"dispute_reason"`
	FailureReason     *string        `json:"failure_reason"`
	Swapping          bool           `json:"swapping"`    // credits and seat are changing hands
	ReversalID        *uuid.UUID     `json:"reversal_id"` // of the reversal under way, or done
	ExpiresAt         time.Time      `json:"expires_at"`  // UTC, as all times
	CreatedAt         time.Time      `json:"created_at"`
	CompletedAt       *time.Time     `json:"completed_at"`
	ListingID         *uuid.UUID     `json:"listing_id"` // it came of a purchase at the marketplace: the buyer's credits are in escrow while it is live
	Refused           bool           `json:"refused"`    // failed from the start: only who offered it may see it
}

// TransferRequest is a request for a transfer: initiated, or failed from the start for a reason.
type TransferRequest struct {
	ID            uuid.UUID
	SeatID        uuid.UUID
	EventID       uuid.UUID
	SellerUserID  uuid.UUID
	BuyerUserID   uuid.UUID
	InitiatedBy   uuid.UUID
	CreditsAmount money.Cents
	ExpiresAt     time.Time
	FailureReason string // empty: it is initiated
}

// Action is an action on a transfer. The table of transitions is in package postgres.
type Action string

// The actions, named as their routes; the two verifications share one.
const (
	AwaitOTP       Action = "await-otp"
	SellerVerified Action = "otp-verified seller"
	BuyerVerified  Action = "otp-verified buyer"
	BeginSwap      Action = "begin-swap"
	Complete       Action = "complete"
	AbortSwap      Action = "abort-swap"
	Fail           Action = "fail"
	AbortPurchase  Action = "abort-buy" // of a listing: the seller was never asked
	Dispute        Action = "dispute"
	EndDispute     Action = "end-dispute"
	BeginReversal  Action = "begin-reversal"
	AbortReversal  Action = "abort-reversal"
	Reverse        Action = "reverse"
)

// Move is an action with its parameters.
type Move struct {
	Action    Action
	Operation uuid.UUID // the dispute or the reversal
	By        uuid.UUID // who disputes: seller or buyer
	Reason    string    // of a failure or dispute
	Ending    Ending    // of a dispute that ends
}

// Ending is how a dispute ends: taken back by who raised it, rejected by an administrator, or undone because it could
// not be recorded whole.
type Ending string

// The endings of a dispute. One that was undone counts as never raised.
const (
	Withdrawn Ending = "WITHDRAWN"
	Rejected  Ending = "REJECTED"
	Undone    Ending = "UNDONE"
)

// MaxDisputes is how many disputes of one transfer a party may raise. Who withdraws one may raise the next after an
// hour.
const MaxDisputes = 10

// TransferFilter narrows a list of transfers; a nil or empty field does not filter. User or seat must be given.
type TransferFilter struct {
	UserID, SeatID *uuid.UUID
	Role           string           // seller or buyer: what the user is in it; empty: either
	Statuses       []TransferStatus // any of them; none: all
}

// What the ledger refuses of transfers, beside ErrVoided.
var (
	ErrTransferNotFound     = fault.New(fault.NotFound, fault.CodeTransferNotFound, "This transfer does not exist")
	ErrTransferInvalidState = fault.New(fault.Conflict, fault.CodeTransferInvalidState, "The transfer is not in a state that allows this")
	// ErrNotParty refuses a dispute by someone who is neither seller nor buyer.
	ErrNotParty           = fault.Field("by", "must be the transfer's seller or buyer")
	ErrDisputeWithdrawn   = fault.New(fault.Conflict, "DISPUTE_WITHDRAWN", "You took back your dispute of this transfer; you can raise another an hour after that")
	ErrTooManyDisputes    = fault.New(fault.Conflict, "TOO_MANY_DISPUTES", "You have disputed this transfer %d times; please write to us", MaxDisputes)
	ErrTransferInProgress = fault.New(fault.Conflict, fault.CodeTransferInProgress, "This ticket is being transferred already")
)

// InvalidTransferState is ErrTransferInvalidState with the transfer's present state.
func InvalidTransferState(s TransferStatus) error {
	return ErrTransferInvalidState.With("status", string(s))
}
