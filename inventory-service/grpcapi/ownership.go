package grpcapi

import (
	"context"

	"ticketremaster/platform/fault"
	inventoryv1 "ticketremaster/proto/inventory/v1"

	inventory "ticketremaster/inventory-service"
)

// GetSeatOwner returns seat and owner.
func (s *Server) GetSeatOwner(ctx context.Context, r *inventoryv1.GetSeatOwnerRequest) (*inventoryv1.GetSeatOwnerResponse, error) {
	var in ids
	id := in.need("seat_id", r.SeatId)
	if in.err != nil {
		return nil, in.err
	}
	seat, err := s.store.Seat(ctx, id)
	if err != nil {
		return nil, err
	}
	return &inventoryv1.GetSeatOwnerResponse{OwnerUserId: text(seat.OwnerID), Seat: seatMessage(seat)}, nil
}

// UpdateOwner hands a SOLD seat from its expected owner to another.
func (s *Server) UpdateOwner(ctx context.Context, r *inventoryv1.UpdateOwnerRequest) (*inventoryv1.UpdateOwnerResponse, error) {
	var in ids
	change := inventory.Handover{SeatID: in.need("seat_id", r.SeatId), From: in.need("expected_owner_user_id", r.ExpectedOwnerUserId),
		To: in.need("new_owner_user_id", r.NewOwnerUserId), OperationID: in.need("operation_id", r.OperationId), Cause: inventory.Cause(r.Cause)}
	switch {
	case in.err != nil:
		return nil, in.err
	case change.Cause != inventory.Transfer && change.Cause != inventory.Reversal:
		return nil, fault.Field("cause", "must be %s or %s", inventory.Transfer, inventory.Reversal)
	case change.From == change.To:
		return nil, fault.Field("new_owner_user_id", "must be another user")
	}
	seat, err := s.store.HandOver(ctx, change)
	if err != nil {
		return nil, err
	}
	return &inventoryv1.UpdateOwnerResponse{Seat: seatMessage(seat)}, nil
}

// ListOwnership returns a seat's chain of custody.
func (s *Server) ListOwnership(ctx context.Context, r *inventoryv1.ListOwnershipRequest) (*inventoryv1.ListOwnershipResponse, error) {
	var in ids
	id := in.need("seat_id", r.SeatId)
	if in.err != nil {
		return nil, in.err
	}
	seat, chain, err := s.store.Custody(ctx, id)
	if err != nil {
		return nil, err
	}
	changes := make([]*inventoryv1.Ownership, len(chain))
	for i, o := range chain {
		changes[i] = &inventoryv1.Ownership{OperationId: o.OperationID.String(), FromUserId: text(o.From), ToUserId: text(o.To),
			Cause: string(o.Cause), At: moment(o.At), Version: o.Version}
	}
	return &inventoryv1.ListOwnershipResponse{Changes: changes, Seat: seatMessage(seat)}, nil
}
