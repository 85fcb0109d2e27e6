package purchase

import (
	"context"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"ticketremaster/orchestrator-service/clients"
	"ticketremaster/platform/fault"
	inventoryv1 "ticketremaster/proto/inventory/v1"
)

// booking are the seats of a request: the first, and those behind it, unless the service is of a former release.
func (w *world) booking(seat, hold string, price int64, more []*inventoryv1.HeldSeat) []*inventoryv1.HeldSeat {
	if w.former {
		more = nil
	}
	return append([]*inventoryv1.HeldSeat{{SeatId: seat, HoldId: hold, PriceCents: price}}, more...)
}

func (w *world) seatMessage(id string) *inventoryv1.Seat {
	s := w.seats[clients.ID(id)]
	return &inventoryv1.Seat{SeatId: id, EventId: w.event.EventID.String(), Tier: "A", HoldId: s.hold.String(), HeldUntil: timestamppb.New(s.until)}
}

func (w *world) seatMessages(booking []*inventoryv1.HeldSeat) (seats []*inventoryv1.Seat) {
	for _, b := range booking {
		seats = append(seats, w.seatMessage(b.SeatId))
	}
	return seats
}

func (w *world) ReserveSeat(_ context.Context, in *inventoryv1.ReserveSeatRequest, _ ...grpc.CallOption) (out *inventoryv1.ReserveSeatResponse, err error) {
	err = w.call("ReserveSeat", func() error {
		user, until := clients.ID(in.UserId), time.Now().Add(time.Duration(in.HoldTtlMs)*time.Millisecond)
		booking := w.booking(in.SeatId, in.HoldId, 0, in.More)
		had := 0
		for _, b := range booking {
			switch s := w.seats[clients.ID(b.SeatId)]; {
			case s == nil:
				return refusal(fault.NotFound, "SEAT_NOT_FOUND")
			case s.owner != uuid.Nil, s.hold != uuid.Nil && s.holder != user:
				return refusal(fault.Conflict, "SEAT_UNAVAILABLE")
			case s.hold != uuid.Nil:
				had++
			}
		}
		if had != 0 && had != len(booking) {
			return refusal(fault.Conflict, "SEAT_UNAVAILABLE")
		}
		for _, b := range booking {
			if s := w.seats[clients.ID(b.SeatId)]; had == 0 {
				s.holder, s.hold, s.until = user, clients.ID(b.HoldId), until
			} else {
				until = s.until
			}
		}
		seats := w.seatMessages(booking)
		out = &inventoryv1.ReserveSeatResponse{AlreadyHeld: had > 0, RemainingMs: time.Until(until).Milliseconds(), Seat: seats[0], More: seats[1:]}
		return nil
	})
	return out, err
}

// ReserveBest holds any free seats, as ReserveSeat does.
func (w *world) ReserveBest(ctx context.Context, in *inventoryv1.ReserveBestRequest, _ ...grpc.CallOption) (*inventoryv1.ReserveSeatResponse, error) {
	w.best = in
	one := &inventoryv1.ReserveSeatRequest{UserId: in.UserId, HoldTtlMs: in.HoldTtlMs}
	w.mu.Lock()
	for id, s := range w.seats {
		if len(one.More)+1 == len(in.HoldIds) && one.SeatId != "" {
			break
		}
		if s.hold != uuid.Nil || s.owner != uuid.Nil {
			continue
		}
		if one.SeatId == "" {
			one.SeatId, one.HoldId = id.String(), in.HoldIds[0]
		} else {
			one.More = append(one.More, &inventoryv1.HeldSeat{SeatId: id.String(), HoldId: in.HoldIds[len(one.More)+1]})
		}
	}
	w.mu.Unlock()
	return w.ReserveSeat(ctx, one)
}

func (w *world) FindSingles(_ context.Context, in *inventoryv1.FindSinglesRequest, _ ...grpc.CallOption) (out *inventoryv1.FindSinglesResponse, err error) {
	err = w.call("FindSingles", func() error { out = &inventoryv1.FindSinglesResponse{SeatIds: w.alone}; return nil })
	return out, err
}

func (w *world) PinHold(_ context.Context, in *inventoryv1.PinHoldRequest, _ ...grpc.CallOption) (out *inventoryv1.PinHoldResponse, err error) {
	err = w.call("PinHold", func() error {
		pin := clients.ID(in.PinId)
		booking := w.booking(in.SeatId, in.HoldId, 0, in.More)
		for _, b := range booking {
			s := w.seats[clients.ID(b.SeatId)]
			if s.hold != clients.ID(b.HoldId) || s.unpinned[pin] || s.pin != uuid.Nil && s.pin != pin || s.pin == uuid.Nil && time.Now().After(s.until) {
				return refusal(fault.Gone, "HOLD_EXPIRED")
			}
		}
		for _, b := range booking {
			w.seats[clients.ID(b.SeatId)].pin = pin
		}
		seats := w.seatMessages(booking)
		out = &inventoryv1.PinHoldResponse{Seat: seats[0], More: seats[1:]}
		return nil
	})
	return out, err
}

