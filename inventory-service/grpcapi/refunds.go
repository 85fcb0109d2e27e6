package grpcapi

import (
	"context"

	"github.com/google/uuid"

	"ticketremaster/platform/fault"
	inventoryv1 "ticketremaster/proto/inventory/v1"

	inventory "ticketremaster/inventory-service"
)

// BlockSeats takes seats off sale, or puts them back.
func (s *Server) BlockSeats(ctx context.Context, r *inventoryv1.BlockSeatsRequest) (*inventoryv1.BlockSeatsResponse, error) {
	if len(r.SeatIds) == 0 || len(r.SeatIds) > inventory.MaxBlocked {
		return nil, fault.Field("seat_ids", "must be 1 to %d seats", inventory.MaxBlocked)
	}
	var in ids
	event, seats := in.need("event_id", r.EventId), in.many("seat_ids", r.SeatIds)
	if in.err != nil {
		return nil, in.err
	}
	known := map[uuid.UUID]bool{}
	for _, seat := range seats {
		if known[seat] {
			return nil, fault.Field("seat_ids", "must be different seats")
		}
		known[seat] = true
	}
	n, err := s.store.Block(ctx, event, seats, r.Blocked)
	return &inventoryv1.BlockSeatsResponse{Changed: int32(n)}, err
}

// AddRows makes rows behind the last one.
func (s *Server) AddRows(ctx context.Context, r *inventoryv1.AddRowsRequest) (*inventoryv1.AddRowsResponse, error) {
	var in ids
	a := inventory.Addition{EventID: in.need("event_id", r.EventId), OperationID: in.need("operation_id", r.OperationId),
		Rows: int(r.Rows), SeatsPerRow: int(r.SeatsPerRow), Tier: r.Tier}
	if in.err != nil {
		return nil, in.err
	}
	if err := a.Check(); err != nil {
		return nil, err
	}
	added, err := s.store.AddRows(ctx, a)
	return &inventoryv1.AddRowsResponse{SeatsAdded: int32(added.Seats), FirstRow: added.FirstRow, LastRow: added.LastRow}, err
}

// VoidTicket makes a ticket void for its refund.
func (s *Server) VoidTicket(ctx context.Context, r *inventoryv1.VoidTicketRequest) (*inventoryv1.VoidTicketResponse, error) {
	var in ids
	v := inventory.Voiding{SeatID: in.need("seat_id", r.SeatId), OrderID: in.need("order_id", r.OrderId), RefundID: in.need("refund_id", r.RefundId)}
	if in.err != nil {
		return nil, in.err
	}
	seat, err := s.store.Void(ctx, v)
	if err != nil {
		return nil, err
	}
	return &inventoryv1.VoidTicketResponse{Seat: seatMessage(seat)}, nil
}

// RestoreTickets makes tickets valid again.
func (s *Server) RestoreTickets(ctx context.Context, r *inventoryv1.RestoreTicketsRequest) (*inventoryv1.RestoreTicketsResponse, error) {
	seats, refunds, err := pairs(r.SeatIds, r.RefundIds)
	if err != nil {
		return nil, err
	}
	return &inventoryv1.RestoreTicketsResponse{}, s.store.Restore(ctx, seats, refunds)
}

// SettleRefunds marks tickets whose owners have their credits.
func (s *Server) SettleRefunds(ctx context.Context, r *inventoryv1.SettleRefundsRequest) (*inventoryv1.SettleRefundsResponse, error) {
	seats, refunds, err := pairs(r.SeatIds, r.RefundIds)
	if err != nil {
		return nil, err
	}
	return &inventoryv1.SettleRefundsResponse{}, s.store.Settle(ctx, seats, refunds)
}

// pairs reads tickets and their refunds.
func pairs(seatIDs, refundIDs []string) (seats, refunds []uuid.UUID, err error) {
	if len(seatIDs) > inventory.MaxVoided || len(refundIDs) > inventory.MaxVoided {
		return nil, nil, fault.Field("seat_ids", "must be at most %d", inventory.MaxVoided)
	}
	var in ids
	seats, refunds = in.many("seat_ids", seatIDs), in.many("refund_ids", refundIDs)
	if in.err == nil && len(seats) != len(refunds) {
		in.err = fault.Field("refund_ids", "must be one for each seat")
	}
	return seats, refunds, in.err
}

// FreeTicket puts the seat of a void ticket on sale again, or blocks it.
func (s *Server) FreeTicket(ctx context.Context, r *inventoryv1.FreeTicketRequest) (*inventoryv1.FreeTicketResponse, error) {
	var in ids
	seat, refund := in.need("seat_id", r.SeatId), in.need("refund_id", r.RefundId)
	if in.err != nil {
		return nil, in.err
	}
	return &inventoryv1.FreeTicketResponse{}, s.store.Free(ctx, seat, refund, r.Blocked)
}

// CloseEvent stops the sale of an event.
func (s *Server) CloseEvent(ctx context.Context, r *inventoryv1.CloseEventRequest) (*inventoryv1.CloseEventResponse, error) {
	var in ids
	event := in.need("event_id", r.EventId)
	if in.err != nil {
		return nil, in.err
	}
	c, err := s.store.CloseEvent(ctx, event)
	return &inventoryv1.CloseEventResponse{Released: int32(c.Released), Pinned: int32(c.Pinned)}, err
}

// VoidTickets makes the next tickets of an event void.
func (s *Server) VoidTickets(ctx context.Context, r *inventoryv1.VoidTicketsRequest) (*inventoryv1.VoidTicketsResponse, error) {
	var in ids
	event, spare := in.need("event_id", r.EventId), in.many("spare_seat_ids", r.SpareSeatIds)
	switch {
	case in.err != nil:
		return nil, in.err
	case r.Limit < 1 || r.Limit > inventory.MaxVoided:
		return nil, fault.Field("limit", "must be from 1 to %d", inventory.MaxVoided)
	}
	seats, err := s.store.VoidSome(ctx, event, spare, int(r.Limit))
	return &inventoryv1.VoidTicketsResponse{Seats: seatMessages(seats)}, err
}

// CountUnsettled adds up what a cancellation has still to do.
func (s *Server) CountUnsettled(ctx context.Context, r *inventoryv1.CountUnsettledRequest) (*inventoryv1.CountUnsettledResponse, error) {
	var in ids
	event := in.need("event_id", r.EventId)
	if in.err != nil {
		return nil, in.err
	}
	u, err := s.store.Unsettled(ctx, event)
	return &inventoryv1.CountUnsettledResponse{Tickets: int32(u.Tickets), Owners: int32(u.Owners), ValueCents: int64(u.Value), Refunded: int32(u.Refunded),
		Held: int32(u.Held)}, err
}
