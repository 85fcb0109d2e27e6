package grpcapi_test

import (
	"flag"
	"slices"
	"testing"

	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"ticketremaster/platform/fault"
	inventoryv1 "ticketremaster/proto/inventory/v1"

	"ticketremaster/inventory-service/inventorytest"
)

// device is a gate without network: what it knows of each ticket, and the decisions that it has yet to upload or may
// upload again.
type device struct {
	name  string
	known map[string]knownTicket
	kept  []*inventoryv1.Scan
}

type knownTicket struct {
	version       int64
	entered, left bool
}

// venue is one sequence: the answers, to be compared with the log.
type venue struct {
	*inventorytest.Service
	t       *testing.T
	event   string
	seats   []string
	owners  map[string]string
	version map[string]int64
	reentry bool
	devices []*device
	answers map[string]inventoryv1.ScanResult // of each scan that the service has seen
	offline map[string]*inventoryv1.Scan      // those among them that a device let through
	undone  map[string]bool
	staff   string
	worked  map[string]int
}

// After any interleaving of scans with and without network at two gates, undos, exits, transfers and uploads, every
// ticket is inside at most once, every scan is logged once, and every conflict is reported.
func TestAnyEveningAtTheGate(t *testing.T) {
	for name, value := range map[string]string{"rapid.checks": "25", "rapid.steps": "60", "rapid.shrinktime": "10s", "rapid.nofailfile": "true"} {
		if err := flag.Set(name, value); err != nil {
			t.Fatal(err)
		}
	}
	s := inventorytest.Start(t)
	worked := map[string]int{}
	rapid.Check(t, func(rt *rapid.T) {
		v := &venue{Service: s, t: t, reentry: rapid.Bool().Draw(rt, "re-entry"), owners: map[string]string{}, version: map[string]int64{},
			answers: map[string]inventoryv1.ScanResult{}, offline: map[string]*inventoryv1.Scan{}, undone: map[string]bool{}, staff: newID(), worked: worked,
			devices: []*device{{name: "north"}, {name: "south"}}}
		for _, seat := range s.Hall(t, 2) {
			v.event, v.owners[seat.SeatId], v.version[seat.SeatId] = seat.EventId, newID(), 1
			v.seats = append(v.seats, seat.SeatId)
			s.Buy(t, seat.SeatId, v.owners[seat.SeatId])
		}
		for _, d := range v.devices {
			v.sync(d)
		}
		rt.Repeat(map[string]func(*rapid.T){
			"scan": v.scan, "leave": v.leave, "hand on": v.handOn, "undo": v.undo, "scan offline": v.scanOffline, "undo offline": v.undoOffline,
			"upload": v.upload, "sync": func(rt *rapid.T) { v.sync(v.anyDevice(rt)) }, "": v.holds,
		})
	})
	t.Logf("what worked: %v", worked)
	for _, what := range []string{"scan", "leave", "hand on", "undo", "undo offline", "merged", "conflict", "in again"} {
		if worked[what] == 0 {
			t.Errorf("in no evening did anyone %s", what)
		}
	}
}

func (v *venue) anySeat(rt *rapid.T) string { return rapid.SampledFrom(v.seats).Draw(rt, "seat") }
func (v *venue) anyDevice(rt *rapid.T) *device {
	return rapid.SampledFrom(v.devices).Draw(rt, "device")
}
func (v *venue) new(seat string) *inventoryv1.Scan {
	return &inventoryv1.Scan{ScanId: newID(), SeatId: seat, StaffId: v.staff, EventId: v.event}
}

// mark sends a scan to the service, which must answer the same for the same scan.
func (v *venue) mark(scan *inventoryv1.Scan, version int64) inventoryv1.ScanResult {
	v.t.Helper()
	var result inventoryv1.ScanResult
	var err error
	if scan.Direction == inventoryv1.Direction_OUT {
		var a *inventoryv1.MarkExitedResponse
		a, err = v.MarkExited(v.t.Context(), &inventoryv1.MarkExitedRequest{Scan: scan, OwnershipVersion: version})
		result = a.GetResult()
	} else {
		var a *inventoryv1.MarkCheckedInResponse
		a, err = v.MarkCheckedIn(v.t.Context(), &inventoryv1.MarkCheckedInRequest{Scan: scan, OwnerUserId: v.owners[scan.SeatId], OwnershipVersion: version, Reentry: v.reentry})
		result = a.GetResult()
	}
	if err != nil {
		v.t.Fatal(err)
	}
	if before, seen := v.answers[scan.ScanId]; seen && before != result {
		v.t.Fatalf("a repeat of %s answers %s, and before %s", scan.ScanId, result, before)
	}
	v.answers[scan.ScanId] = result
	return result
}

