package order

import (
	"time"

	"github.com/google/uuid"

	"ticketremaster/platform/fault"
	"ticketremaster/platform/money"
)

// ListingStatus is the state of a listing.
type ListingStatus string

// The states of a listing. Active and PendingTransfer are live: a seat has one live listing at most.
const (
	Active          ListingStatus = "ACTIVE"
	PendingTransfer ListingStatus = "PENDING_TRANSFER" // bought; the seller has not approved it yet
	Sold            ListingStatus = "COMPLETED"
	Cancelled       ListingStatus = "CANCELLED"
)

// Valid reports whether s is one of the states.
func (s ListingStatus) Valid() bool {
	switch s {
	case Active, PendingTransfer, Sold, Cancelled:
		return true
	}
	return false
}

// Listing is a ticket that its owner offers for resale. From buy to end it has a transfer, whose end is the listing's
// too.
type Listing struct {
	ID           uuid.UUID     `json:"listing_id" db:"listing_id"`
	SeatID       uuid.UUID     `json:"seat_id"`
	EventID      uuid.UUID     `json:"event_id"`
	SellerUserID uuid.UUID     `json:"seller_user_id"`
	AskingPrice  money.Cents   `json:"asking_price"` // above 0
	Status       ListingStatus `json:"status"`
	EndReason    *string       `json:"end_reason"`  // why it was cancelled
	TransferID   *uuid.UUID    `json:"transfer_id"` // of the latest buyer
	CreatedAt    time.Time     `json:"created_at"`  // UTC, as all times
	UpdatedAt    time.Time     `json:"updated_at"`
}

// ListingRequest is a listing to be recorded. The caller chooses its id: the same id is the same listing.
type ListingRequest struct {
	ID           uuid.UUID
	SeatID       uuid.UUID
	EventID      uuid.UUID
	SellerUserID uuid.UUID
	AskingPrice  money.Cents
	CheckFrom    time.Time // when tickets of the event may first be used
}

// Purchase is a buyer's claim of a listing. The transfer's id is the purchase's.
type Purchase struct {
	ListingID   uuid.UUID
	TransferID  uuid.UUID
	BuyerUserID uuid.UUID
	ExpiresAt   time.Time // until then the seller may approve it
}

// ListingFilter narrows a list of listings; a nil or empty field lets all through.
type ListingFilter struct {
	EventID, SellerUserID, SeatID *uuid.UUID
	Status                        ListingStatus
}

// Reasons for which the transfer of a listing fails and the listing is offered again, as it is when the purchase was
// undone; with any other it is cancelled.
const (
	BuyerWithdrew = "WITHDRAWN"
	BuyerIsShort  = fault.CodeInsufficientCredits
)

// What the ledger refuses of listings, beside ErrTransferInProgress.
var (
	ErrListingNotFound = fault.New(fault.NotFound, fault.CodeListingNotFound, "This listing does not exist")
	ErrListed          = fault.New(fault.Conflict, "ALREADY_LISTED", "This ticket is listed already")
	ErrListingTaken    = fault.New(fault.Conflict, fault.CodeListingUnavailable, "This ticket is not for sale any more, or someone was faster")
)
