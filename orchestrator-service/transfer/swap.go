package transfer

import (
	"context"

	"ticketremaster/orchestrator-service/clients"
	"ticketremaster/orchestrator-service/saga"
	"ticketremaster/platform/fault"
	"ticketremaster/platform/money"
)

// swapSteps exchanges seat and credits, once both parties have confirmed (docs/adr/escrow.md says why in this order).
// The saga's id is the transfer's.
func (f *Flows) swapSteps() []saga.Step[Swap] {
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
	Fee      money.Cents      `json:"fee,omitempty"` // of a sale at the marketplace
}

func (f *Flows) claimTransfer(ctx context.Context, s *Swap) error {
	_, err := f.Records.ActOnTransfer(ctx, s.Transfer.TransferID, clients.BeginSwap, clients.TransferAction{})
	return err
}

// failClaimedTransfer fails the transfer for the reason that turned the swap back. One that was never claimed (it
// expired, or a dispute ended it) has ended already.
func (f *Flows) failClaimedTransfer(ctx context.Context, s *Swap) error {
	_, err := f.Records.ActOnTransfer(ctx, s.Transfer.TransferID, clients.AbortSwap, clients.TransferAction{Reason: saga.Refusal(ctx).Code})
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
	return f.book(ctx, clients.EscrowRelease, s.Transfer.CreditsAmount, clients.Booking{
		OperationID: s.Transfer.TransferID, UserID: s.Transfer.SellerUserID, Fee: s.Fee,
	})
}

func (f *Flows) completeTransfer(ctx context.Context, s *Swap) error {
	_, err := f.Records.ActOnTransfer(ctx, s.Transfer.TransferID, clients.Complete, clients.TransferAction{})
	return err
}
