package gate

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"

	"ticketremaster/orchestrator-service/clients"
	"ticketremaster/orchestrator-service/gate/rules"
	"ticketremaster/platform/fault"
	inventoryv1 "ticketremaster/proto/inventory/v1"
)

// handsOn transfers the ticket between look-up and mark.
type handsOn struct{ *world }

func (h *handsOn) MarkCheckedIn(ctx context.Context, in *inventoryv1.MarkCheckedInRequest, opts ...grpc.CallOption) (*inventoryv1.MarkCheckedInResponse, error) {
	h.mu.Lock()
	seat := h.seats[in.Scan.SeatId]
	h.seats[in.Scan.SeatId] = &inventoryv1.Seat{SeatId: seat.SeatId, EventId: seat.EventId, OwnerUserId: uuid.NewString(), OwnershipVersion: seat.OwnershipVersion + 1}
	h.mu.Unlock()
	return h.world.MarkCheckedIn(ctx, in, opts...)
}

// A family on one phone: what one owner has is shown after one scan, and admitted in one call, each by itself.
func TestSeveralTicketsOfOnePerson(t *testing.T) {
	f, w := start(t, 5)
	owner := w.at(1).OwnerUserId
	w.at(2).OwnerUserId, w.at(3).OwnerUserId = owner, owner
	found, err := f.Find(t.Context(), guard, w.event.EventID, Search{With: clients.ID(w.at(1).SeatId)})
	if err != nil || len(found) != 3 || found[0].Owner != email(owner) {
		t.Fatalf("%v %v", found, err)
	}
	w.unpaid[clients.ID(w.at(3).SeatId)] = true
	entries := []Entry{{SeatID: clients.ID(w.at(1).SeatId), ScanID: uuid.New()}, {SeatID: clients.ID(w.at(2).SeatId)}, {SeatID: clients.ID(w.at(3).SeatId)}, {SeatID: uuid.New()}}
	for range 2 { // the second time is a repeat of the first entry, and new tries of the others
		a, err := f.Admit(t.Context(), guard, w.event.EventID, Device{Hall: "HALL-1", Name: "desk"}, rules.In, entries)
		if err != nil || a[0].Result != rules.Success || a[2].Result != rules.Unpaid || a[3].Result != rules.NotFound {
			t.Fatalf("%+v %v", a, err)
		}
		entries[1].ScanID = a[1].ScanID
	}
	for _, l := range w.log {
		if !l.Manual || l.Device != "desk" {
			t.Errorf("%v", l)
		}
	}
	if len(w.log) != 6 {
		t.Errorf("%d lines", len(w.log))
	}
	w.debts[clients.ID(owner)] = time.Now()
	if found, err = f.Find(t.Context(), guard, w.event.EventID, Search{With: clients.ID(w.at(1).SeatId)}); err != nil || !found[2].TakenBack || !found[0].Entered {
		t.Errorf("%v %v", found, err)
	}
}

func TestAdmitByHandKeepsTheRules(t *testing.T) {
	f, w := start(t, 2)
	admit := func(d Device, direction rules.Direction) rules.Verdict {
		t.Helper()
		a, err := f.Admit(t.Context(), guard, w.event.EventID, d, direction, []Entry{{SeatID: clients.ID(w.at(1).SeatId)}})
		if err != nil {
			t.Fatal(err)
		}
		return a[0].Verdict
	}
	if v := admit(Device{Hall: "H2"}, rules.In); v.Reason != rules.OtherHall {
		t.Errorf("%+v", v)
	}
	doors := time.Now().Add(time.Minute)
	w.event.DoorsOpenAt = &doors
	if v := admit(Device{}, rules.In); v.Reason != rules.DoorsClosed {
		t.Errorf("%+v", v)
	}
	w.event.DoorsOpenAt = nil
	if v := admit(Device{}, rules.In); v.Result != rules.Success {
		t.Errorf("%+v", v)
	}
	if v := admit(Device{}, rules.Out); v.Reason != rules.NoReentry {
		t.Errorf("%+v", v)
	}
	w.at(2).EventId = uuid.NewString()
	if a, err := f.Admit(t.Context(), guard, w.event.EventID, Device{}, rules.In, []Entry{{SeatID: clients.ID(w.at(2).SeatId)}}); err != nil || a[0].Reason != rules.NotOfEvent {
		t.Errorf("%+v %v", a, err)
	}
	w.away["VerifyTicket"] = 1
	if _, err := f.Admit(t.Context(), guard, w.event.EventID, Device{}, rules.In, []Entry{{SeatID: clients.ID(w.at(1).SeatId)}}); fault.Code(err) != fault.CodeUnavailable {
		t.Error(err)
	}
}

