package orchestrator

import (
	"context"
	"strings"
	"time"

	"github.com/google/uuid"

	"ticketremaster/orchestrator-service/clients"
	"ticketremaster/orchestrator-service/saga"
	"ticketremaster/platform/fault"
	inventoryv1 "ticketremaster/proto/inventory/v1"
)

// disputeSteps freezes a completed transfer's amount at the seller (design §3). The saga's id is the dispute's.
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

// reversalSteps takes a disputed transfer back. The saga's id is the reversal's.
func (f *Flows) reversalSteps() []saga.Step[Reversal] {
	return []saga.Step[Reversal]{
		{Name: "claim reversal", Do: f.claimReversal, Undo: f.dropReversal},
		{Name: "put frozen credits into escrow", Do: f.escrowFrozen, Undo: f.returnFrozen},
		{Name: "hand back seat", Do: f.handBackSeat}, // the pivot
		{Name: "pay buyer from escrow", Do: f.payBuyerBack},
		{Name: "close record", Do: f.closeReversed},
	}
}

// Dispute is the state of a dispute's beginning or end.
type Dispute struct {
	Transfer  clients.Transfer `json:"transfer"`
	DisputeID uuid.UUID        `json:"dispute_id"`
	By        uuid.UUID        `json:"by"`
	Reason    string           `json:"reason"`
}

func (f *Flows) markDisputed(ctx context.Context, d *Dispute) error {
	_, cancelled, err := f.Orders.Dispute(ctx, d.Transfer.TransferID, clients.TransferAction{DisputeID: d.DisputeID, By: d.By, Reason: d.Reason})
	if err == nil && cancelled != nil {
		f.voidChallenges(ctx, *cancelled)
	}
	return err
}

