package transfer

import (
	"context"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"ticketremaster/orchestrator-service/clients"
	"ticketremaster/orchestrator-service/saga"
	"ticketremaster/orchestrator-service/sweep"
	"ticketremaster/platform/fault"
)

// failSaleSteps fails a transfer that a purchase at the marketplace began, and returns the buyer's credits. The subject
// is the transfer: it fails once.
func (f *Flows) failSaleSteps() []saga.Step[FailedSale] {
	return []saga.Step[FailedSale]{
		{Name: "fail transfer", Do: f.failSale}, // refused once the swap has begun
		{Name: "return escrow", Do: f.returnSaleEscrow},
	}
}

// FailedSale is the state of the saga that ends a purchase at the marketplace before the swap.
type FailedSale struct {
	Transfer clients.Transfer `json:"transfer"`
	Reason   string           `json:"reason"`
}

func (f *Flows) failSale(ctx context.Context, s *FailedSale) error {
	_, err := f.Records.ActOnTransfer(ctx, s.Transfer.TransferID, clients.FailTransfer, clients.TransferAction{Reason: s.Reason})
	return err
}

func (f *Flows) returnSaleEscrow(ctx context.Context, s *FailedSale) error {
	return f.returnEscrow(ctx, &Swap{Transfer: s.Transfer})
}

// Fail ends a live transfer for the reason given, before its swap has begun, and voids its one-time passwords. Credits
// that a buyer at the marketplace paid into escrow are returned. TRANSFER_INVALID_STATE: it has ended, or its swap has
// begun.
func (f *Flows) Fail(ctx context.Context, t clients.Transfer, reason string) (err error) {
	if t.ListingID == nil {
		_, err = f.Records.ActOnTransfer(ctx, t.TransferID, clients.FailTransfer, clients.TransferAction{Reason: reason})
	} else {
		_, err = f.failedSales.Settle(ctx, uuid.Must(uuid.NewV7()), t.TransferID.String(), FailedSale{Transfer: t, Reason: reason})
	}
	if err == nil {
		f.voidChallenges(ctx, t)
	}
	return err
}

// ExpireTransfer ends a transfer that was not confirmed in time, so that the seat can be transferred again.
func (f *Flows) ExpireTransfer(ctx context.Context, t clients.Transfer) error {
	err := f.Fail(ctx, t, "EXPIRED")
	if fault.Code(err) == errTransferState.Code {
		return nil // another action was faster
	}
	return err
}

// Sweep returns the rounds that end live transfers that were not confirmed in time.
func (f *Flows) Sweep() sweep.Round {
	id := func(t clients.Transfer) uuid.UUID { return t.TransferID }
	return sweep.Of(f.Records.OverdueTransfers, id, f.ExpireTransfer)
}

// endTransfer fails a transfer and voids its pending one-time passwords.
func (f *Flows) endTransfer(ctx context.Context, t clients.Transfer, reason string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
	defer cancel()
	if err := f.Fail(ctx, t, reason); err != nil {
		slog.WarnContext(ctx, "a transfer could not be ended; it will expire", "transfer", t.TransferID, "error", err)
		f.voidChallenges(ctx, t)
	}
}

func (f *Flows) voidChallenges(ctx context.Context, t clients.Transfer) {
	for _, party := range []uuid.UUID{t.SellerUserID, t.BuyerUserID} {
		if err := f.Users.CancelOTP(ctx, f.challenge(t, party)); err != nil {
			slog.WarnContext(ctx, "a one-time password could not be voided; it will expire", "transfer", t.TransferID, "user", party, "error", err)
		}
	}
}

func (f *Flows) challenge(t clients.Transfer, user uuid.UUID) clients.Challenge {
	return clients.Challenge{UserID: user, Purpose: clients.PurposeTransfer, ReferenceID: t.TransferID}
}
