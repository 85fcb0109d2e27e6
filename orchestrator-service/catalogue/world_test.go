package catalogue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"

	"ticketremaster/orchestrator-service/clients"
	"ticketremaster/orchestrator-service/saga"
	"ticketremaster/orchestrator-service/saga/sagatest"
	"ticketremaster/platform/fault"
	"ticketremaster/platform/web"
	inventoryv1 "ticketremaster/proto/inventory/v1"
)

// world is the event, inventory and user services in memory.
type world struct {
	Inventory
	Events
	mu      sync.Mutex
	events  map[uuid.UUID]*clients.Event
	deleted map[uuid.UUID]bool // drafts, and seats of events, that may not come any more
	seats   map[uuid.UUID][]*inventoryv1.Seat
	emails  map[uuid.UUID]string
	looked  []int // how many users each look-up asked for
	scans   *inventoryv1.ListScansRequest
	plan    map[string][]func(do func() error) error
	calls   []string
	told    changes
}

func away(func() error) error { return fault.Unreachable("a service", errors.New("time-out")) }

// lost makes the call and loses its answer.
func lost(do func() error) error { _ = do(); return away(nil) }

func refuse(func() error) error { return fault.New(fault.Invalid, "NO", "no") }

func (w *world) call(name string, do func() error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls = append(w.calls, name)
	if p := w.plan[name]; len(p) > 0 {
		w.plan[name] = p[1:]
		return p[0](do)
	}
	return do()
}

func (w *world) Draft(_ context.Context, body map[string]json.RawMessage) (out clients.Event, err error) {
	err = w.call("Draft", func() error {
		raw, _ := json.Marshal(body)
		var e clients.Event
		if err := json.Unmarshal(raw, &e); err != nil {
			return fault.Field("body", "is wrong")
		}
		if w.deleted[e.EventID] {
			return fault.New(fault.Conflict, "DELETED", "no")
		}
		if w.events[e.EventID] == nil {
			e.Status = clients.EventDraft
			w.events[e.EventID] = &e
		}
		out = *w.events[e.EventID]
		return nil
	})
	return out, err
}

func (w *world) DeleteDraft(_ context.Context, id uuid.UUID) error {
	return w.call("DeleteDraft", func() error { delete(w.events, id); w.deleted[id] = true; return nil })
}

func (w *world) Publish(_ context.Context, id uuid.UUID, _ *clients.EventChange) error {
	return w.call("Publish", func() error { w.events[id].Status = clients.EventPublished; return nil })
}

func (w *world) Get(_ context.Context, id uuid.UUID) (e clients.Event, err error) {
	err = w.call("Get", func() error {
		if w.events[id] == nil {
			return errEventNotFound
		}
		e = *w.events[id]
		return nil
	})
	return e, err
}

func (w *world) Recent(ctx context.Context, id uuid.UUID) (clients.Event, error) {
	return w.Get(ctx, id)
}

func (w *world) List(context.Context, web.Page, clients.EventFilter) (all []clients.Event, total int, err error) {
	err = w.call("List", func() error {
		for _, e := range w.events {
			all = append(all, *e)
		}
		return nil
	})
	return all, len(all), err
}

func (w *world) CreateSeats(_ context.Context, in *inventoryv1.CreateSeatsRequest, _ ...grpc.CallOption) (*inventoryv1.CreateSeatsResponse, error) {
	err := w.call("CreateSeats", func() error {
		id := clients.ID(in.EventId)
		if w.deleted[id] && w.events[id] == nil {
			return fault.New(fault.Conflict, "DELETED", "no")
		}
		if w.seats[id] == nil {
			for i := range in.TotalSeats {
				w.seats[id] = append(w.seats[id], &inventoryv1.Seat{
					SeatId: uuid.NewString(), EventId: in.EventId, RowNumber: fmt.Sprintf("R%03d", i/in.SeatsPerRow), SeatNumber: i%in.SeatsPerRow + 1,
					Tier: in.Tiers[0], Status: inventoryv1.SeatStatus_AVAILABLE,
				})
			}
		}
		return nil
	})
	return &inventoryv1.CreateSeatsResponse{SeatsCreated: in.TotalSeats}, err
}

func (w *world) DeleteSeats(_ context.Context, in *inventoryv1.DeleteSeatsRequest, _ ...grpc.CallOption) (*inventoryv1.DeleteSeatsResponse, error) {
	return &inventoryv1.DeleteSeatsResponse{}, w.call("DeleteSeats", func() error {
		delete(w.seats, clients.ID(in.EventId))
		w.deleted[clients.ID(in.EventId)] = true
		return nil
	})
}

