package purchase

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"ticketremaster/orchestrator-service/clients"
	"ticketremaster/orchestrator-service/hold"
	"ticketremaster/orchestrator-service/saga"
	"ticketremaster/orchestrator-service/saga/sagatest"
	"ticketremaster/orchestrator-service/tickets"
	"ticketremaster/platform/fault"
	"ticketremaster/platform/money"
	"ticketremaster/platform/web"
	inventoryv1 "ticketremaster/proto/inventory/v1"
)

// world has the services that a purchase needs in memory: one event, its seats, users with credits, orders. They keep
// the rules that the flow relies on: every call is idempotent by its id, and an undo that comes first forbids the
// action.
type world struct {
	mu       sync.Mutex
	calls    []string                                 // in the order they came
	plan     map[string][]func(do func() error) error // what the next calls of a name do instead
	always   map[string]func(do func() error) error
	now      int
	most     int // calls at once
	event    clients.Event
	seats    map[uuid.UUID]*seat
	balance  map[uuid.UUID]money.Cents
	booked   map[uuid.UUID]booking // by operation
	risk     map[uuid.UUID]*clients.Risk
	orders   map[uuid.UUID]*clients.Order
	messages []hold.Message
	sent     []clients.Challenge
	payers   []clients.Payer // whose top-up is under way, by their ids
}

type seat struct {
	holder, hold, owner, pin uuid.UUID
	extended                 uuid.UUID // the hold that was
	until                    time.Time
	unpinned                 map[uuid.UUID]bool
	price                    int64
}

// booking is a deduction, or the mark of one that was returned.
type booking struct {
	user     uuid.UUID
	amount   money.Cents
	returned bool
}

// Ways for a call not to answer.
var errAway = fault.Unreachable("a service", errors.New("time-out"))

func away(func() error) error { return errAway }

// lost makes the call and loses its answer.
func lost(do func() error) error { _ = do(); return errAway }

func refuse(e *fault.Error) func(func() error) error { return func(func() error) error { return e } }

// call runs one call of a service as planned.
func (w *world) call(name string, do func() error) error {
	w.mu.Lock()
	w.calls = append(w.calls, name)
	w.now++
	w.most = max(w.most, w.now)
	locked := func() error { w.mu.Lock(); defer w.mu.Unlock(); return do() }
	act := w.always[name]
	if p := w.plan[name]; len(p) > 0 {
		act, w.plan[name] = p[0], p[1:]
	}
	w.mu.Unlock()
	defer func() { w.mu.Lock(); w.now--; w.mu.Unlock() }()
	if act != nil {
		return act(locked)
	}
	return locked()
}

func (w *world) count(name string) (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.calls {
		if c == name {
			n++
		}
	}
	return n
}

func refusal(kind fault.Kind, code string) *fault.Error { return fault.New(kind, code, "no") }

// ---- the inventory service

func (w *world) ReserveSeat(_ context.Context, in *inventoryv1.ReserveSeatRequest, _ ...grpc.CallOption) (out *inventoryv1.ReserveSeatResponse, err error) {
	err = w.call("ReserveSeat", func() error {
		s := w.seats[clients.ID(in.SeatId)]
		user := clients.ID(in.UserId)
		again := false
		switch {
		case s == nil:
			return refusal(fault.NotFound, "SEAT_NOT_FOUND")
		case s.owner != uuid.Nil, s.hold != uuid.Nil && s.holder != user:
			return refusal(fault.Conflict, "SEAT_UNAVAILABLE")
		case s.hold != uuid.Nil:
			again = true
		default:
			s.holder, s.hold = user, clients.ID(in.HoldId)
			s.until = time.Now().Add(time.Duration(in.HoldTtlMs) * time.Millisecond)
		}
		out = &inventoryv1.ReserveSeatResponse{AlreadyHeld: again, RemainingMs: time.Until(s.until).Milliseconds(), Seat: &inventoryv1.Seat{
			SeatId: in.SeatId, EventId: w.event.EventID.String(), Tier: "A", HoldId: s.hold.String(), HeldUntil: timestamppb.New(s.until),
		}}
		return nil
	})
	return out, err
}

func (w *world) PinHold(_ context.Context, in *inventoryv1.PinHoldRequest, _ ...grpc.CallOption) (*inventoryv1.PinHoldResponse, error) {
	return &inventoryv1.PinHoldResponse{}, w.call("PinHold", func() error {
		s, pin := w.seats[clients.ID(in.SeatId)], clients.ID(in.PinId)
		if s.hold != clients.ID(in.HoldId) || s.unpinned[pin] || s.pin != uuid.Nil && s.pin != pin || s.pin == uuid.Nil && time.Now().After(s.until) {
			return refusal(fault.Gone, "HOLD_EXPIRED")
		}
		s.pin = pin
		return nil
	})
}

