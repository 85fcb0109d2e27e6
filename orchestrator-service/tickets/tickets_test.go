package tickets

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"

	"ticketremaster/orchestrator-service/clients"
	"ticketremaster/orchestrator-service/qr"
	"ticketremaster/platform/config"
	"ticketremaster/platform/fault"
	"ticketremaster/platform/web"
	inventoryv1 "ticketremaster/proto/inventory/v1"
)

// world has the services that tickets call in memory. Calls named in away are not answered.
type world struct {
	Inventory
	seats     map[string]*inventoryv1.Seat
	custody   []*inventoryv1.Ownership
	events    map[uuid.UUID]clients.Event
	transfers []clients.Transfer
	asked     []string // the statuses of transfers
	recorded  []*inventoryv1.RecordQRRequest
	away      map[string]bool
	handedOn  bool // between the look at the seat and the recording
	bought    bool
}

func (w *world) reach(call string) error {
	if w.away[call] {
		return fault.Unreachable("a service", errors.New("time-out"))
	}
	return nil
}

func (w *world) GetSeatOwner(_ context.Context, in *inventoryv1.GetSeatOwnerRequest, _ ...grpc.CallOption) (*inventoryv1.GetSeatOwnerResponse, error) {
	seat := w.seats[in.SeatId]
	if err := w.reach("GetSeatOwner"); err != nil || seat == nil {
		return nil, errors.Join(err, fault.New(fault.NotFound, fault.CodeSeatNotFound, "no"))
	}
	return &inventoryv1.GetSeatOwnerResponse{Seat: seat}, nil
}

func (w *world) GetSeats(_ context.Context, in *inventoryv1.GetSeatsRequest, _ ...grpc.CallOption) (*inventoryv1.GetSeatsResponse, error) {
	out := &inventoryv1.GetSeatsResponse{}
	for _, id := range in.SeatIds {
		out.Seats = append(out.Seats, w.seats[id])
	}
	slices.Reverse(out.Seats) // in no order that anyone may rely on
	return out, w.reach("GetSeats")
}

func (w *world) ListOwnedSeats(_ context.Context, in *inventoryv1.ListOwnedSeatsRequest, _ ...grpc.CallOption) (*inventoryv1.ListOwnedSeatsResponse, error) {
	out := &inventoryv1.ListOwnedSeatsResponse{Total: in.Offset + 7}
	if in.Limit != 10 || in.Offset != 20 {
		return nil, fmt.Errorf("asked for %v", in)
	}
	for _, s := range w.seats {
		if s.OwnerUserId == in.UserId {
			out.Seats = append(out.Seats, s)
		}
	}
	return out, w.reach("ListOwnedSeats")
}

func (w *world) ListOwnership(_ context.Context, in *inventoryv1.ListOwnershipRequest, _ ...grpc.CallOption) (*inventoryv1.ListOwnershipResponse, error) {
	return &inventoryv1.ListOwnershipResponse{Seat: w.seats[in.SeatId], Changes: w.custody}, w.reach("ListOwnership")
}

func (w *world) RecordQR(_ context.Context, in *inventoryv1.RecordQRRequest, _ ...grpc.CallOption) (*inventoryv1.RecordQRResponse, error) {
	w.recorded = append(w.recorded, in)
	if w.handedOn {
		return nil, fault.New(fault.Forbidden, fault.CodeNotSeatOwner, "no")
	}
	return &inventoryv1.RecordQRResponse{}, w.reach("RecordQR")
}

func (w *world) Recent(_ context.Context, id uuid.UUID) (clients.Event, error) {
	return w.events[id], w.reach("Recent")
}

func (w *world) TransfersOf(_ context.Context, _ uuid.UUID, role string, _ web.Page, statuses ...string) ([]clients.Transfer, int, error) {
	w.asked = append([]string{role}, statuses...)
	return w.transfers, len(w.transfers), w.reach("TransfersOf")
}

func (w *world) Bought(context.Context, uuid.UUID) (bool, error) { return w.bought, w.reach("Bought") }

