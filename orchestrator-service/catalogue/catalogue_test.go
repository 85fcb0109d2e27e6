package catalogue

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"

	"ticketremaster/orchestrator-service/clients"
	"ticketremaster/orchestrator-service/saga"
	"ticketremaster/orchestrator-service/saga/sagatest"
	"ticketremaster/platform/fault"
	"ticketremaster/platform/money"
	"ticketremaster/platform/web"
	inventoryv1 "ticketremaster/proto/inventory/v1"
)

// world is the event service, the inventory and the users, in memory.
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

// lost does its work, and the answer does not arrive.
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

// body is what an administrator asks for: a hall of that many seats.
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

func TestCreateEvent(t *testing.T) {
	for _, c := range []struct {
		name, more, status string
	}{{"published", "", clients.EventPublished}, {"a draft", `"DRAFT"`, clients.EventDraft}} {
		synctest.Test(t, func(t *testing.T) {
			f, w := start()
			asked := body(50)
			if c.more != "" {
				asked["status"] = json.RawMessage(c.more)
			}
			made, err := f.CreateEvent(t.Context(), uuid.New(), "", asked)
			if err != nil || made.Pending || made.State.SeatsCreated != 50 || made.State.Event.Name != "Concert" {
				t.Fatalf("%s: %+v, %v", c.name, made, err)
			}
			id := made.State.EventID
			if e := w.events[id]; e.Status != c.status || len(w.seats[id]) != 50 {
				t.Errorf("%s: %+v with %d seats", c.name, e, len(w.seats[id]))
			}
		})
	}
}

// Each step with each outcome: an event with all its seats, or neither.
func TestEachStepOfMakingAnEvent(t *testing.T) {
	for _, step := range []struct{ do, undo string }{{"Draft", "DeleteDraft"}, {"CreateSeats", "DeleteSeats"}, {"Publish", "DeleteDraft"}} {
		for _, c := range []struct {
			name string
			plan map[string][]func(func() error) error
			made bool
		}{
			{"is away three times", map[string][]func(func() error) error{step.do: {away, away, away}}, true},
			{"is done, and nobody says so", map[string][]func(func() error) error{step.do: {lost}}, true},
			{"is refused", map[string][]func(func() error) error{step.do: {refuse}}, false},
			{"is refused, and undoing is away", map[string][]func(func() error) error{step.do: {refuse}, step.undo: {away, lost}}, false},
		} {
			t.Run(step.do+" "+c.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					f, w := start()
					w.plan = c.plan
					made, err := f.CreateEvent(t.Context(), uuid.New(), "", body(50))
					if c.made && (err != nil || made.Pending) || !c.made && fault.Code(err) != "NO" {
						t.Errorf("%+v, %v", made, err)
					}
					events, seats := 0, 0
					for id, e := range w.events {
						events++
						seats += len(w.seats[id])
						if e.Status != clients.EventPublished {
							t.Errorf("the event is %s", e.Status)
						}
					}
					if c.made && (events != 1 || seats != 50) || !c.made && events+len(w.seats) != 0 {
						t.Errorf("%d events, %d seats", events, seats)
					}
				})
			})
		}
	}
}

// A double click, or the same key, makes one event; a refused request may be made anew under its key.
func TestARepeatedRequestMakesOneEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, w := start()
		admin := uuid.New()
		var ids [2]uuid.UUID
		var all sync.WaitGroup
		for i := range ids {
			all.Go(func() {
				made, err := f.CreateEvent(t.Context(), admin, "", body(50))
				if err != nil {
					t.Error(err)
				}
				ids[i] = made.State.EventID
			})
		}
		all.Wait()
		if ids[0] != ids[1] || len(w.events) != 1 {
			t.Errorf("%v, %d events", ids, len(w.events))
		}
		w.plan["Draft"] = []func(func() error) error{refuse}
		_, err := f.CreateEvent(t.Context(), admin, "key", body(40))
		wantCode(t, err, "NO")
		if _, err = f.CreateEvent(t.Context(), admin, "key", body(41)); err != nil {
			t.Error(err)
		}
		_, err = f.CreateEvent(t.Context(), admin, "key", body(42))
		wantCode(t, err, "IDEMPOTENCY_KEY_REUSED")
	})
}

// An event that does not come to its end in time is pending, and comes about.
func TestASlowEventIsPending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, w := start()
		w.plan["CreateSeats"] = slices.Repeat([]func(func() error) error{away}, 12)
		made, err := f.CreateEvent(t.Context(), uuid.New(), "", body(50))
		if err != nil || !made.Pending || made.State.EventID == uuid.Nil {
			t.Fatalf("%+v, %v", made, err)
		}
		time.Sleep(30 * time.Second)
		synctest.Wait()
		if e := w.events[made.State.EventID]; e == nil || e.Status != clients.EventPublished {
			t.Errorf("%+v", e)
		}
	})
}