func (w *world) UnpinHold(_ context.Context, in *inventoryv1.UnpinHoldRequest, _ ...grpc.CallOption) (*inventoryv1.UnpinHoldResponse, error) {
	return &inventoryv1.UnpinHoldResponse{}, w.call("UnpinHold", func() error {
		s, pin := w.seats[clients.ID(in.SeatId)], clients.ID(in.PinId)
		if s.unpinned == nil {
			s.unpinned = map[uuid.UUID]bool{}
		}
		s.unpinned[pin] = true
		if s.pin == pin {
			s.pin = uuid.Nil
		}
		return nil
	})
}

func (w *world) ConfirmSeat(_ context.Context, in *inventoryv1.ConfirmSeatRequest, _ ...grpc.CallOption) (*inventoryv1.ConfirmSeatResponse, error) {
	return &inventoryv1.ConfirmSeatResponse{}, w.call("ConfirmSeat", func() error {
		s := w.seats[clients.ID(in.SeatId)]
		if s.owner == clients.ID(in.UserId) && s.pin == clients.ID(in.PinId) {
			return nil
		}
		if s.hold != clients.ID(in.HoldId) || s.pin != clients.ID(in.PinId) {
			return refusal(fault.Conflict, "SEAT_NOT_HELD")
		}
		s.owner, s.hold, s.price = clients.ID(in.UserId), uuid.Nil, in.PriceCents
		return nil
	})
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

// ---- the user service

func (w *world) Risk(_ context.Context, user, _ uuid.UUID) (r clients.Risk, err error) {
	err = w.call("Risk", func() error {
		if known := w.risk[user]; known != nil {
			r = *known
		}
		return nil
	})
	return r, err
}

func (w *world) User(_ context.Context, id uuid.UUID) (u clients.User, err error) {
	err = w.call("User", func() error { u = clients.User{UserID: id, CreditBalance: w.balance[id]}; return nil })
	return u, err
}

func (w *world) Book(_ context.Context, path string, b clients.Booking) (out clients.Booked, err error) {
	err = w.call("Book "+path, func() error {
		booked, done := w.booked[b.OperationID]
		switch {
		case path == clients.Deduct && booked.returned:
			return refusal(fault.Conflict, "OPERATION_VOIDED")
		case path == clients.Deduct && !done:
			if w.balance[b.UserID] < b.Amount {
				return refusal(fault.PaymentRequired, fault.CodeInsufficientCredits)
			}
			w.balance[b.UserID] -= b.Amount
			w.booked[b.OperationID] = booking{user: b.UserID, amount: b.Amount}
		case path == clients.Return && !booked.returned:
			w.balance[booked.user] += booked.amount
			booked.returned = true
			w.booked[b.OperationID] = booked
		}
		out = clients.Booked{CreditBalance: w.balance[b.UserID]}
		return nil
	})
	return out, err
}

func (w *world) Payers(_ context.Context, after uuid.UUID) (page []clients.Payer, err error) {
	err = w.call("Payers", func() error {
		for _, p := range w.payers {
			if p.UserID.String() > after.String() && len(page) < clients.MostPayers {
				page = append(page, p)
			}
		}
		return nil
	})
	return page, err
}

func (w *world) SendOTP(_ context.Context, c clients.Challenge) error {
	return w.call("SendOTP", func() error { w.sent = append(w.sent, c); return nil })
}

func (w *world) VerifyOTP(_ context.Context, user uuid.UUID, _ string, _ uuid.UUID, code string, _ uuid.UUID) error {
	return w.call("VerifyOTP", func() error {
		if code != "123456" {
			return refusal(fault.Invalid, "OTP_INVALID")
		}
		w.risk[user].OTPVerified = true
		return nil
	})
}

// ---- the order service

// PlaceWithin refuses users who have as many orders of the event as allowed.
func (w *world) PlaceWithin(ctx context.Context, in clients.Order, _ uuid.UUID, rules clients.Rules) (clients.Order, error) {
	has := 0
	for _, o := range w.orders {
		if o.UserID == in.UserID && o.EventID == in.EventID && o.OrderID != in.OrderID {
			has++
		}
	}
	if has >= *rules.MaxPerCustomer {
		return clients.Order{}, fault.New(fault.Conflict, fault.CodeTicketLimit, "enough")
	}
	return w.Place(ctx, in)
}

func (w *world) Place(_ context.Context, in clients.Order) (out clients.Order, err error) {
	err = w.call("Place", func() error {
		if w.orders[in.OrderID] == nil {
			in.Status = clients.OrderPending
			w.orders[in.OrderID] = &in
		}
		out = *w.orders[in.OrderID]
		return nil
	})
	return out, err
}

func (w *world) Confirm(_ context.Context, in clients.Order) error {
	return w.call("Confirm", func() error {
		o := w.orders[in.OrderID]
		switch {
		case o.Status == clients.OrderConfirmed && *o.AttemptID == *in.AttemptID:
			return nil
		case o.Status != clients.OrderPending:
			return refusal(fault.Conflict, fault.CodeOrderInvalidState)
		}
		o.Status, o.AttemptID, o.CreditsCharged = clients.OrderConfirmed, in.AttemptID, in.CreditsCharged
		return nil
	})
}

func (w *world) UndoConfirm(_ context.Context, order, attempt uuid.UUID, reason string) error {
	return w.call("UndoConfirm", func() error {
		if o := w.orders[order]; o.Status == clients.OrderConfirmed && *o.AttemptID == attempt {
			o.Status, o.FailureReason = clients.OrderRefunded, reason
		}
		return nil
	})
}

func (w *world) Fail(_ context.Context, order uuid.UUID, reason string) (out clients.Order, err error) {
	err = w.call("Fail", func() error {
		o := w.orders[order]
		switch {
		case o == nil:
			return refusal(fault.NotFound, fault.CodeOrderNotFound)
		case o.Status == clients.OrderPending:
			o.Status, o.FailureReason = clients.OrderFailed, reason
		case o.Status != clients.OrderFailed:
			return refusal(fault.Conflict, fault.CodeOrderInvalidState)
		}
		out = *o
		return nil
	})
	return out, err
}

func (w *world) Extend(_ context.Context, order uuid.UUID, until time.Time) (out clients.Order, err error) {
	err = w.call("Extend", func() error {
		o := w.orders[order]
		switch {
		case o == nil:
			return refusal(fault.NotFound, fault.CodeOrderNotFound)
		case o.Status != clients.OrderPending:
			return refusal(fault.Conflict, fault.CodeOrderInvalidState)
		}
		o.HeldUntil, out = until, *o
		return nil
	})
	return out, err
}

func (w *world) Get(_ context.Context, id uuid.UUID) (out clients.Order, err error) {
	err = w.call("Get", func() error {
		if w.orders[id] == nil {
			return refusal(fault.NotFound, fault.CodeOrderNotFound)
		}
		out = *w.orders[id]
		return nil
	})
	return out, err
}

func (w *world) OfUser(_ context.Context, user uuid.UUID, status string, _ web.Page) (out []clients.Order, total int, err error) {
	err = w.call("OfUser", func() error {
		for _, o := range w.orders {
			if o.UserID == user && (status == "" || status == o.Status) {
				out = append(out, *o)
			}
		}
		return nil
	})
	return out, len(out), err
}

func (w *world) Overdue(_ context.Context, olderThan time.Duration, limit int) (out []clients.Order, err error) {
	err = w.call("Overdue", func() error {
		for _, o := range w.orders {
			if o.Status == clients.OrderPending && time.Since(o.HeldUntil) > olderThan && len(out) < limit {
				out = append(out, *o)
			}
		}
		return nil
	})
	return out, err
}

// ---- the event service, the tickets and the broker

func (w *world) Recent(context.Context, uuid.UUID) (e clients.Event, err error) {
	err = w.call("Recent", func() error { e = w.event; return nil })
	return e, err
}

func (w *world) Ticket(context.Context, uuid.UUID) (t tickets.Ticket, err error) {
	err = w.call("Ticket", func() error {
		t = tickets.Ticket{Seat: &inventoryv1.Seat{RowNumber: "C", SeatNumber: 7}, Event: w.event}
		return nil
	})
	return t, err
}

func (w *world) FirstQR(_ context.Context, seat, _ uuid.UUID, _ int64) string {
	return "qr of " + seat.String()
}

func (w *world) Publish(_ context.Context, m hold.Message) {
	_ = w.call("Publish", func() error { w.messages = append(w.messages, m); return nil })
}

// start returns flows for a world with one event of ten seats, and a saga engine with a log in memory.
func start(t *testing.T) (*Flows, *world, *sagatest.Log) {
	t.Helper()
	w := &world{
		plan: map[string][]func(func() error) error{}, always: map[string]func(func() error) error{},
		seats: map[uuid.UUID]*seat{}, balance: map[uuid.UUID]money.Cents{}, booked: map[uuid.UUID]booking{},
		risk: map[uuid.UUID]*clients.Risk{}, orders: map[uuid.UUID]*clients.Order{},
		event: clients.Event{EventID: uuid.New(), Name: "Concert", Status: "PUBLISHED", EventDate: time.Now().Add(24 * time.Hour), PricingTiers: map[string]money.Cents{"A": 80_00}},
	}
	log := sagatest.NewLog()
	f := &Flows{
		Settings:  Settings{HoldTTL: 5 * time.Minute, MaxHolds: 10, SweepGrace: 5 * time.Second},
		Inventory: w, Users: w, Orders: w, Events: w, Tickets: w, Holds: w,
	}
	f.Register(saga.NewEngine(log, ""))
	return f, w, log
}

// customer makes a user with credits and a free seat.
func (w *world) customer(credits money.Cents) (user, seatID uuid.UUID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	user, seatID = uuid.New(), uuid.New()
	w.balance[user], w.seats[seatID] = credits, &seat{}
	return user, seatID
}

func (w *world) held(seatID uuid.UUID) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.seats[seatID].hold != uuid.Nil
}