func (v *venue) scan(rt *rapid.T) {
	seat := v.anySeat(rt)
	version := v.version[seat] - rapid.Int64Range(0, 1).Draw(rt, "former")
	if v.mark(v.new(seat), max(version, 1)) == success {
		v.worked["scan"]++
		if v.admissions(seat) > 1 {
			v.worked["in again"]++
		}
	}
}

func (v *venue) leave(rt *rapid.T) {
	scan := v.new(v.anySeat(rt))
	scan.Direction = inventoryv1.Direction_OUT
	if v.reentry && v.mark(scan, v.version[scan.SeatId]) == success {
		v.worked["leave"]++
	}
}

func (v *venue) handOn(rt *rapid.T) {
	seat, buyer := v.anySeat(rt), newID()
	_, err := v.UpdateOwner(v.t.Context(), &inventoryv1.UpdateOwnerRequest{SeatId: seat, ExpectedOwnerUserId: v.owners[seat], NewOwnerUserId: buyer, OperationId: newID(), Cause: "TRANSFER"})
	if err == nil {
		v.owners[seat] = buyer
		v.version[seat]++
		v.worked["hand on"]++
	} else if fault.Code(err) != fault.CodeSeatUnavailable {
		v.t.Fatal(err)
	}
}

// takeBack undoes a scan and returns whether that was possible, or is not known yet.
func (v *venue) takeBack(undo *inventoryv1.Scan) string {
	v.t.Helper()
	_, err := v.UndoCheckIn(v.t.Context(), &inventoryv1.UndoCheckInRequest{Scan: undo, SeatId: undo.SeatId})
	code := fault.Code(err)
	switch code {
	case "":
		v.undone[undo.Undoes] = true
		v.answers[undo.ScanId] = v.answers[undo.Undoes]
	case "SCAN_NOT_FOUND", "UNDO_NOT_POSSIBLE":
	default:
		v.t.Fatal(err)
	}
	return code
}

func (v *venue) undo(rt *rapid.T) {
	seat := v.anySeat(rt)
	ticket, err := v.VerifyTicket(v.t.Context(), &inventoryv1.VerifyTicketRequest{SeatId: seat})
	if err != nil {
		v.t.Fatal(err)
	}
	if ticket.EntryScanId == "" {
		return
	}
	undo := v.new(seat)
	undo.Undoes, undo.Note, undo.Direction = ticket.EntryScanId, "x", inventoryv1.Direction_UNDO
	if v.takeBack(undo) == "" {
		v.worked["undo"]++
	}
}

func (v *venue) sync(d *device) {
	list, err := v.ListTickets(v.t.Context(), &inventoryv1.ListTicketsRequest{EventId: v.event})
	if err != nil {
		v.t.Fatal(err)
	}
	d.known = map[string]knownTicket{}
	for _, t := range list.Tickets {
		d.known[t.SeatId] = knownTicket{t.OwnershipVersion, t.Entered, t.Left}
	}
}

func (v *venue) scanOffline(rt *rapid.T) {
	d, seat := v.anyDevice(rt), v.anySeat(rt)
	k := d.known[seat]
	scan := v.new(seat)
	scan.Device, scan.DecidedAt, scan.DeviceResult = d.name, timestamppb.Now(), success
	leaves := v.reentry && rapid.Bool().Draw(rt, "leaves")
	switch {
	case leaves && k.entered && !k.left:
		scan.Direction, k.left = inventoryv1.Direction_OUT, true
	case leaves, k.entered && !(k.left && v.reentry):
		scan.DeviceResult = duplicate
	default:
		k.entered, k.left = true, false
	}
	scan.Reason = "V" + string(rune('0'+k.version)) // the version that the device decided about
	d.known[seat] = k
	d.kept = append(d.kept, scan)
}

func (v *venue) undoOffline(rt *rapid.T) {
	d := v.anyDevice(rt)
	if len(d.kept) == 0 {
		return
	}
	last := d.kept[len(d.kept)-1]
	if last.Direction != inventoryv1.Direction_IN || last.DeviceResult != success {
		return
	}
	undo := v.new(last.SeatId)
	undo.Device, undo.DecidedAt, undo.DeviceResult = d.name, timestamppb.Now(), success
	undo.Undoes, undo.Note, undo.Direction = last.ScanId, "x", inventoryv1.Direction_UNDO
	k := d.known[last.SeatId]
	k.entered = false
	d.known[last.SeatId] = k
	d.kept = append(d.kept, undo)
}

