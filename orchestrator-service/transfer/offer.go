package transfer

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"ticketremaster/orchestrator-service/clients"
	"ticketremaster/orchestrator-service/tickets"
	"ticketremaster/platform/fault"
	"ticketremaster/platform/money"
	inventoryv1 "ticketremaster/proto/inventory/v1"
)

// Offer is what a client asks POST /transfer/initiate for. Seller and buyer are UUIDs or e-mail addresses.
type Offer struct {
	SeatID        uuid.UUID
	Seller, Buyer string
	Amount        money.Cents
}

// Initiate checks an offer, records it, and asks both parties for a one-time password. If one cannot be
// asked, the transfer is FAILED and the caller is told why.
func (f *Flows) Initiate(ctx context.Context, caller uuid.UUID, o Offer) (clients.Transfer, error) {
	seller, buyer, err := f.parties(ctx, o.Seller, o.Buyer)
	if err != nil {
		return clients.Transfer{}, err
	}
	if caller != seller.UserID && caller != buyer.UserID {
		return clients.Transfer{}, errNotParty
	}
	if seller.UserID == buyer.UserID {
		return clients.Transfer{}, errSelfTransfer
	}
	ticket, err := f.Tickets.Ticket(ctx, o.SeatID)
	if err != nil {
		return clients.Transfer{}, err
	}
	t := clients.Transfer{
		TransferID: uuid.Must(uuid.NewV7()), SeatID: o.SeatID, EventID: ticket.Event.EventID, SellerUserID: seller.UserID, BuyerUserID: buyer.UserID,
		InitiatedBy: caller, Status: clients.TransferInitiated, CreditsAmount: o.Amount, ExpiresAt: time.Now().Add(f.TransferTTL).UTC(),
	}
	if refusal := refuseOffer(ticket, seller, buyer, o.Amount); refusal != nil {
		return f.recordRefusal(ctx, t, refusal)
	}
	if t, err = f.Records.CreateTransfer(ctx, t); err != nil {
		return t, err
	}
	if err := f.askParties(ctx, t, seller, buyer, ticket.String()); err != nil {
		return t, f.failUnasked(ctx, t, err)
	}
	return f.Records.ActOnTransfer(ctx, t.TransferID, clients.AwaitOTP, clients.TransferAction{})
}

// refuseOffer makes every check before a one-time password is sent.
func refuseOffer(t tickets.Ticket, seller, buyer clients.User, amount money.Cents) *fault.Error {
	switch {
	case t.Seat.OwnerUserId == "", t.Seat.Status == inventoryv1.SeatStatus_CHECKED_IN && t.Seat.OwnerUserId == seller.UserID.String():
		return errTransferSeat
	case t.Seat.OwnerUserId != seller.UserID.String():
		return errSellerNotOwner
	case time.Now().After(t.Event.EndsAt):
		return errEventEnded
	case !seller.IsVerified || !buyer.IsVerified:
		return clients.ErrUserNotFound
	case buyer.CreditBalance < amount:
		return errBuyerPoor
	}
	return nil
}

// recordRefusal keeps the two refusals that are FAILED transfers (docs/architecture.md#transfer): a buyer with too few
// credits, a seller who is not the owner.
func (f *Flows) recordRefusal(ctx context.Context, t clients.Transfer, refusal *fault.Error) (clients.Transfer, error) {
	if refusal == errBuyerPoor || refusal == errSellerNotOwner {
		t.Status, t.FailureReason = clients.TransferFailed, refusal.Code
		if _, err := f.Records.CreateTransfer(ctx, t); err != nil {
			return t, err
		}
		refusal = refusal.With("transfer_id", t.TransferID.String())
	}
	return t, refusal
}

// parties finds seller and buyer, each given as a UUID or an e-mail address.
func (f *Flows) parties(ctx context.Context, seller, buyer string) (s, b clients.User, err error) {
	var ids []uuid.UUID
	var emails []string
	for _, p := range []string{seller, buyer} {
		if id, err := uuid.Parse(p); err == nil {
			ids = append(ids, id)
		} else {
			emails = append(emails, p)
		}
	}
	users, err := f.Users.Lookup(ctx, ids, emails)
	if err != nil {
		return s, b, err
	}
	find := func(p string) (clients.User, error) {
		for _, u := range users {
			if u.UserID == clients.ID(p) || strings.EqualFold(strings.TrimSpace(u.Email), strings.TrimSpace(p)) {
				return u, nil
			}
		}
		return clients.User{}, clients.ErrUserNotFound
	}
	if s, err = find(seller); err == nil {
		b, err = find(buyer)
	}
	return s, b, err
}

// askParties sends both one-time passwords side by side; each message names what is agreed to.
func (f *Flows) askParties(ctx context.Context, t clients.Transfer, seller, buyer clients.User, what string) error {
	ask := func(to, other clients.User, agree string) error {
		c := f.challenge(t, to.UserID)
		c.Message = fmt.Sprintf("TicketRemaster: you %s %s for %s credits.", agree, what, t.CreditsAmount)
		if t.InitiatedBy != to.UserID {
			c.CounterpartyID = other.UserID
		}
		return f.Users.SendOTP(ctx, c)
	}
	var g errgroup.Group
	g.Go(func() error { return ask(seller, buyer, "hand to "+buyer.Email) })
	g.Go(func() error { return ask(buyer, seller, "take from "+seller.Email) })
	return g.Wait()
}

// failUnasked ends a transfer whose parties could not both be asked, and gives why. Should that fail too, the
// transfer expires.
func (f *Flows) failUnasked(ctx context.Context, t clients.Transfer, why error) error {
	refusal := fault.From(why)
	f.endTransfer(ctx, t, "OTP_NOT_SENT")
	return refusal.With("transfer_id", t.TransferID.String())
}
