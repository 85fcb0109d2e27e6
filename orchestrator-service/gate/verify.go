package gate

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"ticketremaster/orchestrator-service/clients"
	"ticketremaster/orchestrator-service/gate/rules"
	"ticketremaster/orchestrator-service/qr"
	"ticketremaster/platform/fault"
	inventoryv1 "ticketremaster/proto/inventory/v1"
)

// Verify decides a scan and logs it once. When a dependency is down it is SERVICE_UNAVAILABLE; the ticket may have been
// marked then, and the same scan repeated within seconds answers what was decided.
func (f *Flows) Verify(ctx context.Context, staff Staff, s Scan) (Admission, error) {
	s.Payload = rules.Scanned(s.Payload)
	a := attempt{staff: staff, device: s.Device, direction: s.Direction, id: s.ID, own: s.ID != uuid.Nil}
	if !a.own {
		a.id, a.key = uuid.Must(uuid.NewV7()), keyOf(staff.ID, s)
	}
	admission, err := f.verify(ctx, &a, s.Payload)
	// Who was not answered, or has hung up meanwhile, comes again with the same scan.
	if !a.own && a.marked && (err != nil || ctx.Err() != nil && admission.Result == rules.Success) {
		f.noteUnheard(ctx, &a)
	}
	return admission, err
}

func (f *Flows) verify(ctx context.Context, a *attempt, payload string) (Admission, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	ticket, err := f.readQR(payload)
	if err != nil {
		scan := a.scan()
		scan.Result, scan.HallIdPresented = inventoryv1.ScanResult_NOT_FOUND, a.device.Hall
		if _, err := f.Inventory.RecordScan(ctx, &inventoryv1.RecordScanRequest{Scan: scan}); err != nil {
			return Admission{}, err
		}
		count(a.direction, unreadable)
		return Admission{}, ErrQRInvalid
	}
	x, err := f.lookUp(ctx, a.staff, ticket.SeatID, ticket.EventID)
	if err != nil {
		return Admission{}, err
	}
	return f.decide(ctx, a, x, ticket)
}

func (f *Flows) readQR(payload string) (qr.Ticket, error) {
	if f.AcceptDecrypted && strings.HasPrefix(payload, "{") {
		return qr.Decrypted([]byte(payload))
	}
	return f.QR.Open(payload, time.Now())
}

// attempt is one try to get through the door, by a code or by hand.
type attempt struct {
	staff     Staff
	device    Device
	direction rules.Direction
	id        uuid.UUID
	own       bool    // id is the device's: a repeat has it too
	key       ScanKey // what is scanned, if the device gave no id
	manual    bool
	marked    bool // the inventory was asked to mark it
}

// scan is the attempt as the log has it, without its decision.
func (a *attempt) scan() *inventoryv1.Scan {
	return &inventoryv1.Scan{ScanId: a.id.String(), StaffId: a.staff.ID.String(), HallIdStaff: a.device.Hall, Device: a.device.Name,
		Direction: directions[a.direction], Manual: a.manual}
}

var directions = map[rules.Direction]inventoryv1.Direction{rules.In: inventoryv1.Direction_IN, rules.Out: inventoryv1.Direction_OUT}

// known is what the services say of a ticket.
type known struct {
	ticket   *inventoryv1.VerifyTicketResponse // nil: there is no such seat
	paid     bool
	event    clients.Event // the zero Event: there is no such event
	assigned rules.Assignment
	debt     func(uuid.UUID) time.Time
}

// lookUp asks the services side by side: whoever asks knows seat and event.
func (f *Flows) lookUp(ctx context.Context, staff Staff, seat, event uuid.UUID) (x known, err error) {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) {
		x.ticket, err = f.Inventory.VerifyTicket(ctx, &inventoryv1.VerifyTicketRequest{SeatId: seat.String()})
		if fault.Code(err) == fault.CodeSeatNotFound {
			x.ticket, err = nil, nil
		}
		return err
	})
	g.Go(func() (err error) {
		x.paid, err = f.Orders.Confirmed(ctx, seat)
		return err
	})
	g.Go(func() (err error) {
		x.event, err = f.Events.Fresh(ctx, event)
		if fault.Code(err) == fault.CodeEventNotFound {
			return nil
		}
		return err
	})
	g.Go(func() (err error) {
		x.assigned, err = f.assignment(ctx, staff)
		return err
	})
	g.Go(func() error {
		x.debt = f.Users.DebtSince(ctx)
		return nil
	})
	return x, g.Wait()
}

// facts puts what is known into the terms of the rules.
func (f *Flows) facts(a *attempt, x known, ticket qr.Ticket) rules.Facts {
	facts := rules.Facts{
		Now: time.Now(), Skew: f.ClockSkew, Direction: a.direction, StaffHall: a.device.Hall, StaffEvent: a.device.Event, Assigned: x.assigned,
		Code: rules.Code{EventID: ticket.EventID, HallID: ticket.HallID, Version: ticket.OwnershipVersion, IssuedAt: ticket.IssuedAt},
		Paid: x.paid, Event: f.event(x.event),
	}
	if x.ticket != nil {
		seat := x.ticket.Seat
		facts.Seat = &rules.Seat{EventID: clients.ID(seat.EventId), Status: rules.Status(seat.Status.String()), Version: seat.OwnershipVersion, Void: seat.VoidId != ""}
		facts.Entered, facts.Left = x.ticket.HasSuccessLog, x.ticket.Left
		facts.TakenBack = !x.ticket.EntryAllowed && x.debt(clients.ID(seat.OwnerUserId)).After(seat.SoldAt.AsTime())
	}
	return facts
}

