package orchestrator

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"ticketremaster/orchestrator-service/clients"
	"ticketremaster/orchestrator-service/saga"
	"ticketremaster/platform/fault"
	"ticketremaster/platform/money"
	"ticketremaster/platform/web"
	inventoryv1 "ticketremaster/proto/inventory/v1"
)

// transferSteps is the swap (design §3 Transfer), run when both parties have confirmed. The saga's id is the
// transfer's.
func (f *Flows) transferSteps() []saga.Step[Swap] {
	return []saga.Step[Swap]{
		{Name: "claim transfer", Do: f.claimTransfer, Undo: f.failClaimedTransfer},
		{Name: "escrow buyer's credits", Do: f.escrowCredits, Undo: f.returnEscrow},
		{Name: "hand over seat", Do: f.handOverSeat}, // the pivot: from here only forward
		{Name: "pay seller from escrow", Do: f.paySeller},
		{Name: "complete record", Do: f.completeTransfer},
	}
}

// Swap is the state of a transfer's saga.
type Swap struct {
	Transfer clients.Transfer `json:"transfer"`
}

func (f *Flows) claimTransfer(ctx context.Context, s *Swap) error {
	_, err := f.Orders.ActOnTransfer(ctx, s.Transfer.TransferID, clients.BeginSwap, clients.TransferAction{})
	return err
}

// failClaimedTransfer ends the transfer for the reason that turned the swap back. One that was never claimed
// (it expired, or was disputed away) has its end already.
func (f *Flows) failClaimedTransfer(ctx context.Context, s *Swap) error {
	_, err := f.Orders.ActOnTransfer(ctx, s.Transfer.TransferID, clients.AbortSwap, clients.TransferAction{Reason: saga.Refusal(ctx).Code})
	if fault.Code(err) == errTransferState.Code {
		return nil
	}
	return err
}

func (f *Flows) escrowCredits(ctx context.Context, s *Swap) error {
	return f.book(ctx, clients.Escrow, s.Transfer.CreditsAmount, clients.Booking{
		OperationID: s.Transfer.TransferID, UserID: s.Transfer.BuyerUserID, Amount: s.Transfer.CreditsAmount, ReferenceID: s.Transfer.TransferID,
	})
}

func (f *Flows) returnEscrow(ctx context.Context, s *Swap) error {
	return f.book(ctx, clients.EscrowReturn, s.Transfer.CreditsAmount, clients.Booking{OperationID: s.Transfer.TransferID})
}

func (f *Flows) handOverSeat(ctx context.Context, s *Swap) error {
	return f.changeOwner(ctx, s.Transfer.SeatID, s.Transfer.SellerUserID, s.Transfer.BuyerUserID, s.Transfer.TransferID, "TRANSFER")
}

func (f *Flows) paySeller(ctx context.Context, s *Swap) error {
	return f.book(ctx, clients.EscrowRelease, s.Transfer.CreditsAmount, clients.Booking{OperationID: s.Transfer.TransferID, UserID: s.Transfer.SellerUserID})
}

func (f *Flows) completeTransfer(ctx context.Context, s *Swap) error {
	_, err := f.Orders.ActOnTransfer(ctx, s.Transfer.TransferID, clients.Complete, clients.TransferAction{})
	return err
}

// book moves credits unless the transfer is a gift: then there are none to move.
func (f *Flows) book(ctx context.Context, path string, amount money.Cents, b clients.Booking) error {
	if amount == 0 {
		return nil
	}
	_, err := f.Users.Book(ctx, path, b)
	return err
}

func (f *Flows) changeOwner(ctx context.Context, seat, from, to, operation uuid.UUID, cause string) error {
	_, err := f.Inventory.UpdateOwner(ctx, &inventoryv1.UpdateOwnerRequest{
		SeatId: seat.String(), ExpectedOwnerUserId: from.String(), NewOwnerUserId: to.String(), OperationId: operation.String(), Cause: cause,
	})
	return err
}

