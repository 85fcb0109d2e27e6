package gate

import (
	"context"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"ticketremaster/orchestrator-service/clients"
	"ticketremaster/orchestrator-service/gate/rules"
	"ticketremaster/orchestrator-service/qr"
	"ticketremaster/platform/fault"
	"ticketremaster/platform/web"
	inventoryv1 "ticketremaster/proto/inventory/v1"
)

// MostTogether is how many tickets one call admits.
const MostTogether = 20

// Entry is a ticket that is let in, or out, without its code being read.
type Entry struct {
	SeatID uuid.UUID
	ScanID uuid.UUID // the caller's own for this entry: a repeat is the same entry; uuid.Nil: it has none
}

// Admit decides tickets of an event by hand, each by itself, by the rules of a scan, in the order given.
func (f *Flows) Admit(ctx context.Context, staff Staff, event uuid.UUID, device Device, d rules.Direction, entries []Entry) ([]Admission, error) {
	if _, err := f.at(ctx, staff, event); err != nil {
		return nil, err
	}
	admissions := make([]Admission, len(entries))
	g, ctx := errgroup.WithContext(ctx)
	for i, e := range entries {
		g.Go(func() (err error) {
			a := &attempt{staff: staff, device: device, direction: d, id: e.ScanID, own: e.ScanID != uuid.Nil, manual: true}
			if a.id == uuid.Nil {
				a.id = uuid.Must(uuid.NewV7())
			}
			admissions[i], err = f.admit(ctx, a, event, e.SeatID)
			return err
		})
	}
	return admissions, g.Wait()
}

func (f *Flows) admit(ctx context.Context, a *attempt, event, seat uuid.UUID) (Admission, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	x, err := f.lookUp(ctx, a.staff, seat, event)
	if err != nil {
		return Admission{}, err
	}
	// What the staff see on the list stands for a fresh code of the present owner.
	ticket := qr.Ticket{SeatID: seat, EventID: event, IssuedAt: time.Now(), OwnershipVersion: x.ticket.GetSeat().GetOwnershipVersion()}
	return f.decide(ctx, a, x, ticket)
}

// Found is a ticket as a search at the gate shows it.
type Found struct {
	*inventoryv1.GateTicket
	Owner     string // e-mail address
	TakenBack bool   // its payment was, and nobody allowed it in
}

// Search is what tickets are looked for by; one of them is set.
type Search struct {
	Email string    // a part of the owner's e-mail address, three characters at least
	Seat  string    // a place such as A12
	Order uuid.UUID // that bought it
	With  uuid.UUID // a seat, whose owner's tickets are wanted
}

// minEmail keeps a search from listing the whole hall.
const minEmail = 3

var placeForm = regexp.MustCompile(`^([A-Za-z]{1,4})[ -]?([0-9]{1,6})$`)