func (w *world) UnpinHold(_ context.Context, in *inventoryv1.UnpinHoldRequest, _ ...grpc.CallOption) (out *inventoryv1.UnpinHoldResponse, err error) {
	err = w.call("UnpinHold", func() error {
		booking := w.booking(in.SeatId, in.HoldId, 0, in.More)
		for _, b := range booking {
			s, pin := w.seats[clients.ID(b.SeatId)], clients.ID(in.PinId)
			if s.unpinned == nil {
				s.unpinned = map[uuid.UUID]bool{}
			}
			s.unpinned[pin] = true
			if s.pin == pin {
				s.pin = uuid.Nil
			}
		}
		out = &inventoryv1.UnpinHoldResponse{More: int32(len(booking) - 1)}
		return nil
	})
	return out, err
}

func (w *world) ConfirmSeat(_ context.Context, in *inventoryv1.ConfirmSeatRequest, _ ...grpc.CallOption) (out *inventoryv1.ConfirmSeatResponse, err error) {
	err = w.call("ConfirmSeat", func() error {
		user, pin := clients.ID(in.UserId), clients.ID(in.PinId)
		booking := w.booking(in.SeatId, in.HoldId, in.PriceCents, in.More)
		sold := func(b *inventoryv1.HeldSeat) bool {
			s := w.seats[clients.ID(b.SeatId)]
			return s.owner == user && s.pin == pin
		}
		for _, b := range booking {
			if s := w.seats[clients.ID(b.SeatId)]; !sold(b) && (s.hold != clients.ID(b.HoldId) || s.pin != pin) {
				return refusal(fault.Conflict, "SEAT_NOT_HELD")
			}
		}
		for _, b := range booking {
			if s := w.seats[clients.ID(b.SeatId)]; !sold(b) {
				s.owner, s.hold, s.price = user, uuid.Nil, b.PriceCents
			}
		}
		seats := w.seatMessages(booking)
		out = &inventoryv1.ConfirmSeatResponse{Seat: seats[0], More: seats[1:]}
		return nil
	})
	return out, err
}

func (w *world) ReleaseSeat(_ context.Context, in *inventoryv1.ReleaseSeatRequest, _ ...grpc.CallOption) (out *inventoryv1.ReleaseSeatResponse, err error) {
	err = w.call("ReleaseSeat", func() error {
		s, outcome := w.seats[clients.ID(in.SeatId)], inventoryv1.ReleaseOutcome_RELEASED
		switch {
		case s.owner != uuid.Nil:
			outcome = inventoryv1.ReleaseOutcome_BOUGHT
		case s.hold != clients.ID(in.HoldId):
			outcome = inventoryv1.ReleaseOutcome_GONE
		case s.pin != uuid.Nil:
			outcome = inventoryv1.ReleaseOutcome_PINNED
		case in.OnlyIfExpired && time.Now().Before(s.until):
			outcome = inventoryv1.ReleaseOutcome_NOT_DUE
		default:
			s.hold, s.holder = uuid.Nil, uuid.Nil
		}
		out = &inventoryv1.ReleaseSeatResponse{Outcome: outcome, HeldUntil: timestamppb.New(s.until)}
		return nil
	})
	return out, err
}

func (w *world) ExtendHolds(_ context.Context, in *inventoryv1.ExtendHoldsRequest, _ ...grpc.CallOption) (out *inventoryv1.ExtendHoldsResponse, err error) {
	out = &inventoryv1.ExtendHoldsResponse{}
	err = w.call("ExtendHolds", func() error {
		for _, h := range in.Holders {
			for id, s := range w.seats {
				left := time.Until(s.until)
				if s.hold == uuid.Nil || s.holder != clients.ID(h.UserId) || s.extended == s.hold || left <= 0 || left > time.Duration(in.WithinMs)*time.Millisecond {
					continue
				}
				s.until, s.extended = s.until.Add(time.Duration(in.ByMs)*time.Millisecond), s.hold
				out.Seats = append(out.Seats, &inventoryv1.Seat{SeatId: id.String(), HoldId: s.hold.String(), HeldUntil: timestamppb.New(s.until)})
			}
		}
		return nil
	})
	return out, err
}
