package grpcapi

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"ticketremaster/platform/fault"
	"ticketremaster/platform/money"
	inventoryv1 "ticketremaster/proto/inventory/v1"

	inventory "ticketremaster/inventory-service"
)

// booking reads the seats of a booking: the first, and the further ones.
func (r *ids) booking(seat, hold string, more []*inventoryv1.HeldSeat) []inventory.HeldSeat {
	seats := make([]inventory.HeldSeat, 0, 1+len(more))
	seats = append(seats, inventory.HeldSeat{SeatID: r.need("seat_id", seat), HoldID: r.need("hold_id", hold)})
	for _, s := range more {
		seats = append(seats, inventory.HeldSeat{SeatID: r.need("seat_id", s.SeatId), HoldID: r.need("hold_id", s.HoldId)})
	}
	return seats
}

// furtherMessages renders the seats of a booking but the first.
func furtherMessages(seats []inventory.Seat) []*inventoryv1.Seat {
	if len(seats) == 1 {
		return nil
	}
	more := make([]*inventoryv1.Seat, 0, len(seats)-1)
	for _, s := range seats[1:] {
		more = append(more, seatMessage(s))
	}
	return more
}

// ReserveSeat holds free seats for a user.
func (s *Server) ReserveSeat(ctx context.Context, r *inventoryv1.ReserveSeatRequest) (*inventoryv1.ReserveSeatResponse, error) {
	var in ids
	wanted := inventory.Reservation{Seats: in.booking(r.SeatId, r.HoldId, r.More), UserID: in.need("user_id", r.UserId), MaxHolds: int(r.MaxHolds)}
	if in.err != nil {
		return nil, in.err
	}
	wanted.TTL, wanted.Pause = milliseconds(r.HoldTtlMs), milliseconds(r.HoldPauseMs)
	if wanted.PersonID = wanted.UserID; r.PersonId != "" {
		wanted.PersonID = in.need("person_id", r.PersonId)
	}
	if in.err != nil {
		return nil, in.err
	}
	if err := wanted.Check(); err != nil {
		return nil, err
	}
	hold, err := s.store.Reserve(ctx, wanted)
	if err != nil {
		return nil, err
	}
	return heldMessage(hold), nil
}

// ReserveBest holds the best free seats of a tier for a user.
func (s *Server) ReserveBest(ctx context.Context, r *inventoryv1.ReserveBestRequest) (*inventoryv1.ReserveSeatResponse, error) {
	if len(r.HoldIds) == 0 || len(r.HoldIds) > inventory.MaxBooking {
		return nil, fault.Field("hold_ids", "must be 1 to %d", inventory.MaxBooking)
	}
	var in ids
	b := inventory.Best{
		EventID: in.need("event_id", r.EventId), Tier: r.Tier, HoldIDs: in.many("hold_ids", r.HoldIds), UserID: in.need("user_id", r.UserId),
		MaxHolds: int(r.MaxHolds), Split: r.AllowSplit, NoSingles: r.NoSingles,
	}
	if b.PersonID = b.UserID; r.PersonId != "" {
		b.PersonID = in.need("person_id", r.PersonId)
	}
	if in.err != nil {
		return nil, in.err
	}
	b.TTL, b.Pause = milliseconds(r.HoldTtlMs), milliseconds(r.HoldPauseMs)
	if err := b.Reservation(b.HoldIDs).Check(); err != nil { // any different seats: its limits are looked at
		return nil, err
	}
	hold, err := s.store.ReserveBest(ctx, b)
	if err != nil {
		return nil, err
	}
	return heldMessage(hold), nil
}

// FindSingles gives the free seats that others leave alone.
func (s *Server) FindSingles(ctx context.Context, r *inventoryv1.FindSinglesRequest) (*inventoryv1.FindSinglesResponse, error) {
	if len(r.SeatIds) == 0 || len(r.SeatIds) > inventory.MaxBooking {
		return nil, fault.Field("seat_ids", "must be 1 to %d", inventory.MaxBooking)
	}
	var in ids
	seats := in.many("seat_ids", r.SeatIds)
	if in.err != nil {
		return nil, in.err
	}
	alone, err := s.store.Singles(ctx, seats)
	if err != nil {
		return nil, err
	}
	out := &inventoryv1.FindSinglesResponse{}
	for _, id := range alone {
		out.SeatIds = append(out.SeatIds, id.String())
	}
	return out, nil
}

func heldMessage(hold inventory.Hold) *inventoryv1.ReserveSeatResponse {
	return &inventoryv1.ReserveSeatResponse{
		Seat: seatMessage(hold.Seats[0]), More: furtherMessages(hold.Seats), AlreadyHeld: hold.Already, RemainingMs: hold.Remaining.Milliseconds(),
	}
}

// PinHold keeps holds from expiring while they are paid for.
func (s *Server) PinHold(ctx context.Context, r *inventoryv1.PinHoldRequest) (*inventoryv1.PinHoldResponse, error) {
	var in ids
	pin := inventory.Pin{Seats: in.booking(r.SeatId, r.HoldId, r.More), UserID: in.need("user_id", r.UserId), PinID: in.need("pin_id", r.PinId)}
	if err := cmp.Or(in.err, pin.Check()); err != nil {
		return nil, err
	}
	seats, err := s.store.Pin(ctx, pin)
	if err != nil {
		return nil, err
	}
	return &inventoryv1.PinHoldResponse{Seat: seatMessage(seats[0]), More: furtherMessages(seats)}, nil
}