func (w *world) CountSeats(_ context.Context, in *inventoryv1.CountSeatsRequest, _ ...grpc.CallOption) (*inventoryv1.CountSeatsResponse, error) {
	out := &inventoryv1.CountSeatsResponse{}
	return out, w.call("CountSeats", func() error {
		for _, id := range in.EventIds {
			c := &inventoryv1.SeatCount{EventId: id}
			for _, s := range w.seats[clients.ID(id)] {
				if s.Status == inventoryv1.SeatStatus_AVAILABLE {
					c.Available++
				}
			}
			out.Counts = append(out.Counts, c)
		}
		return nil
	})
}

func (w *world) ListSeats(_ context.Context, in *inventoryv1.ListSeatsRequest, _ ...grpc.CallOption) (*inventoryv1.ListSeatsResponse, error) {
	out := &inventoryv1.ListSeatsResponse{}
	return out, w.call("ListSeats", func() error {
		for _, s := range w.seats[clients.ID(in.EventId)] {
			after := s.RowNumber > in.AfterRow || s.RowNumber == in.AfterRow && s.SeatNumber > in.AfterNumber
			if after && len(out.Seats) < int(in.Limit) {
				out.Seats = append(out.Seats, s)
			}
		}
		return nil
	})
}

func (w *world) ListStatuses(context.Context, *inventoryv1.ListStatusesRequest, ...grpc.CallOption) (*inventoryv1.ListStatusesResponse, error) {
	return &inventoryv1.ListStatusesResponse{Statuses: []byte{1, 2}}, w.call("ListStatuses", func() error { return nil })
}

func (w *world) ListScans(_ context.Context, in *inventoryv1.ListScansRequest, _ ...grpc.CallOption) (*inventoryv1.ListScansResponse, error) {
	w.scans = in
	return &inventoryv1.ListScansResponse{Counts: map[string]int32{"SUCCESS": 2}}, w.call("ListScans", func() error { return nil })
}

func (w *world) Lookup(_ context.Context, ids []uuid.UUID, _ []string) (users []clients.User, err error) {
	err = w.call("Lookup", func() error {
		w.looked = append(w.looked, len(ids))
		for _, id := range ids {
			if email := w.emails[id]; email != "" {
				users = append(users, clients.User{UserID: id, Email: email})
			}
		}
		return nil
	})
	return users, err
}

// requests is a repeat.Store in memory that forgets nothing by itself.
type requests struct {
	mu sync.Mutex
	of map[string]request
}

type request struct {
	operation uuid.UUID
	first     []byte
}

func (r *requests) Claim(_ context.Context, admin uuid.UUID, key string, fingerprint []byte, proposed uuid.UUID, _ time.Duration) (uuid.UUID, []byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	key = admin.String() + key
	if _, known := r.of[key]; !known {
		r.of[key] = request{proposed, fingerprint}
	}
	return r.of[key].operation, r.of[key].first, nil
}

func (r *requests) Forget(_ context.Context, admin uuid.UUID, key string, _ uuid.UUID) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.of, admin.String()+key)
	return nil
}

func start() (*Flows, *world) {
	w := &world{
		events: map[uuid.UUID]*clients.Event{}, deleted: map[uuid.UUID]bool{}, seats: map[uuid.UUID][]*inventoryv1.Seat{},
		emails: map[uuid.UUID]string{}, plan: map[string][]func(func() error) error{},
	}
	f := &Flows{Inventory: w, Events: w, Users: w, Requests: &requests{of: map[string]request{}}}
	f.Register(saga.NewEngine(sagatest.NewLog(), ""))
	return f, w
}

// body is an administrator's request for an event with that many seats.
func body(seats int, more ...string) map[string]json.RawMessage {
	b := map[string]json.RawMessage{
		"name": json.RawMessage(`"Concert"`), "total_seats": json.RawMessage(fmt.Sprint(seats)), "seats_per_row": json.RawMessage("20"),
		"pricing_tiers": json.RawMessage(`{"A":80}`),
	}
	for i := 0; i < len(more); i += 2 {
		b[more[i]] = json.RawMessage(more[i+1])
	}
	return b
}

func wantCode(t *testing.T, err error, code string) {
	t.Helper()
	if fault.Code(err) != code {
		t.Errorf("%v, want %q", err, code)
	}
}
