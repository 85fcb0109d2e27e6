package gate

import (
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"ticketremaster/orchestrator-service/clients"
	"ticketremaster/orchestrator-service/gate/device"
	"ticketremaster/orchestrator-service/gate/rules"
	"ticketremaster/platform/fault"
	"ticketremaster/platform/web"
	inventoryv1 "ticketremaster/proto/inventory/v1"
)

var firstPage = web.Page{Number: 1, Size: 100}

// synced gives a device the event's manifest.
func synced(t *testing.T, f *Flows, w *world, name string) *device.Device {
	t.Helper()
	signed, err := f.Manifest(t.Context(), guard, w.event.EventID)
	if err != nil {
		t.Fatal(err)
	}
	m, err := device.Read(signed.Text, signed.Signature, f.QR.PublicKeys()[signed.KeyID])
	if err != nil {
		t.Fatal(err)
	}
	d := &device.Device{Name: name, Hall: "HALL-1"}
	d.Sync(m)
	return d
}

// upload sends what the device decided, and counts what became of it.
func upload(t *testing.T, f *Flows, w *world, d *device.Device) map[Outcome]int {
	t.Helper()
	got, err := f.TakeIn(t.Context(), guard, w.event.EventID, d.Pending())
	if err != nil {
		t.Fatal(err)
	}
	counts, taken := map[Outcome]int{}, map[uuid.UUID]bool{}
	for i, u := range got {
		if u.ScanID != d.Pending()[i].ScanID {
			t.Fatalf("answer %d is of another scan", i)
		}
		counts[u.Outcome]++
		taken[u.ScanID] = u.Outcome != Waiting
	}
	d.Taken(taken)
	return counts
}

func offlineCode(f *Flows, w *world, s *inventoryv1.Seat, version int64) string {
	return f.QR.Offline(clients.ID(s.SeatId), w.event.EventID, version).Code(time.Now())
}

func TestTwoGatesWithoutNetwork(t *testing.T) {
	f, w := start(t, 5)
	want(t, f, w, scan(w.code(t, f, w.at(1))), rules.Success, "")
	w.debts[clients.ID(w.at(2).OwnerUserId)] = time.Now()
	north, south := synced(t, f, w, "north"), synced(t, f, w, "south")
	for i, c := range []struct {
		at     *device.Device
		seat   int
		result rules.Result
	}{
		{north, 1, rules.Duplicate}, {north, 2, rules.Unpaid}, {north, 3, rules.Success}, {north, 3, rules.Duplicate},
		{south, 3, rules.Success}, {south, 4, rules.Success},
	} {
		v, _, err := c.at.Scan(offlineCode(f, w, w.at(c.seat), 1), rules.In, time.Now())
		if err != nil || v.Result != c.result {
			t.Errorf("scan %d: %+v %v", i, v, err)
		}
	}
	w.at(4).OwnershipVersion, w.at(4).OwnerUserId = 2, uuid.NewString() // handed on after the list was made
	later := south.Pending()
	if got := upload(t, f, w, south); got[Merged] != 1 || got[Conflict] != 1 {
		t.Errorf("south: %v", got)
	}
	if got := upload(t, f, w, north); got[Merged] != 3 || got[Conflict] != 1 {
		t.Errorf("north: %v", got)
	}
	lines := len(w.log)
	again, err := f.TakeIn(t.Context(), guard, w.event.EventID, later)
	if err != nil || len(w.log) != lines || again[0].Outcome != Merged || again[1].Outcome != Conflict {
		t.Errorf("uploaded again: %+v %v", again, err)
	}
	list, total, err := f.Conflicts(t.Context(), guard, w.event.EventID, firstPage)
	if err != nil || total != 2 {
		t.Fatalf("%v %v", list, err)
	}
	i := slices.IndexFunc(list, func(c Collision) bool { return c.Standing != nil })
	if c := list[i]; c.Scan.Device != "north" || c.Standing.Device != "south" || c.Scan.SeatId != c.Standing.SeatId {
		t.Errorf("%v", c)
	}
	if c := list[1-i]; c.Scan.Device != "south" || c.Scan.Result != inventoryv1.ScanResult_NOT_FOUND || c.Standing != nil {
		t.Errorf("%v", c)
	}
	if north.Pending() != nil || south.Pending() != nil {
		t.Error("uploaded, and yet to be uploaded")
	}
}

