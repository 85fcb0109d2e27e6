package orchestrator

import (
	"context"
	"encoding/json"

	"github.com/google/uuid"

	"ticketremaster/orchestrator-service/clients"
	"ticketremaster/orchestrator-service/saga"
	"ticketremaster/platform/fault"
	"ticketremaster/platform/web"
	inventoryv1 "ticketremaster/proto/inventory/v1"
)

// createEventSteps makes an event and its seats as one: nobody sees the event before it has all its seats.
func (f *Flows) createEventSteps() []saga.Step[NewEvent] {
	return []saga.Step[NewEvent]{
		{Name: "draft event", Do: f.draftEvent, Undo: f.deleteDraft},
		{Name: "create seats", Do: f.createSeats, Undo: f.deleteSeats},
		{Name: "publish event", Do: f.publishEvent},
	}
}

// NewEvent is the state of the making of an event.
type NewEvent struct {
	EventID uuid.UUID                  `json:"event_id"`
	Body    map[string]json.RawMessage `json:"body"` // as the administrator wrote it: the event service checks it
	// What the steps learn.
	Event        clients.Event `json:"event"`
	SeatsCreated int           `json:"seats_created"`
}

func (f *Flows) draftEvent(ctx context.Context, n *NewEvent) (err error) {
	n.Event, err = f.Events.Draft(ctx, n.Body)
	return err
}

func (f *Flows) deleteDraft(ctx context.Context, n *NewEvent) error {
	return f.Events.DeleteDraft(ctx, n.EventID)
}

func (f *Flows) createSeats(ctx context.Context, n *NewEvent) error {
	res, err := f.Inventory.CreateSeats(ctx, &inventoryv1.CreateSeatsRequest{
		EventId: n.EventID.String(), TotalSeats: int32(n.Event.TotalSeats), Tiers: n.Event.Tiers(), SeatsPerRow: int32(n.Event.SeatsPerRow),
	})
	n.SeatsCreated = int(res.GetSeatsCreated())
	return err
}

func (f *Flows) deleteSeats(ctx context.Context, n *NewEvent) error {
	_, err := f.Inventory.DeleteSeats(ctx, &inventoryv1.DeleteSeatsRequest{EventId: n.EventID.String()})
	return err
}

func (f *Flows) publishEvent(ctx context.Context, n *NewEvent) error {
	return f.Events.Publish(ctx, n.EventID)
}

// CreateEvent makes an event with its seats; body is the administrator's JSON object.
func (f *Flows) CreateEvent(ctx context.Context, body map[string]json.RawMessage) (n NewEvent, pending bool, err error) {
	n = NewEvent{EventID: newID(), Body: body}
	n.Body["event_id"], _ = json.Marshal(n.EventID)
	end, pending, err := f.runSaga(ctx, kindCreateEvent, n.EventID, n.EventID.String(), n)
	if err != nil || pending {
		return n, pending, err
	}
	return n, false, json.Unmarshal(end.State, &n)
}

// Listed is an event with the number of its seats that are free now.
type Listed struct {
	clients.Event
	AvailableSeats int
}

// ListEvents gives a page of the catalogue with availability: two calls, however many events.
func (f *Flows) ListEvents(ctx context.Context, page web.Page, date, featured string) ([]Listed, int, error) {
	events, total, err := f.Events.List(ctx, page, date, featured)
	if err != nil || len(events) == 0 {
		return nil, total, err
	}
	counts, err := f.countSeats(ctx, events...)
	if err != nil {
		return nil, 0, err
	}
	listed := make([]Listed, len(events))
	for i, e := range events {
		listed[i] = Listed{e, int(counts[e.EventID].GetAvailable())}
	}
	return listed, total, nil
}

func (f *Flows) countSeats(ctx context.Context, events ...clients.Event) (map[uuid.UUID]*inventoryv1.SeatCount, error) {
	req := &inventoryv1.CountSeatsRequest{}
	for _, e := range events {
		req.EventIds = append(req.EventIds, e.EventID.String())
	}
	res, err := f.Inventory.CountSeats(ctx, req)
	if err != nil {
		return nil, err
	}
	counts := map[uuid.UUID]*inventoryv1.SeatCount{}
	for _, c := range res.Counts {
		counts[optionalID(c.EventId)] = c
	}
	return counts, nil
}

var errEventNotFound = fault.New(fault.NotFound, codeEventNotFound, "there is no such event")

// PublicEvent reads an event that the public may see; it may be some seconds old.
func (f *Flows) PublicEvent(ctx context.Context, id uuid.UUID) (clients.Event, error) {
	event, err := f.Events.Recent(ctx, id)
	if err == nil && !event.Published() {
		err = errEventNotFound
	}
	return event, err
}

// EachSeat reads all seats of an event, by row then number, in portions.
func (f *Flows) EachSeat(ctx context.Context, event uuid.UUID, each func(*inventoryv1.Seat)) error {
	const portion = 1_000 // seats: an answer of some 150 KB
	next := &inventoryv1.ListSeatsRequest{EventId: event.String(), Limit: portion}
	for {
		list, err := f.Inventory.ListSeats(ctx, next)
		if err != nil {
			return err
		}
		for _, seat := range list.Seats {
			each(seat)
		}
		if len(list.Seats) < portion {
			return nil
		}
		last := list.Seats[portion-1]
		next.AfterRow, next.AfterNumber = last.RowNumber, last.SeatNumber
	}
}

// Statuses reads the status of each of an event's seats, in EachSeat's order: one inventoryv1.SeatStatus a byte.
func (f *Flows) Statuses(ctx context.Context, event uuid.UUID) ([]byte, error) {
	list, err := f.Inventory.ListStatuses(ctx, &inventoryv1.ListStatusesRequest{EventId: event.String()})
	return list.GetStatuses(), err
}

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
		if s.OwnerUserId != "" {
			d.Attendees = append(d.Attendees, Attendee{Seat: s})
			owners[optionalID(s.OwnerUserId)] = ""
		}
	})
	if err != nil {
		return d, err
	}
	if err := f.fillEmails(ctx, owners); err != nil {
		return d, err
	}
	for i := range d.Attendees {
		d.Attendees[i].Email = owners[optionalID(d.Attendees[i].Seat.OwnerUserId)]
	}
	scans, err := f.Scans(ctx, eventID, inventoryv1.ScanResult_SCAN_RESULT_UNSPECIFIED, web.Page{Number: 1, Size: 1})
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

// Scans gives a page of an event's scans, newest first, and the counts per result.
func (f *Flows) Scans(ctx context.Context, eventID uuid.UUID, result inventoryv1.ScanResult, page web.Page) (*inventoryv1.ListScansResponse, error) {
	return f.Inventory.ListScans(ctx, &inventoryv1.ListScansRequest{
		EventId: eventID.String(), Result: result, Page: int32(page.Number), PerPage: int32(page.Size),
	})
}
