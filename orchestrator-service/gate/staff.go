package gate

import (
	"context"
	"sync"
	"time"

	"github.com/google/uuid"

	"ticketremaster/orchestrator-service/clients"
	"ticketremaster/orchestrator-service/gate/rules"
	"ticketremaster/platform/fault"
	"ticketremaster/platform/gather"
	"ticketremaster/platform/web"
	inventoryv1 "ticketremaster/proto/inventory/v1"
)

// assignments are where staff work, as they were seconds ago.
type assignments struct {
	mu     sync.Mutex
	cached map[uuid.UUID]cachedAssignment
	reads  gather.Shared[rules.Assignment]
}

type cachedAssignment struct {
	rules.Assignment
	until time.Time
}

const (
	assignmentLife  = 3 * time.Second
	mostAssignments = 10_000 // kept at once
)

// assignment gives where a member of staff works; an administrator works everywhere.
func (f *Flows) assignment(ctx context.Context, staff Staff) (rules.Assignment, error) {
	if staff.Admin {
		return rules.Assignment{}, nil
	}
	a := &f.assignments
	a.mu.Lock()
	c, ok := a.cached[staff.ID]
	a.mu.Unlock()
	if ok && time.Now().Before(c.until) {
		return c.Assignment, nil
	}
	return a.reads.Do(ctx, staff.ID.String(), "the inventory service", func(ctx context.Context) (rules.Assignment, error) {
		read, err := f.Assignment(ctx, staff.ID)
		if err == nil {
			a.mu.Lock()
			defer a.mu.Unlock()
			if a.cached == nil || len(a.cached) >= mostAssignments {
				a.cached = map[uuid.UUID]cachedAssignment{}
			}
			a.cached[staff.ID] = cachedAssignment{read, time.Now().Add(assignmentLife)}
		}
		return read, err
	})
}

// Assignment gives where a member of staff works.
func (f *Flows) Assignment(ctx context.Context, staff uuid.UUID) (rules.Assignment, error) {
	res, err := f.Inventory.GetAssignment(ctx, &inventoryv1.GetAssignmentRequest{StaffId: staff.String()})
	if err != nil {
		return rules.Assignment{}, err
	}
	return rules.Assignment{Venues: ids(res.VenueIds), Events: ids(res.EventIds)}, nil
}

// Assign says where a member of staff works: at all events of these venues, and at these events; neither: everywhere. It holds within
// seconds. Every event must exist.
func (f *Flows) Assign(ctx context.Context, admin, staff uuid.UUID, a rules.Assignment, reason string) error {
	if _, err := f.Users.User(ctx, staff); err != nil {
		return err
	}
	for _, event := range a.Events {
		if _, err := f.Events.Recent(ctx, event); err != nil {
			return err
		}
	}
	_, err := f.Inventory.SetAssignment(ctx, &inventoryv1.SetAssignmentRequest{
		StaffId: staff.String(), VenueIds: texts(a.Venues), EventIds: texts(a.Events), AdminId: admin.String(), Reason: reason,
	})
	f.assignments.mu.Lock()
	delete(f.assignments.cached, staff)
	f.assignments.mu.Unlock()
	return err
}

var errNotAssigned = fault.New(fault.Forbidden, fault.CodeForbidden, "You are not assigned to this event")

// at gives an event that the member of staff works at.
func (f *Flows) at(ctx context.Context, staff Staff, id uuid.UUID) (clients.Event, error) {
	assigned, err := f.assignment(ctx, staff)
	if err != nil {
		return clients.Event{}, err
	}
	event, err := f.Events.Recent(ctx, id)
	switch {
	case err != nil:
		return clients.Event{}, err
	case !assigned.Covers(f.event(event)):
		return clients.Event{}, errNotAssigned
	}
	return event, nil
}

// mostListed bounds how many of the catalogue's pages are looked through for the events of a venue.
const mostListed = 5

// MyEvents lists the events that the member of staff works at and that are not over, the next first, 500 at most.
func (f *Flows) MyEvents(ctx context.Context, staff Staff) (mine []clients.Event, err error) {
	assigned, err := f.assignment(ctx, staff)
	if err != nil {
		return nil, err
	}
	for page := (web.Page{Number: 1, Size: 100}); page.Number <= mostListed; page.Number++ {
		events, total, err := f.Events.List(ctx, page, clients.EventFilter{})
		if err != nil {
			return nil, err
		}
		for _, e := range events {
			if assigned.Covers(f.event(e)) {
				mine = append(mine, e)
			}
		}
		if page.Number*page.Size >= total {
			break
		}
	}
	return mine, nil
}

// AllowEntry lets a ticket's present owner in though the payment was taken back.
func (f *Flows) AllowEntry(ctx context.Context, admin, seat uuid.UUID, reason string) error {
	ticket, err := f.Inventory.VerifyTicket(ctx, &inventoryv1.VerifyTicketRequest{SeatId: seat.String()})
	if err != nil {
		return err
	}
	_, err = f.Inventory.AllowEntry(ctx, &inventoryv1.AllowEntryRequest{
		SeatId: seat.String(), OwnershipVersion: ticket.Seat.OwnershipVersion, AdminId: admin.String(), Reason: reason,
	})
	return err
}

func ids(texts []string) []uuid.UUID {
	out := make([]uuid.UUID, len(texts))
	for i, text := range texts {
		out[i] = clients.ID(text)
	}
	return out
}

func texts(ids []uuid.UUID) []string {
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = id.String()
	}
	return out
}
