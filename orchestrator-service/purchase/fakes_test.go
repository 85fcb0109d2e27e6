package purchase

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

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
	booked   map[uuid.UUID]deduction // by operation
	risk     map[uuid.UUID]*clients.Risk
	orders   map[uuid.UUID]*clients.Order
	messages []hold.Message
	sent     []clients.Challenge
	payers   []clients.Payer                 // whose top-up is under way, by their ids
	best     *inventoryv1.ReserveBestRequest // the last
	alone    []string                        // seats that any others leave alone
	former   bool                            // the inventory service is of a release that knows no bookings
}

type seat struct {
	holder, hold, owner, pin uuid.UUID
	extended                 uuid.UUID // the hold that was
	until                    time.Time
	unpinned                 map[uuid.UUID]bool
	price                    int64
}

// deduction is one, or the mark of one that was returned.
type deduction struct {
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
			w.booked[b.OperationID] = deduction{user: b.UserID, amount: b.Amount}
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
func (w *world) PlaceWithin(ctx context.Context, in []clients.Order, _ uuid.UUID, rules clients.Rules) ([]clients.Order, error) {
	has := 0
	for _, o := range w.orders {
		if o.UserID == in[0].UserID && o.EventID == in[0].EventID && !slices.ContainsFunc(in, func(i clients.Order) bool { return i.OrderID == o.OrderID }) {
			has++
		}
	}
	if has+len(in) > *rules.MaxPerCustomer {
		return nil, fault.New(fault.Conflict, fault.CodeTicketLimit, "enough")
	}
	return w.Place(ctx, in)
}

func (w *world) Place(_ context.Context, in []clients.Order) (out []clients.Order, err error) {
	err = w.call("Place", func() error {
		for _, o := range in {
			if w.orders[o.OrderID] == nil {
				o.Status = clients.OrderPending
				w.orders[o.OrderID] = &o
			}
			out = append(out, *w.orders[o.OrderID])
		}
		return nil
	})
	return out, err
}

func (w *world) Confirm(_ context.Context, in []clients.Order) error {
	return w.call("Confirm", func() error {
		repeat := func(i clients.Order) bool {
			o := w.orders[i.OrderID]
			return o.Status == clients.OrderConfirmed && *o.AttemptID == *i.AttemptID
		}
		for _, i := range in {
			if w.orders[i.OrderID].Status != clients.OrderPending && !repeat(i) {
				return refusal(fault.Conflict, fault.CodeOrderInvalidState)
			}
		}
		for _, i := range in {
			o := w.orders[i.OrderID]
			o.Status, o.AttemptID, o.CreditsCharged = clients.OrderConfirmed, i.AttemptID, i.CreditsCharged
		}
		return nil
	})
}

func (w *world) UndoConfirm(_ context.Context, booking, attempt uuid.UUID, reason string) error {
	return w.call("UndoConfirm", func() error {
		for _, o := range w.orders {
			if o.Booking() == booking && o.Status == clients.OrderConfirmed && *o.AttemptID == attempt {
				o.Status, o.FailureReason = clients.OrderRefunded, reason
			}
		}
		return nil
	})
}

func (w *world) OfBooking(_ context.Context, user, booking uuid.UUID) (out []clients.Order, err error) {
	err = w.call("OfBooking", func() error {
		for _, o := range w.orders {
			if o.UserID == user && o.Booking() == booking {
				out = append(out, *o)
			}
		}
		return nil
	})
	return out, err
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
		seats: map[uuid.UUID]*seat{}, balance: map[uuid.UUID]money.Cents{}, booked: map[uuid.UUID]deduction{},
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

// one asks for one seat.
func one(seat uuid.UUID) Wanted { return Wanted{Seats: []uuid.UUID{seat}} }

func (w *world) held(seatID uuid.UUID) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.seats[seatID].hold != uuid.Nil
}
