package grpcapi

import (
	"context"

	"github.com/google/uuid"

	"ticketremaster/platform/fault"
	inventoryv1 "ticketremaster/proto/inventory/v1"

	inventory "ticketremaster/inventory-service"
	"ticketremaster/inventory-service/postgres"
)

// CountInside counts who is inside.
func (s *Server) CountInside(ctx context.Context, r *inventoryv1.CountInsideRequest) (*inventoryv1.CountInsideResponse, error) {
	var in ids
	event := in.need("event_id", r.EventId)
	if in.err != nil {
		return nil, in.err
	}
	n, err := s.store.Inside(ctx, event)
	return &inventoryv1.CountInsideResponse{Inside: int32(n.Inside), Entered: int32(n.Entered), Conflicts: int32(n.Conflicts)}, err
}

// ListTickets returns a portion of an event's sold seats.
func (s *Server) ListTickets(ctx context.Context, r *inventoryv1.ListTicketsRequest) (*inventoryv1.ListTicketsResponse, error) {
	var in ids
	event := in.need("event_id", r.EventId)
	switch {
	case in.err != nil:
		return nil, in.err
	case !isRow(r.AfterRow):
		return nil, fault.Field("after_row", "must be at most %d capital letters", maxRowName)
	}
	tickets, err := s.store.Tickets(ctx, event, r.AfterRow, int(r.AfterNumber))
	return &inventoryv1.ListTicketsResponse{Tickets: ticketMessages(tickets), More: len(tickets) == postgres.TicketPortion}, err
}

// FindTickets returns an event's sold seats that match any of the criteria.
func (s *Server) FindTickets(ctx context.Context, r *inventoryv1.FindTicketsRequest) (*inventoryv1.FindTicketsResponse, error) {
	var in ids
	event := in.need("event_id", r.EventId)
	owners, seats := in.many("owner_user_ids", r.OwnerUserIds), in.many("seat_ids", r.SeatIds)
	switch {
	case in.err != nil:
		return nil, in.err
	case len(owners) > maxAsked || len(seats) > maxAsked:
		return nil, fault.Field("seat_ids", "and owner_user_ids must be at most %d each", maxAsked)
	case !isRow(r.RowNumber):
		return nil, fault.Field("row_number", "must be at most %d capital letters", maxRowName)
	}
	tickets, err := s.store.FindTickets(ctx, event, owners, seats, r.RowNumber, int(r.SeatNumber))
	return &inventoryv1.FindTicketsResponse{Tickets: ticketMessages(tickets)}, err
}

// maxAsked is the most owners, and the most seats, that a search names.
const maxAsked = 200

func ticketMessages(tickets []inventory.Ticket) []*inventoryv1.GateTicket {
	block, out := make([]inventoryv1.GateTicket, len(tickets)), make([]*inventoryv1.GateTicket, len(tickets))
	for i, t := range tickets {
		m := &block[i]
		m.SeatId, m.RowNumber, m.SeatNumber, m.OwnershipVersion = t.ID.String(), t.Row, int32(t.Number), t.OwnershipVersion
		m.OwnerUserId, m.SoldAt, m.Entered, m.Left, m.EntryAllowed = text(t.OwnerID), moment(t.SoldAt), t.Entered(), t.Left, t.EntryAllowed
		out[i] = m
	}
	return out
}

// AllowEntry allows entry for a seat's present ownership although its payment was taken back.
func (s *Server) AllowEntry(ctx context.Context, r *inventoryv1.AllowEntryRequest) (*inventoryv1.AllowEntryResponse, error) {
	var in ids
	seat, admin := in.need("seat_id", r.SeatId), in.need("admin_id", r.AdminId)
	if in.err != nil {
		return nil, in.err
	}
	if err := checkReason(r.Reason); err != nil {
		return nil, err
	}
	return &inventoryv1.AllowEntryResponse{}, s.store.AllowEntry(ctx, seat, r.OwnershipVersion, admin, r.Reason)
}

func checkReason(reason string) error {
	if n := len([]rune(reason)); n < 1 || n > inventory.MaxNote {
		return fault.Field("reason", "must have 1 to %d characters", inventory.MaxNote)
	}
	return nil
}

// GetAssignment returns where a member of staff works.
func (s *Server) GetAssignment(ctx context.Context, r *inventoryv1.GetAssignmentRequest) (*inventoryv1.GetAssignmentResponse, error) {
	var in ids
	staff := in.need("staff_id", r.StaffId)
	if in.err != nil {
		return nil, in.err
	}
	a, err := s.store.Assignment(ctx, staff)
	return &inventoryv1.GetAssignmentResponse{VenueIds: texts(a.Venues), EventIds: texts(a.Events)}, err
}

// SetAssignment sets where a member of staff works.
func (s *Server) SetAssignment(ctx context.Context, r *inventoryv1.SetAssignmentRequest) (*inventoryv1.SetAssignmentResponse, error) {
	var in ids
	staff, admin := in.need("staff_id", r.StaffId), in.need("admin_id", r.AdminId)
	a := inventory.Assignment{Venues: in.many("venue_ids", r.VenueIds), Events: in.many("event_ids", r.EventIds)}
	switch {
	case in.err != nil:
		return nil, in.err
	case len(a.Venues) > inventory.MaxAssigned || len(a.Events) > inventory.MaxAssigned:
		return nil, fault.Field("event_ids", "and venue_ids must be at most %d each", inventory.MaxAssigned)
	}
	if err := checkReason(r.Reason); err != nil {
		return nil, err
	}
	return &inventoryv1.SetAssignmentResponse{}, s.store.Assign(ctx, staff, a, admin, r.Reason)
}

func texts(all []uuid.UUID) []string {
	out := make([]string, len(all))
	for i, id := range all {
		out[i] = id.String()
	}
	return out
}
