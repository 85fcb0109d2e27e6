// Package gate decides at the door if a ticket lets its bearer in.
package gate

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	"ticketremaster/orchestrator-service/clients"
	"ticketremaster/orchestrator-service/qr"
	"ticketremaster/platform/fault"
	inventoryv1 "ticketremaster/proto/inventory/v1"
)

// Inventory is what the gate asks the inventory service.
type Inventory interface {
	VerifyTicket(ctx context.Context, in *inventoryv1.VerifyTicketRequest, opts ...grpc.CallOption) (*inventoryv1.VerifyTicketResponse, error)
	MarkCheckedIn(ctx context.Context, in *inventoryv1.MarkCheckedInRequest, opts ...grpc.CallOption) (*inventoryv1.MarkCheckedInResponse, error)
	RecordScan(ctx context.Context, in *inventoryv1.RecordScanRequest, opts ...grpc.CallOption) (*inventoryv1.RecordScanResponse, error)
}

// Orders tells whether a seat is paid for.
type Orders interface {
	Confirmed(ctx context.Context, seat uuid.UUID) (bool, error)
}

// Events gives an event as it is now.
type Events interface {
	Fresh(ctx context.Context, id uuid.UUID) (clients.Event, error)
}

// Users knows who a ticket's owner is.
type Users interface {
	User(ctx context.Context, id uuid.UUID) (clients.User, error)
}

// Settings of the gate; docs/internal-api.md has the variables and defaults.
type Settings struct {
	ClockSkew       time.Duration // between machines, that does no harm
	AcceptDecrypted bool          // accept a QR that the gate's device has decrypted: any device could forge it
}

// Flows verifies tickets.
type Flows struct {
	Settings
	Inventory Inventory
	Orders    Orders
	Events    Events
	Users     Users
	QR        *qr.Codec
}

// Admission is what the gate is told of a decided scan. Seat and owner are set on SUCCESS alone.
type Admission struct {
	Result  inventoryv1.ScanResult
	Message string
	Seat    *inventoryv1.Seat
	Owner   string
}

var errQRInvalid = fault.New(fault.Invalid, "QR_INVALID", "This QR code cannot be read: it is not a ticket of ours, or damaged")

// answerWithin bounds a verification: a queue at the door cannot wait.
const answerWithin = 900 * time.Millisecond

// Verify decides a scan and logs it once. payload is the scanned string; hall is where the member of staff stands.
// A dependency that is down is SERVICE_UNAVAILABLE with nothing marked: the scan can be repeated.
func (f *Flows) Verify(ctx context.Context, staff uuid.UUID, payload, hall string) (Admission, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	scan := &inventoryv1.Scan{ScanId: uuid.Must(uuid.NewV7()).String(), StaffId: staff.String(), HallIdPresented: hall}
	ticket, err := f.readQR(payload)
	if err != nil {
		scan.Result = inventoryv1.ScanResult_NOT_FOUND
		if _, err := f.Inventory.RecordScan(ctx, &inventoryv1.RecordScanRequest{Scan: scan}); err != nil {
			return Admission{}, err
		}
		return Admission{}, errQRInvalid
	}
	s, err := f.lookUp(ctx, ticket)
	if err != nil {
		return Admission{}, err
	}
	s.staffHall = hall
	result, message := decide(s)
	scan.PresentedSeatId, scan.EventId = ticket.SeatID.String(), ticket.EventID.String()
	scan.HallIdPresented, scan.HallIdExpected, scan.Result = ticket.HallID, s.event.HallID, result
	if s.seat != nil {
		scan.SeatId = s.seat.SeatId
	}
	if result != inventoryv1.ScanResult_SUCCESS {
		_, err := f.Inventory.RecordScan(ctx, &inventoryv1.RecordScanRequest{Scan: scan})
		return Admission{Result: result, Message: message}, err
	}
	return f.admit(ctx, s, scan)
}

func (f *Flows) readQR(payload string) (qr.Ticket, error) {
	if f.AcceptDecrypted && strings.HasPrefix(payload, "{") {
		return qr.Decrypted([]byte(payload))
	}
	return f.QR.Open(payload)
}

// lookUp asks the three services side by side: the payload names seat and event.
func (f *Flows) lookUp(ctx context.Context, t qr.Ticket) (scanned, error) {
	s := scanned{ticket: t, now: time.Now(), skew: f.ClockSkew}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		res, err := f.Inventory.VerifyTicket(ctx, &inventoryv1.VerifyTicketRequest{SeatId: t.SeatID.String()})
		if fault.Code(err) == fault.CodeSeatNotFound {
			return nil
		}
		s.seat, s.entered = res.GetSeat(), res.GetHasSuccessLog()
		return err
	})
	g.Go(func() (err error) {
		s.paid, err = f.Orders.Confirmed(ctx, t.SeatID)
		return err
	})
	g.Go(func() (err error) {
		s.event, err = f.Events.Fresh(ctx, t.EventID)
		if fault.Code(err) == fault.CodeEventNotFound {
			return nil
		}
		return err
	})
	return s, g.Wait()
}

// admit marks the ticket; of simultaneous scans inventory lets one through and says what the others are.
func (f *Flows) admit(ctx context.Context, s scanned, scan *inventoryv1.Scan) (Admission, error) {
	owner := make(chan string, 1)
	go func() { owner <- f.emailOf(ctx, clients.ID(s.seat.OwnerUserId)) }()
	res, err := f.Inventory.MarkCheckedIn(ctx, &inventoryv1.MarkCheckedInRequest{
		Scan: scan, OwnerUserId: s.seat.OwnerUserId, OwnershipVersion: s.seat.OwnershipVersion,
	})
	if err != nil {
		return Admission{}, err
	}
	switch a := (Admission{Result: res.Result, Message: "Welcome", Seat: s.seat}); res.Result {
	case inventoryv1.ScanResult_SUCCESS:
		a.Owner = <-owner
		return a, nil
	case inventoryv1.ScanResult_DUPLICATE:
		return Admission{Result: res.Result, Message: "Already Checked In"}, nil
	default: // the ticket changed hands, or was taken back, between look-up and mark
		return Admission{Result: res.Result, Message: "This ticket was handed on: ask for the present owner's QR code"}, nil
	}
}

// emailOf gives a user's e-mail address for the greeting (users have no name); a ticket is not refused for want of it.
func (f *Flows) emailOf(ctx context.Context, user uuid.UUID) string {
	u, err := f.Users.User(ctx, user)
	if err != nil {
		slog.WarnContext(ctx, "the ticket owner's e-mail address is not known", "user", user, "error", err)
	}
	return u.Email
}
