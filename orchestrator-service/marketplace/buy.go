package marketplace

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"ticketremaster/orchestrator-service/clients"
	"ticketremaster/orchestrator-service/saga"
	"ticketremaster/orchestrator-service/tickets"
	"ticketremaster/orchestrator-service/transfer"
	"ticketremaster/platform/fault"
)

// purchaseSteps put the buyer's credits into escrow for a listing that is theirs alone. The subject is the transfer;
// what follows, approved or not, is package transfer's: the swap, or "fail transfer" and the escrow back.
func (f *Flows) purchaseSteps() []saga.Step[Purchase] {
	return []saga.Step[Purchase]{
		{Name: "claim listing", Do: f.claimListing, Undo: f.unclaimListing},
		{Name: "escrow buyer's credits", Do: f.escrowCredits, Undo: f.returnEscrow},
		{Name: "ask seller", Do: f.askSeller, Undo: saga.Nothing[Purchase]},
	}
}

// Purchase is the state of the saga that buys a listing.
type Purchase struct {
	Listing    clients.Listing `json:"listing"`
	TransferID uuid.UUID       `json:"transfer_id"`
	BuyerID    uuid.UUID       `json:"buyer_id"`
	BuyerEmail string          `json:"buyer_email"`
	Ticket     string          `json:"ticket"` // for a person
	ExpiresAt  time.Time       `json:"expires_at"`
}

func (f *Flows) claimListing(ctx context.Context, p *Purchase) error {
	return f.Listings.ClaimListing(ctx, p.Listing.ListingID, clients.Claim{TransferID: p.TransferID, BuyerUserID: p.BuyerID, ExpiresAt: p.ExpiresAt})
}

// unclaimListing releases the listing, for the reason that turned the purchase back. Where the claim's transfer has
// ended already, by a dispute for example, there is nothing left to undo.
func (f *Flows) unclaimListing(ctx context.Context, p *Purchase) error {
	err := f.Listings.UnclaimListing(ctx, p.Listing.ListingID, clients.Claim{TransferID: p.TransferID, BuyerUserID: p.BuyerID, Reason: saga.Refusal(ctx).Code})
	if fault.Code(err) == fault.CodeTransferInvalidState {
		return nil
	}
	return err
}

func (f *Flows) escrowCredits(ctx context.Context, p *Purchase) error {
	_, err := f.Users.Book(ctx, clients.Escrow, clients.Booking{
		OperationID: p.TransferID, UserID: p.BuyerID, Amount: p.Listing.AskingPrice, ReferenceID: p.TransferID,
	})
	return err
}

func (f *Flows) returnEscrow(ctx context.Context, p *Purchase) error {
	_, err := f.Users.Book(ctx, clients.EscrowReturn, clients.Booking{OperationID: p.TransferID})
	return err
}

// askSeller sends the seller's one-time password once. A purchase does not hang on it: a seller who approves with none
// pending is sent another.
func (f *Flows) askSeller(ctx context.Context, p *Purchase) error {
	err := f.Users.SendOTP(ctx, clients.Challenge{
		UserID: p.Listing.SellerUserID, Purpose: clients.PurposeTransfer, ReferenceID: p.TransferID, CounterpartyID: p.BuyerID, IfNonePending: true,
		Message: fmt.Sprintf("TicketRemaster: %s buys your %s for %s credits. To approve, enter this code for listing %s.",
			p.BuyerEmail, p.Ticket, p.Listing.AskingPrice, p.Listing.ListingID),
	})
	if err != nil {
		slog.WarnContext(ctx, "the seller of a listing could not be asked", "listing", p.Listing.ListingID, "error", err)
	}
	return nil
}

// Bought is the answer to a buyer. Pending: the purchase is recorded and in progress.
type Bought struct {
	Listing    clients.Listing
	TransferID uuid.UUID
	ExpiresAt  time.Time // until then the seller may approve
	Pending    bool
}

