package clients

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/google/uuid"

	"ticketremaster/platform/money"
	"ticketremaster/platform/web"
)

// Statuses of a transfer.
const (
	TransferInitiated  = "INITIATED"
	TransferPendingOTP = "PENDING_OTP"
	TransferCompleted  = "COMPLETED"
	TransferDisputed   = "DISPUTED"
	TransferReversed   = "REVERSED"
	TransferFailed     = "FAILED"
)

// Transfer is a transfer of a ticket as the order service records it.
type Transfer struct {
	TransferID        uuid.UUID   `json:"transfer_id"`
	SeatID            uuid.UUID   `json:"seat_id"`
	EventID           uuid.UUID   `json:"event_id"`
	SellerUserID      uuid.UUID   `json:"seller_user_id"`
	BuyerUserID       uuid.UUID   `json:"buyer_user_id"`
	InitiatedBy       uuid.UUID   `json:"initiated_by"`
	Status            string      `json:"status"`
	SellerOTPVerified bool        `json:"seller_otp_verified"`
	BuyerOTPVerified  bool        `json:"buyer_otp_verified"`
	CreditsAmount     money.Cents `json:"credits_amount"`
	Swapping          bool        `json:"swapping"`
	DisputeID         *uuid.UUID  `json:"dispute_id,omitempty"`
	DisputedBy        *uuid.UUID  `json:"disputed_by,omitempty"`
	DisputeReason     string      `json:"dispute_reason,omitempty"`
	ReversalID        *uuid.UUID  `json:"reversal_id,omitempty"`
	FailureReason     string      `json:"failure_reason,omitempty"`
	ExpiresAt         time.Time   `json:"expires_at"`
	CreatedAt         time.Time   `json:"created_at,omitzero"`
	CompletedAt       *time.Time  `json:"completed_at"`
	ListingID         *uuid.UUID  `json:"listing_id,omitempty"` // of a purchase at the marketplace: the buyer's credits are in escrow while it is live
	Refused           bool        `json:"refused,omitempty"`    // failed from the start: visible only to the user who offered it
}

// Party reports whether user is the transfer's seller or buyer.
func (t Transfer) Party(user uuid.UUID) bool { return user == t.SellerUserID || user == t.BuyerUserID }

// BeginOffer counts an offer of the user's before it is checked; TOO_MANY_OFFERS after 20 refused within an hour. The
// offer's id is the transfer's, if it comes to one.
func (o *Orders) BeginOffer(ctx context.Context, id, user uuid.UUID) error {
	return o.Do(ctx, http.MethodPost, "/offers", map[string]uuid.UUID{"offer_id": id, "user_id": user}, nil)
}

// RefuseOffer counts an offer as refused.
func (o *Orders) RefuseOffer(ctx context.Context, id uuid.UUID) error {
	return o.Do(ctx, http.MethodPost, "/offers/"+id.String()+"/refuse", struct{}{}, nil)
}

// CreateTransfer records a transfer, INITIATED or FAILED from the start.
func (o *Orders) CreateTransfer(ctx context.Context, t Transfer) (out Transfer, err error) {
	err = o.Do(ctx, http.MethodPost, "/transfers", t, &out)
	return out, err
}

// Actions on a transfer; docs/internal-api.md#order-service has the statuses before and after each.
const (
	AwaitOTP      = "await-otp"
	OTPVerified   = "otp-verified"
	BeginSwap     = "begin-swap"
	Complete      = "complete"
	AbortSwap     = "abort-swap"
	FailTransfer  = "fail"
	EndDispute    = "end-dispute"
	BeginReversal = "begin-reversal"
	AbortReversal = "abort-reversal"
	Reverse       = "reverse"
)

// Endings of a dispute.
const (
	DisputeWithdrawn = "WITHDRAWN"
	DisputeRejected  = "REJECTED"
)

// TransferAction has the parameters of an action.
type TransferAction struct {
	Party      string    `json:"party,omitempty"` // seller or buyer
	Reason     string    `json:"reason,omitempty"`
	DisputeID  uuid.UUID `json:"dispute_id,omitzero"`
	By         uuid.UUID `json:"by,omitzero"`
	Ending     string    `json:"ending,omitempty"` // of a dispute: Withdrawn or Rejected; empty: as if never raised
	ReversalID uuid.UUID `json:"reversal_id,omitzero"`
}

// ActOnTransfer performs an action on a transfer and returns the transfer as it is then.
func (o *Orders) ActOnTransfer(ctx context.Context, id uuid.UUID, action string, a TransferAction) (out Transfer, err error) {
	err = o.Do(ctx, http.MethodPost, "/transfers/"+id.String()+"/"+action, a, &out)
	return out, err
}

// Dispute marks a completed transfer DISPUTED; cancelled is the live onward transfer that it ended, if any.
func (o *Orders) Dispute(ctx context.Context, id uuid.UUID, a TransferAction) (t Transfer, cancelled *Transfer, err error) {
	var out struct {
		Transfer  Transfer  `json:"transfer"`
		Cancelled *Transfer `json:"cancelled"`
	}
	err = o.Do(ctx, http.MethodPost, "/transfers/"+id.String()+"/dispute", a, &out)
	return out.Transfer, out.Cancelled, err
}

// Transfer reads a transfer.
func (o *Orders) Transfer(ctx context.Context, id uuid.UUID) (out Transfer, err error) {
	err = o.Do(ctx, http.MethodGet, "/transfers/"+id.String(), nil, &out)
	return out, err
}

// TransfersOf lists a user's transfers, newest first; role (seller, buyer) may be empty, no statuses means all.
func (o *Orders) TransfersOf(ctx context.Context, user uuid.UUID, role string, page web.Page, statuses ...string) (list []Transfer, total int, err error) {
	q := pageQuery(page)
	q.Set("user_id", user.String())
	if role != "" {
		q.Set("role", role)
	}
	q["status"] = statuses
	p, err := o.Page(ctx, http.MethodGet, "/transfers?"+q.Encode(), nil, &list)
	return list, totalOf(p), err
}

// OverdueTransfers lists live transfers that nobody confirmed in time.
func (o *Orders) OverdueTransfers(ctx context.Context, limit int) (list []Transfer, err error) {
	q := url.Values{"limit": {strconv.Itoa(limit)}}
	err = o.Do(ctx, http.MethodGet, "/transfers/overdue?"+q.Encode(), nil, &list)
	return list, err
}
