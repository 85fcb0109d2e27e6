package catalogue

import (
	"context"
	"encoding/json"

	"github.com/google/uuid"

	"ticketremaster/orchestrator-service/clients"
	"ticketremaster/orchestrator-service/repeat"
	"ticketremaster/orchestrator-service/saga"
	"ticketremaster/platform/fault"
	"ticketremaster/platform/money"
	inventoryv1 "ticketremaster/proto/inventory/v1"
)

// addRowsSteps add rows to a hall. First the catalogue has them, because it decides over tier and price; a seat without
// a price is not for sale.
func (f *Flows) addRowsSteps() []saga.Step[Addition] {
	return []saga.Step[Addition]{
		{Name: "write capacity", Do: f.writeCapacity},
		{Name: "add rows", Do: f.addRows},
	}
}

// blockSteps take seats off sale, or put them back, and write that into the event's history.
func (f *Flows) blockSteps() []saga.Step[Blocking] {
	return []saga.Step[Blocking]{
		{Name: "block seats", Do: f.blockSeats},
		{Name: "write history", Do: f.noteBlocking},
	}
}

// MostAdded is how many rows one request adds.
const MostAdded = 1000

// Addition is the state of adding rows.
type Addition struct {
	OperationID uuid.UUID    `json:"operation_id"`
	EventID     uuid.UUID    `json:"event_id"`
	Admin       uuid.UUID    `json:"admin"`
	Reason      string       `json:"reason"`
	Rows        int          `json:"rows"`
	SeatsPerRow int          `json:"seats_per_row"`
	Tier        string       `json:"tier"`
	Price       *money.Cents `json:"price,omitempty"` // of a tier that is new
	// What the steps learn.
	FirstRow string `json:"first_row"`
	LastRow  string `json:"last_row"`
}

func (f *Flows) writeCapacity(ctx context.Context, a *Addition) error {
	_, err := f.Events.Change(ctx, a.EventID, clients.GrowEvent, clients.EventChange{
		By: a.Admin, Reason: a.Reason, OperationID: a.OperationID, Seats: a.Rows * a.SeatsPerRow, Tier: a.Tier, Price: a.Price,
	})
	return err
}

func (f *Flows) addRows(ctx context.Context, a *Addition) error {
	res, err := f.Inventory.AddRows(ctx, &inventoryv1.AddRowsRequest{
		EventId: a.EventID.String(), OperationId: a.OperationID.String(), Rows: int32(a.Rows), SeatsPerRow: int32(a.SeatsPerRow), Tier: a.Tier,
	})
	a.FirstRow, a.LastRow = res.GetFirstRow(), res.GetLastRow()
	return err
}

// AddRows adds rows to an event's hall. The same key, or without one the same request within half a minute, adds them
// once.
func (f *Flows) AddRows(ctx context.Context, key string, a Addition) (saga.Outcome[Addition], error) {
	raw, err := json.Marshal(a)
	if err != nil {
		return saga.Outcome[Addition]{}, err
	}
	request := repeat.Request{Admin: a.Admin, What: "add-rows " + a.EventID.String(), Key: key, Body: raw}
	return repeat.Do(ctx, f.Requests, request, func(operation uuid.UUID) (saga.Outcome[Addition], error) {
		a.OperationID = operation
		return f.additions.Settle(ctx, operation, operation.String(), a)
	})
}

// Blocking is the state of taking seats off sale, or putting them back.
type Blocking struct {
	OperationID uuid.UUID   `json:"operation_id"`
	EventID     uuid.UUID   `json:"event_id"`
	Admin       uuid.UUID   `json:"admin"`
	Reason      string      `json:"reason"`
	SeatIDs     []uuid.UUID `json:"seat_ids"`
	Blocked     bool        `json:"blocked"`
}

func (f *Flows) blockSeats(ctx context.Context, b *Blocking) error {
	in := &inventoryv1.BlockSeatsRequest{EventId: b.EventID.String(), Blocked: b.Blocked}
	for _, id := range b.SeatIDs {
		in.SeatIds = append(in.SeatIds, id.String())
	}
	_, err := f.Inventory.BlockSeats(ctx, in)
	return err
}

func (f *Flows) noteBlocking(ctx context.Context, b *Blocking) error {
	seats, err := json.Marshal(b.SeatIDs)
	if err != nil {
		return err
	}
	note := clients.EventNote{Field: "seats_blocked", To: seats}
	if !b.Blocked {
		note.From, note.To = seats, nil
	}
	note.EventChange = clients.EventChange{By: b.Admin, Reason: b.Reason, OperationID: b.OperationID}
	return f.Events.Note(ctx, b.EventID, note)
}

var errCancelled = fault.New(fault.Conflict, fault.CodeEventCancelled, "This event is cancelled")

// Block takes seats of an event off sale, or puts them back: all of them or, if one is held or sold, none.
func (f *Flows) Block(ctx context.Context, b Blocking) (saga.Outcome[Blocking], error) {
	event, err := f.Events.Get(ctx, b.EventID)
	if err == nil && event.Status == clients.EventCancelled {
		err = errCancelled
	}
	if err != nil {
		return saga.Outcome[Blocking]{}, err
	}
	b.OperationID = uuid.Must(uuid.NewV7())
	return f.blockings.Settle(ctx, b.OperationID, b.OperationID.String(), b)
}
