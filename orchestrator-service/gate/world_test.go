package gate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"ticketremaster/orchestrator-service/clients"
	"ticketremaster/orchestrator-service/qr"
	"ticketremaster/platform/config"
	"ticketremaster/platform/fault"
	"ticketremaster/platform/web"
	inventoryv1 "ticketremaster/proto/inventory/v1"
)

// world is what the gate asks, in memory: an event whose seats are sold to one owner each, and the entry log.
type world struct {
	mu       sync.Mutex
	seats    map[string]*inventoryv1.Seat
	log      []*inventoryv1.Scan
	permits  map[string]bool
	assigned *inventoryv1.GetAssignmentResponse
	event    clients.Event
	events   []clients.Event
	unpaid   map[uuid.UUID]bool
	debts    map[uuid.UUID]time.Time
	orders   map[uuid.UUID]clients.Order
	away     map[string]int // calls that are not answered, so often
	deaf     map[string]int // calls that are carried out and not answered, so often
	asked    map[string]int
}

// start gives the flows over an event with so many sold seats.
func start(t *testing.T, seats int) (*Flows, *world) {
	t.Helper()
	codec, err := qr.NewCodec(config.Key32(bytes.Repeat([]byte("k"), 32)), nil)
	if err != nil {
		t.Fatal(err)
	}
	doors := time.Now().Add(-time.Hour)
	w := &world{
		seats: map[string]*inventoryv1.Seat{}, permits: map[string]bool{}, assigned: &inventoryv1.GetAssignmentResponse{}, unpaid: map[uuid.UUID]bool{},
		debts: map[uuid.UUID]time.Time{}, orders: map[uuid.UUID]clients.Order{}, away: map[string]int{}, deaf: map[string]int{}, asked: map[string]int{},
		event: clients.Event{EventID: uuid.New(), Name: "The Long Night", HallID: "HALL-1", Venue: clients.Venue{VenueID: uuid.New(), Name: "Star Theatre"},
			EventDate: time.Now(), EndsAt: time.Now().Add(time.Hour), DoorsOpenAt: &doors, Timezone: "Asia/Singapore", Status: clients.EventPublished},
	}
	w.events = []clients.Event{w.event}
	for i := range seats {
		id := uuid.NewString()
		w.seats[id] = &inventoryv1.Seat{SeatId: id, EventId: w.event.EventID.String(), Status: inventoryv1.SeatStatus_SOLD, OwnerUserId: uuid.NewString(),
			OwnershipVersion: 1, RowNumber: "A", SeatNumber: int32(i + 1), SoldAt: timestamppb.New(time.Now().Add(-time.Hour))}
	}
	return &Flows{Settings: Settings{ClockSkew: 3 * time.Second}, Inventory: w, Orders: w, Events: w, Users: people{w}, QR: codec, Unheard: &unheard{}}, w
}

// at gives the seat with that number.
func (w *world) at(number int) *inventoryv1.Seat {
	for _, s := range w.seats {
		if s.SeatNumber == int32(number) {
			return s
		}
	}
	panic("no such seat")
}

// code is the seat's present code.
func (w *world) code(t *testing.T, f *Flows, s *inventoryv1.Seat) string {
	t.Helper()
	code, err := f.QR.Seal(qr.Ticket{SeatID: clients.ID(s.SeatId), EventID: clients.ID(s.EventId), HallID: w.event.HallID, IssuedAt: time.Now(), OwnershipVersion: s.OwnershipVersion})
	if err != nil {
		t.Fatal(err)
	}
	return code
}

func (w *world) reach(call string) error {
	w.asked[call]++
	if w.away[call] > 0 {
		w.away[call]--
		return fault.Unreachable("a service", errors.New("time-out"))
	}
	return nil
}

// heard is reach for the end of a call.
func (w *world) heard(call string) error {
	if w.deaf[call] > 0 {
		w.deaf[call]--
		return fault.Unreachable("a service", errors.New("time-out"))
	}
	return nil
}