// Refusals of a transfer.
var (
	errTransferState  = fault.New(fault.Conflict, "TRANSFER_INVALID_STATE", "this transfer is past that")
	errNotParty       = fault.New(fault.Forbidden, fault.CodeForbidden, "you are not a party of this transfer")
	errSelfTransfer   = fault.New(fault.Invalid, "SELF_TRANSFER", "seller and buyer are the same person")
	errTransferSeat   = fault.New(fault.Conflict, "SEAT_UNAVAILABLE", "this seat cannot be transferred: it is not sold, or its ticket was used")
	errSellerNotOwner = fault.New(fault.Forbidden, "NOT_SEAT_OWNER", "the seller does not own this ticket")
	errOTPExpired     = fault.New(fault.Gone, "OTP_EXPIRED", "this one-time password is not valid any more; we have sent a new one")
	errBuyerPoor      = fault.New(fault.PaymentRequired, "INSUFFICIENT_CREDITS", "the buyer does not have enough credits")
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
	seat, event, err := f.seatAndEvent(ctx, o.SeatID)
	if err != nil {
		return clients.Transfer{}, err
	}
	t := clients.Transfer{
		TransferID: newID(), SeatID: o.SeatID, EventID: event.EventID, SellerUserID: seller.UserID, BuyerUserID: buyer.UserID,
		InitiatedBy: caller, Status: clients.TransferInitiated, CreditsAmount: o.Amount, ExpiresAt: time.Now().Add(f.TransferTTL).UTC(),
	}
	if refusal := refuseOffer(seat, event, seller, buyer, o.Amount); refusal != nil {
		return f.recordRefusal(ctx, t, refusal)
	}
	if t, err = f.Orders.CreateTransfer(ctx, t); err != nil {
		return t, err
	}
	if err := f.askParties(ctx, t, seller, buyer, describe(seat, event)); err != nil {
		return t, f.failUnasked(ctx, t, err)
	}
	return f.Orders.ActOnTransfer(ctx, t.TransferID, clients.AwaitOTP, clients.TransferAction{})
}

// refuseOffer makes every check before a one-time password is sent.
func refuseOffer(seat *inventoryv1.Seat, event clients.Event, seller, buyer clients.User, amount money.Cents) *fault.Error {
	switch {
	case seat.OwnerUserId == "", seat.Status == inventoryv1.SeatStatus_CHECKED_IN && seat.OwnerUserId == seller.UserID.String():
		return errTransferSeat
	case seat.OwnerUserId != seller.UserID.String():
		return errSellerNotOwner
	case time.Now().After(event.EndsAt):
		return errEventEnded
	case !seller.IsVerified || !buyer.IsVerified:
		return clients.ErrUserNotFound
	case buyer.CreditBalance < amount:
		return errBuyerPoor
	}
	return nil
}

