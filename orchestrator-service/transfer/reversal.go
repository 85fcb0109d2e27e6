package transfer

import (
	"context"

	"github.com/google/uuid"

	"ticketremaster/orchestrator-service/clients"
	"ticketremaster/orchestrator-service/saga"
	"ticketremaster/platform/fault"
)

// reversalSteps reverses a disputed transfer (docs/architecture.md#reversal). The saga's id is the reversal's.
func (f *Flows) reversalSteps() []saga.Step[Reversal] {
	return []saga.Step[Reversal]{
		{Name: "claim reversal", Do: f.claimReversal, Undo: f.dropReversal},
		{Name: "put frozen credits into escrow", Do: f.escrowFrozen, Undo: f.returnFrozen},
		{Name: "hand back seat", Do: f.handBackSeat}, // the pivot
		{Name: "pay buyer from escrow", Do: f.payBuyerBack},
		{Name: "close record", Do: f.closeReversed},
	}
}

// Reversal is the state of a reversal's saga.
type Reversal struct {
	Transfer   clients.Transfer `json:"transfer"`
	DisputeID  uuid.UUID        `json:"dispute_id"`
	ReversalID uuid.UUID        `json:"reversal_id"`
	CoverShort bool             `json:"cover_short"` // an administrator pays what is short from the platform's account
}

func (f *Flows) claimReversal(ctx context.Context, r *Reversal) error {
	_, err := f.Records.ActOnTransfer(ctx, r.Transfer.TransferID, clients.BeginReversal, clients.TransferAction{ReversalID: r.ReversalID})
	return err
}

func (f *Flows) dropReversal(ctx context.Context, r *Reversal) error {
	_, err := f.Records.ActOnTransfer(ctx, r.Transfer.TransferID, clients.AbortReversal, clients.TransferAction{ReversalID: r.ReversalID})
	if fault.Code(err) == errTransferState.Code {
		return nil // never claimed: another reversal has it, or it is over
	}
	return err
}

func (f *Flows) escrowFrozen(ctx context.Context, r *Reversal) error {
	return f.book(ctx, clients.FrozenIntoEscrow, r.Transfer.CreditsAmount, clients.Booking{
		OperationID: r.ReversalID, DisputeID: r.DisputeID, CoverShort: r.CoverShort,
	})
}

func (f *Flows) returnFrozen(ctx context.Context, r *Reversal) error {
	return f.book(ctx, clients.FrozenFromEscrow, r.Transfer.CreditsAmount, clients.Booking{OperationID: r.ReversalID})
}

func (f *Flows) handBackSeat(ctx context.Context, r *Reversal) error {
	return f.changeOwner(ctx, r.Transfer.SeatID, r.Transfer.BuyerUserID, r.Transfer.SellerUserID, r.ReversalID, "REVERSAL")
}

func (f *Flows) payBuyerBack(ctx context.Context, r *Reversal) error {
	return f.book(ctx, clients.EscrowRelease, r.Transfer.CreditsAmount, clients.Booking{OperationID: r.ReversalID, UserID: r.Transfer.BuyerUserID})
}

func (f *Flows) closeReversed(ctx context.Context, r *Reversal) error {
	_, err := f.Records.ActOnTransfer(ctx, r.Transfer.TransferID, clients.Reverse, clients.TransferAction{ReversalID: r.ReversalID})
	return err
}

// ReverseTransfer reverses a disputed transfer, for the party that did not raise the dispute or an administrator. Only
// an administrator may cover a short frozen amount from the platform's account.
func (f *Flows) ReverseTransfer(ctx context.Context, caller uuid.UUID, admin bool, transferID uuid.UUID, cover bool) (Outcome, error) {
	t, err := f.disputed(ctx, caller, admin, transferID)
	if err != nil {
		return Outcome{Transfer: t}, err
	}
	if !admin && (*t.DisputedBy == caller || cover) {
		return Outcome{Transfer: t}, fault.New(fault.Forbidden, fault.CodeForbidden, "The other party, or an administrator, decides on this")
	}
	r := Reversal{Transfer: t, DisputeID: *t.DisputeID, ReversalID: uuid.Must(uuid.NewV7()), CoverShort: cover}
	reversed, err := f.reversals.Settle(ctx, r.ReversalID, transferID.String(), r)
	return settle(t, clients.TransferReversed, reversed, err)
}