// Buy puts the price of a listing into escrow for one buyer, until the seller approves. Of many at once one wins. Who
// has bought it is answered the same again.
func (f *Flows) Buy(ctx context.Context, buyer uuid.UUID, id string) (Bought, error) {
	l, err := f.listing(ctx, id)
	switch {
	case err != nil:
		return Bought{}, err
	case l.SellerUserID == buyer:
		return Bought{}, errOwnListing
	case l.Status == clients.ListingPendingTransfer && l.TransferID != nil:
		if t, err := f.Listings.Transfer(ctx, *l.TransferID); err != nil {
			return Bought{}, err
		} else if t.BuyerUserID == buyer {
			return Bought{Listing: l, TransferID: t.TransferID, ExpiresAt: t.ExpiresAt}, nil
		}
		return Bought{}, errUnavailable
	case l.Status != clients.ListingActive:
		return Bought{}, errUnavailable
	}
	var ticket tickets.Ticket
	var user clients.User
	g, lookUp := errgroup.WithContext(ctx)
	g.Go(func() (err error) { ticket, err = f.Tickets.Ticket(lookUp, l.SeatID); return err })
	g.Go(func() (err error) { user, err = f.Users.User(lookUp, buyer); return err })
	g.Go(func() error { return f.proved(lookUp, buyer, l) })
	if err := g.Wait(); err != nil {
		return Bought{}, err
	}
	if endReason(ticket, l.SellerUserID) != "" {
		if err := f.endIfOver(ctx, l, ticket); err != nil {
			return Bought{}, err
		}
		return Bought{}, errUnavailable
	}
	p := Purchase{
		Listing: l, TransferID: uuid.Must(uuid.NewV7()), BuyerID: buyer, BuyerEmail: user.Email, Ticket: ticket.String(),
		ExpiresAt: time.Now().Add(f.ApproveWithin).UTC(),
	}
	out, err := f.purchases.Settle(ctx, uuid.Must(uuid.NewV7()), p.TransferID.String(), p)
	if err != nil {
		return Bought{}, err
	}
	l.Status = clients.ListingPendingTransfer
	return Bought{Listing: l, TransferID: p.TransferID, ExpiresAt: p.ExpiresAt, Pending: out.Pending}, nil
}

// proved refuses a high-risk buyer who has not proved this purchase by one-time password, and sends it unless one is
// pending.
func (f *Flows) proved(ctx context.Context, buyer uuid.UUID, l clients.Listing) error {
	risk, err := f.Users.Risk(ctx, buyer, l.ListingID)
	if err != nil || !risk.IsFlagged || risk.OTPVerified {
		return err
	}
	err = f.Users.SendOTP(ctx, clients.Challenge{
		UserID: buyer, Purpose: clients.PurposePurchase, ReferenceID: l.ListingID, IfNonePending: true,
		Message: fmt.Sprintf("TicketRemaster: confirm your purchase of listing %s for %s credits.", l.ListingID, l.AskingPrice),
	})
	if err != nil {
		return err
	}
	return errOTPRequired.With("reference_id", l.ListingID.String())
}

// VerifyOTP checks a high-risk buyer's one-time password for a listing; then the purchase can be tried again.
func (f *Flows) VerifyOTP(ctx context.Context, buyer, listing uuid.UUID, code string) error {
	return f.Users.VerifyOTP(ctx, buyer, clients.PurposePurchase, listing, code, buyer)
}

// live reads the transfer of a listing that is bought.
func (f *Flows) live(ctx context.Context, id string) (clients.Listing, clients.Transfer, error) {
	l, err := f.listing(ctx, id)
	if err != nil {
		return l, clients.Transfer{}, err
	}
	if l.TransferID == nil {
		return l, clients.Transfer{}, errNotBought
	}
	t, err := f.Listings.Transfer(ctx, *l.TransferID)
	return l, t, err
}

// Approve takes the seller's one-time password and exchanges ticket and credits.
func (f *Flows) Approve(ctx context.Context, seller uuid.UUID, id, code string) (clients.Listing, transfer.Outcome, error) {
	l, err := f.listing(ctx, id)
	switch {
	case err != nil:
		return l, transfer.Outcome{}, err
	case l.SellerUserID != seller:
		return l, transfer.Outcome{}, errNotSeller
	case l.TransferID == nil || l.Status != clients.ListingPendingTransfer:
		return l, transfer.Outcome{}, errNotBought
	}
	out, err := f.Transfers.ConfirmTransfer(ctx, seller, *l.TransferID, code, "")
	return l, out, err
}

// Withdraw ends the buyer's purchase before the seller has approved it: the credits go back, and the listing is offered
// again.
func (f *Flows) Withdraw(ctx context.Context, buyer uuid.UUID, id string) (clients.Listing, error) {
	l, t, err := f.live(ctx, id)
	switch {
	case err != nil:
		return l, err
	case t.BuyerUserID != buyer:
		return l, errNotBuyer
	}
	return l, f.Transfers.Fail(ctx, t, "WITHDRAWN")
}
