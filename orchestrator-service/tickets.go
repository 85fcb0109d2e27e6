package orchestrator

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"ticketremaster/orchestrator-service/clients"
	"ticketremaster/orchestrator-service/qr"
	"ticketremaster/platform/fault"
	"ticketremaster/platform/web"
	inventoryv1 "ticketremaster/proto/inventory/v1"
)

// Codes of other services that flows act on.
const (
	codeSeatNotFound  = "SEAT_NOT_FOUND"
	codeEventNotFound = "EVENT_NOT_FOUND"
)

var errNotSeatOwner = fault.New(fault.Forbidden, "NOT_SEAT_OWNER", "this is not your ticket")

// firstPage is enough where the number is limited otherwise (a user's live holds).
var firstPage = web.Page{Number: 1, Size: 100}

// Ticket is a seat with the event it is for.
type Ticket struct {
	Seat  *inventoryv1.Seat
	Event clients.Event
}

// Tickets lists the seats that a user owns now.
func (f *Flows) Tickets(ctx context.Context, user uuid.UUID) ([]Ticket, error) {
	res, err := f.Inventory.ListOwnedSeats(ctx, &inventoryv1.ListOwnedSeatsRequest{UserId: user.String()})
	if err != nil {
		return nil, err
	}
	return f.withEvents(ctx, res.Seats)
}

// withEvents looks each seat's event up, each event once.
func (f *Flows) withEvents(ctx context.Context, seats []*inventoryv1.Seat) ([]Ticket, error) {
	tickets := make([]Ticket, len(seats))
	for i, seat := range seats {
		event, err := f.Events.Recent(ctx, optionalID(seat.EventId))
		if err != nil {
			return nil, err
		}
		tickets[i] = Ticket{seat, event}
	}
	return tickets, nil
}

// Sold is a ticket that a user handed on.
type Sold struct {
	Transfer clients.Transfer
	Ticket
}

// SoldTickets lists a page of the tickets that a user handed on, newest first; what is disputed is still sold.
func (f *Flows) SoldTickets(ctx context.Context, user uuid.UUID, page web.Page) ([]Sold, int, error) {
	transfers, total, err := f.Orders.TransfersOf(ctx, user, "seller", page, clients.TransferCompleted, clients.TransferDisputed)
	if err != nil || len(transfers) == 0 {
		return nil, total, err
	}
	req := &inventoryv1.GetSeatsRequest{}
	for _, t := range transfers {
		req.SeatIds = append(req.SeatIds, t.SeatID.String())
	}
	res, err := f.Inventory.GetSeats(ctx, req)
	if err != nil {
		return nil, 0, err
	}
	tickets, err := f.withEvents(ctx, res.Seats)
	if err != nil {
		return nil, 0, err
	}
	bySeat := map[string]Ticket{}
	for _, t := range tickets {
		bySeat[t.Seat.SeatId] = t
	}
	sold := make([]Sold, len(transfers))
	for i, t := range transfers {
		sold[i] = Sold{t, bySeat[t.SeatID.String()]}
	}
	return sold, total, nil
}

// Code is a ticket's QR, valid until ExpiresAt.
type Code struct {
	Payload             string
	IssuedAt, ExpiresAt time.Time
}

// QRCode makes a fresh QR for a ticket's owner; a former one stays valid to its own end.
func (f *Flows) QRCode(ctx context.Context, user, seatID uuid.UUID) (Code, error) {
	res, err := f.Inventory.GetSeatOwner(ctx, &inventoryv1.GetSeatOwnerRequest{SeatId: seatID.String()})
	if err != nil {
		return Code{}, err
	}
	seat := res.Seat
	switch {
	case seat.Status == inventoryv1.SeatStatus_HELD && seat.HeldByUserId == user.String():
		return Code{}, fault.New(fault.Conflict, "SEAT_UNAVAILABLE", "this seat is not paid for yet")
	case seat.OwnerUserId != user.String():
		return Code{}, errNotSeatOwner
	case seat.Status != inventoryv1.SeatStatus_SOLD:
		return Code{}, fault.New(fault.Conflict, "SEAT_UNAVAILABLE", "this ticket was used already")
	}
	event, err := f.Events.Recent(ctx, optionalID(seat.EventId))
	if err != nil {
		return Code{}, err
	}
	code, err := f.seal(seatID, event, seat.OwnershipVersion)
	if err != nil {
		return Code{}, err
	}
	return code, f.recordQR(ctx, user, seatID, seat.OwnershipVersion, code)
}

func (f *Flows) seal(seat uuid.UUID, event clients.Event, version int64) (Code, error) {
	now := time.Now().UTC().Truncate(time.Second)
	payload, err := f.QR.Seal(qr.Ticket{SeatID: seat, EventID: event.EventID, HallID: event.HallID, IssuedAt: now, OwnershipVersion: version})
	return Code{payload, now, now.Add(qr.Life)}, err
}

func (f *Flows) recordQR(ctx context.Context, user, seat uuid.UUID, version int64, c Code) error {
	_, err := f.Inventory.RecordQR(ctx, &inventoryv1.RecordQRRequest{
		SeatId: seat.String(), UserId: user.String(), OwnershipVersion: version, Sha256: qr.Hash(c.Payload),
	})
	return err
}

// firstOwner is the ownership version of who buys a seat.
const firstOwner = 1

// firstQR is the QR in the answer of a payment, "" if it cannot be made: the ticket is the user's all the same, and
// the app asks for another.
func (f *Flows) firstQR(ctx context.Context, o clients.Order) string {
	event, err := f.Events.Recent(ctx, o.EventID)
	if err != nil {
		return ""
	}
	code, err := f.seal(o.SeatID, event, firstOwner)
	if err != nil {
		slog.ErrorContext(ctx, "no QR could be made", "seat", o.SeatID, "error", err)
	}
	return code.Payload
}

// History gives a seat's chain of custody to its owner or an administrator.
func (f *Flows) History(ctx context.Context, user uuid.UUID, admin bool, seatID uuid.UUID) ([]*inventoryv1.Ownership, error) {
	res, err := f.Inventory.ListOwnership(ctx, &inventoryv1.ListOwnershipRequest{SeatId: seatID.String()})
	if err != nil {
		return nil, err
	}
	if !admin && res.Seat.OwnerUserId != user.String() {
		return nil, errNotSeatOwner
	}
	return res.Changes, nil
}

// seatAndEvent reads a seat and the event it is for.
func (f *Flows) seatAndEvent(ctx context.Context, seatID uuid.UUID) (*inventoryv1.Seat, clients.Event, error) {
	res, err := f.Inventory.GetSeatOwner(ctx, &inventoryv1.GetSeatOwnerRequest{SeatId: seatID.String()})
	if err != nil {
		return nil, clients.Event{}, err
	}
	event, err := f.Events.Recent(ctx, optionalID(res.Seat.EventId))
	return res.Seat, event, err
}

// describe names a seat for a person.
func describe(seat *inventoryv1.Seat, event clients.Event) string {
	return fmt.Sprintf("seat %s%d, %s", seat.RowNumber, seat.SeatNumber, event.Name)
}
