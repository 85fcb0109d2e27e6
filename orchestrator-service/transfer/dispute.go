package transfer

import (
	"context"
	"time"

	"github.com/google/uuid"

	"ticketremaster/orchestrator-service/clients"
	"ticketremaster/orchestrator-service/saga"
	"ticketremaster/platform/fault"
	inventoryv1 "ticketremaster/proto/inventory/v1"
)

// disputeSteps freezes a completed transfer's amount at the seller (docs/architecture.md#dispute). The saga's id is the
// dispute's.
func (f *Flows) disputeSteps() []saga.Step[Dispute] {
	return []saga.Step[Dispute]{
		{Name: "mark disputed", Do: f.markDisputed, Undo: f.endDispute},
		{Name: "freeze seller's credits", Do: f.freezeCredits},
	}
}

// endDisputeSteps ends a dispute by withdrawal or rejection: back to COMPLETED, unfrozen.
func (f *Flows) endDisputeSteps() []saga.Step[Dispute] {
	return []saga.Step[Dispute]{
		{Name: "end dispute", Do: f.endDispute},
		{Name: "unfreeze seller's credits", Do: f.unfreezeCredits},
	}
}

// Dispute is the state of a dispute's beginning or end.
type Dispute struct {
	Transfer  clients.Transfer `json:"transfer"`
	DisputeID uuid.UUID        `json:"dispute_id"`
	By        uuid.UUID        `json:"by"`
	Reason    string           `json:"reason"`
	Ending    string           `json:"ending,omitempty"` // how it ends; empty while it begins
}

func (f *Flows) markDisputed(ctx context.Context, d *Dispute) error {
	_, cancelled, err := f.Records.Dispute(ctx, d.Transfer.TransferID, clients.TransferAction{DisputeID: d.DisputeID, By: d.By, Reason: d.Reason})
	if err != nil || cancelled == nil {
		return err
	}
	f.voidChallenges(ctx, *cancelled)
	if cancelled.ListingID == nil {
		return nil
	}
	return f.returnEscrow(ctx, &Swap{Transfer: *cancelled}) // paid into by a purchase at the marketplace
}

func (f *Flows) endDispute(ctx context.Context, d *Dispute) error {
	_, err := f.Records.ActOnTransfer(ctx, d.Transfer.TransferID, clients.EndDispute, clients.TransferAction{DisputeID: d.DisputeID, Ending: d.Ending})
	return err
}

func (f *Flows) freezeCredits(ctx context.Context, d *Dispute) error {
	return f.book(ctx, clients.Freeze, d.Transfer.CreditsAmount, clients.Booking{
		OperationID: d.DisputeID, UserID: d.Transfer.SellerUserID, Amount: d.Transfer.CreditsAmount, ReferenceID: d.Transfer.TransferID,
	})
}

func (f *Flows) unfreezeCredits(ctx context.Context, d *Dispute) error {
	return f.book(ctx, clients.Unfreeze, d.Transfer.CreditsAmount, clients.Booking{OperationID: d.DisputeID})
}

// RaiseDispute disputes a completed transfer: either party, until the ticket is checked in or the event begins.
func (f *Flows) RaiseDispute(ctx context.Context, caller, transferID uuid.UUID, reason string) (Outcome, error) {
	t, err := f.TransferOf(ctx, caller, false, transferID)
	if err != nil {
		return Outcome{Transfer: t}, err
	}
	if t.Status != clients.TransferCompleted {
		return Outcome{Transfer: t}, errTransferState.With("status", t.Status)
	}
	ticket, err := f.Tickets.Ticket(ctx, t.SeatID)
	switch {
	case err != nil:
		return Outcome{Transfer: t}, err
	case ticket.Seat.Status == inventoryv1.SeatStatus_CHECKED_IN:
		return Outcome{Transfer: t}, fault.New(fault.Conflict, errTransferState.Code, "The ticket was used: the transfer cannot be disputed any more")
	case !ticket.Event.EventDate.After(time.Now()):
		return Outcome{Transfer: t}, fault.New(fault.Conflict, errTransferState.Code, "The event has begun: the transfer cannot be disputed any more")
	}
	d := Dispute{Transfer: t, DisputeID: uuid.Must(uuid.NewV7()), By: caller, Reason: reason}
	// The subject is the dispute, not the transfer: one that was withdrawn may be raised again. Of two at once the
	// order service accepts one.
	raised, err := f.disputes.Settle(ctx, d.DisputeID, d.DisputeID.String(), d)
	return settle(t, clients.TransferDisputed, raised, err)
}

// WithdrawDispute ends a dispute for who raised it.
func (f *Flows) WithdrawDispute(ctx context.Context, caller, transferID uuid.UUID) (Outcome, error) {
	t, err := f.disputed(ctx, caller, false, transferID)
	if err != nil {
		return Outcome{Transfer: t}, err
	}
	if *t.DisputedBy != caller {
		return Outcome{Transfer: t}, fault.New(fault.Forbidden, fault.CodeForbidden, "Only who raised the dispute can withdraw it")
	}
	return f.settleDisputeEnd(ctx, caller, t, clients.DisputeWithdrawn)
}

// RejectDispute ends a dispute by an administrator's decision.
func (f *Flows) RejectDispute(ctx context.Context, admin, transferID uuid.UUID) (Outcome, error) {
	t, err := f.disputed(ctx, admin, true, transferID)
	if err != nil {
		return Outcome{Transfer: t}, err
	}
	return f.settleDisputeEnd(ctx, admin, t, clients.DisputeRejected)
}

func (f *Flows) settleDisputeEnd(ctx context.Context, by uuid.UUID, t clients.Transfer, ending string) (Outcome, error) {
	d := Dispute{Transfer: t, DisputeID: *t.DisputeID, By: by, Ending: ending}
	ended, err := f.endDisputes.Settle(ctx, uuid.Must(uuid.NewV7()), d.DisputeID.String(), d)
	return settle(t, clients.TransferCompleted, ended, err)
}

// disputed reads a disputed transfer once its credits are frozen.
func (f *Flows) disputed(ctx context.Context, caller uuid.UUID, admin bool, id uuid.UUID) (clients.Transfer, error) {
	t, err := f.TransferOf(ctx, caller, admin, id)
	if err != nil {
		return t, err
	}
	if t.Status != clients.TransferDisputed || t.DisputeID == nil || t.DisputedBy == nil {
		return t, errTransferState.With("status", t.Status)
	}
	ended, err := f.disputes.Await(ctx, t.DisputeID.String())
	switch {
	case fault.Code(err) == fault.CodeNotFound: // impossible: the saga is logged before the transfer is marked
		return t, fault.New(fault.Internal, fault.CodeInternal, "The dispute has no record").Because(err)
	case err != nil:
		return t, err
	case !ended:
		return t, fault.New(fault.Conflict, errTransferState.Code, "The dispute is still being recorded; please try again shortly")
	}
	return t, nil
}