// last is the last admission that was not undone, and whether its holder has left.
func (w *world) last(seat string) (entry *inventoryv1.Scan, left bool) {
	for _, s := range w.log {
		if s.SeatId != seat || s.Result != inventoryv1.ScanResult_SUCCESS {
			continue
		}
		switch s.Direction {
		case inventoryv1.Direction_IN:
			entry, left = s, false
		case inventoryv1.Direction_OUT:
			left = true
		case inventoryv1.Direction_UNDO:
			undone := s.Undoes
			entry, left = nil, false
			for _, e := range w.log {
				if e.SeatId == seat && e.Result == inventoryv1.ScanResult_SUCCESS && e.Direction == inventoryv1.Direction_IN && e.ScanId != undone && !w.undone(e.ScanId) {
					entry, left = e, true
				}
			}
		}
	}
	return entry, left
}

func (w *world) undone(scan string) bool {
	return slices.ContainsFunc(w.log, func(s *inventoryv1.Scan) bool { return s.Undoes == scan })
}

func (w *world) logged(id string) *inventoryv1.Scan {
	for _, s := range w.log {
		if s.ScanId == id {
			return s
		}
	}
	return nil
}

func (w *world) note(s *inventoryv1.Scan, result inventoryv1.ScanResult) {
	if w.logged(s.ScanId) == nil {
		s.Result, s.ScannedAt = result, timestamppb.Now()
		w.log = append(w.log, s)
	}
}

func (w *world) VerifyTicket(_ context.Context, in *inventoryv1.VerifyTicketRequest, _ ...grpc.CallOption) (*inventoryv1.VerifyTicketResponse, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.reach("VerifyTicket"); err != nil {
		return nil, err
	}
	seat := w.seats[in.SeatId]
	if seat == nil {
		return nil, fault.New(fault.NotFound, fault.CodeSeatNotFound, "no such seat")
	}
	out := &inventoryv1.VerifyTicketResponse{Seat: seat, EntryAllowed: w.permits[fmt.Sprint(seat.SeatId, seat.OwnershipVersion)]}
	if entry, left := w.last(in.SeatId); entry != nil {
		out.HasSuccessLog, out.Left, out.EntryScanId, out.EnteredAt = true, left, entry.ScanId, entry.ScannedAt
	}
	return out, nil
}

func (w *world) MarkCheckedIn(_ context.Context, in *inventoryv1.MarkCheckedInRequest, _ ...grpc.CallOption) (*inventoryv1.MarkCheckedInResponse, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.reach("MarkCheckedIn"); err != nil {
		return nil, err
	}
	seat, result := w.seats[in.Scan.SeatId], inventoryv1.ScanResult_SUCCESS
	entry, left := w.last(seat.SeatId)
	switch was := w.logged(in.Scan.ScanId); {
	case was != nil:
		result = was.Result
	case seat.OwnerUserId != in.OwnerUserId || seat.OwnershipVersion != in.OwnershipVersion:
		result = inventoryv1.ScanResult_NOT_FOUND
	case entry != nil && !(left && in.Reentry):
		result = inventoryv1.ScanResult_DUPLICATE
		if in.Scan.DecidedAt != nil {
			in.Scan.ConflictsWith = entry.ScanId
		}
	default:
		seat.Status = inventoryv1.SeatStatus_CHECKED_IN
	}
	w.note(in.Scan, result)
	return &inventoryv1.MarkCheckedInResponse{Result: result, Seat: seat}, w.heard("MarkCheckedIn")
}

func (w *world) MarkExited(_ context.Context, in *inventoryv1.MarkExitedRequest, _ ...grpc.CallOption) (*inventoryv1.MarkExitedResponse, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.reach("MarkExited"); err != nil {
		return nil, err
	}
	result := inventoryv1.ScanResult_SUCCESS
	entry, left := w.last(in.Scan.SeatId)
	if was := w.logged(in.Scan.ScanId); was != nil {
		result = was.Result
	} else if entry == nil || left {
		result = inventoryv1.ScanResult_DUPLICATE
	}
	w.note(in.Scan, result)
	return &inventoryv1.MarkExitedResponse{Result: result}, w.heard("MarkExited")
}

