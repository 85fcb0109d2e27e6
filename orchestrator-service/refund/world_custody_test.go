package refund

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"

	"ticketremaster/platform/fault"
	inventoryv1 "ticketremaster/proto/inventory/v1"
)

// ── the inventory service ──

func (w *world) seat(id string) *inventoryv1.Seat {
	for _, s := range w.seats {
		if s.SeatId == id {
			return s
		}
	}
	return nil
}

func copyOf(s *inventoryv1.Seat) *inventoryv1.Seat {
	return &inventoryv1.Seat{SeatId: s.SeatId, EventId: s.EventId, HoldId: s.HoldId, OwnerUserId: s.OwnerUserId, Status: s.Status, VoidId: s.VoidId, PricePaidCents: s.PricePaidCents}
}

func (w *world) GetSeatOwner(_ context.Context, in *inventoryv1.GetSeatOwnerRequest, _ ...grpc.CallOption) (res *inventoryv1.GetSeatOwnerResponse, err error) {
	err = w.call("owner", func() error {
		s := w.seat(in.SeatId)
		if s == nil {
			return fault.New(fault.NotFound, fault.CodeSeatNotFound, "There is no such seat")
		}
		res = &inventoryv1.GetSeatOwnerResponse{Seat: copyOf(s)}
		return nil
	})
	return res, err
}

func (w *world) VoidTicket(_ context.Context, in *inventoryv1.VoidTicketRequest, _ ...grpc.CallOption) (res *inventoryv1.VoidTicketResponse, err error) {
	err = w.call("void", func() error {
		s := w.seat(in.SeatId)
		switch {
		case s.VoidId == in.RefundId:
		case s.HoldId != in.OrderId || s.OwnerUserId == "":
			return fault.New(fault.Conflict, "TICKET_NOT_SOLD", "It is not sold under this order")
		case s.VoidId != "":
			return errRefunded
		case s.Status == inventoryv1.SeatStatus_CHECKED_IN:
			return errUsed
		}
		s.VoidId = in.RefundId
		res = &inventoryv1.VoidTicketResponse{Seat: copyOf(s)}
		return nil
	})
	return res, err
}

func (w *world) VoidTickets(_ context.Context, in *inventoryv1.VoidTicketsRequest, _ ...grpc.CallOption) (res *inventoryv1.VoidTicketsResponse, err error) {
	err = w.call("void tickets", func() error {
		res = &inventoryv1.VoidTicketsResponse{}
		for _, s := range w.seats {
			if s.OwnerUserId == "" || w.settled[s.SeatId] || slices.Contains(in.SpareSeatIds, s.SeatId) || len(res.Seats) == int(in.Limit) {
				continue
			}
			if s.VoidId == "" {
				s.VoidId = uuid.NewString()
			}
			res.Seats = append(res.Seats, copyOf(s))
		}
		return nil
	})
	if err != nil {
		res = nil
	}
	return res, err
}

func (w *world) RestoreTickets(_ context.Context, in *inventoryv1.RestoreTicketsRequest, _ ...grpc.CallOption) (*inventoryv1.RestoreTicketsResponse, error) {
	return nil, w.call("restore", func() error {
		for i, id := range in.SeatIds {
			if s := w.seat(id); s.VoidId == in.RefundIds[i] && !w.settled[id] {
				s.VoidId = ""
			}
		}
		return nil
	})
}

func (w *world) SettleRefunds(_ context.Context, in *inventoryv1.SettleRefundsRequest, _ ...grpc.CallOption) (*inventoryv1.SettleRefundsResponse, error) {
	return nil, w.call("settle", func() error {
		for i, id := range in.SeatIds {
			if w.seat(id).VoidId == in.RefundIds[i] {
				w.settled[id] = true
			}
		}
		return nil
	})
}

func (w *world) FreeTicket(_ context.Context, in *inventoryv1.FreeTicketRequest, _ ...grpc.CallOption) (*inventoryv1.FreeTicketResponse, error) {
	return nil, w.call("free", func() error {
		if s := w.seat(in.SeatId); s.VoidId == in.RefundId {
			s.VoidId, s.OwnerUserId, s.HoldId, s.Status = "", "", "", inventoryv1.SeatStatus_AVAILABLE
			w.blocked[in.SeatId] = in.Blocked
		}
		return nil
	})
}