func TestListCountsTheFreeSeats(t *testing.T) {
	f, w := start()
	views, total, err := f.List(t.Context(), web.Page{Number: 1, Size: 10}, clients.EventFilter{})
	if err != nil || total != 0 || views == nil || len(views) != 0 || len(w.calls) != 1 {
		t.Errorf("none: %+v, %d, %v after %v", views, total, err, w.calls)
	}
	until := time.Date(2030, 5, 1, 12, 0, 0, 0, time.FixedZone("SGT", 8*3600))
	for i := range 3 {
		id := uuid.New()
		w.events[id] = &clients.Event{EventID: id, Status: clients.EventPublished, EventDate: until, SalesEnd: &until, TotalSeats: i}
		w.seats[id] = []*inventoryv1.Seat{{Status: inventoryv1.SeatStatus_SOLD}}
		for range i {
			w.seats[id] = append(w.seats[id], &inventoryv1.Seat{Status: inventoryv1.SeatStatus_AVAILABLE})
		}
	}
	w.calls = nil
	views, total, err = f.List(t.Context(), web.Page{Number: 1, Size: 10}, clients.EventFilter{})
	if err != nil || total != 3 || !slices.Equal(w.calls, []string{"List", "CountSeats"}) {
		t.Errorf("%+v, %d, %v after %v", views, total, err, w.calls)
	}
	for _, v := range views {
		if v.AvailableSeats != v.TotalSeats || v.EventDate != "2030-05-01T04:00:00Z" || *v.SalesEnd != v.EventDate || v.SalesStart != nil {
			t.Errorf("%+v", v)
		}
	}
	w.plan["CountSeats"] = []func(func() error) error{away}
	_, _, err = f.List(t.Context(), web.Page{Number: 1, Size: 10}, clients.EventFilter{})
	wantCode(t, err, fault.CodeUnavailable)
}

func TestThePublicSeesNoDraft(t *testing.T) {
	f, w := start()
	id := uuid.New()
	for status, code := range map[string]string{clients.EventDraft: fault.CodeEventNotFound, clients.EventPublished: "", clients.EventPostponed: ""} {
		w.events[id] = &clients.Event{EventID: id, Status: status}
		_, err := f.PublicEvent(t.Context(), id)
		wantCode(t, err, code)
		_, err = f.PublicEventNow(t.Context(), id)
		wantCode(t, err, code)
	}
	_, err := f.PublicEvent(t.Context(), uuid.New())
	wantCode(t, err, fault.CodeEventNotFound)
}

// A hall of more seats than one answer holds is read whole, each seat once.
func TestEachSeatReadsEveryPortion(t *testing.T) {
	for _, seats := range []int32{0, 1, 999, 1000, 1001, 2500} {
		f, w := start()
		id := uuid.New()
		_, _ = w.CreateSeats(t.Context(), &inventoryv1.CreateSeatsRequest{EventId: id.String(), TotalSeats: seats, SeatsPerRow: 30, Tiers: []string{"A"}})
		seen, read := map[string]bool{}, 0
		err := f.EachSeat(t.Context(), id, func(s *inventoryv1.Seat) { seen[s.SeatId] = true; read++ })
		if err != nil || len(seen) != int(seats) || read != int(seats) {
			t.Errorf("of %d seats %d were read %d times, %v", seats, len(seen), read, err)
		}
	}
	f, w := start()
	if statuses, err := f.Statuses(t.Context(), uuid.New()); err != nil || !bytes.Equal(statuses, []byte{1, 2}) {
		t.Errorf("%v, %v", statuses, err)
	}
	w.plan["ListSeats"], w.plan["ListStatuses"] = []func(func() error) error{away}, []func(func() error) error{away}
	wantCode(t, f.EachSeat(t.Context(), uuid.New(), func(*inventoryv1.Seat) {}), fault.CodeUnavailable)
	_, err := f.Statuses(t.Context(), uuid.New())
	wantCode(t, err, fault.CodeUnavailable)
}

// The dashboard lists who owns a ticket, with as many look-ups as their number needs.
func TestDashboard(t *testing.T) {
	f, w := start()
	id := uuid.New()
	w.events[id] = &clients.Event{EventID: id, Name: "Concert", PricingTiers: map[string]money.Cents{"A": 1}}
	_, _ = w.CreateSeats(t.Context(), &inventoryv1.CreateSeatsRequest{EventId: id.String(), TotalSeats: 500, SeatsPerRow: 20, Tiers: []string{"A"}})
	for i, s := range w.seats[id][:450] {
		owner := uuid.New()
		s.OwnerUserId, s.Status = owner.String(), inventoryv1.SeatStatus_SOLD
		if i > 0 { // the first is unknown to the user service
			w.emails[owner] = owner.String() + "@example.com"
		}
	}
	d, err := f.EventDashboard(t.Context(), id)
	if err != nil || d.Event.Name != "Concert" || d.Counts.GetAvailable() != 50 || len(d.Attendees) != 450 || d.Scans["SUCCESS"] != 2 {
		t.Fatalf("%+v, %v", d, err)
	}
	for i, a := range d.Attendees {
		want := a.Seat.OwnerUserId + "@example.com"
		if i == 0 {
			want = ""
		}
		if a.Email != want {
			t.Errorf("%d: %q, want %q", i, a.Email, want)
		}
	}
	if !slices.Equal(w.looked, []int{200, 200, 50}) {
		t.Errorf("looked %v up", w.looked)
	}
	for _, call := range []string{"Get", "CountSeats", "ListSeats", "Lookup", "ListScans"} {
		w.plan = map[string][]func(func() error) error{call: {away}}
		_, err := f.EventDashboard(t.Context(), id)
		wantCode(t, err, fault.CodeUnavailable)
	}
}

func TestScansAreOfAnEventThatThereIs(t *testing.T) {
	f, w := start()
	_, err := f.Scans(t.Context(), uuid.New(), inventoryv1.ScanResult_DUPLICATE, web.Page{Number: 2, Size: 30})
	wantCode(t, err, fault.CodeEventNotFound)
	if w.scans != nil {
		t.Error("the scans were read all the same")
	}
	id := uuid.New()
	w.events[id] = &clients.Event{EventID: id}
	if _, err := f.Scans(t.Context(), id, inventoryv1.ScanResult_DUPLICATE, web.Page{Number: 2, Size: 30}); err != nil {
		t.Error(err)
	}
	if w.scans.EventId != id.String() || w.scans.Result != inventoryv1.ScanResult_DUPLICATE || w.scans.Page != 2 || w.scans.PerPage != 30 {
		t.Errorf("%+v", w.scans)
	}
}
