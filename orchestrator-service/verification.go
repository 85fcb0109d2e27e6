package orchestrator

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"ticketremaster/orchestrator-service/clients"
	"ticketremaster/orchestrator-service/qr"
	"ticketremaster/platform/fault"
	inventoryv1 "ticketremaster/proto/inventory/v1"
)

// scanned is all that a decision at the gate looks at.
type scanned struct {
	ticket    qr.Ticket
	staffHall string
	seat      *inventoryv1.Seat // nil: there is no such seat
	entered   bool              // entry_logs has a SUCCESS for the seat
	paid      bool              // a CONFIRMED order exists
	event     clients.Event
	now       time.Time
	skew      time.Duration
}

// rule is one line of the gate's table: the result if what it says is so, and what the staff read.
type rule struct {
	result  inventoryv1.ScanResult
	when    func(s scanned) bool
	message func(s scanned) string
}

// gateRules are reference §7's table in design §3's order: the first that fits decides, and SUCCESS is
// what is left.
var gateRules = []rule{
	{inventoryv1.ScanResult_NOT_FOUND, func(s scanned) bool { return s.seat == nil }, say("Possible Counterfeit: there is no such ticket")},
	{inventoryv1.ScanResult_NOT_FOUND, func(s scanned) bool { return s.seat.EventId != s.ticket.EventID.String() }, say("Possible Counterfeit: the ticket is not of this event")},
	{inventoryv1.ScanResult_NOT_FOUND, func(s scanned) bool { return s.seat.Status == inventoryv1.SeatStatus_AVAILABLE }, say("Possible Counterfeit: this seat is not sold")},
	{inventoryv1.ScanResult_NOT_FOUND, formerOwners, say("This ticket was handed on: ask for the present owner's QR code")},
	{inventoryv1.ScanResult_DUPLICATE, func(s scanned) bool {
		return s.entered || s.seat.Status == inventoryv1.SeatStatus_CHECKED_IN
	}, say("Already Checked In")},
	{inventoryv1.ScanResult_UNPAID, func(s scanned) bool { return s.seat.Status == inventoryv1.SeatStatus_HELD || !s.paid }, say("Incomplete Payment")},
	{inventoryv1.ScanResult_WRONG_HALL, func(s scanned) bool {
		return s.staffHall != s.event.HallID || s.ticket.HallID != s.event.HallID
	}, func(s scanned) string { return "Go to Hall " + s.event.HallID }},
	{inventoryv1.ScanResult_EXPIRED, func(s scanned) bool { return s.now.Sub(s.ticket.IssuedAt) > qr.Life+s.skew }, say("Expired QR: refresh the ticket")},
	{inventoryv1.ScanResult_EXPIRED, func(s scanned) bool { return s.ticket.IssuedAt.Sub(s.now) > s.skew }, say("This QR code is from the future: check the clocks and refresh the ticket")},
	{inventoryv1.ScanResult_EXPIRED, func(s scanned) bool { return s.now.After(s.event.EndsAt) }, say("This event is over")},
}

func say(text string) func(scanned) string { return func(scanned) string { return text } }

// formerOwners is a QR that was made before the ticket changed hands; it dies with the change, though its
// 60 seconds are not over.
func formerOwners(s scanned) bool {
	sold := s.seat.Status == inventoryv1.SeatStatus_SOLD || s.seat.Status == inventoryv1.SeatStatus_CHECKED_IN
	return sold && s.ticket.OwnershipVersion != s.seat.OwnershipVersion
}

// decide runs the table.
func decide(s scanned) (inventoryv1.ScanResult, string) {
	for _, r := range gateRules {
		if r.when(s) {
			return r.result, r.message(s)
		}
	}
	return inventoryv1.ScanResult_SUCCESS, "Welcome"
}

// Admission is what the gate is told of a decided scan. Seat and owner are set on SUCCESS alone.
type Admission struct {
	Result  inventoryv1.ScanResult
	Message string
	Seat    *inventoryv1.Seat
	Owner   string
}

var errQRInvalid = fault.New(fault.Invalid, "QR_INVALID", "this QR code cannot be read: it is not a ticket of ours, or damaged")

// gateAnswersWithin bounds a verification: a queue at the door cannot wait.
const gateAnswersWithin = 900 * time.Millisecond

// Verify decides a scan and logs it once. payload is the scanned string; hall is where the member of staff stands.
// A dependency that is down is SERVICE_UNAVAILABLE with nothing marked: the scan can be repeated.
func (f *Flows) Verify(ctx context.Context, staff uuid.UUID, payload, hall string) (Admission, error) {
	ctx, cancel := context.WithTimeout(ctx, gateAnswersWithin)
	defer cancel()
	scan := &inventoryv1.Scan{ScanId: newID().String(), StaffId: staff.String(), HallIdPresented: hall}
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
		if fault.Code(err) == codeSeatNotFound {
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
		if fault.Code(err) == codeEventNotFound {
			return nil
		}
		return err
	})
	return s, g.Wait()
}

// admit marks the ticket; of simultaneous scans inventory lets one through and says what the others are.
func (f *Flows) admit(ctx context.Context, s scanned, scan *inventoryv1.Scan) (Admission, error) {
	owner := make(chan string, 1)
	go func() { owner <- f.emailOf(ctx, optionalID(s.seat.OwnerUserId)) }()
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