// start returns the flows, with one sold seat and its owner.
func start(t *testing.T) (f *Flows, w *world, seat *inventoryv1.Seat, owner uuid.UUID) {
	t.Helper()
	codec, err := qr.NewCodec(config.Key32(bytes.Repeat([]byte("k"), 32)), nil)
	if err != nil {
		t.Fatal(err)
	}
	owner = uuid.New()
	event := clients.Event{EventID: uuid.New(), Name: "Concert", HallID: "H1"}
	seat = &inventoryv1.Seat{
		SeatId: uuid.NewString(), EventId: event.EventID.String(), RowNumber: "C", SeatNumber: 7,
		Status: inventoryv1.SeatStatus_SOLD, OwnerUserId: owner.String(), OwnershipVersion: 3,
	}
	w = &world{seats: map[string]*inventoryv1.Seat{seat.SeatId: seat}, events: map[uuid.UUID]clients.Event{event.EventID: event}, away: map[string]bool{}}
	return &Flows{Inventory: w, Events: w, Transfers: w, Sales: w, QR: codec}, w, seat, owner
}

func wantCode(t *testing.T, err error, code string) {
	t.Helper()
	if fault.Code(err) != code {
		t.Errorf("%v, want %q", err, code)
	}
}

// The gate reads the seat from a code; only the owner gets one, for a ticket that is paid and unused.
func TestQRCode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, w, seat, owner := start(t)
		time.Sleep(90*time.Minute + 300*time.Millisecond)
		now := time.Now().UTC().Truncate(time.Second)
		code, err := f.QRCode(t.Context(), owner, clients.ID(seat.SeatId))
		if err != nil || !code.IssuedAt.Equal(now) || code.ExpiresAt.Sub(code.IssuedAt) != qr.Life {
			t.Fatalf("%+v, %v", code, err)
		}
		ticket, err := f.QR.Open(code.Payload, time.Now())
		want := qr.Ticket{SeatID: clients.ID(seat.SeatId), EventID: clients.ID(seat.EventId), HallID: "H1", IssuedAt: now, OwnershipVersion: 3}
		if err != nil || !ticket.IssuedAt.Equal(want.IssuedAt) {
			t.Fatalf("%+v, %v", ticket, err)
		}
		ticket.IssuedAt = want.IssuedAt
		if ticket != want {
			t.Errorf("the gate reads %+v, want %+v", ticket, want)
		}
		for _, c := range []struct {
			name   string
			change func()
			user   uuid.UUID
			code   string
		}{
			{"bought at the marketplace", func() { w.bought = true }, owner, fault.CodeSeatUnavailable},
			{"another's", func() { w.bought = false }, uuid.New(), fault.CodeNotSeatOwner},
			{"a former owner's", func() { seat.OwnerUserId = uuid.NewString() }, owner, fault.CodeNotSeatOwner},
			{"used", func() { seat.OwnerUserId, seat.Status = owner.String(), inventoryv1.SeatStatus_CHECKED_IN }, owner, fault.CodeSeatUnavailable},
			{"held, not paid", func() {
				seat.OwnerUserId, seat.HeldByUserId, seat.Status = "", owner.String(), inventoryv1.SeatStatus_HELD
			}, owner, fault.CodeSeatUnavailable},
			{"held by another", func() {}, uuid.New(), fault.CodeNotSeatOwner},
			{"free", func() { seat.HeldByUserId, seat.Status = "", inventoryv1.SeatStatus_AVAILABLE }, owner, fault.CodeNotSeatOwner},
			{"unknown", func() { delete(w.seats, seat.SeatId) }, owner, fault.CodeSeatNotFound},
		} {
			c.change()
			got, err := f.QRCode(t.Context(), c.user, clients.ID(seat.SeatId))
			if fault.Code(err) != c.code || got.Payload != "" {
				t.Errorf("%s: %+v, %v", c.name, got, err)
			}
		}
	})
}

