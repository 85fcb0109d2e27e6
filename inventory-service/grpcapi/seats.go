package grpcapi

import (
	"cmp"
	"context"
	"strings"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/timestamppb"

	"ticketremaster/platform/fault"
	inventoryv1 "ticketremaster/proto/inventory/v1"

	inventory "ticketremaster/inventory-service"
)

// Limits of the lists asked for.
const (
	maxEvents = 200
	maxSeats  = 1_000
	// maxPortion is how many seats one list shows: about a MB.
	maxPortion = 5_000
	maxRowName = 4 // letters
)

// CreateSeats makes all seats of an event.
func (s *Server) CreateSeats(ctx context.Context, r *inventoryv1.CreateSeatsRequest) (*inventoryv1.CreateSeatsResponse, error) {
	var in ids
	plan := inventory.Plan{EventID: in.need("event_id", r.EventId), Total: int(r.TotalSeats), Tiers: r.Tiers, SeatsPerRow: int(r.SeatsPerRow)}
	if in.err != nil {
		return nil, in.err
	}
	if err := plan.Check(); err != nil {
		return nil, err
	}
	n, err := s.store.CreateSeats(ctx, plan)
	return &inventoryv1.CreateSeatsResponse{SeatsCreated: int32(n)}, err
}

// DeleteSeats undoes CreateSeats.
func (s *Server) DeleteSeats(ctx context.Context, r *inventoryv1.DeleteSeatsRequest) (*inventoryv1.DeleteSeatsResponse, error) {
	var in ids
	event := in.need("event_id", r.EventId)
	if in.err != nil {
		return nil, in.err
	}
	n, err := s.store.DeleteSeats(ctx, event)
	return &inventoryv1.DeleteSeatsResponse{SeatsDeleted: int32(n)}, err
}

// ListSeats returns a portion of an event's seats.
func (s *Server) ListSeats(ctx context.Context, r *inventoryv1.ListSeatsRequest) (*inventoryv1.ListSeatsResponse, error) {
	var in ids
	event := in.need("event_id", r.EventId)
	switch {
	case in.err != nil:
		return nil, in.err
	case r.Limit < 0 || r.Limit > maxPortion:
		return nil, fault.Field("limit", "must be from 1 to %d", maxPortion)
	case !isRow(r.AfterRow):
		return nil, fault.Field("after_row", "must be the name of a row")
	}
	limit := int(r.Limit)
	if limit == 0 {
		limit = maxPortion
	}
	seats, err := s.store.Seats(ctx, event, r.AfterRow, int(r.AfterNumber), limit)
	return &inventoryv1.ListSeatsResponse{Seats: seatMessages(seats)}, err
}

// isRow reports whether s can be the name of a row, or is empty.
func isRow(s string) bool {
	return len(s) <= maxRowName && !strings.ContainsFunc(s, func(c rune) bool { return c < 'A' || c > 'Z' })
}

// letters of the statuses, as the store returns them.
var letters = map[byte]inventoryv1.SeatStatus{
	'A': inventoryv1.SeatStatus_AVAILABLE, 'H': inventoryv1.SeatStatus_HELD, 'S': inventoryv1.SeatStatus_SOLD, 'C': inventoryv1.SeatStatus_CHECKED_IN,
}

// ListStatuses returns the status of every seat of an event.
func (s *Server) ListStatuses(ctx context.Context, r *inventoryv1.ListStatusesRequest) (*inventoryv1.ListStatusesResponse, error) {
	var in ids
	event := in.need("event_id", r.EventId)
	if in.err != nil {
		return nil, in.err
	}
	text, err := s.store.Statuses(ctx, event)
	if err != nil {
		return nil, err
	}
	statuses := []byte(text)
	for i, letter := range statuses {
		statuses[i] = byte(letters[letter])
	}
	return &inventoryv1.ListStatusesResponse{Statuses: statuses}, nil
}

