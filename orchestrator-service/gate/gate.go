// Package gate decides at the door if a ticket lets its bearer in, and keeps what was decided: scans and entries by hand,
// exits, undoing, and what devices decided without network. gate/rules is the table that decides.
package gate

import (
	"context"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"

	"ticketremaster/orchestrator-service/clients"
	"ticketremaster/orchestrator-service/gate/rules"
	"ticketremaster/orchestrator-service/qr"
	"ticketremaster/platform/fault"
	"ticketremaster/platform/web"
	inventoryv1 "ticketremaster/proto/inventory/v1"
)

// Inventory is what the gate asks the inventory service.
type Inventory interface {
	VerifyTicket(ctx context.Context, in *inventoryv1.VerifyTicketRequest, opts ...grpc.CallOption) (*inventoryv1.VerifyTicketResponse, error)
	MarkCheckedIn(ctx context.Context, in *inventoryv1.MarkCheckedInRequest, opts ...grpc.CallOption) (*inventoryv1.MarkCheckedInResponse, error)
	MarkExited(ctx context.Context, in *inventoryv1.MarkExitedRequest, opts ...grpc.CallOption) (*inventoryv1.MarkExitedResponse, error)
	UndoCheckIn(ctx context.Context, in *inventoryv1.UndoCheckInRequest, opts ...grpc.CallOption) (*inventoryv1.UndoCheckInResponse, error)
	RecordScan(ctx context.Context, in *inventoryv1.RecordScanRequest, opts ...grpc.CallOption) (*inventoryv1.RecordScanResponse, error)
	ListScans(ctx context.Context, in *inventoryv1.ListScansRequest, opts ...grpc.CallOption) (*inventoryv1.ListScansResponse, error)
	CountInside(ctx context.Context, in *inventoryv1.CountInsideRequest, opts ...grpc.CallOption) (*inventoryv1.CountInsideResponse, error)
	ListTickets(ctx context.Context, in *inventoryv1.ListTicketsRequest, opts ...grpc.CallOption) (*inventoryv1.ListTicketsResponse, error)
	FindTickets(ctx context.Context, in *inventoryv1.FindTicketsRequest, opts ...grpc.CallOption) (*inventoryv1.FindTicketsResponse, error)
	AllowEntry(ctx context.Context, in *inventoryv1.AllowEntryRequest, opts ...grpc.CallOption) (*inventoryv1.AllowEntryResponse, error)
	GetAssignment(ctx context.Context, in *inventoryv1.GetAssignmentRequest, opts ...grpc.CallOption) (*inventoryv1.GetAssignmentResponse, error)
	SetAssignment(ctx context.Context, in *inventoryv1.SetAssignmentRequest, opts ...grpc.CallOption) (*inventoryv1.SetAssignmentResponse, error)
}

// Orders tells whether a seat is paid for, and which seat an order is for.
type Orders interface {
	Confirmed(ctx context.Context, seat uuid.UUID) (bool, error)
	Get(ctx context.Context, id uuid.UUID) (clients.Order, error)
}

// Events gives an event as it is now, or as it was seconds ago.
type Events interface {
	Fresh(ctx context.Context, id uuid.UUID) (clients.Event, error)
	Recent(ctx context.Context, id uuid.UUID) (clients.Event, error)
	List(ctx context.Context, page web.Page, f clients.EventFilter) ([]clients.Event, int, error)
}

// Users knows who a ticket's owner is, and who owes what a refund or chargeback took back.
type Users interface {
	User(ctx context.Context, id uuid.UUID) (clients.User, error)
	Lookup(ctx context.Context, ids []uuid.UUID, emails []string) ([]clients.User, error)
	List(ctx context.Context, page web.Page, email string) ([]clients.User, int, error)
	DebtSince(ctx context.Context) func(user uuid.UUID) time.Time
}

// Settings of the gate; docs/internal-api.md has the variables and defaults.
type Settings struct {
	ClockSkew       time.Duration // between machines, that does no harm
	AcceptDecrypted bool          // accept a QR that the gate's device has decrypted: any device could forge it
	DoorsOpenBefore time.Duration // of an event that does not say when its doors open; 0: they are not checked
}

// Flows verifies tickets.
type Flows struct {
	Settings
	Inventory Inventory
	Orders    Orders
	Events    Events
	Users     Users
	QR        *qr.Codec
	Unheard   Unheard

	assignments assignments
}

// Staff is who stands at the door.
type Staff struct {
	ID    uuid.UUID
	Admin bool
}

// Device is where a decision is made: what the device says of itself. All of it may be left out.
type Device struct {
	Name  string
	Hall  string    // where the member of staff stands
	Event uuid.UUID // that the device is set to
}

// Scan is one scanned code.
type Scan struct {
	Device
	ID        uuid.UUID // the device's own for this scan: a repeat is the same scan; uuid.Nil: it has none
	Payload   string    // as it was scanned
	Direction rules.Direction
}

// Admission is what the gate is told of a decided scan. Seat, Owner and ScanID are set on SUCCESS alone.
type Admission struct {
	rules.Verdict
	Event  clients.Event // of the ticket; the zero Event if it is unknown
	SeatID uuid.UUID     // as it was presented
	Seat   *inventoryv1.Seat
	Owner  string
	ScanID uuid.UUID // names the admission, to undo it
}

// ErrQRInvalid is what a scanned text answers that is no code of ours.
var ErrQRInvalid = fault.New(fault.Invalid, fault.CodeQRInvalid, "This QR code cannot be read: it is not a ticket of ours, or damaged")

// answerWithin bounds a verification: a queue at the door cannot wait.
const answerWithin = 900 * time.Millisecond
