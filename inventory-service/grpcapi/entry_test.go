package grpcapi_test

import (
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	inventoryv1 "ticketremaster/proto/inventory/v1"

	"ticketremaster/inventory-service/inventorytest"
)

const (
	success   = inventoryv1.ScanResult_SUCCESS
	duplicate = inventoryv1.ScanResult_DUPLICATE
	notFound  = inventoryv1.ScanResult_NOT_FOUND
)

// entrance is a service with one ticket, its owner, and a member of staff who scans it.
type entrance struct {
	*inventorytest.Service
	t            *testing.T
	seat, owner  string
	event, staff string
}

func newEntrance(t *testing.T) *entrance {
	s := inventorytest.Start(t)
	seat := s.Hall(t, 3)[0]
	e := &entrance{Service: s, t: t, seat: seat.SeatId, owner: newID(), event: seat.EventId, staff: newID()}
	s.Buy(t, e.seat, e.owner)
	return e
}

// scan is what a gate device sends; offline, if it decided at that time without network.
func (e *entrance) scan(id string, offline time.Time) *inventoryv1.Scan {
	scan := &inventoryv1.Scan{ScanId: id, SeatId: e.seat, StaffId: e.staff, HallIdStaff: "H1", Device: "gate-1"}
	if !offline.IsZero() {
		scan.DecidedAt, scan.DeviceResult = timestamppb.New(offline), success
	}
	return scan
}

func (e *entrance) in(id string, reentry bool, offline time.Time) inventoryv1.ScanResult {
	e.t.Helper()
	a, err := e.MarkCheckedIn(e.t.Context(), &inventoryv1.MarkCheckedInRequest{Scan: e.scan(id, offline), OwnerUserId: e.owner, OwnershipVersion: 1, Reentry: reentry})
	if err != nil {
		e.t.Fatal(err)
	}
	return a.Result
}

func (e *entrance) out(id string, version int64) inventoryv1.ScanResult {
	e.t.Helper()
	scan := e.scan(id, time.Time{})
	scan.Direction = inventoryv1.Direction_OUT
	a, err := e.MarkExited(e.t.Context(), &inventoryv1.MarkExitedRequest{Scan: scan, OwnershipVersion: version})
	if err != nil {
		e.t.Fatal(err)
	}
	return a.Result
}

func (e *entrance) undo(id, undoes, staff string, admin bool, offline time.Time) error {
	scan := e.scan(id, offline)
	scan.StaffId, scan.Undoes, scan.Note, scan.Direction = staff, undoes, "the wrong person", inventoryv1.Direction_UNDO
	_, err := e.UndoCheckIn(e.t.Context(), &inventoryv1.UndoCheckInRequest{Scan: scan, SeatId: e.seat, ByAdmin: admin})
	return err
}

func (e *entrance) inside(inside, entered int32) {
	e.t.Helper()
	n, err := e.CountInside(e.t.Context(), &inventoryv1.CountInsideRequest{EventId: e.event})
	if err != nil || n.Inside != inside || n.Entered != entered {
		e.t.Errorf("%v (%v), want %d inside of %d", n, err, inside, entered)
	}
	counts, err := e.CountSeats(e.t.Context(), &inventoryv1.CountSeatsRequest{EventIds: []string{e.event}})
	if err != nil || counts.Counts[0].CheckedIn != entered {
		e.t.Errorf("%v (%v), want %d checked in", counts, err, entered)
	}
}

func (e *entrance) want(got, want inventoryv1.ScanResult, what string) {
	e.t.Helper()
	if got != want {
		e.t.Fatalf("%s: %s, want %s", what, got, want)
	}
}

func TestOutAndInAgain(t *testing.T) {
	e := newEntrance(t)
	now := time.Time{}
	e.want(e.out(newID(), 1), duplicate, "out before in")
	first, left := newID(), newID()
	e.want(e.in(first, true, now), success, "in")
	e.want(e.in(newID(), true, now), duplicate, "in while inside")
	e.want(e.out(newID(), 2), notFound, "out by a former owner's ticket")
	e.inside(1, 1)
	e.want(e.out(left, 1), success, "out")
	e.want(e.out(left, 1), success, "the same scan again")
	e.want(e.out(newID(), 1), duplicate, "out while outside")
	e.inside(0, 1)
	if v, err := e.VerifyTicket(t.Context(), &inventoryv1.VerifyTicketRequest{SeatId: e.seat}); err != nil || !v.Left || !v.HasSuccessLog || v.EntryScanId != first {
		t.Fatalf("%v %v", v, err)
	}
	e.want(e.in(newID(), false, now), duplicate, "in again where that is not allowed")
	// Of twenty concurrent devices one admits.
	got := map[inventoryv1.ScanResult]int{}
	results := make([]inventoryv1.ScanResult, 20)
	together(len(results), func(i int) error { results[i] = e.in(newID(), true, now); return nil })
	for _, r := range results {
		got[r]++
	}
	if got[success] != 1 || got[duplicate] != 19 {
		t.Fatalf("%v", got)
	}
	e.inside(1, 1)
	e.want(e.in(first, true, now), success, "the first scan again")
	wantCode(t, e.undo(newID(), first, e.staff, false, now), "UNDO_NOT_POSSIBLE") // its holder has left since
}