func (w *world) CloseEvent(context.Context, *inventoryv1.CloseEventRequest, ...grpc.CallOption) (res *inventoryv1.CloseEventResponse, err error) {
	err = w.call("close event", func() error {
		res = &inventoryv1.CloseEventResponse{Released: int32(w.held), Pinned: int32(w.pinned)}
		w.held, w.pinned = 0, max(0, w.pinned-1) // a payment ends
		return nil
	})
	return res, err
}

func (w *world) CountUnsettled(context.Context, *inventoryv1.CountUnsettledRequest, ...grpc.CallOption) (res *inventoryv1.CountUnsettledResponse, err error) {
	err = w.call("count", func() error {
		res = &inventoryv1.CountUnsettledResponse{Held: int32(w.held)}
		owners := map[string]bool{}
		for _, s := range w.seats {
			switch {
			case s.OwnerUserId == "":
			case w.settled[s.SeatId]:
				res.Refunded++
			default:
				owners[s.OwnerUserId] = true
				res.Tickets++
				res.ValueCents += s.PricePaidCents
			}
		}
		res.Owners = int32(len(owners))
		return nil
	})
	return res, err
}

// ── cancellations ──

func (c cancelService) Preview(_ context.Context, p Preview, codeHash []byte) error {
	return c.call("preview", func() error {
		if known := c.cancellations[p.EventID]; known != nil && known.started {
			return ErrStarted
		}
		c.cancellations[p.EventID] = &cancellation{Cancellation: Cancellation{EventID: p.EventID, By: p.By, Tickets: p.Tickets}, code: string(codeHash), began: time.Now()}
		return nil
	})
}

func (c cancelService) Start(_ context.Context, event, admin uuid.UUID, codeHash []byte, reason string, life time.Duration) (started Cancellation, err error) {
	err = c.call("start", func() error {
		known := c.cancellations[event]
		if known == nil || known.By != admin || known.code != string(codeHash) || !known.started && time.Since(known.began) >= life {
			return ErrCode
		}
		if !known.started {
			known.started, known.Reason, known.StartedAt, known.lookAt = true, reason, time.Now(), time.Now().Add(lookWithin)
		}
		started = known.Cancellation
		return nil
	})
	return started, err
}

func (c cancelService) Abort(_ context.Context, event uuid.UUID) error {
	return c.call("abort", func() error { c.cancellations[event].started = false; return nil })
}

func (c cancelService) Get(_ context.Context, event uuid.UUID) (found Cancellation, err error) {
	err = c.call("cancellation", func() error {
		if known := c.cancellations[event]; known == nil || !known.started {
			return ErrNoCancellation
		}
		found = c.cancellations[event].Cancellation
		return nil
	})
	return found, err
}

func (c cancelService) Due(_ context.Context, limit int) (due []Cancellation, err error) {
	err = c.call("due", func() error {
		var all []*cancellation
		for _, known := range c.cancellations {
			if known.started && known.SettledAt == nil && !known.lookAt.After(time.Now()) {
				all = append(all, known)
			}
		}
		slices.SortFunc(all, func(a, b *cancellation) int { return a.lookAt.Compare(b.lookAt) })
		for _, known := range all[:min(limit, len(all))] {
			due = append(due, known.Cancellation)
		}
		return nil
	})
	return due, err
}

func (c cancelService) Advance(_ context.Context, event uuid.UUID, batch int) error {
	return c.call("advance", func() error {
		if known := c.cancellations[event]; known.Batches == batch {
			known.Batches++
		}
		return nil
	})
}

func (c cancelService) Later(_ context.Context, event uuid.UUID, pause time.Duration) error {
	return c.call("later", func() error { c.cancellations[event].lookAt = time.Now().Add(pause); return nil })
}

func (c cancelService) Settled(_ context.Context, event uuid.UUID) error {
	return c.call("settled", func() error { now := time.Now(); c.cancellations[event].SettledAt = &now; return nil })
}

var (
	_ Inventory     = (*world)(nil)
	_ Transfers     = (*world)(nil)
	_ Orders        = orderService{}
	_ Events        = eventService{}
	_ Cancellations = cancelService{}
	_ Users         = (*world)(nil)
)
