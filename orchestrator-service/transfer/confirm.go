package transfer

import (
	"context"
	"time"

	"github.com/google/uuid"

	"ticketremaster/orchestrator-service/clients"
	"ticketremaster/platform/fault"
	"ticketremaster/platform/money"
)

// ConfirmTransfer takes one or both one-time passwords; when both parties have given theirs, in one call or two, the
// swap runs.
func (f *Flows) ConfirmTransfer(ctx context.Context, caller, transferID uuid.UUID, sellerOTP, buyerOTP string) (Outcome, error) {
	t, err := f.TransferOf(ctx, caller, false, transferID)
	if err != nil {
		return Outcome{}, err
	}
	if t.Status != clients.TransferPendingOTP {
		return Outcome{Transfer: t}, errTransferState.With("status", t.Status)
	}
	if t.ExpiresAt.Before(time.Now()) && !t.Swapping {
		return Outcome{Transfer: t}, errNotInTime
	}
	if sellerOTP == "" && buyerOTP == "" && !(t.SellerOTPVerified && t.BuyerOTPVerified) {
		return Outcome{Transfer: t}, fault.Field("seller_otp", "or buyer_otp is required")
	}
	if caller == t.BuyerUserID && !t.BuyerOTPVerified && buyerOTP != "" { // before the swap would fail: there is time to top up
		if err := f.affordable(ctx, t); err != nil {
			return Outcome{Transfer: t}, err
		}
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
		if err := f.verifyParty(ctx, t, p.user, p.code, caller); err != nil {
			return Outcome{Transfer: t}, err
		}
		if t, err = f.Records.ActOnTransfer(ctx, transferID, clients.OTPVerified, clients.TransferAction{Party: p.party}); err != nil {
			return Outcome{Transfer: t}, err
		}
	}
	if !t.SellerOTPVerified || !t.BuyerOTPVerified {
		return Outcome{Transfer: t}, nil
	}
	swapped, err := f.swaps.Settle(ctx, transferID, transferID.String(), Swap{Transfer: t, Fee: f.fee(t)})
	if fault.Code(err) == fault.CodeInsufficientCredits && caller != t.BuyerUserID {
		err = errBuyerShort // the caller cannot top up for the buyer
	}
	return settle(t, clients.TransferCompleted, swapped, err)
}

// fee is the platform's share of a sale, rounded down to a cent; a private transfer has none.
func (f *Flows) fee(t clients.Transfer) money.Cents {
	if t.ListingID == nil {
		return 0
	}
	return t.CreditsAmount * money.Cents(f.SaleFeePercent) / 100
}

// affordable refuses a buyer with too few credits for the price, unless a simultaneous call has confirmed the transfer:
// the price may be paid already.
func (f *Flows) affordable(ctx context.Context, t clients.Transfer) error {
	users, err := f.Users.Lookup(ctx, []uuid.UUID{t.BuyerUserID}, nil)
	if err != nil || len(users) != 1 || users[0].CreditBalance >= t.CreditsAmount || t.ListingID != nil {
		return err
	}
	now, err := f.Records.Transfer(ctx, t.TransferID)
	if err != nil || now.BuyerOTPVerified || now.Status != clients.TransferPendingOTP {
		return err
	}
	return errBuyerPoor
}

// verifyParty checks one party's one-time password. Three wrong ones end the transfer. An expired or replaced one is
// sent again, because the client has no other way to ask for it.
func (f *Flows) verifyParty(ctx context.Context, t clients.Transfer, user uuid.UUID, code string, caller uuid.UUID) error {
	err := f.Users.VerifyOTP(ctx, user, clients.PurposeTransfer, t.TransferID, code, caller)
	switch fault.Code(err) {
	case fault.CodeOTPMaxRetries:
		f.endTransfer(ctx, t, fault.CodeOTPMaxRetries)
	case errOTPExpired.Code, fault.CodeValidation: // the latter: none is pending
		now, readErr := f.Records.Transfer(ctx, t.TransferID)
		if readErr != nil {
			return readErr
		}
		if now.Status != clients.TransferPendingOTP || now.Swapping { // it ended in the meantime, and its codes with it
			return errTransferState.With("status", now.Status)
		}
		c := f.challenge(t, user)
		c.IfNonePending, c.Message = true, "TicketRemaster: a new code for your ticket transfer."
		if caller != user {
			c.CounterpartyID = caller
		}
		if sendErr := f.Users.SendOTP(ctx, c); sendErr != nil {
			return sendErr
		}
		return errOTPExpired
	}
	return err
}
