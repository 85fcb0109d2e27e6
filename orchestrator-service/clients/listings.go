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

// Statuses of a listing.
const (
	ListingActive          = "ACTIVE"
	ListingPendingTransfer = "PENDING_TRANSFER" // bought; the seller has not approved it yet
	ListingCompleted       = "COMPLETED"
	ListingCancelled       = "CANCELLED"
)

// Listing is a ticket that its owner offers for resale. From buy to end it has a transfer, whose end is the listing's
// too.
type Listing struct {
	ListingID    uuid.UUID   `json:"listing_id"`
	SeatID       uuid.UUID   `json:"seat_id"`
	EventID      uuid.UUID   `json:"event_id"`
	SellerUserID uuid.UUID   `json:"seller_user_id"`
	AskingPrice  money.Cents `json:"asking_price"`
	Status       string      `json:"status"`
	EndReason    string      `json:"end_reason,omitempty"`  // why it was cancelled
	TransferID   *uuid.UUID  `json:"transfer_id,omitempty"` // of the latest buyer
	CheckFrom    time.Time   `json:"check_from,omitzero"`   // when tickets of the event may first be used
	CreatedAt    time.Time   `json:"created_at,omitzero"`
	UpdatedAt    time.Time   `json:"updated_at,omitzero"`
}

// ResaleCap is the most that a ticket of the event may be resold for: its first price, unless the organiser set another
// share of it.
func (e Event) ResaleCap(paid money.Cents) money.Cents {
	percent := 100
	if e.ResaleCapPercent != nil {
		percent = *e.ResaleCapPercent
	}
	return paid * money.Cents(percent) / 100
}

// List records a listing; ALREADY_LISTED, TRANSFER_IN_PROGRESS.
func (o *Orders) List(ctx context.Context, l Listing) (out Listing, err error) {
	err = o.Do(ctx, http.MethodPost, "/listings", l, &out)
	return out, err
}

// Listing reads a listing; LISTING_NOT_FOUND.
func (o *Orders) Listing(ctx context.Context, id uuid.UUID) (out Listing, err error) {
	err = o.Do(ctx, http.MethodGet, "/listings/"+id.String(), nil, &out)
	return out, err
}

// ListingFilter narrows a list of listings; an empty field lets all through.
type ListingFilter struct {
	Status                      string
	EventID, SellerUserID, Seat uuid.UUID
}

// Listings lists a page of listings, newest first.
func (o *Orders) Listings(ctx context.Context, f ListingFilter, page web.Page) (list []Listing, total int, err error) {
	q := pageQuery(page)
	if f.Status != "" {
		q.Set("status", f.Status)
	}
	for name, id := range map[string]uuid.UUID{"event_id": f.EventID, "seller_user_id": f.SellerUserID, "seat_id": f.Seat} {
		if id != uuid.Nil {
			q.Set(name, id.String())
		}
	}
	p, err := o.Page(ctx, http.MethodGet, "/listings?"+q.Encode(), nil, &list)
	return list, totalOf(p), err
}

// Bought reports whether a seat is bought at the marketplace and waits for its seller.
func (o *Orders) Bought(ctx context.Context, seat uuid.UUID) (bool, error) {
	list, _, err := o.Listings(ctx, ListingFilter{Status: ListingPendingTransfer, Seat: seat}, web.Page{Number: 1, Size: 1})
	return len(list) > 0, err
}

// Claim is a buyer's claim of a listing; its id is the transfer's that it begins.
type Claim struct {
	TransferID  uuid.UUID `json:"transfer_id"`
	BuyerUserID uuid.UUID `json:"buyer_user_id"`
	ExpiresAt   time.Time `json:"expires_at,omitzero"`
	Reason      string    `json:"reason,omitempty"` // for which it is undone
}

// ClaimListing claims a listing for one buyer; LISTING_UNAVAILABLE for all others, TRANSFER_IN_PROGRESS.
func (o *Orders) ClaimListing(ctx context.Context, listing uuid.UUID, c Claim) error {
	return o.Do(ctx, http.MethodPost, "/listings/"+listing.String()+"/buy", c, nil)
}

// UnclaimListing undoes ClaimListing; TRANSFER_INVALID_STATE once the swap has begun.
func (o *Orders) UnclaimListing(ctx context.Context, listing uuid.UUID, c Claim) error {
	return o.Do(ctx, http.MethodPost, "/listings/"+listing.String()+"/abort-buy", c, nil)
}

// EndListing cancels an active listing; LISTING_UNAVAILABLE once it is bought.
func (o *Orders) EndListing(ctx context.Context, listing uuid.UUID, reason string) (out Listing, err error) {
	err = o.Do(ctx, http.MethodPost, "/listings/"+listing.String()+"/end", map[string]string{"reason": reason}, &out)
	return out, err
}

// EndListingsOfEvent cancels up to a thousand active listings of an event and returns their number.
func (o *Orders) EndListingsOfEvent(ctx context.Context, event uuid.UUID, reason string) (int, error) {
	var out struct {
		Ended int `json:"ended"`
	}
	err := o.Do(ctx, http.MethodPost, "/listings/end", map[string]string{"event_id": event.String(), "reason": reason}, &out)
	return out.Ended, err
}

// ListingsToCheck returns active listings whose ticket may have been used, or whose event is over, each once in half a
// minute.
func (o *Orders) ListingsToCheck(ctx context.Context, limit int) (list []Listing, err error) {
	q := url.Values{"limit": {strconv.Itoa(limit)}}
	err = o.Do(ctx, http.MethodPost, "/listings/check?"+q.Encode(), struct{}{}, &list)
	return list, err
}
