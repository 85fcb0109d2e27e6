package gate

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"

	"ticketremaster/orchestrator-service/clients"
	"ticketremaster/orchestrator-service/gate/rules"
	"ticketremaster/platform/fault"
	"ticketremaster/platform/metrics/metricstest"
	inventoryv1 "ticketremaster/proto/inventory/v1"
)

var guard = Staff{ID: uuid.New()}

// scan is a scan at HALL-1 by a device that says nothing else.
func scan(payload string) Scan {
	return Scan{Device: Device{Hall: "HALL-1"}, Payload: payload, Direction: rules.In}
}

// want holds a scan to its result, and its only line in the log to the reason.
func want(t *testing.T, f *Flows, w *world, s Scan, result rules.Result, reason rules.Reason) Admission {
	t.Helper()
	before, counted := len(w.log), metricstest.Value(t, "gate_scans_total", "result="+string(result))
	a, err := f.Verify(t.Context(), guard, s)
	if more := metricstest.Value(t, "gate_scans_total", "result="+string(result)) - counted; more != 1 {
		t.Errorf("%v scans more are shown", more)
	}
	if err != nil || a.Result != result || a.Message == "" || a.Reason != reason {
		t.Fatalf("%+v %v, want %s %s", a.Verdict, err, result, reason)
	}
	if len(w.log) != before+1 {
		t.Fatalf("%d lines in the log", len(w.log)-before)
	}
	if line := w.log[before]; line.Result.String() != string(result) || line.StaffId != guard.ID.String() {
		t.Fatalf("logged %v", line)
	}
	return a
}

func TestAScanIsDecidedAndLoggedOnce(t *testing.T) {
	f, w := start(t, 3)
	one, two := w.at(1), w.at(2)
	a := want(t, f, w, Scan{Device: Device{Name: "gate-1", Hall: "hall 1"}, Payload: "\t" + w.code(t, f, one) + "\r\n", Direction: rules.In}, rules.Success, "")
	if a.Seat != one || a.Owner != email(one.OwnerUserId) || a.ScanID == uuid.Nil {
		t.Errorf("%+v", a)
	}
	if l := w.log[0]; l.HallIdStaff != "hall 1" || l.HallIdPresented != "HALL-1" || l.HallIdExpected != "HALL-1" || l.Device != "gate-1" || l.SeatId != one.SeatId || l.EventId != one.EventId {
		t.Errorf("%v", l)
	}
	a = want(t, f, w, Scan{Device: Device{Hall: "H2"}, Payload: w.code(t, f, two), Direction: rules.In}, rules.WrongHall, rules.OtherHall)
	if l := w.log[1]; l.HallIdStaff != "H2" || l.HallIdPresented != "HALL-1" || l.HallIdExpected != "HALL-1" || l.Reason != string(rules.OtherHall) {
		t.Errorf("both halls are to be kept: %v", l)
	}
	if a.Seat != nil || a.Owner != "" || a.ScanID != uuid.Nil {
		t.Errorf("a refused scan tells whose it is: %+v", a)
	}
	want(t, f, w, scan(w.code(t, f, one)), rules.Duplicate, rules.AlreadyIn)
	w.unpaid[clients.ID(two.SeatId)] = true
	want(t, f, w, scan(w.code(t, f, two)), rules.Unpaid, rules.NotPaid)
	stranger := &inventoryv1.Seat{SeatId: uuid.NewString(), EventId: two.EventId, OwnershipVersion: 1}
	want(t, f, w, scan(w.code(t, f, stranger)), rules.NotFound, rules.NoSuchSeat)
	stranger.EventId = uuid.NewString()
	want(t, f, w, scan(w.code(t, f, stranger)), rules.NotFound, rules.NoSuchSeat)
	for _, bad := range []string{"let me in", "{}", strings.Repeat("A", 900), w.code(t, f, one)[1:]} {
		if _, err := f.Verify(t.Context(), guard, scan(bad)); !errors.Is(err, ErrQRInvalid) {
			t.Errorf("%.20q: %v", bad, err)
		}
		if l := w.log[len(w.log)-1]; l.Result != inventoryv1.ScanResult_NOT_FOUND || l.SeatId != "" || l.HallIdStaff != "HALL-1" {
			t.Errorf("%v", l)
		}
	}
	f.AcceptDecrypted = true
	if _, err := f.Verify(t.Context(), guard, scan(`{"s":"A"}`)); !errors.Is(err, ErrQRInvalid) {
		t.Errorf("%v", err)
	}
}

