package grpcapi

import (
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

// ReserveSeat holds a free seat for a user.
func (s *Server) ReserveSeat(ctx context.Context, r *inventoryv1.ReserveSeatRequest) (*inventoryv1.ReserveSeatResponse, error) {
	var in ids
	wanted := inventory.Reservation{
		SeatID: in.need("seat_id", r.SeatId), UserID: in.need("user_id", r.UserId), HoldID: in.need("hold_id", r.HoldId), MaxHolds: int(r.MaxHolds),
	}
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
	return &inventoryv1.ReserveSeatResponse{Seat: seatMessage(hold.Seat), AlreadyHeld: hold.Already, RemainingMs: hold.Remaining.Milliseconds()}, nil
}

// PinHold keeps a hold from expiring while it is paid for.
func (s *Server) PinHold(ctx context.Context, r *inventoryv1.PinHoldRequest) (*inventoryv1.PinHoldResponse, error) {
	var in ids
	pin := inventory.Pin{SeatID: in.need("seat_id", r.SeatId), HoldID: in.need("hold_id", r.HoldId), UserID: in.need("user_id", r.UserId),
		PinID: in.need("pin_id", r.PinId)}
	if in.err != nil {
		return nil, in.err
	}
	seat, err := s.store.Pin(ctx, pin)
	if err != nil {
		return nil, err
	}
	return &inventoryv1.PinHoldResponse{Seat: seatMessage(seat)}, nil
}

// UnpinHold undoes PinHold.
func (s *Server) UnpinHold(ctx context.Context, r *inventoryv1.UnpinHoldRequest) (*inventoryv1.UnpinHoldResponse, error) {
	var in ids
	pin := inventory.Pin{SeatID: in.need("seat_id", r.SeatId), HoldID: in.need("hold_id", r.HoldId), PinID: in.need("pin_id", r.PinId)}
	if in.err != nil {
		return nil, in.err
	}
	released, err := s.store.Unpin(ctx, pin)
	return &inventoryv1.UnpinHoldResponse{Released: released}, err
}

// ConfirmSeat sells a pinned seat.
func (s *Server) ConfirmSeat(ctx context.Context, r *inventoryv1.ConfirmSeatRequest) (*inventoryv1.ConfirmSeatResponse, error) {
	var in ids
	sale := inventory.Sale{Price: money.Cents(r.PriceCents), QRHash: hex.EncodeToString(r.QrSha256), Pin: inventory.Pin{SeatID: in.need("seat_id", r.SeatId), HoldID: in.need("hold_id", r.HoldId),
		UserID: in.need("user_id", r.UserId), PinID: in.need("pin_id", r.PinId)}}
	if in.err != nil {
		return nil, in.err
	}
	if len(r.QrSha256) != 0 && len(r.QrSha256) != sha256.Size {
		return nil, fault.Field("qr_sha256", "must be %d bytes", sha256.Size)
	}
	if err := sale.Check(); err != nil {
		return nil, err
	}
	seat, err := s.store.Confirm(ctx, sale)
	if err != nil {
		return nil, err
	}
	return &inventoryv1.ConfirmSeatResponse{Seat: seatMessage(seat)}, nil
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
