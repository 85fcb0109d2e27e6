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

// Initiate checks an offer, records it, and asks both parties for a one-time password. If one cannot be asked, the
// transfer is FAILED and the caller learns why. A refusal reveals something about the other party, who does not learn
// of it: so refusals are counted, before the check, and after too many the caller gets no answers for an hour.
func (f *Flows) Initiate(ctx context.Context, caller uuid.UUID, o Offer) (clients.Transfer, error) {
	id := uuid.Must(uuid.NewV7())
	var seller, buyer *clients.User
	var ticket tickets.Ticket
	var unknownSeat error
	g, lookUp := errgroup.WithContext(ctx)
	g.Go(func() error { return f.Records.BeginOffer(lookUp, id, caller) })
	g.Go(func() (err error) { seller, buyer, err = f.parties(lookUp, o.Seller, o.Buyer); return err })
	g.Go(func() error {
		var err error
		if ticket, err = f.Tickets.Ticket(lookUp, o.SeatID); err != nil && !fault.Unknown(err) {
			unknownSeat, err = err, nil
		}
		return err
	})
	if err := g.Wait(); err != nil {
		return clients.Transfer{}, err
	}
	refusal := refuseOffer(caller, seller, buyer, ticket, unknownSeat, o.Amount)
	if refusal != nil && refusal != errBuyerPoor && refusal != errSellerNotOwner {
		return clients.Transfer{}, f.refuse(ctx, id, refusal)
	}
	t := clients.Transfer{
		TransferID: id, SeatID: o.SeatID, EventID: ticket.Event.EventID, SellerUserID: seller.UserID, BuyerUserID: buyer.UserID,
		InitiatedBy: caller, Status: clients.TransferInitiated, CreditsAmount: o.Amount, ExpiresAt: time.Now().Add(f.TransferTTL).UTC(),
	}
	if refusal != nil { // these two are recorded, visible to the caller
		t.Status, t.FailureReason = clients.TransferFailed, fault.Code(refusal)
		if _, err := f.Records.CreateTransfer(ctx, t); err != nil {
			return t, err
		}
		return t, f.refuse(ctx, id, fault.From(refusal).With("transfer_id", id.String()))
	}
	t, err := f.Records.CreateTransfer(ctx, t)
	if err != nil && !fault.Unknown(err) {
		return t, f.refuse(ctx, id, err)
	}
	if err != nil {
		return t, err
	}
	if err := f.askParties(ctx, t, *seller, *buyer, ticket.String()); err != nil {
		return t, f.failUnasked(ctx, t, err)
	}
	return f.Records.ActOnTransfer(ctx, t.TransferID, clients.AwaitOTP, clients.TransferAction{})
}

// refuse counts a refusal before it is answered.
func (f *Flows) refuse(ctx context.Context, offer uuid.UUID, refusal error) error {
	if err := f.Records.RefuseOffer(ctx, offer); err != nil {
		return err
	}
	return refusal
}

// refuseOffer makes every check that comes before a one-time password is sent, the caller's own side first. The buyer's
// balance is revealed to the buyer alone: for a seller's offer it is checked when both have agreed, by the swap.
func refuseOffer(caller uuid.UUID, seller, buyer *clients.User, t tickets.Ticket, unknownSeat error, amount money.Cents) error {
	selling := seller != nil && seller.UserID == caller
	buying := buyer != nil && buyer.UserID == caller
	switch {
	case !selling && !buying:
		return errNotParty
	case selling && buying:
		return errSelfTransfer
	case unknownSeat != nil:
		return unknownSeat
	case buying && buyer.CreditBalance < amount && seller != nil:
		return errBuyerPoor
	case selling && t.Seat.OwnerUserId == caller.String() && t.Seat.Status != inventoryv1.SeatStatus_SOLD:
		return errTransferSeat
	case selling && t.Seat.OwnerUserId != caller.String() && buyer != nil:
		return errSellerNotOwner
	case time.Now().After(t.Event.EndsAt):
		return errEventEnded
	case seller == nil || buyer == nil || !seller.IsVerified || !buyer.IsVerified:
		return clients.ErrUserNotFound
	case t.Seat.OwnerUserId != seller.UserID.String() || t.Seat.Status != inventoryv1.SeatStatus_SOLD:
		return errSellerNotOwner
	}
	return nil
}

// parties finds seller and buyer, each given as a UUID or an e-mail address; one that is unknown is nil.
func (f *Flows) parties(ctx context.Context, seller, buyer string) (s, b *clients.User, err error) {
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
		return nil, nil, err
	}
	find := func(p string) *clients.User {
		for i, u := range users {
			if u.UserID == clients.ID(p) || u.AskedEmail == p || strings.EqualFold(u.Email, strings.TrimSpace(p)) {
				return &users[i]
			}
		}
		return nil
	}
	return find(seller), find(buyer), nil
}

// askParties sends both one-time passwords in parallel; each message names what is agreed to.
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

// failUnasked fails a transfer whose parties could not both be asked and returns why. If that fails too, the transfer
// expires.
func (f *Flows) failUnasked(ctx context.Context, t clients.Transfer, why error) error {
	refusal := fault.From(why)
	f.endTransfer(ctx, t, "OTP_NOT_SENT")
	return refusal.With("transfer_id", t.TransferID.String())
}