func TestPlaceAndTimeDecide(t *testing.T) {
	f, w := start(t, 1)
	code := w.code(t, f, w.at(1))
	other := scan(code)
	other.Event = uuid.New()
	if a := want(t, f, w, other, rules.WrongHall, rules.OtherEvent); !strings.Contains(a.Message, "The Long Night at Star Theatre") || !strings.Contains(a.Message, "Go to Hall HALL-1") {
		t.Error(a.Message)
	}
	admin, reason := uuid.New(), "this week"
	if err := f.Assign(t.Context(), admin, guard.ID, rules.Assignment{Venues: []uuid.UUID{uuid.New()}}, reason); err != nil {
		t.Fatal(err)
	}
	want(t, f, w, scan(code), rules.WrongHall, rules.NotAssigned)
	if err := f.Assign(t.Context(), admin, guard.ID, rules.Assignment{Events: []uuid.UUID{uuid.New()}}, reason); err == nil {
		t.Error("assigned to an event that is not there")
	}
	if err := f.Assign(t.Context(), admin, guard.ID, rules.Assignment{Venues: []uuid.UUID{w.event.Venue.VenueID}}, reason); err != nil {
		t.Fatal(err)
	}
	doors := time.Now().Add(time.Hour)
	w.event.DoorsOpenAt = &doors
	want(t, f, w, scan(code), rules.WrongHall, rules.DoorsClosed)
	// An event that does not say when its doors open: by the setting, or not at all.
	w.event.DoorsOpenAt, w.event.EventDate = nil, time.Now().Add(2*time.Hour)
	f.DoorsOpenBefore = time.Hour
	if a := want(t, f, w, scan(code), rules.WrongHall, rules.DoorsClosed); !strings.Contains(a.Message, rules.Local(w.event.EventDate.Add(-time.Hour), "Asia/Singapore")) {
		t.Error(a.Message)
	}
	f.DoorsOpenBefore = 3 * time.Hour
	w.event.Status = clients.EventCancelled
	want(t, f, w, scan(code), rules.Unpaid, rules.Refunded)
	w.event.Status = clients.EventPublished
	f.DoorsOpenBefore = 0
	want(t, f, w, scan(code), rules.Success, "")
}

// Assignments are read once in seconds; an administrator is not asked for any.
func TestAssignmentsAreRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, w := start(t, 1)
		for range 10 {
			if _, err := f.Verify(t.Context(), guard, scan(w.code(t, f, w.at(1)))); err != nil {
				t.Fatal(err)
			}
		}
		if n := w.asked["GetAssignment"]; n != 1 {
			t.Errorf("asked %d times", n)
		}
		w.assigned = &inventoryv1.GetAssignmentResponse{VenueIds: []string{uuid.NewString()}}
		if _, err := f.at(t.Context(), Staff{ID: uuid.New(), Admin: true}, w.event.EventID); err != nil || w.asked["GetAssignment"] != 1 {
			t.Errorf("%v, asked %d times", err, w.asked["GetAssignment"])
		}
		time.Sleep(assignmentLife + time.Millisecond)
		if _, err := f.at(t.Context(), guard, w.event.EventID); fault.Code(err) != fault.CodeForbidden {
			t.Errorf("%v", err)
		}
	})
}

func TestMoneyDecides(t *testing.T) {
	f, w := start(t, 1)
	seat := w.at(1)
	owner := clients.ID(seat.OwnerUserId)
	w.debts[owner] = seat.SoldAt.AsTime().Add(-time.Minute) // older than the ticket
	f1 := scan(w.code(t, f, seat))
	w.debts[owner] = time.Now()
	want(t, f, w, f1, rules.Unpaid, rules.PaymentTakenBack)
	if err := f.AllowEntry(t.Context(), uuid.New(), clients.ID(seat.SeatId), "paid in cash"); err != nil {
		t.Fatal(err)
	}
	seat.OwnershipVersion++ // the permit is for one ownership
	want(t, f, w, scan(w.code(t, f, seat)), rules.Unpaid, rules.PaymentTakenBack)
	seat.OwnershipVersion--
	want(t, f, w, scan(w.code(t, f, seat)), rules.Success, "")

	f, w = start(t, 2)
	w.debts[clients.ID(w.at(1).OwnerUserId)] = w.at(1).SoldAt.AsTime().Add(-time.Minute)
	want(t, f, w, scan(w.code(t, f, w.at(1))), rules.Success, "")
	if err := f.AllowEntry(t.Context(), uuid.New(), uuid.New(), "x"); fault.Code(err) != fault.CodeSeatNotFound {
		t.Error(err)
	}
}