// UnpinHold undoes PinHold.
func (s *Server) UnpinHold(ctx context.Context, r *inventoryv1.UnpinHoldRequest) (*inventoryv1.UnpinHoldResponse, error) {
	var in ids
	pin := inventory.Pin{Seats: in.booking(r.SeatId, r.HoldId, r.More), PinID: in.need("pin_id", r.PinId)}
	if err := cmp.Or(in.err, pin.Check()); err != nil {
		return nil, err
	}
	released, err := s.store.Unpin(ctx, pin)
	return &inventoryv1.UnpinHoldResponse{Released: released, More: int32(len(r.More))}, err
}

// ConfirmSeat sells pinned seats.
func (s *Server) ConfirmSeat(ctx context.Context, r *inventoryv1.ConfirmSeatRequest) (*inventoryv1.ConfirmSeatResponse, error) {
	var in ids
	sale := inventory.Sale{Pin: inventory.Pin{Seats: in.booking(r.SeatId, r.HoldId, r.More), UserID: in.need("user_id", r.UserId), PinID: in.need("pin_id", r.PinId)}}
	if in.err != nil {
		return nil, in.err
	}
	first := &inventoryv1.HeldSeat{PriceCents: r.PriceCents, QrSha256: r.QrSha256}
	for _, seat := range append([]*inventoryv1.HeldSeat{first}, r.More...) {
		if len(seat.QrSha256) != 0 && len(seat.QrSha256) != sha256.Size {
			return nil, fault.Field("qr_sha256", "must be %d bytes", sha256.Size)
		}
		sale.Terms = append(sale.Terms, inventory.Terms{Price: money.Cents(seat.PriceCents), QRHash: hex.EncodeToString(seat.QrSha256)})
	}
	if err := sale.Check(); err != nil {
		return nil, err
	}
	seats, err := s.store.Confirm(ctx, sale)
	if err != nil {
		return nil, err
	}
	return &inventoryv1.ConfirmSeatResponse{Seat: seatMessage(seats[0]), More: furtherMessages(seats)}, nil
}

// ReleaseSeat frees the seat from one hold.
func (s *Server) ReleaseSeat(ctx context.Context, r *inventoryv1.ReleaseSeatRequest) (*inventoryv1.ReleaseSeatResponse, error) {
	var in ids
	seat, hold := in.need("seat_id", r.SeatId), in.need("hold_id", r.HoldId)
	if in.err != nil {
		return nil, in.err
	}
	outcome, until, err := s.store.Release(ctx, seat, hold, r.OnlyIfExpired)
	if err != nil {
		return nil, err
	}
	message, known := outcomes[outcome]
	if !known {
		return nil, fault.New(fault.Internal, fault.CodeInternal, "No message for the outcome %q", outcome)
	}
	released := &inventoryv1.ReleaseSeatResponse{Outcome: message}
	if outcome == inventory.NotDue {
		released.HeldUntil = timestamppb.New(until)
	}
	return released, nil
}

// ExtendHolds prolongs holds that are about to end.
func (s *Server) ExtendHolds(ctx context.Context, r *inventoryv1.ExtendHoldsRequest) (*inventoryv1.ExtendHoldsResponse, error) {
	e := inventory.Extension{Within: milliseconds(r.WithinMs), By: milliseconds(r.ByMs)}
	var in ids
	for _, h := range r.Holders {
		e.Holders = append(e.Holders, inventory.Holder{UserID: in.need("user_id", h.UserId), PersonID: in.need("person_id", h.PersonId)})
	}
	if in.err != nil {
		return nil, in.err
	}
	if err := e.Check(); err != nil {
		return nil, err
	}
	seats, err := s.store.Extend(ctx, e)
	if err != nil {
		return nil, err
	}
	res := &inventoryv1.ExtendHoldsResponse{}
	for _, seat := range seats {
		res.Seats = append(res.Seats, seatMessage(seat))
	}
	return res, nil
}

// milliseconds returns a time of at most inventory.MaxHold, and -1 for any other: it is compared before it is multiplied,
// which could overflow.
func milliseconds(n int64) time.Duration {
	if n < 0 || n > inventory.MaxHold.Milliseconds() {
		return -1
	}
	return time.Duration(n) * time.Millisecond
}

var outcomes = map[inventory.Outcome]inventoryv1.ReleaseOutcome{
	inventory.Released:    inventoryv1.ReleaseOutcome_RELEASED,
	inventory.Gone:        inventoryv1.ReleaseOutcome_GONE,
	inventory.NotDue:      inventoryv1.ReleaseOutcome_NOT_DUE,
	inventory.StillPinned: inventoryv1.ReleaseOutcome_PINNED,
	inventory.Bought:      inventoryv1.ReleaseOutcome_BOUGHT,
}
