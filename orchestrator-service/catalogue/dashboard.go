package catalogue

import (
	"context"

	"github.com/google/uuid"

	"ticketremaster/orchestrator-service/clients"
	"ticketremaster/platform/web"
	inventoryv1 "ticketremaster/proto/inventory/v1"
)

// Dashboard is what an administrator sees of an event.
type Dashboard struct {
	Event     clients.Event
	Counts    *inventoryv1.SeatCount
	Attendees []Attendee
	Scans     map[string]int32 // per result
}

// Attendee is an owner of a ticket. Email is empty if the user service does not know them.
type Attendee struct {
	Seat  *inventoryv1.Seat
	Email string
}

// lookupAtOnce is the most users that one call looks up.
const lookupAtOnce = 200

// EventDashboard reads an event's figures and attendees.
func (f *Flows) EventDashboard(ctx context.Context, eventID uuid.UUID) (d Dashboard, err error) {
	if d.Event, err = f.Events.Get(ctx, eventID); err != nil {
		return d, err
	}
	counts, err := f.countSeats(ctx, d.Event)
	if err != nil {
		return d, err
	}
	d.Counts = counts[eventID]
	owners := map[uuid.UUID]string{}
	err = f.EachSeat(ctx, eventID, func(s *inventoryv1.Seat) {
		if s.OwnerUserId != "" && s.VoidId == "" {
			d.Attendees = append(d.Attendees, Attendee{Seat: s})
			owners[clients.ID(s.OwnerUserId)] = ""
		}
	})
	if err != nil {
		return d, err
	}
	if err := f.fillEmails(ctx, owners); err != nil {
		return d, err
	}
	for i := range d.Attendees {
		d.Attendees[i].Email = owners[clients.ID(d.Attendees[i].Seat.OwnerUserId)]
	}
	scans, err := f.listScans(ctx, eventID, inventoryv1.ScanResult_SCAN_RESULT_UNSPECIFIED, web.Page{Number: 1, Size: 1})
	d.Scans = scans.GetCounts()
	return d, err
}

// fillEmails finds the e-mail address of each key.
func (f *Flows) fillEmails(ctx context.Context, owners map[uuid.UUID]string) error {
	ids := make([]uuid.UUID, 0, len(owners))
	for id := range owners {
		ids = append(ids, id)
	}
	for len(ids) > 0 {
		n := min(len(ids), lookupAtOnce)
		users, err := f.Users.Lookup(ctx, ids[:n], nil)
		if err != nil {
			return err
		}
		for _, u := range users {
			owners[u.UserID] = u.Email
		}
		ids = ids[n:]
	}
	return nil
}

// Scans returns a page of an event's scans, newest first, and the counts per result.
func (f *Flows) Scans(ctx context.Context, eventID uuid.UUID, result inventoryv1.ScanResult, page web.Page) (*inventoryv1.ListScansResponse, error) {
	if _, err := f.Events.Recent(ctx, eventID); err != nil {
		return nil, err
	}
	return f.listScans(ctx, eventID, result, page)
}

func (f *Flows) listScans(ctx context.Context, eventID uuid.UUID, result inventoryv1.ScanResult, page web.Page) (*inventoryv1.ListScansResponse, error) {
	return f.Inventory.ListScans(ctx, &inventoryv1.ListScansRequest{
		EventId: eventID.String(), Result: result, Page: int32(page.Number), PerPage: int32(page.Size),
	})
}