// When a dependency is down the scan can be repeated, and is decided once.
func TestADependencyIsDown(t *testing.T) {
	for _, call := range []string{"VerifyTicket", "Confirmed", "Fresh", "GetAssignment", "MarkCheckedIn"} {
		f, w := start(t, 1)
		code := w.code(t, f, w.at(1))
		w.away[call] = 1
		if _, err := f.Verify(t.Context(), guard, scan(code)); fault.Code(err) != fault.CodeUnavailable || len(w.log) != 0 {
			t.Errorf("%s is away: %v, %d logged", call, err, len(w.log))
		}
		want(t, f, w, scan(code), rules.Success, "")
	}
	f, w := start(t, 1)
	w.away["User"] = 1 // a ticket is not refused for want of a name
	if a := want(t, f, w, scan(w.code(t, f, w.at(1))), rules.Success, ""); a.Owner != "" {
		t.Error(a.Owner)
	}
	w.away["RecordScan"] = 2
	for _, payload := range []string{w.code(t, f, w.at(1)), "rubbish"} {
		if _, err := f.Verify(t.Context(), guard, scan(payload)); fault.Code(err) != fault.CodeUnavailable {
			t.Errorf("not logged: %v", err)
		}
	}
}

// hanging is an inventory that does not answer where staff work.
type hanging struct{ Inventory }

func (hanging) GetAssignment(ctx context.Context, _ *inventoryv1.GetAssignmentRequest, _ ...grpc.CallOption) (*inventoryv1.GetAssignmentResponse, error) {
	select {
	case <-ctx.Done():
	case <-time.After(2 * time.Second):
	}
	return nil, fault.Unreachable("the inventory service", errors.New("time-out"))
}

// What is read for several scans at once holds none of them up for longer than a queue waits.
func TestAQueueDoesNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, w := start(t, 1)
		code := w.code(t, f, w.at(1))
		f.Inventory = hanging{f.Inventory}
		asked := time.Now()
		if _, err := f.Verify(t.Context(), guard, scan(code)); fault.Code(err) != fault.CodeUnavailable || time.Since(asked) > answerWithin {
			t.Errorf("after %s: %v", time.Since(asked), err)
		}
		time.Sleep(2 * time.Second) // for what was begun
	})
}

// The ticket was marked and nobody heard it: the same scan again is the same scan, with an id of the device's or none.
func TestAScanWhoseAnswerWasNotHeard(t *testing.T) {
	for _, id := range []uuid.UUID{uuid.Nil, uuid.New()} {
		f, w := start(t, 1)
		s := scan(w.code(t, f, w.at(1)))
		s.ID = id
		w.deaf["MarkCheckedIn"] = 1
		if _, err := f.Verify(t.Context(), guard, s); fault.Code(err) != fault.CodeUnavailable {
			t.Fatal(err)
		}
		a, err := f.Verify(t.Context(), guard, s)
		if err != nil || a.Result != rules.Success || a.Owner == "" || len(w.log) != 1 || a.ScanID.String() != w.log[0].ScanId {
			t.Errorf("the repeat: %+v %v, %d logged", a, err, len(w.log))
		}
		if id != uuid.Nil {
			continue // a device's own id is the same scan for ever
		}
		if a, err := f.Verify(t.Context(), guard, s); err != nil || a.Result != rules.Duplicate || len(w.log) != 2 {
			t.Errorf("it was heard now, so this is another: %+v %v", a, err)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		f, w := start(t, 1)
		s := scan(w.code(t, f, w.at(1)))
		w.deaf["MarkCheckedIn"] = 2
		for _, f := range []*Flows{f, replica(f)} {
			if _, err := f.Verify(t.Context(), guard, s); err == nil {
				t.Fatal("heard")
			}
		}
		time.Sleep(3 * time.Second)
		if a, err := replica(f).Verify(t.Context(), guard, s); err != nil || a.Result != rules.Success || len(w.log) != 1 {
			t.Errorf("at another replica: %+v %v, %d logged", a, err, len(w.log))
		}
		if a, err := replica(f).Verify(t.Context(), guard, s); err != nil || a.Result != rules.Duplicate {
			t.Errorf("it was heard now: %+v %v", a, err)
		}
		w.deaf["MarkCheckedIn"] = 1
		other := w.at(1)
		other.Status, other.OwnershipVersion, w.log = inventoryv1.SeatStatus_SOLD, 2, nil
		s = scan(w.code(t, f, other))
		if _, err := f.Verify(t.Context(), guard, s); err == nil {
			t.Fatal("heard")
		}
		time.Sleep(repeatWithin + time.Second)
		if a, err := f.Verify(t.Context(), guard, s); err != nil || a.Result != rules.Duplicate {
			t.Errorf("after some time it is someone else: %+v %v", a, err)
		}
	})
}

// A try that was neither heard nor carried out lets nobody in a second time.
func TestATryThatDidNothing(t *testing.T) {
	f, w := start(t, 1)
	s := scan(w.code(t, f, w.at(1)))
	w.away["MarkCheckedIn"] = 1
	if _, err := f.Verify(t.Context(), guard, s); fault.Code(err) != fault.CodeUnavailable {
		t.Fatal(err)
	}
	want(t, f, w, s, rules.Success, "")
	for range 2 {
		if a, err := f.Verify(t.Context(), guard, s); err != nil || a.Result != rules.Duplicate {
			t.Errorf("%+v %v", a, err)
		}
	}
}