func (w *world) UndoCheckIn(_ context.Context, in *inventoryv1.UndoCheckInRequest, _ ...grpc.CallOption) (*inventoryv1.UndoCheckInResponse, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.reach("UndoCheckIn"); err != nil {
		return nil, err
	}
	target := w.logged(in.Scan.Undoes)
	switch {
	case target == nil:
		return nil, fault.New(fault.NotFound, "SCAN_NOT_FOUND", "no such scan")
	case w.logged(in.Scan.ScanId) != nil:
	case target.StaffId != in.Scan.StaffId && !in.ByAdmin:
		return nil, fault.New(fault.Forbidden, fault.CodeForbidden, "another's")
	case w.undone(target.ScanId):
		return nil, fault.New(fault.Conflict, "UNDO_NOT_POSSIBLE", "undone")
	default:
		in.Scan.SeatId = in.SeatId
		w.note(in.Scan, target.Result)
		if entry, _ := w.last(in.SeatId); entry == nil {
			w.seats[in.SeatId].Status = inventoryv1.SeatStatus_SOLD
		}
	}
	return &inventoryv1.UndoCheckInResponse{Seat: w.seats[in.SeatId]}, nil
}

func (w *world) RecordScan(_ context.Context, in *inventoryv1.RecordScanRequest, _ ...grpc.CallOption) (*inventoryv1.RecordScanResponse, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.reach("RecordScan"); err != nil {
		return nil, err
	}
	w.note(in.Scan, in.Scan.Result)
	return &inventoryv1.RecordScanResponse{}, w.heard("RecordScan")
}

func (w *world) ListScans(_ context.Context, in *inventoryv1.ListScansRequest, _ ...grpc.CallOption) (*inventoryv1.ListScansResponse, error) {
	out := &inventoryv1.ListScansResponse{Standing: map[string]*inventoryv1.Scan{}}
	for _, s := range w.log {
		if s.DeviceResult == inventoryv1.ScanResult_SUCCESS && s.Result != s.DeviceResult {
			out.Scans = append(out.Scans, s)
			if with := w.logged(s.ConflictsWith); with != nil {
				out.Standing[with.ScanId] = with
			}
		}
	}
	out.Total = int32(len(out.Scans))
	return out, w.reach("ListScans")
}

func (w *world) CountInside(context.Context, *inventoryv1.CountInsideRequest, ...grpc.CallOption) (*inventoryv1.CountInsideResponse, error) {
	out := &inventoryv1.CountInsideResponse{}
	for id := range w.seats {
		if entry, left := w.last(id); entry != nil {
			out.Entered++
			if !left {
				out.Inside++
			}
		}
	}
	return out, w.reach("CountInside")
}

func (w *world) ticket(s *inventoryv1.Seat) *inventoryv1.GateTicket {
	entry, left := w.last(s.SeatId)
	return &inventoryv1.GateTicket{SeatId: s.SeatId, RowNumber: s.RowNumber, SeatNumber: s.SeatNumber, OwnershipVersion: s.OwnershipVersion,
		OwnerUserId: s.OwnerUserId, SoldAt: s.SoldAt, Entered: entry != nil, Left: left, EntryAllowed: w.permits[fmt.Sprint(s.SeatId, s.OwnershipVersion)]}
}

// portion is how many tickets ListTickets gives at once, here.
const portion = 2

func (w *world) ListTickets(_ context.Context, in *inventoryv1.ListTicketsRequest, _ ...grpc.CallOption) (*inventoryv1.ListTicketsResponse, error) {
	out := &inventoryv1.ListTicketsResponse{}
	for n := int(in.AfterNumber) + 1; n <= len(w.seats); n++ {
		if out.More = len(out.Tickets) == portion; out.More {
			break
		}
		out.Tickets = append(out.Tickets, w.ticket(w.at(n)))
	}
	return out, w.reach("ListTickets")
}

func (w *world) FindTickets(_ context.Context, in *inventoryv1.FindTicketsRequest, _ ...grpc.CallOption) (*inventoryv1.FindTicketsResponse, error) {
	out := &inventoryv1.FindTicketsResponse{}
	for n := 1; n <= len(w.seats); n++ {
		s := w.at(n)
		if s.EventId == in.EventId && (slices.Contains(in.OwnerUserIds, s.OwnerUserId) || slices.Contains(in.SeatIds, s.SeatId) ||
			s.RowNumber == in.RowNumber && s.SeatNumber == in.SeatNumber) {
			out.Tickets = append(out.Tickets, w.ticket(s))
		}
	}
	return out, w.reach("FindTickets")
}

