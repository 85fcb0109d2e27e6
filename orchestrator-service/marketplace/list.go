package marketplace

import (
	"context"
	"time"

	"github.com/google/uuid"

	"ticketremaster/orchestrator-service/clients"
	"ticketremaster/orchestrator-service/sweep"
	"ticketremaster/orchestrator-service/tickets"
	"ticketremaster/platform/fault"
	"ticketremaster/platform/money"
	inventoryv1 "ticketremaster/proto/inventory/v1"
)

// Reasons for which a listing is cancelled that was not bought.
const (
	reasonBySeller   = "CANCELLED_BY_SELLER"
	reasonTicketUsed = "TICKET_USED"
	reasonOwner      = "TICKET_HANDED_ON"
	reasonEventOver  = "EVENT_OVER"
)

// checkBefore is how long before its event begins a ticket may first be used, where the event does not say when its
// doors open.
const checkBefore = 12 * time.Hour

// List offers a ticket of the seller's for resale, at most at the event's cap: a share of what the ticket cost at
// first.
func (f *Flows) List(ctx context.Context, seller, seat uuid.UUID, price money.Cents) (clients.Listing, error) {
	ticket, err := f.Tickets.Ticket(ctx, seat)
	if err != nil {
		return clients.Listing{}, err
	}
	switch reason := endReason(ticket, seller); {
	case reason == reasonOwner:
		return clients.Listing{}, errNotOwner
	case reason == reasonTicketUsed:
		return clients.Listing{}, errUsed
	case reason == reasonEventOver:
		return clients.Listing{}, errEventEnded
	}
	highest := ticket.Event.ResaleCap(money.Cents(ticket.Seat.PricePaidCents))
	switch {
	case highest <= 0:
		return clients.Listing{}, errFree
	case price <= 0:
		return clients.Listing{}, fault.Field("asking_price", "must be more than 0")
	case price > highest:
		return clients.Listing{}, fault.Field("asking_price", "must not be more than %s, the most that this event allows for this ticket", highest)
	}
	doors := ticket.Event.EventDate.Add(-checkBefore)
	if ticket.Event.DoorsOpenAt != nil {
		doors = *ticket.Event.DoorsOpenAt
	}
	return f.Listings.List(ctx, clients.Listing{
		ListingID: uuid.Must(uuid.NewV7()), SeatID: seat, EventID: ticket.Event.EventID, SellerUserID: seller,
		AskingPrice: price, CheckFrom: doors,
	})
}

// endReason says why a seller cannot sell a ticket, "" if they can.
func endReason(t tickets.Ticket, seller uuid.UUID) string {
	switch {
	case t.Seat.OwnerUserId != seller.String():
		return reasonOwner
	case t.Seat.Status != inventoryv1.SeatStatus_SOLD:
		return reasonTicketUsed
	case !t.Event.Stands() || !t.Event.EndsAt.After(time.Now()):
		return reasonEventOver
	}
	return ""
}

// CancelListing withdraws the seller's listing while it is not bought. A repeat returns the same.
func (f *Flows) CancelListing(ctx context.Context, seller uuid.UUID, id string) (clients.Listing, error) {
	l, err := f.listing(ctx, id)
	if err != nil {
		return l, err
	}
	if l.SellerUserID != seller {
		return l, errNotSeller
	}
	return f.Listings.EndListing(ctx, l.ListingID, reasonBySeller)
}

// Sweep returns the rounds that end listings whose ticket was used, or whose event is over.
func (f *Flows) Sweep() sweep.Round {
	id := func(l clients.Listing) uuid.UUID { return l.ListingID }
	return sweep.Of(f.Listings.ListingsToCheck, id, func(ctx context.Context, l clients.Listing) error {
		ticket, err := f.Tickets.Ticket(ctx, l.SeatID)
		if err != nil {
			return err
		}
		return f.endIfOver(ctx, l, ticket)
	})
}

// endIfOver ends a listing whose ticket its seller can sell no more.
func (f *Flows) endIfOver(ctx context.Context, l clients.Listing, t tickets.Ticket) error {
	reason := endReason(t, l.SellerUserID)
	if reason == "" {
		return nil
	}
	_, err := f.Listings.EndListing(ctx, l.ListingID, reason)
	if fault.Code(err) == errUnavailable.Code {
		return nil // bought in this moment: the swap will find the same
	}
	return err
}
