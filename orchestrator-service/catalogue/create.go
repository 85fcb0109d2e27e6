package catalogue

import (
	"context"
	"encoding/json"

	"github.com/google/uuid"

	"ticketremaster/orchestrator-service/clients"
	"ticketremaster/orchestrator-service/repeat"
	"ticketremaster/orchestrator-service/saga"
	"ticketremaster/platform/fault"
	inventoryv1 "ticketremaster/proto/inventory/v1"
)

// createSteps makes an event and its seats (docs/architecture.md#events): nobody sees the event before it has all its
// seats.
func (f *Flows) createSteps() []saga.Step[NewEvent] {
	return []saga.Step[NewEvent]{
		{Name: "draft event", Do: f.draftEvent, Undo: f.deleteDraft},
		{Name: "create seats", Do: f.createSeats, Undo: f.deleteSeats},
		{Name: "publish event", Do: f.publishEvent},
	}
}

// NewEvent is the state of the saga that creates an event.
type NewEvent struct {
	EventID uuid.UUID                  `json:"event_id"`
	Body    map[string]json.RawMessage `json:"body"`  // as the administrator wrote it: the event service checks it
	Draft   bool                       `json:"draft"` // not to be published yet
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
	if n.Draft {
		return nil
	}
	return f.Events.Publish(ctx, n.EventID, nil)
}

// CreateEvent makes an event with its seats; body is the administrator's JSON object. The same key, or without one the
// same body within half a minute, is the same event.
func (f *Flows) CreateEvent(ctx context.Context, admin uuid.UUID, key string, body map[string]json.RawMessage) (saga.Outcome[NewEvent], error) {
	status := string(body["status"])
	if status != "" && status != "null" && status != `"DRAFT"` && status != `"PUBLISHED"` {
		return saga.Outcome[NewEvent]{}, fault.Field("status", "must be DRAFT or PUBLISHED")
	}
	raw, err := json.Marshal(body)
	if err != nil {
		return saga.Outcome[NewEvent]{}, err
	}
	request := repeat.Request{Admin: admin, What: "create-event", Key: key, Body: raw}
	return repeat.Do(ctx, f.Requests, request, func(id uuid.UUID) (saga.Outcome[NewEvent], error) {
		n := NewEvent{EventID: id, Body: body, Draft: status == `"DRAFT"`}
		n.Body["event_id"], _ = json.Marshal(id)
		n.Body["created_by"], _ = json.Marshal(admin)
		return f.creations.Settle(ctx, id, id.String(), n)
	})
}
