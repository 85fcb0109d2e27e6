// Package refund gives credits back for tickets: for one, to its holder or as an administrator decides, and for all of an event that is
// cancelled.
package refund

import (
	"context"
	"encoding/json"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"

	"ticketremaster/orchestrator-service/clients"
	"ticketremaster/orchestrator-service/repeat"
	"ticketremaster/orchestrator-service/saga"
	"ticketremaster/platform/fault"
	"ticketremaster/platform/web"
	inventoryv1 "ticketremaster/proto/inventory/v1"
)

// Inventory is what refunds ask the inventory service.
type Inventory interface {
	GetSeatOwner(ctx context.Context, in *inventoryv1.GetSeatOwnerRequest, opts ...grpc.CallOption) (*inventoryv1.GetSeatOwnerResponse, error)
	VoidTicket(ctx context.Context, in *inventoryv1.VoidTicketRequest, opts ...grpc.CallOption) (*inventoryv1.VoidTicketResponse, error)
	VoidTickets(ctx context.Context, in *inventoryv1.VoidTicketsRequest, opts ...grpc.CallOption) (*inventoryv1.VoidTicketsResponse, error)
	RestoreTickets(ctx context.Context, in *inventoryv1.RestoreTicketsRequest, opts ...grpc.CallOption) (*inventoryv1.RestoreTicketsResponse, error)
	SettleRefunds(ctx context.Context, in *inventoryv1.SettleRefundsRequest, opts ...grpc.CallOption) (*inventoryv1.SettleRefundsResponse, error)
	FreeTicket(ctx context.Context, in *inventoryv1.FreeTicketRequest, opts ...grpc.CallOption) (*inventoryv1.FreeTicketResponse, error)
	CloseEvent(ctx context.Context, in *inventoryv1.CloseEventRequest, opts ...grpc.CallOption) (*inventoryv1.CloseEventResponse, error)
	CountUnsettled(ctx context.Context, in *inventoryv1.CountUnsettledRequest, opts ...grpc.CallOption) (*inventoryv1.CountUnsettledResponse, error)
}

// Orders is what refunds ask the order service.
type Orders interface {
	Get(ctx context.Context, id uuid.UUID) (clients.Order, error)
	Find(ctx context.Context, f clients.OrderFilter, page web.Page) ([]clients.Order, int, error)
	RefundsOf(ctx context.Context, order uuid.UUID) (json.RawMessage, error)
	Refund(ctx context.Context, refunds []clients.RefundRequest) ([]clients.RefundResult, error)
	FailPending(ctx context.Context, event uuid.UUID, reason string) error
	Unsettled(ctx context.Context, event uuid.UUID) ([]uuid.UUID, error)
	LiveTransfers(ctx context.Context, event uuid.UUID) ([]clients.Transfer, error)
	EndListings(ctx context.Context, event uuid.UUID, reason string) (ended int, err error)
}

// Users is what refunds ask the user service.
type Users interface {
	Lookup(ctx context.Context, ids []uuid.UUID, emails []string) ([]clients.User, error)
	RefundTickets(ctx context.Context, refunds []clients.TicketRefund) error
}

// Events is what refunds ask the event service.
type Events interface {
	Get(ctx context.Context, id uuid.UUID) (clients.Event, error)
	Change(ctx context.Context, id uuid.UUID, how string, c clients.EventChange) (clients.Event, error)
}

// Transfers ends a transfer that nobody has confirmed, with what a buyer has in escrow for it.
type Transfers interface {
	Fail(ctx context.Context, t clients.Transfer, reason string) error
}

// Cancellations remembers which events are being cancelled, and how far that is.
type Cancellations interface {
	// Preview keeps what an administrator was told, under the hash of the code that starts the cancellation; ErrStarted once it is.
	Preview(ctx context.Context, p Preview, codeHash []byte) error
	// Start starts a cancellation by an administrator's own code, while that is younger than life; ErrCode otherwise. A repeat is fine.
	Start(ctx context.Context, event, admin uuid.UUID, codeHash []byte, reason string, life time.Duration) (Cancellation, error)
	// Abort takes back a start that was refused.
	Abort(ctx context.Context, event uuid.UUID) error
	// Get reads a cancellation; ErrNoCancellation for an event that has none.
	Get(ctx context.Context, event uuid.UUID) (Cancellation, error)
	// Due lists started cancellations that are to be looked at.
	Due(ctx context.Context, limit int) ([]Cancellation, error)
	// Advance counts a batch, once per number.
	Advance(ctx context.Context, event uuid.UUID, batch int) error
	// Later has a cancellation looked at again after the pause.
	Later(ctx context.Context, event uuid.UUID, pause time.Duration) error
	// Settled ends a cancellation.
	Settled(ctx context.Context, event uuid.UUID) error
}

// Flows runs refunds and cancellations.
type Flows struct {
	Inventory     Inventory
	Orders        Orders
	Users         Users
	Events        Events
	Transfers     Transfers
	Cancellations Cancellations
	Requests      repeat.Store

	wholes   *saga.Flow[Ticket]
	parts    *saga.Flow[Ticket]
	closings *saga.Flow[Closing]
	batches  *saga.Flow[Batch]
}

// Register tells the engine the tables of steps; it comes before the first refund.
func (f *Flows) Register(e *saga.Engine) {
	f.wholes = saga.Register(e, "refund-ticket", f.wholeSteps())
	f.parts = saga.Register(e, "refund-part", f.partSteps())
	f.closings = saga.Register(e, "cancel-event", f.closingSteps())
	f.batches = saga.Register(e, "refund-batch", f.batchSteps())
}

// What refuses a refund or a cancellation.
var (
	errNotYours       = fault.New(fault.Forbidden, fault.CodeNotSeatOwner, "This is not your ticket")
	errNoRefund       = fault.New(fault.Conflict, "REFUND_NOT_ALLOWED", "This event's tickets cannot be given back now")
	errNothingPaid    = fault.New(fault.NotFound, fault.CodeOrderNotFound, "There is no such order, and no booking of which one is paid")
	errRefunded       = fault.New(fault.Conflict, fault.CodeTicketRefunded, "This ticket is refunded already")
	errUsed           = fault.New(fault.Conflict, fault.CodeTicketAlreadyUsed, "This ticket was used: who is inside gets no refund")
	errPayments       = fault.New(fault.Unavailable, fault.CodeUnavailable, "Payments of this event are under way: try again in a moment")
	errTransfers      = fault.New(fault.Unavailable, fault.CodeUnavailable, "Transfers of this event are still being ended: try again in a moment")
	ErrStarted        = fault.New(fault.Conflict, "CANCELLATION_STARTED", "This event is being cancelled already")
	ErrCode           = fault.New(fault.Conflict, "CANCELLATION_CODE_INVALID", "This is not the code of a dry run of yours from the last 15 minutes: look again, then cancel")
	ErrNoCancellation = fault.New(fault.NotFound, "CANCELLATION_NOT_FOUND", "Nobody has cancelled this event")
)