func TestSearch(t *testing.T) {
	f, w := start(t, 3)
	order := uuid.New()
	w.orders[order] = clients.Order{OrderID: order, SeatID: clients.ID(w.at(2).SeatId)}
	for name, c := range map[string]struct {
		s    Search
		want int
	}{
		"e-mail": {Search{Email: email(w.at(1).OwnerUserId)[:13]}, 1}, "nobody's e-mail": {Search{Email: "nobody"}, 0},
		"seat": {Search{Seat: " a-2"}, 2}, "no such seat": {Search{Seat: "B7"}, 0}, "order": {Search{Order: order}, 2}, "no such order": {Search{Order: uuid.New()}, 0},
		"no such neighbour": {Search{With: uuid.New()}, 0},
	} {
		found, err := f.Find(t.Context(), guard, w.event.EventID, c.s)
		if err != nil || c.want == 0 && len(found) != 0 || c.want > 0 && (len(found) != 1 || found[0].SeatNumber != int32(c.want)) {
			t.Errorf("%s: %v %v", name, found, err)
		}
	}
	for _, s := range []Search{{}, {Email: "us"}, {Seat: "12A"}} {
		if _, err := f.Find(t.Context(), guard, w.event.EventID, s); fault.Code(err) != fault.CodeValidation {
			t.Errorf("%+v: %v", s, err)
		}
	}
	for _, call := range []string{"List", "FindTickets", "Lookup"} {
		w.away[call] = 1
		if _, err := f.Find(t.Context(), guard, w.event.EventID, Search{Email: "user"}); fault.Code(err) != fault.CodeUnavailable {
			t.Errorf("%s is away: %v", call, err)
		}
	}
}

// Staff of other events see nothing of this one, whatever they call.
func TestNeverBeyondTheAssignment(t *testing.T) {
	f, w := start(t, 1)
	w.assigned = &inventoryv1.GetAssignmentResponse{EventIds: []string{uuid.NewString()}}
	seat := clients.ID(w.at(1).SeatId)
	ctx, event := t.Context(), w.event.EventID
	for name, call := range map[string]func() error{
		"search": func() error { _, err := f.Find(ctx, guard, event, Search{Seat: "A1"}); return err },
		"admit": func() error {
			_, err := f.Admit(ctx, guard, event, Device{}, rules.In, []Entry{{SeatID: seat}})
			return err
		},
		"undo":      func() error { _, err := f.Undo(ctx, guard, event, seat, uuid.Nil, uuid.Nil, "", "x"); return err },
		"inside":    func() error { _, _, err := f.Inside(ctx, guard, event); return err },
		"manifest":  func() error { _, err := f.Manifest(ctx, guard, event); return err },
		"upload":    func() error { _, err := f.TakeIn(ctx, guard, event, nil); return err },
		"conflicts": func() error { _, _, err := f.Conflicts(ctx, guard, event, firstPage); return err },
	} {
		if err := call(); fault.Code(err) != fault.CodeForbidden {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(w.log) != 0 {
		t.Errorf("logged %v", w.log)
	}
	if mine, err := f.MyEvents(ctx, guard); err != nil || len(mine) != 0 {
		t.Errorf("%v %v", mine, err)
	}
	if mine, err := f.MyEvents(ctx, Staff{ID: uuid.New(), Admin: true}); err != nil || len(mine) != 1 {
		t.Errorf("%v %v", mine, err)
	}
	if _, err := f.Find(ctx, Staff{Admin: true}, uuid.New(), Search{Seat: "A1"}); fault.Code(err) != fault.CodeEventNotFound {
		t.Error(err)
	}
}

func TestUndo(t *testing.T) {
	f, w := start(t, 2)
	seat, event := w.at(1), w.event.EventID
	id := clients.ID(seat.SeatId)
	undo := func(staff Staff, scan, id uuid.UUID, of *inventoryv1.Seat) error {
		_, err := f.Undo(t.Context(), staff, event, clients.ID(of.SeatId), scan, id, "desk", "the wrong person")
		return err
	}
	if err := undo(guard, uuid.Nil, uuid.Nil, seat); fault.Code(err) != "UNDO_NOT_POSSIBLE" {
		t.Errorf("not checked in: %v", err)
	}
	a := want(t, f, w, scan(w.code(t, f, seat)), rules.Success, "")
	if err := undo(Staff{ID: uuid.New()}, uuid.Nil, uuid.Nil, seat); fault.Code(err) != fault.CodeForbidden {
		t.Errorf("another's: %v", err)
	}
	again := uuid.New()
	for range 2 {
		if err := undo(guard, a.ScanID, again, seat); err != nil {
			t.Fatal(err)
		}
	}
	if l := w.log[len(w.log)-1]; len(w.log) != 2 || l.Note != "the wrong person" || l.Device != "desk" || l.Undoes != a.ScanID.String() {
		t.Errorf("%v", w.log)
	}
	want(t, f, w, scan(w.code(t, f, seat)), rules.Success, "")
	if err := undo(Staff{ID: uuid.New(), Admin: true}, uuid.Nil, uuid.Nil, seat); err != nil {
		t.Error(err)
	}
	w.at(2).EventId = uuid.NewString()
	if err := undo(guard, uuid.Nil, uuid.Nil, w.at(2)); fault.Code(err) != fault.CodeSeatNotFound {
		t.Errorf("a ticket of another event: %v", err)
	}
	_ = id
}