func TestQRCodeWithoutItsServices(t *testing.T) {
	for _, call := range []string{"Recent", "GetSeatOwner", "Bought"} {
		f, w, seat, owner := start(t)
		w.away[call] = true
		got, err := f.QRCode(t.Context(), owner, clients.ID(seat.SeatId))
		if err == nil || got.Payload != "" {
			t.Errorf("%s is away: %+v, %v", call, got, err)
		}
	}
	f, w, seat, owner := start(t)
	w.events[clients.ID(seat.EventId)] = clients.Event{HallID: string(bytes.Repeat([]byte("H"), 500))}
	if got, err := f.QRCode(t.Context(), owner, clients.ID(seat.SeatId)); err == nil {
		t.Errorf("a hall whose name no code can hold: %+v", got)
	}
}

func TestFirstQR(t *testing.T) {
	f, w, seat, _ := start(t)
	ticket, err := f.QR.Open(f.FirstQR(t.Context(), clients.ID(seat.SeatId), clients.ID(seat.EventId), 1), time.Now())
	if err != nil || ticket.OwnershipVersion != 1 || ticket.SeatID != clients.ID(seat.SeatId) || ticket.HallID != "H1" {
		t.Errorf("%+v, %v", ticket, err)
	}
	w.events[clients.ID(seat.EventId)] = clients.Event{HallID: string(bytes.Repeat([]byte("H"), 500))}
	if code := f.FirstQR(t.Context(), clients.ID(seat.SeatId), clients.ID(seat.EventId), 1); code != "" {
		t.Errorf("a hall whose name no code can hold: %q", code)
	}
	w.away["Recent"] = true // the ticket is bought all the same
	if code := f.FirstQR(t.Context(), clients.ID(seat.SeatId), clients.ID(seat.EventId), 1); code != "" {
		t.Errorf("%q", code)
	}
}

func TestTicketsOfAnOwner(t *testing.T) {
	f, w, seat, owner := start(t)
	page := web.Page{Number: 3, Size: 10}
	owned, total, err := f.OfOwner(t.Context(), owner, page)
	if err != nil || total != 27 || len(owned) != 1 || owned[0].Seat != seat || owned[0].Event.Name != "Concert" {
		t.Errorf("%+v, %v", owned, err)
	}
	if others, _, err := f.OfOwner(t.Context(), uuid.New(), page); err != nil || len(others) != 0 {
		t.Errorf("%+v, %v", others, err)
	}
	one, err := f.Ticket(t.Context(), clients.ID(seat.SeatId))
	if err != nil || one.String() != "seat C7, Concert" {
		t.Errorf("%s, %v", one, err)
	}
	_, err = f.Ticket(t.Context(), uuid.New())
	wantCode(t, err, fault.CodeSeatNotFound)
	for _, call := range []string{"ListOwnedSeats", "Recent"} {
		w.away = map[string]bool{call: true}
		_, _, err := f.OfOwner(t.Context(), owner, page)
		wantCode(t, err, fault.CodeUnavailable)
	}
}

// A ticket that the same person transferred twice is in the list twice, each time with its own transfer.
func TestSoldTickets(t *testing.T) {
	f, w, seat, owner := start(t)
	other := &inventoryv1.Seat{SeatId: uuid.NewString(), EventId: seat.EventId, SeatNumber: 8}
	w.seats[other.SeatId] = other
	for _, s := range []*inventoryv1.Seat{seat, seat, other} {
		w.transfers = append(w.transfers, clients.Transfer{TransferID: uuid.New(), SeatID: clients.ID(s.SeatId)})
	}
	sold, total, err := f.SoldBy(t.Context(), owner, web.Page{Number: 1, Size: 10})
	if err != nil || total != 3 || len(sold) != 3 {
		t.Fatalf("%+v, %d, %v", sold, total, err)
	}
	for i, s := range sold {
		if s.Transfer.TransferID != w.transfers[i].TransferID || s.Seat.SeatId != s.Transfer.SeatID.String() || s.Event.Name != "Concert" {
			t.Errorf("%d: %+v", i, s)
		}
	}
	if !slices.Equal(w.asked, []string{"seller", clients.TransferCompleted, clients.TransferDisputed}) {
		t.Errorf("asked for transfers of %v", w.asked)
	}
	for _, call := range []string{"TransfersOf", "GetSeats", "Recent"} {
		w.away = map[string]bool{call: true}
		_, _, err := f.SoldBy(t.Context(), owner, web.Page{Number: 1, Size: 10})
		wantCode(t, err, fault.CodeUnavailable)
	}
	w.away, w.transfers = map[string]bool{"GetSeats": true}, nil
	if sold, total, err := f.SoldBy(t.Context(), owner, web.Page{Number: 1, Size: 10}); err != nil || total != 0 || len(sold) != 0 {
		t.Errorf("none was sold: %+v, %d, %v", sold, total, err)
	}
}