func TestUndo(t *testing.T) {
	e := newEntrance(t)
	now := time.Time{}
	scan, undo := newID(), newID()
	e.want(e.in(scan, false, now), success, "in")
	wantCode(t, e.undo(newID(), newID(), e.staff, false, now), "SCAN_NOT_FOUND")
	wantCode(t, e.undo(newID(), scan, newID(), false, now), "FORBIDDEN")
	wantCode(t, e.undo(undo, scan, e.staff, false, now), "")
	wantCode(t, e.undo(undo, scan, e.staff, false, now), "") // a repeat
	wantCode(t, e.undo(newID(), scan, e.staff, true, now), "UNDO_NOT_POSSIBLE")
	wantCode(t, e.undo(scan, scan, e.staff, true, now), "VALIDATION_ERROR") // an id of something else
	wantStatus(t, e.Seat(t, e.seat), inventoryv1.SeatStatus_SOLD)
	e.inside(0, 0)
	// After the undo the ticket may be transferred, or admitted by the next scan.
	again := newID()
	e.want(e.in(again, false, now), success, "in after the undoing")
	e.inside(1, 1)
	if _, err := e.SQL.Exec(t.Context(), `SET session_replication_role = replica; UPDATE entry_logs SET scanned_at = scanned_at - interval '11 minutes'; SET session_replication_role = DEFAULT`); err != nil {
		t.Fatal(err)
	}
	wantCode(t, e.undo(newID(), again, e.staff, false, now), "UNDO_TOO_LATE")
	// A device's clock does not change the time of an admission that the service decided.
	wantCode(t, e.undo(newID(), again, e.staff, false, time.Now().Add(-11*time.Minute)), "UNDO_TOO_LATE")
	wantCode(t, e.undo(newID(), again, newID(), true, now), "") // an administrator, at any time
	e.inside(0, 0)

	first, second := newID(), newID()
	e.want(e.in(first, true, now), success, "in")
	e.want(e.out(newID(), 1), success, "out")
	e.want(e.in(second, true, now), success, "in again")
	wantCode(t, e.undo(newID(), second, e.staff, false, now), "")
	e.inside(0, 1) // outside again, and the ticket stays used
	wantStatus(t, e.Seat(t, e.seat), inventoryv1.SeatStatus_CHECKED_IN)
	e.want(e.in(newID(), false, now), duplicate, "in again, not allowed")
	e.want(e.in(newID(), true, now), success, "in again, allowed")
	e.inside(1, 1)
	log, err := e.ListScans(t.Context(), &inventoryv1.ListScansRequest{EventId: e.event, Page: 1, PerPage: 100})
	if err != nil || log.Total != 9+1 || log.Counts["SUCCESS"] != 5 || log.Counts["DUPLICATE"] != 1 {
		t.Fatalf("%d rows, %v (%v)", log.Total, log.Counts, err)
	}
	if _, err := e.UndoCheckIn(t.Context(), &inventoryv1.UndoCheckInRequest{Scan: e.scan(newID(), now), SeatId: e.seat}); err == nil {
		t.Error("undone without saying what and why")
	}
}

