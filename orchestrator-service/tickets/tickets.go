// Package tickets has what owners see of their tickets: lists, QR codes and the chain of custody.
package tickets

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"google.golang.org/grpc"

	"ticketremaster/orchestrator-service/clients"
	"ticketremaster/orchestrator-service/qr"
	"ticketremaster/platform/fault"
	"ticketremaster/platform/web"
	inventoryv1 "ticketremaster/proto/inventory/v1"
)

// Inventory is what tickets need of the inventory service.
type Inventory interface {
	GetSeatOwner(ctx context.Context, in *inventoryv1.GetSeatOwnerRequest, opts ...grpc.CallOption) (*inventoryv1.GetSeatOwnerResponse, error)
	GetSeats(ctx context.Context, in *inventoryv1.GetSeatsRequest, opts ...grpc.CallOption) (*inventoryv1.GetSeatsResponse, error)
	ListOwnedSeats(ctx context.Context, in *inventoryv1.ListOwnedSeatsRequest, opts ...grpc.CallOption) (*inventoryv1.ListOwnedSeatsResponse, error)
	ListOwnership(ctx context.Context, in *inventoryv1.ListOwnershipRequest, opts ...grpc.CallOption) (*inventoryv1.ListOwnershipResponse, error)
	RecordQR(ctx context.Context, in *inventoryv1.RecordQRRequest, opts ...grpc.CallOption) (*inventoryv1.RecordQRResponse, error)
}

// Events reads an event that may be a few seconds old.
type Events interface {
	Recent(ctx context.Context, id uuid.UUID) (clients.Event, error)
}

// Transfers lists a user's transfers.
type Transfers interface {
	TransfersOf(ctx context.Context, user uuid.UUID, role string, page web.Page, statuses ...string) ([]clients.Transfer, int, error)
}

// Sales tells of a seat whether it is bought at the marketplace and waits for its seller.
type Sales interface {
	Bought(ctx context.Context, seat uuid.UUID) (bool, error)
}

// Flows reads tickets and makes their QR codes.
type Flows struct {
	Inventory Inventory
	Events    Events
	Transfers Transfers
	Sales     Sales
	QR        *qr.Codec
}

var (
	errNotSeatOwner = fault.New(fault.Forbidden, fault.CodeNotSeatOwner, "This is not your ticket")
	errNotPaid      = fault.New(fault.Conflict, fault.CodeSeatUnavailable, "This seat is not paid for yet")
	errBeingSold    = fault.New(fault.Conflict, fault.CodeSeatUnavailable, "This ticket is being sold: approve the sale, or wait for its end")
	errUsed         = fault.New(fault.Conflict, fault.CodeSeatUnavailable, "This ticket was used already")
	errRefunded     = fault.New(fault.Conflict, fault.CodeSeatUnavailable, "This ticket was cancelled and refunded")
)

// Ticket is a seat with the event it is for.
type Ticket struct {
	Seat  *inventoryv1.Seat
	Event clients.Event
}

// String names the ticket for a person.
func (t Ticket) String() string {
	return fmt.Sprintf("seat %s%d, %s", t.Seat.GetRowNumber(), t.Seat.GetSeatNumber(), t.Event.Name)
}

// Ticket reads any seat, whoever owns it, and the event it is for.
func (f *Flows) Ticket(ctx context.Context, seat uuid.UUID) (Ticket, error) {
	res, err := f.Inventory.GetSeatOwner(ctx, &inventoryv1.GetSeatOwnerRequest{SeatId: seat.String()})
	if err != nil {
		return Ticket{}, err
	}
	event, err := f.Events.Recent(ctx, clients.ID(res.Seat.EventId))
	return Ticket{res.Seat, event}, err
}

// OfSeats reads up to 1,000 seats, whoever owns them, and their events; an unknown one is left out.
func (f *Flows) OfSeats(ctx context.Context, seats []uuid.UUID) (map[uuid.UUID]Ticket, error) {
	req := &inventoryv1.GetSeatsRequest{}
	for _, id := range seats {
		req.SeatIds = append(req.SeatIds, id.String())
	}
	res, err := f.Inventory.GetSeats(ctx, req)
	if err != nil {
		return nil, err
	}
	tickets, err := f.withEvents(ctx, res.Seats)
	if err != nil {
		return nil, err
	}
	bySeat := make(map[uuid.UUID]Ticket, len(tickets))
	for _, t := range tickets {
		bySeat[clients.ID(t.Seat.SeatId)] = t
	}
	return bySeat, nil
}

// OfOwner lists a page, of at most 1,000, of the tickets that a user owns now, newest first, and tells how many they
// are in all.
func (f *Flows) OfOwner(ctx context.Context, user uuid.UUID, page web.Page) ([]Ticket, int, error) {
	res, err := f.Inventory.ListOwnedSeats(ctx, &inventoryv1.ListOwnedSeatsRequest{
		UserId: user.String(), Offset: int32(page.Offset()), Limit: int32(page.Size),
	})
	if err != nil {
		return nil, 0, err
	}
	owned, err := f.withEvents(ctx, res.Seats)
	return owned, int(res.Total), err
}

// withEvents looks each seat's event up.
func (f *Flows) withEvents(ctx context.Context, seats []*inventoryv1.Seat) ([]Ticket, error) {
	tickets := make([]Ticket, len(seats))
	for i, seat := range seats {
		event, err := f.Events.Recent(ctx, clients.ID(seat.EventId))
		if err != nil {
			return nil, err
		}
		tickets[i] = Ticket{seat, event}
	}
	return tickets, nil
}

// Sold is a ticket that a user transferred.
type Sold struct {
	Transfer clients.Transfer
	Ticket
}

// SoldBy lists a page of the tickets that a user transferred, newest first; disputed ones are included.
func (f *Flows) SoldBy(ctx context.Context, user uuid.UUID, page web.Page) ([]Sold, int, error) {
	transfers, total, err := f.Transfers.TransfersOf(ctx, user, "seller", page, clients.TransferCompleted, clients.TransferDisputed)
	if err != nil || len(transfers) == 0 {
		return nil, total, err
	}
	seats := make([]uuid.UUID, len(transfers))
	for i, t := range transfers {
		seats[i] = t.SeatID
	}
	bySeat, err := f.OfSeats(ctx, seats)
	if err != nil {
		return nil, 0, err
	}
	sold := make([]Sold, len(transfers))
	for i, t := range transfers {
		sold[i] = Sold{t, bySeat[t.SeatID]}
	}
	return sold, total, nil
}

// History returns a seat's chain of custody, for its owner or an administrator.
func (f *Flows) History(ctx context.Context, user uuid.UUID, admin bool, seat uuid.UUID) ([]*inventoryv1.Ownership, error) {
	res, err := f.Inventory.ListOwnership(ctx, &inventoryv1.ListOwnershipRequest{SeatId: seat.String()})
	if err != nil {
		return nil, err
	}
	if !admin && res.Seat.OwnerUserId != user.String() {
		return nil, errNotSeatOwner
	}
	return res.Changes, nil
}
