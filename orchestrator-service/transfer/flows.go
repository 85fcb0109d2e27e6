// Package transfer has the flows of a ticket's transfer to another user (docs/architecture.md#transfer): offer,
// one-time passwords, swap, dispute and reversal.
package transfer

import (
	"context"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"

	"ticketremaster/orchestrator-service/clients"
	"ticketremaster/orchestrator-service/saga"
	"ticketremaster/orchestrator-service/tickets"
	"ticketremaster/platform/fault"
	"ticketremaster/platform/money"
	"ticketremaster/platform/web"
	inventoryv1 "ticketremaster/proto/inventory/v1"
)

// Inventory is what a transfer needs of the inventory service.
type Inventory interface {
	UpdateOwner(ctx context.Context, in *inventoryv1.UpdateOwnerRequest, opts ...grpc.CallOption) (*inventoryv1.UpdateOwnerResponse, error)
}

// Users is what a transfer needs of the user service.
type Users interface {
	Lookup(ctx context.Context, ids []uuid.UUID, emails []string) ([]clients.User, error)
	Book(ctx context.Context, path string, b clients.Booking) (clients.Booked, error)
	SendOTP(ctx context.Context, c clients.Challenge) error
	CancelOTP(ctx context.Context, c clients.Challenge) error
	VerifyOTP(ctx context.Context, user uuid.UUID, purpose string, reference uuid.UUID, code string, by uuid.UUID) error
}

// Records is what a transfer needs of the order service.
type Records interface {
	BeginOffer(ctx context.Context, id, user uuid.UUID) error
	RefuseOffer(ctx context.Context, id uuid.UUID) error
	CreateTransfer(ctx context.Context, t clients.Transfer) (clients.Transfer, error)
	ActOnTransfer(ctx context.Context, id uuid.UUID, action string, a clients.TransferAction) (clients.Transfer, error)
	Dispute(ctx context.Context, id uuid.UUID, a clients.TransferAction) (t clients.Transfer, cancelled *clients.Transfer, err error)
	Transfer(ctx context.Context, id uuid.UUID) (clients.Transfer, error)
	TransfersOf(ctx context.Context, user uuid.UUID, role string, page web.Page, statuses ...string) ([]clients.Transfer, int, error)
	OverdueTransfers(ctx context.Context, limit int) ([]clients.Transfer, error)
}

// Tickets reads a seat and the event it is for.
type Tickets interface {
	Ticket(ctx context.Context, seat uuid.UUID) (tickets.Ticket, error)
}

// Settings of transfers; docs/internal-api.md has the variables and defaults.
type Settings struct {
	TransferTTL    time.Duration // time to confirm a transfer
	SaleFeePercent int           // of the price of a sale at the marketplace, kept from what the seller gets
}

// Flows runs transfers, disputes and reversals.
type Flows struct {
	Settings
	Inventory   Inventory
	Users       Users
	Records     Records
	Tickets     Tickets
	swaps       *saga.Flow[Swap]
	disputes    *saga.Flow[Dispute]
	endDisputes *saga.Flow[Dispute]
	reversals   *saga.Flow[Reversal]
	failedSales *saga.Flow[FailedSale]
}

// Register registers the tables of steps; it must be called before the first flow.
func (f *Flows) Register(e *saga.Engine) {
	f.swaps = saga.Register(e, "transfer", f.swapSteps())
	f.disputes = saga.Register(e, "dispute", f.disputeSteps())
	f.endDisputes = saga.Register(e, "end-dispute", f.endDisputeSteps())
	f.reversals = saga.Register(e, "reversal", f.reversalSteps())
	f.failedSales = saga.Register(e, "fail-sale", f.failSaleSteps())
}

// Refusals of a transfer. A refusal reveals no more about the other party than the caller may know: there is one answer
// for a ticket that the seller does not own, whoever owns it.
var (
	errTransferState    = fault.New(fault.Conflict, fault.CodeTransferInvalidState, "This transfer is past that")
	errTransferNotFound = fault.New(fault.NotFound, fault.CodeTransferNotFound, "There is no such transfer of yours")
	errNotParty         = fault.New(fault.Forbidden, fault.CodeForbidden, "You are not a party of this transfer")
	errSelfTransfer     = fault.New(fault.Invalid, clients.CodeSelfTransfer, "Seller and buyer are the same person")
	errTransferSeat     = fault.New(fault.Conflict, fault.CodeSeatUnavailable, "This ticket was used: it cannot be handed on any more")
	errSellerNotOwner   = fault.New(fault.Forbidden, fault.CodeNotSeatOwner, "The seller does not have this ticket")
	errEventEnded       = fault.New(fault.Gone, clients.CodeEventEnded, "This event is over")
	errOTPExpired       = fault.New(fault.Gone, fault.CodeOTPExpired, "This one-time password is not valid any more; we have sent a new one")
	errNotInTime        = fault.New(fault.Gone, fault.CodeOTPExpired, "This transfer was not confirmed in time")
	errBuyerPoor        = fault.New(fault.PaymentRequired, fault.CodeInsufficientCredits, "You do not have enough credits; please top up")
	errBuyerShort       = fault.New(fault.PaymentRequired, fault.CodeInsufficientCredits, "The buyer does not have enough credits")
)

// TransferOf reads a transfer for one of its parties, or an administrator.
func (f *Flows) TransferOf(ctx context.Context, caller uuid.UUID, admin bool, id uuid.UUID) (clients.Transfer, error) {
	t, err := f.Records.Transfer(ctx, id)
	switch {
	case err != nil || admin:
		return t, err
	case !t.Party(caller):
		return clients.Transfer{}, errNotParty
	case t.Refused && t.InitiatedBy != caller:
		return clients.Transfer{}, errTransferNotFound // never offered to the other party
	}
	return t, nil
}

// TransfersOf lists a page of the caller's transfers, newest first.
func (f *Flows) TransfersOf(ctx context.Context, caller uuid.UUID, page web.Page) ([]clients.Transfer, int, error) {
	return f.Records.TransfersOf(ctx, caller, "", page)
}

// Outcome is a transfer after an action on it. Pending: the action is logged and still running.
type Outcome struct {
	clients.Transfer
	Pending bool
}

// settle sets a transfer's status once its saga has ended successfully.
func settle[T any](t clients.Transfer, status string, o saga.Outcome[T], err error) (Outcome, error) {
	if err == nil && !o.Pending {
		t.Status = status
	}
	return Outcome{t, o.Pending}, err
}

// book moves credits, unless the transfer is a gift.
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