func (w *world) AllowEntry(_ context.Context, in *inventoryv1.AllowEntryRequest, _ ...grpc.CallOption) (*inventoryv1.AllowEntryResponse, error) {
	w.permits[fmt.Sprint(in.SeatId, in.OwnershipVersion)] = in.Reason != ""
	return &inventoryv1.AllowEntryResponse{}, w.reach("AllowEntry")
}

func (w *world) GetAssignment(context.Context, *inventoryv1.GetAssignmentRequest, ...grpc.CallOption) (*inventoryv1.GetAssignmentResponse, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.assigned, w.reach("GetAssignment")
}

func (w *world) SetAssignment(_ context.Context, in *inventoryv1.SetAssignmentRequest, _ ...grpc.CallOption) (*inventoryv1.SetAssignmentResponse, error) {
	w.assigned = &inventoryv1.GetAssignmentResponse{VenueIds: in.VenueIds, EventIds: in.EventIds}
	return &inventoryv1.SetAssignmentResponse{}, w.reach("SetAssignment")
}

func (w *world) Confirmed(_ context.Context, seat uuid.UUID) (bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !w.unpaid[seat], w.reach("Confirmed")
}

func (w *world) Get(_ context.Context, id uuid.UUID) (clients.Order, error) {
	o, ok := w.orders[id]
	if !ok {
		return o, fault.New(fault.NotFound, fault.CodeOrderNotFound, "no such order")
	}
	return o, nil
}

func (w *world) Fresh(_ context.Context, id uuid.UUID) (clients.Event, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.reach("Fresh"); err != nil || id != w.event.EventID {
		return clients.Event{}, errors.Join(err, fault.New(fault.NotFound, fault.CodeEventNotFound, "no such event"))
	}
	return w.event, nil
}

func (w *world) Recent(ctx context.Context, id uuid.UUID) (clients.Event, error) {
	return w.Fresh(ctx, id)
}

func (w *world) List(_ context.Context, p web.Page, _ clients.EventFilter) ([]clients.Event, int, error) {
	from := min(p.Offset(), len(w.events))
	return w.events[from:min(from+p.Size, len(w.events))], len(w.events), w.reach("List")
}

// people are the users: each has an address of the first letters of the id.
type people struct{ *world }

func email(id string) string { return "user-" + id[:8] + "@example.com" }

func (p people) User(_ context.Context, id uuid.UUID) (clients.User, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.reach("User"); err != nil {
		return clients.User{}, err
	}
	return clients.User{UserID: id, Email: email(id.String())}, nil
}

func (p people) Lookup(_ context.Context, ids []uuid.UUID, _ []string) (users []clients.User, _ error) {
	for _, id := range ids {
		users = append(users, clients.User{UserID: id, Email: email(id.String())})
	}
	return users, p.reach("Lookup")
}

func (p people) List(_ context.Context, _ web.Page, part string) (users []clients.User, _ int, _ error) {
	for _, s := range p.seats {
		if strings.Contains(email(s.OwnerUserId), part) {
			users = append(users, clients.User{UserID: clients.ID(s.OwnerUserId), Email: email(s.OwnerUserId)})
		}
	}
	return users, len(users), p.reach("List")
}

func (p people) DebtSince(context.Context) func(uuid.UUID) time.Time {
	return func(user uuid.UUID) time.Time {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.debts[user]
	}
}

// unheard remembers tries in memory.
type unheard struct {
	mu    sync.Mutex
	tries []unheardTry
}

type unheardTry struct {
	key  ScanKey
	id   uuid.UUID
	when time.Time
}

func (u *unheard) Note(_ context.Context, k ScanKey, try uuid.UUID) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.tries = append(u.tries, unheardTry{k, try, time.Now()})
	return nil
}

func (u *unheard) Claim(_ context.Context, k ScanKey, within time.Duration) (uuid.UUID, bool, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for i, t := range u.tries {
		if t.key == k && time.Since(t.when) <= within {
			u.tries = slices.Delete(u.tries, i, i+1)
			return t.id, true, nil
		}
	}
	return uuid.Nil, false, nil
}

// replica is another process over the same world.
func replica(f *Flows) *Flows {
	return &Flows{Settings: f.Settings, Inventory: f.Inventory, Orders: f.Orders, Events: f.Events, Users: f.Users, QR: f.QR, Unheard: f.Unheard}
}