// CountSeats returns totals per status.
func (s *Server) CountSeats(ctx context.Context, r *inventoryv1.CountSeatsRequest) (*inventoryv1.CountSeatsResponse, error) {
	if len(r.EventIds) > maxEvents {
		return nil, fault.Field("event_ids", "must be at most %d", maxEvents)
	}
	var in ids
	events := in.many("event_ids", r.EventIds)
	if in.err != nil {
		return nil, in.err
	}
	counts, err := s.store.Counts(ctx, events)
	if err != nil {
		return nil, err
	}
	out := make([]*inventoryv1.SeatCount, len(counts))
	for i, c := range counts {
		out[i] = &inventoryv1.SeatCount{EventId: c.EventID.String(), Total: int32(c.Total), Available: int32(c.Available), Held: int32(c.Held),
			Sold: int32(c.Sold), CheckedIn: int32(c.CheckedIn), RevenueCents: int64(c.Revenue),
			Blocked: int32(c.Blocked), Refunded: int32(c.Refunded)}
	}
	return &inventoryv1.CountSeatsResponse{Counts: out}, nil
}

// GetSeats returns the seats asked for.
func (s *Server) GetSeats(ctx context.Context, r *inventoryv1.GetSeatsRequest) (*inventoryv1.GetSeatsResponse, error) {
	if len(r.SeatIds) > maxSeats {
		return nil, fault.Field("seat_ids", "must be at most %d", maxSeats)
	}
	var in ids
	wanted := in.many("seat_ids", r.SeatIds)
	if in.err != nil {
		return nil, in.err
	}
	seats, err := s.store.SeatsByID(ctx, wanted)
	return &inventoryv1.GetSeatsResponse{Seats: seatMessages(seats)}, err
}

// ListOwnedSeats returns a page of a user's tickets.
func (s *Server) ListOwnedSeats(ctx context.Context, r *inventoryv1.ListOwnedSeatsRequest) (*inventoryv1.ListOwnedSeatsResponse, error) {
	var in ids
	user := in.need("user_id", r.UserId)
	if in.err != nil {
		return nil, in.err
	}
	if r.Offset < 0 {
		return nil, fault.Field("offset", "must not be negative")
	}
	if r.Limit < 0 || r.Limit > maxSeats {
		return nil, fault.Field("limit", "must be 1 to %d", maxSeats)
	}
	seats, total, err := s.store.OwnedBy(ctx, user, int(r.Offset), cmp.Or(int(r.Limit), maxSeats))
	return &inventoryv1.ListOwnedSeatsResponse{Seats: seatMessages(seats), Total: int32(total)}, err
}

func seatMessages(seats []inventory.Seat) []*inventoryv1.Seat {
	// One allocation for a hall's seats, and one string for the event they share.
	block, out := make([]inventoryv1.Seat, len(seats)), make([]*inventoryv1.Seat, len(seats))
	var event uuid.UUID
	var eventText string
	for i := range seats {
		if seats[i].EventID != event {
			event, eventText = seats[i].EventID, seats[i].EventID.String()
		}
		fillSeat(&block[i], &seats[i], eventText)
		out[i] = &block[i]
	}
	return out
}

func seatMessage(s inventory.Seat) *inventoryv1.Seat {
	var m inventoryv1.Seat
	fillSeat(&m, &s, s.EventID.String())
	return &m
}

func fillSeat(m *inventoryv1.Seat, s *inventory.Seat, event string) {
	m.SeatId, m.EventId, m.Status = s.ID.String(), event, statuses[s.Status]
	m.OwnerUserId, m.HeldByUserId, m.HeldUntil = text(s.OwnerID), text(s.HeldBy), moment(s.HeldUntil)
	m.HoldId, m.PinId, m.Tier = text(s.HoldID), text(s.PinID), s.Tier
	m.RowNumber, m.SeatNumber, m.PricePaidCents = s.Row, int32(s.Number), int64(s.PricePaid)
	m.OwnershipVersion, m.SoldAt, m.QrRecorded = s.OwnershipVersion, moment(s.SoldAt), s.QRRecorded
	m.Blocked, m.VoidId = s.Blocked, text(s.VoidID)
}

var statuses = map[inventory.Status]inventoryv1.SeatStatus{
	inventory.Available: inventoryv1.SeatStatus_AVAILABLE,
	inventory.Held:      inventoryv1.SeatStatus_HELD,
	inventory.Sold:      inventoryv1.SeatStatus_SOLD,
	inventory.CheckedIn: inventoryv1.SeatStatus_CHECKED_IN,
}

// text returns an id's text, empty for none.
func text(id uuid.UUID) string {
	if id == uuid.Nil {
		return ""
	}
	return id.String()
}

func moment(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}
