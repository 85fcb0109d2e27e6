package catalogue

import (
	"bytes"
	"encoding/json"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"ticketremaster/orchestrator-service/clients"
	"ticketremaster/platform/fault"
	"ticketremaster/platform/money"
	"ticketremaster/platform/web"
	inventoryv1 "ticketremaster/proto/inventory/v1"
)

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

// Whatever the outcome of each step, there is an event with all its seats, or neither.
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

// Repeated requests, by a double click or with the same key, create one event; a refused request may be repeated with
// its key.
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

// An event that is not complete in time is answered as pending and completes later.
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

// A hall with more seats than one page is read completely, each seat once.
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

// The dashboard lists the tickets' owners, with as many look-ups as their number requires.
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
