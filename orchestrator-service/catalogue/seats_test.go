package catalogue

import (
	"context"
	"encoding/json"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"

	"ticketremaster/orchestrator-service/clients"
	"ticketremaster/platform/fault"
	"ticketremaster/platform/money"
	inventoryv1 "ticketremaster/proto/inventory/v1"
)

// changes are the changes that the services were sent, by operation.
type changes struct {
	grown   map[uuid.UUID]clients.EventChange
	rows    map[string]*inventoryv1.AddRowsRequest
	blocked map[string]bool // seats
	notes   map[uuid.UUID]clients.EventNote
}

func (w *world) Change(_ context.Context, id uuid.UUID, how string, c clients.EventChange) (e clients.Event, err error) {
	err = w.call("Change"+how, func() error {
		w.told.grown[c.OperationID] = c
		e = *w.events[id]
		return nil
	})
	return e, err
}

func (w *world) Note(_ context.Context, _ uuid.UUID, n clients.EventNote) error {
	return w.call("Note", func() error { w.told.notes[n.OperationID] = n; return nil })
}

func (w *world) AddRows(_ context.Context, in *inventoryv1.AddRowsRequest, _ ...grpc.CallOption) (*inventoryv1.AddRowsResponse, error) {
	err := w.call("AddRows", func() error { w.told.rows[in.OperationId] = in; return nil })
	return &inventoryv1.AddRowsResponse{FirstRow: "C", LastRow: "D"}, err
}

func (w *world) BlockSeats(_ context.Context, in *inventoryv1.BlockSeatsRequest, _ ...grpc.CallOption) (*inventoryv1.BlockSeatsResponse, error) {
	return &inventoryv1.BlockSeatsResponse{}, w.call("BlockSeats", func() error {
		for _, id := range in.SeatIds {
			w.told.blocked[id] = in.Blocked
		}
		return nil
	})
}

// show adds an event with that status.
func show(status string) (*Flows, *world, uuid.UUID) {
	f, w := start()
	id := uuid.New()
	w.events[id] = &clients.Event{EventID: id, Status: status}
	w.told = changes{
		grown: map[uuid.UUID]clients.EventChange{}, rows: map[string]*inventoryv1.AddRowsRequest{}, blocked: map[string]bool{},
		notes: map[uuid.UUID]clients.EventNote{},
	}
	return f, w, id
}

// Rows are added once, with the catalogue's data, whatever the outcome of the calls; if the catalogue refuses them, the
// inventory adds none.
func TestAddRows(t *testing.T) {
	price := money.Cents(15_00)
	for _, c := range []struct {
		name  string
		plan  map[string][]func(func() error) error
		code  string
		added int
	}{
		{"well", nil, "", 1},
		{"the catalogue is away", map[string][]func(func() error) error{"Change" + clients.GrowEvent: {away, lost}}, "", 1},
		{"the inventory is away", map[string][]func(func() error) error{"AddRows": {away, lost}}, "", 1},
		{"the catalogue refuses", map[string][]func(func() error) error{"Change" + clients.GrowEvent: {refuse}}, "NO", 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			f, w, id := show(clients.EventPublished)
			w.plan = map[string][]func(func() error) error{}
			for call, acts := range c.plan {
				w.plan[call] = slices.Clone(acts)
			}
			asked := Addition{EventID: id, Admin: uuid.New(), Reason: "more want to come", Rows: 2, SeatsPerRow: 10, Tier: "B", Price: &price}
			added, err := f.AddRows(t.Context(), "", asked)
			if fault.Code(err) != c.code || len(w.told.rows) != c.added {
				t.Fatalf("%s: %+v, %v; %d were added", c.name, added, err, len(w.told.rows))
			}
			if c.added == 0 {
				return
			}
			again, err := f.AddRows(t.Context(), "", asked) // a double click
			if err != nil || again.State.OperationID != added.State.OperationID || len(w.told.rows) != 1 || added.State.LastRow != "D" {
				t.Errorf("%s: again %+v, %v; %d were added", c.name, again, err, len(w.told.rows))
			}
			told, rows := w.told.grown[added.State.OperationID], w.told.rows[added.State.OperationID.String()]
			if told.Seats != 20 || told.Tier != "B" || told.By != asked.Admin || told.Reason != asked.Reason || *told.Price != price {
				t.Errorf("the catalogue was told %+v", told)
			}
			if rows == nil || rows.Rows != 2 || rows.SeatsPerRow != 10 || rows.Tier != "B" {
				t.Errorf("the inventory was told %+v", rows)
			}
		})
	}
}

// The event's history has who blocked and released seats, and why.
func TestBlock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, w, id := show(clients.EventPublished)
		seats := []uuid.UUID{uuid.New(), uuid.New()}
		b := Blocking{EventID: id, Admin: uuid.New(), Reason: "cameras", SeatIDs: seats}
		for _, blocked := range []bool{true, false} {
			b.Blocked = blocked
			w.plan = map[string][]func(func() error) error{"BlockSeats": {away, lost}, "Note": {lost}}
			done, err := f.Block(t.Context(), b)
			if err != nil || done.Pending || w.told.blocked[seats[0].String()] != blocked || w.told.blocked[seats[1].String()] != blocked {
				t.Fatalf("%+v, %v: %v", done, err, w.told.blocked)
			}
			note := w.told.notes[done.State.OperationID]
			var noted []uuid.UUID
			raw := note.To
			if !blocked {
				raw = note.From
			}
			if json.Unmarshal(raw, &noted) != nil || !slices.Equal(noted, seats) || note.By != b.Admin || note.Reason != b.Reason {
				t.Errorf("the history says %+v", note)
			}
		}
		if len(w.told.notes) != 2 {
			t.Errorf("%d lines of history", len(w.told.notes))
		}
		before := len(w.told.blocked)
		w.plan = map[string][]func(func() error) error{"BlockSeats": {refuse}}
		b.SeatIDs = []uuid.UUID{uuid.New()}
		_, err := f.Block(t.Context(), b)
		wantCode(t, err, "NO")
		if len(w.told.blocked) != before || len(w.told.notes) != 2 {
			t.Error("a refused blocking was done, or stands in the history")
		}
		w.events[id].Status = clients.EventCancelled
		_, err = f.Block(t.Context(), b)
		wantCode(t, err, errCancelled.Code)
		b.EventID = uuid.New()
		_, err = f.Block(t.Context(), b)
		wantCode(t, err, fault.CodeEventNotFound)
		time.Sleep(time.Minute)
	})
}