// Find searches the sold tickets of an event that the member of staff works at, never beyond it; 100 at most.
func (f *Flows) Find(ctx context.Context, staff Staff, event uuid.UUID, s Search) ([]Found, error) {
	if _, err := f.at(ctx, staff, event); err != nil {
		return nil, err
	}
	q := &inventoryv1.FindTicketsRequest{EventId: event.String()}
	switch place := placeForm.FindStringSubmatch(strings.TrimSpace(s.Seat)); {
	case s.Email != "":
		if len(s.Email) < minEmail {
			return nil, fault.Field("email", "must have at least %d characters", minEmail)
		}
		users, _, err := f.Users.List(ctx, web.Page{Number: 1, Size: 100}, s.Email)
		if err != nil {
			return nil, err
		}
		for _, u := range users {
			q.OwnerUserIds = append(q.OwnerUserIds, u.UserID.String())
		}
	case s.Seat != "" && place == nil:
		return nil, fault.Field("seat", "must be a row and a number, such as A12")
	case s.Seat != "":
		number, _ := strconv.Atoi(place[2]) // digits, by its form
		q.RowNumber, q.SeatNumber = strings.ToUpper(place[1]), int32(number)
	case s.Order != uuid.Nil:
		order, err := f.Orders.Get(ctx, s.Order)
		if fault.Code(err) == fault.CodeOrderNotFound {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		q.SeatIds = []string{order.SeatID.String()}
	case s.With != uuid.Nil:
		of, err := f.Inventory.FindTickets(ctx, &inventoryv1.FindTicketsRequest{EventId: event.String(), SeatIds: []string{s.With.String()}})
		if err != nil || len(of.Tickets) == 0 {
			return nil, err
		}
		q.OwnerUserIds = []string{of.Tickets[0].OwnerUserId}
	default:
		return nil, fault.Field("email", "or seat, order or with is required")
	}
	if len(q.OwnerUserIds)+len(q.SeatIds) == 0 && q.RowNumber == "" {
		return nil, nil
	}
	res, err := f.Inventory.FindTickets(ctx, q)
	if err != nil {
		return nil, err
	}
	return f.withOwners(ctx, res.Tickets)
}

func (f *Flows) withOwners(ctx context.Context, tickets []*inventoryv1.GateTicket) ([]Found, error) {
	if len(tickets) == 0 {
		return nil, nil
	}
	var owners []uuid.UUID
	asked := map[string]bool{}
	for _, t := range tickets {
		if !asked[t.OwnerUserId] {
			asked[t.OwnerUserId] = true
			owners = append(owners, clients.ID(t.OwnerUserId))
		}
	}
	users, err := f.Users.Lookup(ctx, owners, nil)
	if err != nil {
		return nil, err
	}
	emails, debt := map[string]string{}, f.Users.DebtSince(ctx)
	for _, u := range users {
		emails[u.UserID.String()] = u.Email
	}
	found := make([]Found, len(tickets))
	for i, t := range tickets {
		found[i] = Found{t, emails[t.OwnerUserId], takenBack(t, debt)}
	}
	return found, nil
}

func takenBack(t *inventoryv1.GateTicket, debt func(uuid.UUID) time.Time) bool {
	return !t.EntryAllowed && debt(clients.ID(t.OwnerUserId)).After(t.SoldAt.AsTime())
}

// Undo takes a ticket's last admission back, or the one that scan names if it is not uuid.Nil; note says why, and id names the undoing. Whoever made it
// may within ten minutes, an administrator at any time.
func (f *Flows) Undo(ctx context.Context, staff Staff, event, seat, scan, id uuid.UUID, device, note string) (*inventoryv1.Seat, error) {
	if _, err := f.at(ctx, staff, event); err != nil {
		return nil, err
	}
	ticket, err := f.Inventory.VerifyTicket(ctx, &inventoryv1.VerifyTicketRequest{SeatId: seat.String()})
	switch {
	case err != nil:
		return nil, err
	case ticket.Seat.EventId != event.String():
		return nil, fault.New(fault.NotFound, fault.CodeSeatNotFound, "This event has no such ticket")
	case scan == uuid.Nil && ticket.EntryScanId == "":
		return nil, fault.New(fault.Conflict, fault.CodeUndoNotPossible, "This ticket is not checked in")
	case scan == uuid.Nil:
		scan = clients.ID(ticket.EntryScanId)
	}
	if id == uuid.Nil {
		id = uuid.Must(uuid.NewV7())
	}
	res, err := f.Inventory.UndoCheckIn(ctx, &inventoryv1.UndoCheckInRequest{
		SeatId: seat.String(), ByAdmin: staff.Admin,
		Scan: &inventoryv1.Scan{ScanId: id.String(), StaffId: staff.ID.String(), Device: device, Note: note, Undoes: scan.String(), Direction: inventoryv1.Direction_UNDO},
	})
	return res.GetSeat(), err
}

// Inside counts who is inside now.
func (f *Flows) Inside(ctx context.Context, staff Staff, id uuid.UUID) (clients.Event, *inventoryv1.CountInsideResponse, error) {
	event, err := f.at(ctx, staff, id)
	if err != nil {
		return clients.Event{}, nil, err
	}
	n, err := f.Inventory.CountInside(ctx, &inventoryv1.CountInsideRequest{EventId: id.String()})
	return event, n, err
}