// recordRefusal keeps what the reference's failure table calls FAILED: a poor buyer, a lost ownership.
func (f *Flows) recordRefusal(ctx context.Context, t clients.Transfer, refusal *fault.Error) (clients.Transfer, error) {
	if refusal == errBuyerPoor || refusal == errSellerNotOwner {
		t.Status, t.FailureReason = clients.TransferFailed, refusal.Code
		if _, err := f.Orders.CreateTransfer(ctx, t); err != nil {
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
			if u.UserID == optionalID(p) || sameEmail(u.Email, p) {
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

func (f *Flows) challenge(t clients.Transfer, user uuid.UUID) clients.Challenge {
	return clients.Challenge{UserID: user, Purpose: clients.PurposeTransfer, ReferenceID: t.TransferID}
}

// failUnasked ends a transfer whose parties could not both be asked, and gives why. Should that fail too, the
// transfer expires.
func (f *Flows) failUnasked(ctx context.Context, t clients.Transfer, why error) error {
	refusal := fault.From(why)
	f.endTransfer(ctx, t, "OTP_NOT_SENT")
	return refusal.With("transfer_id", t.TransferID.String())
}

// endTransfer fails a transfer and voids what is pending of its one-time passwords.
func (f *Flows) endTransfer(ctx context.Context, t clients.Transfer, reason string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
	defer cancel()
	if _, err := f.Orders.ActOnTransfer(ctx, t.TransferID, clients.FailTransfer, clients.TransferAction{Reason: reason}); err != nil {
		slog.WarnContext(ctx, "a transfer could not be ended; it will expire", "transfer", t.TransferID, "error", err)
	}
	f.voidChallenges(ctx, t)
}

func (f *Flows) voidChallenges(ctx context.Context, t clients.Transfer) {
	for _, party := range []uuid.UUID{t.SellerUserID, t.BuyerUserID} {
		if err := f.Users.CancelOTP(ctx, f.challenge(t, party)); err != nil {
			slog.WarnContext(ctx, "a one-time password could not be voided; it will expire", "transfer", t.TransferID, "user", party, "error", err)
		}
	}
}

// Confirm takes one or both one-time passwords; when both parties have given theirs, in one call or two, the
// swap runs. pending means that it is written down and under way.
func (f *Flows) Confirm(ctx context.Context, caller, transferID uuid.UUID, sellerOTP, buyerOTP string) (t clients.Transfer, pending bool, err error) {
	if t, err = f.TransferOf(ctx, caller, false, transferID); err != nil {
		return t, false, err
	}
	if t.Status != clients.TransferPendingOTP {
		return t, false, errTransferState.With("status", t.Status)
	}
	if t.ExpiresAt.Before(time.Now()) && !t.Swapping {
		return t, false, fault.New(fault.Gone, errOTPExpired.Code, "this transfer was not confirmed in time")
	}
	if sellerOTP == "" && buyerOTP == "" && !(t.SellerOTPVerified && t.BuyerOTPVerified) {
		return t, false, fault.Field("seller_otp", "or buyer_otp is required")
	}
	for _, p := range []struct {
		party, code string
		user        uuid.UUID
		verified    bool
	}{
		{"seller", sellerOTP, t.SellerUserID, t.SellerOTPVerified},
		{"buyer", buyerOTP, t.BuyerUserID, t.BuyerOTPVerified},
	} {
		if p.verified || p.code == "" {
			continue // what was verified stays verified
		}
		if err := f.verifyParty(ctx, t, p.user, p.code); err != nil {
			return t, false, err
		}
		if t, err = f.Orders.ActOnTransfer(ctx, transferID, clients.OTPVerified, clients.TransferAction{Party: p.party}); err != nil {
			return t, false, err
		}
	}
	if !t.SellerOTPVerified || !t.BuyerOTPVerified {
		return t, false, nil
	}
	return f.swap(ctx, t)
}

// verifyParty checks one party's one-time password. Three wrong ones end the transfer. One that has expired, or gave way to
// another of the party's, is sent anew: the client has no other way to ask for it.
func (f *Flows) verifyParty(ctx context.Context, t clients.Transfer, user uuid.UUID, code string) error {
	err := f.Users.VerifyOTP(ctx, user, clients.PurposeTransfer, t.TransferID, code)
	switch fault.Code(err) {
	case "OTP_MAX_RETRIES":
		f.endTransfer(ctx, t, "OTP_MAX_RETRIES")
	case errOTPExpired.Code, fault.CodeValidation: // the latter: none is pending
		now, readErr := f.Orders.Transfer(ctx, t.TransferID)
		if readErr != nil {
			return readErr
		}
		if now.Status != clients.TransferPendingOTP || now.Swapping { // ended while we looked, and its codes with it
			return errTransferState.With("status", now.Status)
		}
		c := f.challenge(t, user)
		c.IfNonePending, c.Message = true, "TicketRemaster: a new code for your ticket transfer."
		if sendErr := f.Users.SendOTP(ctx, c); sendErr != nil {
			return sendErr
		}
		return errOTPExpired
	}
	return err
}

func (f *Flows) swap(ctx context.Context, t clients.Transfer) (clients.Transfer, bool, error) {
	_, pending, err := f.runSaga(ctx, kindTransfer, t.TransferID, t.TransferID.String(), Swap{Transfer: t})
	if inTheWay(err) {
		_, pending, err = f.joinSaga(ctx, err)
	}
	if err == nil && !pending {
		t.Status = clients.TransferCompleted
	}
	return t, pending, err
}

// TransferOf reads a transfer for one of its parties, or an administrator.
func (f *Flows) TransferOf(ctx context.Context, caller uuid.UUID, admin bool, id uuid.UUID) (clients.Transfer, error) {
	t, err := f.Orders.Transfer(ctx, id)
	if err == nil && !admin && !t.Party(caller) {
		return clients.Transfer{}, errNotParty
	}
	return t, err
}

// Transfers lists a page of the caller's transfers, newest first.
func (f *Flows) Transfers(ctx context.Context, caller uuid.UUID, page web.Page) ([]clients.Transfer, int, error) {
	return f.Orders.TransfersOf(ctx, caller, "", page)
}

// ExpireTransfer ends a transfer that nobody confirmed in time and frees the seat for another.
func (f *Flows) ExpireTransfer(ctx context.Context, t clients.Transfer) error {
	_, err := f.Orders.ActOnTransfer(ctx, t.TransferID, clients.FailTransfer, clients.TransferAction{Reason: "EXPIRED"})
	if err == nil {
		f.voidChallenges(ctx, t)
	}
	if fault.Code(err) == errTransferState.Code {
		return nil // someone was faster
	}
	return err
}