func TestHistoryIsTheOwnersAndAdministrators(t *testing.T) {
	f, w, seat, owner := start(t)
	w.custody = []*inventoryv1.Ownership{{Cause: "PURCHASE"}}
	for _, c := range []struct {
		user  uuid.UUID
		admin bool
		code  string
	}{{owner, false, ""}, {uuid.New(), true, ""}, {uuid.New(), false, fault.CodeNotSeatOwner}} {
		changes, err := f.History(t.Context(), c.user, c.admin, clients.ID(seat.SeatId))
		if fault.Code(err) != c.code || (len(changes) == 1) != (c.code == "") {
			t.Errorf("%+v: %v, %v", c, changes, err)
		}
	}
	w.away["ListOwnership"] = true
	_, err := f.History(t.Context(), owner, true, clients.ID(seat.SeatId))
	wantCode(t, err, fault.CodeUnavailable)
}

// The first code that an owner gets is recorded; later reads write nothing. A code is returned even if it cannot be
// recorded now, but not if the ticket has just been transferred.
func TestAQRCodeIsRecordedOnce(t *testing.T) {
	f, w, seat, owner := start(t)
	id := clients.ID(seat.SeatId)
	code, err := f.QRCode(t.Context(), owner, id)
	if err != nil || len(w.recorded) != 1 {
		t.Fatalf("%+v, recorded %v", err, w.recorded)
	}
	if r := w.recorded[0]; r.SeatId != seat.SeatId || r.UserId != owner.String() || r.OwnershipVersion != 3 || !bytes.Equal(r.Sha256, qr.Hash(code.Payload)) {
		t.Errorf("%+v", r)
	}
	seat.QrRecorded = true
	if _, err = f.QRCode(t.Context(), owner, id); err != nil || len(w.recorded) != 1 {
		t.Errorf("%v, recorded %v", err, w.recorded)
	}
	seat.QrRecorded, w.away["RecordQR"] = false, true
	if code, err = f.QRCode(t.Context(), owner, id); err != nil || code.Payload == "" {
		t.Errorf("%+v, %v", code, err)
	}
	w.away, w.handedOn = map[string]bool{}, true
	_, err = f.QRCode(t.Context(), owner, id)
	wantCode(t, err, fault.CodeNotSeatOwner)
}

// A phone without network makes codes that the gate accepts until the ticket is transferred. A used ticket has codes
// only if the event allows re-entry.
func TestOfflineTicket(t *testing.T) {
	f, w, seat, owner := start(t)
	id := clients.ID(seat.SeatId)
	mine, err := f.Offline(t.Context(), owner, id)
	if err != nil {
		t.Fatal(err)
	}
	if x, err := f.QR.Open(mine.Code(time.Now()), time.Now()); err != nil || x.SeatID != id || x.OwnershipVersion != 3 {
		t.Errorf("%+v, %v", x, err)
	}
	_, err = f.Offline(t.Context(), uuid.New(), id)
	wantCode(t, err, fault.CodeNotSeatOwner)
	seat.Status = inventoryv1.SeatStatus_CHECKED_IN
	_, err = f.Offline(t.Context(), owner, id)
	wantCode(t, err, fault.CodeSeatUnavailable)
	event := w.events[clients.ID(seat.EventId)]
	event.ReentryAllowed = true
	w.events[event.EventID] = event
	if _, err = f.Offline(t.Context(), owner, id); err != nil {
		t.Error(err)
	}
	recorded := len(w.recorded)
	if _, err = f.QRCode(t.Context(), owner, id); err != nil || len(w.recorded) != recorded {
		t.Errorf("%v, and %d codes noted", err, len(w.recorded)-recorded)
	}
}