func TestConflicts(t *testing.T) {
	e := newEntrance(t)
	online, late, handedOn := newID(), newID(), newID()
	earlier := time.Now().Add(-time.Minute).Truncate(time.Microsecond)
	e.want(e.in(online, false, time.Time{}), success, "in")
	for range 3 { // uploaded again and again
		e.want(e.in(late, false, earlier), duplicate, "what another device let in meanwhile")
	}
	if _, err := e.MarkCheckedIn(t.Context(), &inventoryv1.MarkCheckedInRequest{Scan: e.scan(handedOn, earlier), OwnerUserId: e.owner, OwnershipVersion: 7}); err != nil {
		t.Fatal(err)
	}
	list := func() *inventoryv1.ListScansResponse {
		t.Helper()
		list, err := e.ListScans(t.Context(), &inventoryv1.ListScansRequest{EventId: e.event, Page: 1, PerPage: 10, ConflictsOnly: true})
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	got := list()
	if got.Total != 2 || len(got.Scans) != 2 || got.Scans[0].ScanId != handedOn || got.Scans[0].Result != notFound || got.Scans[0].ConflictsWith != "" {
		t.Fatalf("%v", got)
	}
	c := got.Scans[1]
	if c.ScanId != late || c.ConflictsWith != online || c.DeviceResult != success || !c.DecidedAt.AsTime().Equal(earlier) || got.Standing[online].GetDevice() != "gate-1" {
		t.Fatalf("%v", got)
	}
	// An admission that the device undid itself is no conflict and does not affect the other one.
	wantCode(t, e.undo(newID(), late, e.staff, false, earlier.Add(time.Minute)), "")
	if got := list(); got.Total != 1 {
		t.Fatalf("%v", got)
	}
	e.inside(1, 1)
	if n, err := e.CountInside(t.Context(), &inventoryv1.CountInsideRequest{EventId: e.event}); err != nil || n.Conflicts != 1 {
		t.Fatalf("%v %v", n, err)
	}
}

func TestTicketsOfAnEvent(t *testing.T) {
	e := newEntrance(t)
	other := e.Hall(t, 1)[0]
	e.Buy(t, other.SeatId, e.owner)
	e.want(e.in(newID(), false, time.Time{}), success, "in")
	all, err := e.ListTickets(t.Context(), &inventoryv1.ListTicketsRequest{EventId: e.event})
	if err != nil || all.More || len(all.Tickets) != 1 || !all.Tickets[0].Entered || all.Tickets[0].OwnerUserId != e.owner || all.Tickets[0].OwnershipVersion != 1 {
		t.Fatalf("%v %v", all, err)
	}
	if all, err = e.ListTickets(t.Context(), &inventoryv1.ListTicketsRequest{EventId: e.event, AfterRow: "A", AfterNumber: 1}); err != nil || len(all.Tickets) != 0 {
		t.Fatalf("%v %v", all, err)
	}
	for name, q := range map[string]*inventoryv1.FindTicketsRequest{
		"owner": {OwnerUserIds: []string{e.owner}}, "seat": {SeatIds: []string{e.seat, other.SeatId}}, "place": {RowNumber: "A", SeatNumber: 1},
	} {
		q.EventId = e.event
		if found, err := e.FindTickets(t.Context(), q); err != nil || len(found.Tickets) != 1 || found.Tickets[0].SeatId != e.seat {
			t.Errorf("by %s: %v %v", name, found, err)
		}
	}
	if found, err := e.FindTickets(t.Context(), &inventoryv1.FindTicketsRequest{EventId: e.event, RowNumber: "A", SeatNumber: 2}); err != nil || len(found.Tickets) != 0 {
		t.Errorf("a seat that nobody bought: %v %v", found, err)
	}
}

func TestEntryPermits(t *testing.T) {
	e := newEntrance(t)
	admin := newID()
	allow := func(seat string, version int64, reason string) error {
		_, err := e.AllowEntry(t.Context(), &inventoryv1.AllowEntryRequest{SeatId: seat, OwnershipVersion: version, AdminId: admin, Reason: reason})
		return err
	}
	wantCode(t, allow(e.seat, 2, "paid in cash"), "SEAT_UNAVAILABLE")
	wantCode(t, allow(newID(), 1, "paid in cash"), "SEAT_NOT_FOUND")
	wantCode(t, allow(e.seat, 1, ""), "VALIDATION_ERROR")
	allowed := func() bool {
		v, err := e.VerifyTicket(t.Context(), &inventoryv1.VerifyTicketRequest{SeatId: e.seat})
		if err != nil {
			t.Fatal(err)
		}
		return v.EntryAllowed
	}
	if allowed() {
		t.Error("allowed by nobody")
	}
	wantCode(t, allow(e.seat, 1, "paid in cash"), "")
	wantCode(t, allow(e.seat, 1, "again"), "")
	if !allowed() {
		t.Error("not allowed")
	}
	buyer := newID()
	if _, err := e.UpdateOwner(t.Context(), &inventoryv1.UpdateOwnerRequest{SeatId: e.seat, ExpectedOwnerUserId: e.owner, NewOwnerUserId: buyer, OperationId: newID(), Cause: "TRANSFER"}); err != nil {
		t.Fatal(err)
	}
	if allowed() {
		t.Error("the next owner is allowed too")
	}
}

func TestAssignments(t *testing.T) {
	s := inventorytest.Start(t)
	staff, venue, event := newID(), newID(), newID()
	get := func() *inventoryv1.GetAssignmentResponse {
		t.Helper()
		a, err := s.GetAssignment(t.Context(), &inventoryv1.GetAssignmentRequest{StaffId: staff})
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	set := func(venues, events []string, reason string) error {
		_, err := s.SetAssignment(t.Context(), &inventoryv1.SetAssignmentRequest{StaffId: staff, VenueIds: venues, EventIds: events, AdminId: newID(), Reason: reason})
		return err
	}
	if a := get(); len(a.VenueIds)+len(a.EventIds) != 0 {
		t.Errorf("%v", a)
	}
	wantCode(t, set([]string{venue}, []string{event}, "this week"), "")
	if a := get(); len(a.VenueIds) != 1 || a.VenueIds[0] != venue || len(a.EventIds) != 1 || a.EventIds[0] != event {
		t.Errorf("%v", a)
	}
	wantCode(t, set(nil, nil, "everywhere again"), "")
	if a := get(); len(a.VenueIds)+len(a.EventIds) != 0 {
		t.Errorf("%v", a)
	}
	wantCode(t, set(nil, []string{event}, ""), "VALIDATION_ERROR")
	wantCode(t, set(slices.Repeat([]string{venue}, 201), nil, "many"), "VALIDATION_ERROR")
	var kept int
	if err := s.SQL.QueryRow(t.Context(), `SELECT count(*) FROM staff_assignments WHERE staff_id = $1 AND reason <> ''`, staff).Scan(&kept); err != nil || kept != 2 {
		t.Errorf("%d changes kept (%v)", kept, err)
	}
}
