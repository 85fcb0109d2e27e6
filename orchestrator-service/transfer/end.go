package transfer

import (
	"context"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"ticketremaster/orchestrator-service/clients"
	"ticketremaster/orchestrator-service/sweep"
	"ticketremaster/platform/fault"
)

// ExpireTransfer ends a transfer that nobody confirmed in time and frees the seat for another.
func (f *Flows) ExpireTransfer(ctx context.Context, t clients.Transfer) error {
	_, err := f.Records.ActOnTransfer(ctx, t.TransferID, clients.FailTransfer, clients.TransferAction{Reason: "EXPIRED"})
	if err == nil {
		f.voidChallenges(ctx, t)
	}
	if fault.Code(err) == errTransferState.Code {
		return nil // someone was faster
	}
	return err
}

// Sweep gives the rounds that end the live transfers that nobody confirmed in time.
func (f *Flows) Sweep() sweep.Round {
	id := func(t clients.Transfer) uuid.UUID { return t.TransferID }
	return sweep.Of(f.Records.OverdueTransfers, id, f.ExpireTransfer)
}

// endTransfer fails a transfer and voids what is pending of its one-time passwords.
func (f *Flows) endTransfer(ctx context.Context, t clients.Transfer, reason string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
	defer cancel()
	if _, err := f.Records.ActOnTransfer(ctx, t.TransferID, clients.FailTransfer, clients.TransferAction{Reason: reason}); err != nil {
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

func (f *Flows) challenge(t clients.Transfer, user uuid.UUID) clients.Challenge {
	return clients.Challenge{UserID: user, Purpose: clients.PurposeTransfer, ReferenceID: t.TransferID}
}