// The device hung up before the answer: its repeat is the same scan.
func TestADeviceThatHungUp(t *testing.T) {
	f, w := start(t, 1)
	ctx, hangUp := context.WithCancel(t.Context())
	f.Inventory = &hangsUp{w, hangUp}
	s := scan(w.code(t, f, w.at(1)))
	if _, err := f.Verify(ctx, guard, s); err != nil {
		t.Fatal(err)
	}
	if a, err := f.Verify(t.Context(), guard, s); err != nil || a.Result != rules.Success || len(w.log) != 1 {
		t.Errorf("%+v %v", a, err)
	}
}

type hangsUp struct {
	*world
	hangUp func()
}

func (h *hangsUp) MarkCheckedIn(ctx context.Context, in *inventoryv1.MarkCheckedInRequest, opts ...grpc.CallOption) (*inventoryv1.MarkCheckedInResponse, error) {
	defer h.hangUp()
	return h.world.MarkCheckedIn(ctx, in, opts...)
}

// A code that is refused twice is two scans in the log, though two replicas are asked.
func TestARefusalAtTwoReplicas(t *testing.T) {
	f, w := start(t, 1)
	s := scan(w.code(t, f, w.at(1)))
	s.Hall = "H2"
	want(t, f, w, s, rules.WrongHall, rules.OtherHall)
	want(t, replica(f), w, s, rules.WrongHall, rules.OtherHall)
}

// The same picture shown again is another scan, at whichever replica: a hundred at once let one in, and all are logged.
func TestHundredScansAtOnce(t *testing.T) {
	f, w := start(t, 1)
	replicas := []*Flows{f, replica(f)}
	s := scan(w.code(t, f, w.at(1)))
	var mu sync.Mutex
	results := map[rules.Result]int{}
	var all sync.WaitGroup
	for i := range 100 {
		all.Go(func() {
			a, err := replicas[i%2].Verify(t.Context(), guard, s)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				results[a.Result]++
			}
		})
	}
	all.Wait()
	if results[rules.Success] != 1 || results[rules.Duplicate] != 99 || len(w.log) != 100 {
		t.Errorf("%v, %d logged", results, len(w.log))
	}
}

// A ticket that changes hands between look-up and mark is not let in.
func TestHandedOnMeanwhile(t *testing.T) {
	f, w := start(t, 1)
	seat := w.at(1)
	f.Users = people{w}
	f.Inventory = &handsOn{w}
	a, err := f.Verify(t.Context(), guard, scan(w.code(t, f, seat)))
	if err != nil || a.Result != rules.NotFound || !strings.Contains(a.Message, "handed on") || a.Seat != nil {
		t.Errorf("%+v %v", a, err)
	}
}

func TestOutAndInAgain(t *testing.T) {
	f, w := start(t, 1)
	w.event.ReentryAllowed = true
	code := w.code(t, f, w.at(1))
	out := scan(code)
	out.Direction = rules.Out
	want(t, f, w, out, rules.Duplicate, rules.NotInside)
	want(t, f, w, scan(code), rules.Success, "")
	w.deaf["MarkExited"] = 1
	if _, err := f.Verify(t.Context(), guard, out); err == nil {
		t.Fatal("heard")
	}
	lines := len(w.log)
	if a, err := f.Verify(t.Context(), guard, out); err != nil || a.Result != rules.Success || len(w.log) != lines {
		t.Errorf("the repeat of an exit: %+v %v", a, err)
	}
	want(t, f, w, out, rules.Duplicate, rules.NotInside)
	if _, n, err := f.Inside(t.Context(), guard, w.event.EventID); err != nil || n.Inside != 0 || n.Entered != 1 {
		t.Errorf("%v %v", n, err)
	}
	a := want(t, f, w, scan(w.code(t, f, w.at(1))), rules.Success, "")
	if _, n, err := f.Inside(t.Context(), guard, w.event.EventID); err != nil || n.Inside != 1 || a.Message != "Welcome" {
		t.Errorf("%v %v", n, err)
	}
}

// A phone's own code is let in like the server's.
func TestOfflineCodes(t *testing.T) {
	f, w := start(t, 1)
	seat := w.at(1)
	mine := f.QR.Offline(clients.ID(seat.SeatId), w.event.EventID, seat.OwnershipVersion)
	want(t, f, w, scan(mine.Code(time.Now().Add(-30*time.Minute))), rules.Expired, rules.CodeOld)
	want(t, f, w, scan(f.QR.Offline(clients.ID(seat.SeatId), w.event.EventID, 7).Code(time.Now())), rules.NotFound, rules.HandedOn)
	want(t, f, w, scan(mine.Code(time.Now())), rules.Success, "")
}