// upload sends some of the device's decisions, in any order; those that were sent may be sent again.
func (v *venue) upload(rt *rapid.T) {
	d := v.anyDevice(rt)
	for _, scan := range rapid.Permutation(d.kept).Draw(rt, "order") {
		if rapid.Bool().Draw(rt, "later") {
			continue
		}
		switch {
		case scan.Direction == inventoryv1.Direction_UNDO:
			if v.takeBack(scan) == "" {
				v.worked["undo offline"]++
			}
		case scan.DeviceResult != success:
			scan.Result = scan.DeviceResult
			if _, err := v.RecordScan(v.t.Context(), &inventoryv1.RecordScanRequest{Scan: scan}); err != nil {
				v.t.Fatal(err)
			}
			v.answers[scan.ScanId] = scan.Result
		default:
			result := v.mark(scan, int64(scan.Reason[1]-'0'))
			v.offline[scan.ScanId] = scan
			if result == success {
				v.worked["merged"]++
			} else {
				v.worked["conflict"]++
			}
		}
	}
}

func (v *venue) admissions(seat string) (n int) {
	if err := v.SQL.QueryRow(v.t.Context(), `SELECT count(*) FROM entry_logs WHERE seat_id = $1 AND direction = 'IN' AND result = 'SUCCESS'`, seat).Scan(&n); err != nil {
		v.t.Fatal(err)
	}
	return n
}

// holds checks the log itself.
func (v *venue) holds(rt *rapid.T) {
	inside, entered := int32(0), int32(0)
	for _, seat := range v.seats {
		rows, err := v.SQL.Query(v.t.Context(), `SELECT log_id::text, direction::text, coalesce(undoes::text, ''), entry FROM entry_logs
			WHERE seat_id = $1 AND result = 'SUCCESS' ORDER BY scanned_at, entry, direction`, seat)
		if err != nil {
			v.t.Fatal(err)
		}
		in := map[int]bool{} // entries whose holder is inside, by number
		used := map[int]bool{}
		entryOf := map[string]int{}
		var id, direction, undoes string
		var entry int
		for rows.Next() {
			if err := rows.Scan(&id, &direction, &undoes, &entry); err != nil {
				v.t.Fatal(err)
			}
			switch direction {
			case "IN":
				in[entry], used[entry], entryOf[id] = true, true, entry
			case "OUT":
				if !in[entry] {
					rt.Fatalf("an exit of entry %d, whose holder is not inside", entry)
				}
				delete(in, entry)
			case "UNDO":
				delete(in, entryOf[undoes])
				delete(used, entryOf[undoes])
			}
			if len(in) > 1 {
				rt.Fatalf("ticket %s is inside %d times", seat, len(in))
			}
		}
		rows.Close()
		inside += int32(len(in))
		if len(used) > 0 {
			entered++
		}
		if is := v.Seat(v.t, seat).Status == inventoryv1.SeatStatus_CHECKED_IN; is != (len(used) > 0) {
			rt.Fatalf("ticket %s is checked in: %v, with %d admissions", seat, is, len(used))
		}
	}
	if n, err := v.CountInside(v.t.Context(), &inventoryv1.CountInsideRequest{EventId: v.event}); err != nil || n.Inside != inside || n.Entered != entered {
		rt.Fatalf("counted %v (%v), want %d inside of %d", n, err, inside, entered)
	}
	list, err := v.ListScans(v.t.Context(), &inventoryv1.ListScansRequest{EventId: v.event, Page: 1, PerPage: 200})
	if err != nil || int(list.Total) != len(v.answers) {
		rt.Fatalf("%d scans are logged (%v), %d were answered", list.GetTotal(), err, len(v.answers))
	}
	for _, scan := range list.Scans {
		if v.answers[scan.ScanId] != scan.Result {
			rt.Fatalf("logged %v, answered %s", scan, v.answers[scan.ScanId])
		}
	}
	conflicts, err := v.ListScans(v.t.Context(), &inventoryv1.ListScansRequest{EventId: v.event, Page: 1, PerPage: 200, ConflictsOnly: true})
	if err != nil {
		v.t.Fatal(err)
	}
	for id := range v.offline {
		told := slices.ContainsFunc(conflicts.Scans, func(s *inventoryv1.Scan) bool { return s.ScanId == id })
		if want := v.answers[id] != success && !v.undone[id]; told != want {
			rt.Fatalf("scan %s was answered %s, undone %v, and is told as a conflict: %v", id, v.answers[id], v.undone[id], told)
		}
	}
}
