// Package marketplace sells tickets on from their owners: the listing, the purchase into escrow, the seller's approval
// and what ends it before that. The exchange itself, its disputes and its reversal are package transfer's.
package marketplace

import (
	"context"
	"time"

	"github.com/google/uuid"

	"ticketremaster/orchestrator-service/clients"
	"ticketremaster/orchestrator-service/saga"
	"ticketremaster/orchestrator-service/tickets"
	"ticketremaster/orchestrator-service/transfer"
	"ticketremaster/platform/fault"
	"ticketremaster/platform/web"
)

// Listings is where the order service keeps listings.
type Listings interface {
	List(ctx context.Context, l clients.Listing) (clients.Listing, error)
	Listing(ctx context.Context, id uuid.UUID) (clients.Listing, error)
	Listings(ctx context.Context, f clients.ListingFilter, page web.Page) ([]clients.Listing, int, error)
	ListingsToCheck(ctx context.Context, limit int) ([]clients.Listing, error)
	ClaimListing(ctx context.Context, listing uuid.UUID, c clients.Claim) error
	UnclaimListing(ctx context.Context, listing uuid.UUID, c clients.Claim) error
	EndListing(ctx context.Context, listing uuid.UUID, reason string) (clients.Listing, error)
	Transfer(ctx context.Context, id uuid.UUID) (clients.Transfer, error)
}

// Users is what the marketplace asks the user service.
type Users interface {
	User(ctx context.Context, id uuid.UUID) (clients.User, error)
	Risk(ctx context.Context, user, reference uuid.UUID) (clients.Risk, error)
	Book(ctx context.Context, path string, b clients.Booking) (clients.Booked, error)
	SendOTP(ctx context.Context, c clients.Challenge) error
	VerifyOTP(ctx context.Context, user uuid.UUID, purpose string, reference uuid.UUID, code string, by uuid.UUID) error
}

// Tickets reads seats and the events they are for.
type Tickets interface {
	Ticket(ctx context.Context, seat uuid.UUID) (tickets.Ticket, error)
	OfSeats(ctx context.Context, seats []uuid.UUID) (map[uuid.UUID]tickets.Ticket, error)
}

// Transfers ends what a purchase began, well or not.
type Transfers interface {
	ConfirmTransfer(ctx context.Context, caller, transferID uuid.UUID, sellerOTP, buyerOTP string) (transfer.Outcome, error)
	Fail(ctx context.Context, t clients.Transfer, reason string) error
}

// Settings of the marketplace; docs/internal-api.md has the variables and defaults.
type Settings struct {
	ApproveWithin time.Duration // how long a seller may take to approve a purchase
}

// Flows runs the marketplace.
type Flows struct {
	Settings
	Listings  Listings
	Users     Users
	Tickets   Tickets
	Transfers Transfers
	purchases *saga.Flow[Purchase]
}

// Register tells the engine the table of steps; it comes before the first flow.
func (f *Flows) Register(e *saga.Engine) {
	f.purchases = saga.Register(e, "buy-listing", f.purchaseSteps())
}

// Refusals of the marketplace. Others come from the services as they are.
var (
	errNotFound    = fault.New(fault.NotFound, fault.CodeListingNotFound, "There is no such listing; please choose one from the list")
	errUnavailable = fault.New(fault.Conflict, fault.CodeListingUnavailable, "This ticket is not for sale any more, or someone was faster")
	errNotOwner    = fault.New(fault.Forbidden, fault.CodeNotSeatOwner, "This is not your ticket")
	errUsed        = fault.New(fault.Conflict, fault.CodeSeatUnavailable, "This ticket was used: it cannot be sold on any more")
	errEventEnded  = fault.New(fault.Gone, clients.CodeEventEnded, "This event is over, or does not take place")
	errFree        = fault.New(fault.Conflict, "NOT_FOR_RESALE", "This ticket was free, so it cannot be sold; you can hand it on as a gift")
	errNotSeller   = fault.New(fault.Forbidden, fault.CodeForbidden, "This is not your listing")
	errNotBuyer    = fault.New(fault.Forbidden, fault.CodeForbidden, "This is not your purchase")
	errOwnListing  = fault.New(fault.Invalid, clients.CodeSelfTransfer, "This is your own listing")
	errNotBought   = fault.New(fault.Conflict, "LISTING_NOT_BOUGHT", "Nobody has bought this ticket yet, or the purchase has ended")
	errOTPRequired = fault.New(fault.ProofRequired, fault.CodeOTPRequired, "Please enter the one-time password that we sent to your phone")
)

// Offer is a listing with the ticket it offers. Ticket is empty if the seat or its event cannot be read any more.
type Offer struct {
	clients.Listing
	Ticket tickets.Ticket
}

// Offers lists a page of listings, newest first, with their tickets.
func (f *Flows) Offers(ctx context.Context, filter clients.ListingFilter, page web.Page) ([]Offer, int, error) {
	list, total, err := f.Listings.Listings(ctx, filter, page)
	if err != nil || len(list) == 0 {
		return nil, total, err
	}
	seats := make([]uuid.UUID, len(list))
	for i, l := range list {
		seats[i] = l.SeatID
	}
	found, err := f.Tickets.OfSeats(ctx, seats)
	if err != nil {
		return nil, 0, err
	}
	offers := make([]Offer, len(list))
	for i, l := range list {
		offers[i] = Offer{l, found[l.SeatID]}
	}
	return offers, total, nil
}

// listing reads a listing by what a person typed.
func (f *Flows) listing(ctx context.Context, id string) (clients.Listing, error) {
	parsed, err := uuid.Parse(id)
	if err != nil || parsed == uuid.Nil {
		return clients.Listing{}, errNotFound
	}
	return f.Listings.Listing(ctx, parsed)
}