func TestUndoneWithoutNetwork(t *testing.T) {
	f, w := start(t, 2)
	d := synced(t, f, w, "north")
	if _, _, err := d.Scan(offlineCode(f, w, w.at(1), 1), rules.In, time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := d.Undo(clients.ID(w.at(1).SeatId), "the wrong person", time.Now()); err != nil {
		t.Fatal(err)
	}
	pending := d.Pending()
	first, err := f.TakeIn(t.Context(), guard, w.event.EventID, pending[1:])
	if err != nil || first[0].Outcome != Waiting {
		t.Errorf("an undoing before its admission: %+v %v", first, err)
	}
	if got := upload(t, f, w, d); got[Merged] != 2 {
		t.Errorf("%v", got)
	}
	if _, n, _ := f.Inside(t.Context(), guard, w.event.EventID); n.Inside != 0 {
		t.Errorf("%v", n)
	}
	other := device.Decided{ScanID: uuid.New(), SeatID: pending[0].SeatID, Direction: device.Undo, Undoes: pending[0].ScanID, Result: rules.Success, At: time.Now(), Device: "x"}
	if got, err := f.TakeIn(t.Context(), guard, w.event.EventID, []device.Decided{other}); err != nil || got[0].Outcome != Refused || got[0].Message == "" {
		t.Errorf("undone twice: %+v %v", got, err)
	}
	w.away["UndoCheckIn"] = 1
	if _, err := f.TakeIn(t.Context(), guard, w.event.EventID, []device.Decided{other}); fault.Code(err) != fault.CodeUnavailable {
		t.Error(err)
	}
}

// Someone was let in with what is no ticket of the event: it is logged and told, never dropped.
func TestUploadOfAStrangersTicket(t *testing.T) {
	f, w := start(t, 1)
	x := device.Decided{ScanID: uuid.New(), SeatID: uuid.New(), Version: 1, Direction: rules.In, Result: rules.Success, At: time.Now(), Device: "north"}
	got, err := f.TakeIn(t.Context(), guard, w.event.EventID, []device.Decided{x})
	if err != nil || got[0].Outcome != Conflict || len(w.log) != 1 || w.log[0].DeviceResult != inventoryv1.ScanResult_SUCCESS {
		t.Errorf("%+v %v %v", got, err, w.log)
	}
	x.ScanID = uuid.New()
	w.away["FindTickets"] = 1
	if _, err := f.TakeIn(t.Context(), guard, w.event.EventID, []device.Decided{x}); fault.Code(err) != fault.CodeUnavailable {
		t.Error(err)
	}
	w.away["RecordScan"] = 1
	if _, err := f.TakeIn(t.Context(), guard, w.event.EventID, []device.Decided{x}); fault.Code(err) != fault.CodeUnavailable {
		t.Error(err)
	}
}

func TestExitsWithoutNetwork(t *testing.T) {
	f, w := start(t, 1)
	w.event.ReentryAllowed = true
	d := synced(t, f, w, "north")
	for _, direction := range []rules.Direction{rules.In, rules.Out, rules.In, rules.Out} {
		if v, _, err := d.Scan(offlineCode(f, w, w.at(1), 1), direction, time.Now()); err != nil || v.Result != rules.Success {
			t.Fatalf("%s: %+v %v", direction, v, err)
		}
		time.Sleep(time.Millisecond)
	}
	pending := d.Pending()
	slices.Reverse(pending) // in any order
	got, err := f.TakeIn(t.Context(), guard, w.event.EventID, pending)
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range got {
		if u.Outcome != Merged {
			t.Errorf("%+v", u)
		}
	}
	if _, n, _ := f.Inside(t.Context(), guard, w.event.EventID); n.Inside != 0 || n.Entered != 1 {
		t.Errorf("%v", n)
	}
}

func TestManifestOfALargerHall(t *testing.T) {
	f, w := start(t, 2*portion+1)
	d := synced(t, f, w, "north")
	if len(d.Manifest.Tickets) != 2*portion+1 || d.Manifest.Event.Name != "The Long Night" || d.Manifest.Event.DoorsText == "" {
		t.Errorf("%+v", d.Manifest)
	}
	for _, call := range []string{"ListTickets", "Fresh"} {
		w.away[call] = 1
		if _, err := f.Manifest(t.Context(), guard, w.event.EventID); fault.Code(err) != fault.CodeUnavailable {
			t.Errorf("%s: %v", call, err)
		}
	}
	w.away["ListScans"] = 1
	if _, _, err := f.Conflicts(t.Context(), guard, w.event.EventID, firstPage); fault.Code(err) != fault.CodeUnavailable {
		t.Error(err)
	}
	w.events = nil
	for range 250 {
		w.events = append(w.events, clients.Event{EventID: uuid.New(), Name: "event"})
	}
	if mine, err := f.MyEvents(t.Context(), guard); err != nil || len(mine) != 250 {
		t.Errorf("%d %v", len(mine), err)
	}
}