func (f *Flows) endDispute(ctx context.Context, d *Dispute) error {
	_, err := f.Orders.ActOnTransfer(ctx, d.Transfer.TransferID, clients.EndDispute, clients.TransferAction{DisputeID: d.DisputeID})
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

// Reversal is the state of a reversal's saga.
type Reversal struct {
	Transfer   clients.Transfer `json:"transfer"`
	DisputeID  uuid.UUID        `json:"dispute_id"`
	ReversalID uuid.UUID        `json:"reversal_id"`
	CoverShort bool             `json:"cover_short"` // an administrator pays what is short from the platform's account
}

func (f *Flows) claimReversal(ctx context.Context, r *Reversal) error {
	_, err := f.Orders.ActOnTransfer(ctx, r.Transfer.TransferID, clients.BeginReversal, clients.TransferAction{ReversalID: r.ReversalID})
	return err
}

func (f *Flows) dropReversal(ctx context.Context, r *Reversal) error {
	_, err := f.Orders.ActOnTransfer(ctx, r.Transfer.TransferID, clients.AbortReversal, clients.TransferAction{ReversalID: r.ReversalID})
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
	_, err := f.Orders.ActOnTransfer(ctx, r.Transfer.TransferID, clients.Reverse, clients.TransferAction{ReversalID: r.ReversalID})
	return err
}

// Raise disputes a completed transfer: either party, until the ticket is checked in or the event begins.
func (f *Flows) Raise(ctx context.Context, caller, transferID uuid.UUID, reason string) (clients.Transfer, bool, error) {
	t, err := f.TransferOf(ctx, caller, false, transferID)
	if err != nil {
		return t, false, err
	}
	if t.Status != clients.TransferCompleted {
		return t, false, errTransferState.With("status", t.Status)
	}
	seat, event, err := f.seatAndEvent(ctx, t.SeatID)
	switch {
	case err != nil:
		return t, false, err
	case seat.Status == inventoryv1.SeatStatus_CHECKED_IN:
		return t, false, fault.New(fault.Conflict, errTransferState.Code, "the ticket was used: the transfer cannot be disputed any more")
	case !event.EventDate.After(time.Now()):
		return t, false, fault.New(fault.Conflict, errTransferState.Code, "the event has begun: the transfer cannot be disputed any more")
	}
	d := Dispute{Transfer: t, DisputeID: newID(), By: caller, Reason: reason}
	// The subject is the dispute, not the transfer: one that was withdrawn may be raised again. Of two at once
	// the order service lets one through.
	_, pending, err := f.runSaga(ctx, kindDispute, d.DisputeID, d.DisputeID.String(), d)
	return f.settled(t, clients.TransferDisputed, pending, err)
}

// Withdraw ends a dispute by who raised it; reject, by an administrator.
func (f *Flows) Withdraw(ctx context.Context, caller uuid.UUID, reject bool, transferID uuid.UUID) (clients.Transfer, bool, error) {
	t, err := f.disputed(ctx, caller, reject, transferID)
	if err != nil {
		return t, false, err
	}
	if !reject && *t.DisputedBy != caller {
		return t, false, fault.New(fault.Forbidden, fault.CodeForbidden, "only who raised the dispute can withdraw it")
	}
	d := Dispute{Transfer: t, DisputeID: *t.DisputeID, By: caller}
	_, pending, err := f.runSaga(ctx, kindEndDispute, newID(), d.DisputeID.String(), d)
	if inTheWay(err) {
		_, pending, err = f.joinSaga(ctx, err)
	}
	return f.settled(t, clients.TransferCompleted, pending, err)
}

// Undo reverses a disputed transfer: the party that did not raise the dispute, or an administrator, who alone may
// cover from the platform's account what is short of the frozen amount.
func (f *Flows) Undo(ctx context.Context, caller uuid.UUID, admin bool, transferID uuid.UUID, cover bool) (clients.Transfer, bool, error) {
	t, err := f.disputed(ctx, caller, admin, transferID)
	if err != nil {
		return t, false, err
	}
	if !admin && (*t.DisputedBy == caller || cover) {
		return t, false, fault.New(fault.Forbidden, fault.CodeForbidden, "the other party, or an administrator, decides on this")
	}
	r := Reversal{Transfer: t, DisputeID: *t.DisputeID, ReversalID: newID(), CoverShort: cover}
	_, pending, err := f.runSaga(ctx, kindReversal, r.ReversalID, transferID.String(), r)
	if inTheWay(err) {
		_, pending, err = f.joinSaga(ctx, err)
	}
	return f.settled(t, clients.TransferReversed, pending, err)
}

// disputed reads a transfer that is in dispute, the freeze of its credits being done.
func (f *Flows) disputed(ctx context.Context, caller uuid.UUID, admin bool, id uuid.UUID) (clients.Transfer, error) {
	t, err := f.TransferOf(ctx, caller, admin, id)
	if err != nil {
		return t, err
	}
	if t.Status != clients.TransferDisputed || t.DisputeID == nil || t.DisputedBy == nil {
		return t, errTransferState.With("status", t.Status)
	}
	raised, err := f.Sagas.Latest(ctx, kindDispute, t.DisputeID.String())
	if err != nil {
		return t, err
	}
	if raised == nil { // impossible: the saga is written down before the transfer is marked
		return t, fault.New(fault.Internal, fault.CodeInternal, "the dispute has no record")
	}
	wait, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	if _, ended := f.Sagas.Await(wait, raised.ID); !ended {
		return t, fault.New(fault.Conflict, errTransferState.Code, "the dispute is still being recorded; please try again shortly")
	}
	return t, nil
}

// settled gives a transfer its new status once a saga has ended well.
func (f *Flows) settled(t clients.Transfer, status string, pending bool, err error) (clients.Transfer, bool, error) {
	if err == nil && !pending {
		t.Status = status
	}
	return t, pending, err
}

func sameEmail(a, b string) bool {
	return strings.EqualFold(strings.TrimSpace(a), strings.TrimSpace(b))
}