// event is an event as the rules know it.
func (f *Flows) event(e clients.Event) rules.Event {
	if e.EventID == uuid.Nil {
		return rules.Event{}
	}
	r := rules.Event{
		ID: e.EventID, Name: e.Name, VenueID: e.Venue.VenueID, Venue: e.Venue.Name, HallID: e.HallID, EndsAt: e.EndsAt,
		BeginsText: rules.Local(e.EventDate, e.Timezone), Reentry: e.ReentryAllowed, Cancelled: e.Status == clients.EventCancelled,
	}
	switch {
	case e.DoorsOpenAt != nil:
		r.DoorsOpenAt = *e.DoorsOpenAt
	case f.DoorsOpenBefore > 0:
		r.DoorsOpenAt = e.EventDate.Add(-f.DoorsOpenBefore)
	}
	if !r.DoorsOpenAt.IsZero() {
		r.DoorsText = rules.Local(r.DoorsOpenAt, e.Timezone)
	}
	return r
}

// decide runs the rules, logs what comes of it and counts it. What they refuse because the ticket is used may have been
// used by an earlier try of this very scan.
func (f *Flows) decide(ctx context.Context, a *attempt, x known, ticket qr.Ticket) (Admission, error) {
	out, err := f.judge(ctx, a, x, ticket)
	if err == nil {
		count(a.direction, string(out.Result))
	}
	return out, err
}

func (f *Flows) judge(ctx context.Context, a *attempt, x known, ticket qr.Ticket) (Admission, error) {
	out := Admission{Event: x.event, SeatID: ticket.SeatID}
	out.Verdict = rules.Decide(f.facts(a, x, ticket))
	scan := func() *inventoryv1.Scan {
		scan := a.scan()
		scan.PresentedSeatId, scan.EventId = ticket.SeatID.String(), ticket.EventID.String()
		scan.HallIdPresented, scan.HallIdExpected = ticket.HallID, x.event.HallID
		if x.ticket != nil {
			scan.SeatId = x.ticket.Seat.SeatId
		}
		return scan
	}
	passed := func(owner string) (Admission, error) {
		out.Verdict, out.Seat, out.ScanID, out.Owner = rules.Passed(a.direction), x.ticket.Seat, a.id, owner
		return out, nil
	}
	if out.Reason == rules.AlreadyIn || out.Reason == rules.NotInside {
		before, err := f.passedUnheard(ctx, a, scan, x)
		switch {
		case err != nil:
			return Admission{}, err
		case before:
			return passed(f.emailOf(ctx, clients.ID(x.ticket.Seat.OwnerUserId)))
		}
	}
	if out.Result != rules.Success {
		refused := scan()
		refused.Result, refused.Reason = inventoryv1.ScanResult(inventoryv1.ScanResult_value[string(out.Result)]), string(out.Reason)
		_, err := f.Inventory.RecordScan(ctx, &inventoryv1.RecordScanRequest{Scan: refused})
		return out, err
	}
	owner := make(chan string, 1)
	go func() { owner <- f.emailOf(ctx, clients.ID(x.ticket.Seat.OwnerUserId)) }()
	result, err := f.mark(ctx, a, scan(), x)
	if err == nil && result == inventoryv1.ScanResult_DUPLICATE && !a.own { // used since it was looked up
		var before bool
		if before, err = f.passedUnheard(ctx, a, scan, x); before {
			result = inventoryv1.ScanResult_SUCCESS
		}
	}
	switch {
	case err != nil:
		return Admission{}, err
	case result != inventoryv1.ScanResult_SUCCESS: // of simultaneous scans inventory lets one through and says what the others are
		out.Verdict = rules.Lost(a.direction, rules.Result(result.String()))
		return out, nil
	}
	return passed(<-owner)
}

func (f *Flows) mark(ctx context.Context, a *attempt, scan *inventoryv1.Scan, x known) (inventoryv1.ScanResult, error) {
	a.marked = true
	seat := x.ticket.Seat
	if a.direction == rules.Out {
		res, err := f.Inventory.MarkExited(ctx, &inventoryv1.MarkExitedRequest{Scan: scan, OwnershipVersion: seat.OwnershipVersion})
		return res.GetResult(), err
	}
	res, err := f.Inventory.MarkCheckedIn(ctx, &inventoryv1.MarkCheckedInRequest{
		Scan: scan, OwnerUserId: seat.OwnerUserId, OwnershipVersion: seat.OwnershipVersion, Reentry: x.event.ReentryAllowed,
	})
	return res.GetResult(), err
}

// emailOf gives a user's e-mail address for the greeting (users have no name); a ticket is not refused for want of it.
func (f *Flows) emailOf(ctx context.Context, user uuid.UUID) string {
	u, err := f.Users.User(ctx, user)
	if err != nil {
		slog.WarnContext(ctx, "the ticket owner's e-mail address is not known", "user", user, "error", err)
	}
	return u.Email
}
