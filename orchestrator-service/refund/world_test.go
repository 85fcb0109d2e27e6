package refund

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"ticketremaster/orchestrator-service/clients"
	"ticketremaster/orchestrator-service/saga"
	"ticketremaster/orchestrator-service/saga/sagatest"
	"ticketremaster/platform/fault"
	"ticketremaster/platform/money"
	inventoryv1 "ticketremaster/proto/inventory/v1"
)

// world has every collaborator of refunds in memory.
type world struct {
	flows         *Flows
	engine        *saga.Engine
	t             *testing.T
	mu            sync.Mutex
	event         clients.Event
	seats         []*inventoryv1.Seat
	settled       map[string]bool // by seat
	blocked       map[string]bool
	orders        map[uuid.UUID]*clients.Order
	refunds       map[uuid.UUID]clients.RefundRequest // as they were granted
	disputed      map[uuid.UUID]string                // by seat: the code that refuses its refund
	transfers     []clients.Transfer
	listings      int // that can still be bought
	pinned        int // holds that are being paid for
	held          int
	credits       map[uuid.UUID]money.Cents
	paid          map[uuid.UUID]bool // refunds whose credits are returned
	cancellations map[uuid.UUID]*cancellation
	requests      map[string]request
	failing       map[string][]failure
	calls         map[string]int
	before        func(call string) // hook, with the lock held
}

// Collaborators whose methods have the same names.
type (
	orderService  struct{ *world }
	eventService  struct{ *world }
	cancelService struct{ *world }
)

type cancellation struct {
	Cancellation
	code    string
	began   time.Time // of the dry run
	started bool
	lookAt  time.Time
}

type request struct {
	operation uuid.UUID
	first     []byte
}

// failure is how one call fails: it is refused, its answer is lost, or it never arrives.
type failure struct {
	err  error
	lost bool // after it was done
}

var (
	unreachable = fault.Unreachable("the service", nil)
	refusal     = fault.New(fault.Conflict, "REFUSED_IN_TEST", "No")
	errGone     = fault.New(fault.NotFound, fault.CodeNotFound, "There is none")
	errState    = fault.New(fault.Conflict, fault.CodeOrderInvalidState, "Not in this state")
)

// inWorld runs a test with one published event in 48 hours, whose tickets may be returned until 24 hours before it for
// a fee of a tenth of the price. Its clock is that of a synctest bubble.
func inWorld(t *testing.T, test func(*testing.T, *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		hours, now := 24, time.Now()
		w := &world{
			t: t, settled: map[string]bool{}, blocked: map[string]bool{}, orders: map[uuid.UUID]*clients.Order{}, refunds: map[uuid.UUID]clients.RefundRequest{},
			disputed: map[uuid.UUID]string{}, credits: map[uuid.UUID]money.Cents{}, paid: map[uuid.UUID]bool{}, cancellations: map[uuid.UUID]*cancellation{},
			requests: map[string]request{}, failing: map[string][]failure{}, calls: map[string]int{},
		}
		w.event = clients.Event{EventID: uuid.New(), Status: clients.EventPublished, EventDate: now.Add(48 * time.Hour), EndsAt: now.Add(52 * time.Hour)}
		w.event.RefundHoursBefore, w.event.RefundFeePercent = &hours, 10
		w.flows = &Flows{
			Inventory: w, Orders: orderService{w}, Users: w, Events: eventService{w}, Transfers: w, Cancellations: cancelService{w}, Requests: w,
		}
		w.engine = saga.NewEngine(sagatest.NewLog(), "")
		w.flows.Register(w.engine)
		test(t, w)
	})
}

// ticket sells a ticket for 80 credits.
func (w *world) ticket() (holder uuid.UUID, seat *inventoryv1.Seat, order *clients.Order) {
	holder = uuid.New()
	order = &clients.Order{OrderID: uuid.New(), UserID: holder, SeatID: uuid.New(), EventID: w.event.EventID, Status: clients.OrderConfirmed, CreditsCharged: 80_00}
	seat = &inventoryv1.Seat{
		SeatId: order.SeatID.String(), EventId: w.event.EventID.String(), HoldId: order.OrderID.String(), OwnerUserId: holder.String(),
		Status: inventoryv1.SeatStatus_SOLD, PricePaidCents: 80_00,
	}
	w.orders[order.OrderID], w.seats = order, append(w.seats, seat)
	return holder, seat, order
}

func (w *world) fail(call string, f ...failure) { w.failing[call] = append(w.failing[call], f...) }

func (w *world) call(name string, do func() error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls[name]++
	if w.before != nil {
		w.before(name)
	}
	var f failure
	if waiting := w.failing[name]; len(waiting) > 0 {
		f, w.failing[name] = waiting[0], waiting[1:]
	}
	if f.err != nil && !f.lost {
		return f.err
	}
	if err := do(); err != nil {
		return err
	}
	return f.err
}

// ── the order service ──

func (o orderService) Get(_ context.Context, id uuid.UUID) (found clients.Order, err error) {
	err = o.call("order", func() error {
		if o.orders[id] == nil {
			return fault.New(fault.NotFound, fault.CodeOrderNotFound, "There is no such order")
		}
		found = *o.orders[id]
		return nil
	})
	return found, err
}

func (o orderService) RefundsOf(_ context.Context, order uuid.UUID) (raw json.RawMessage, err error) {
	err = o.call("refunds of", func() error {
		of := []clients.RefundRequest{}
		for _, r := range o.refunds {
			if r.OrderID == order {
				of = append(of, r)
			}
		}
		raw, err = json.Marshal(of)
		return err
	})
	return raw, err
}

// granted is the amount of an order that was refunded so far.
func (w *world) granted(order uuid.UUID) (sum money.Cents) {
	for _, r := range w.refunds {
		if r.OrderID == order {
			sum += r.Amount
		}
	}
	return sum
}

// grant decides over one refund.
func (w *world) grant(r clients.RefundRequest) (money.Cents, *fault.Error) {
	order := w.orders[r.OrderID]
	left := order.CreditsCharged - w.granted(r.OrderID)
	switch {
	case order.Status != clients.OrderConfirmed:
		return 0, errState
	case r.Kind == clients.RefundWhole && w.disputed[order.SeatID] != "":
		return 0, fault.New(fault.Conflict, w.disputed[order.SeatID], "It waits")
	case r.Kind == clients.RefundPart && r.Amount > left:
		return 0, fault.New(fault.Conflict, "REFUND_TOO_LARGE", "Too much")
	case r.Kind == clients.RefundPart:
		return r.Amount, nil
	}
	order.Status = clients.OrderRefunded
	return left - left*money.Cents(r.FeePercent)/100, nil
}

func (o orderService) Refund(_ context.Context, requests []clients.RefundRequest) (results []clients.RefundResult, err error) {
	err = o.call("refund", func() error {
		results = make([]clients.RefundResult, len(requests))
		for i, r := range requests {
			if _, known := o.refunds[r.RefundID]; !known {
				amount, no := o.grant(r)
				if no != nil {
					results[i].ErrorCode, results[i].Message = no.Code, no.Message
					continue
				}
				r.Amount = amount
				o.refunds[r.RefundID] = r
			}
			raw, _ := json.Marshal(map[string]any{"refund": o.refunds[r.RefundID]})
			if err := json.Unmarshal(raw, &results[i]); err != nil {
				return err
			}
		}
		return nil
	})
	return results, err
}

func (o orderService) FailPending(context.Context, uuid.UUID, string) error {
	return o.call("fail pending", func() error {
		for _, order := range o.orders {
			if order.Status == clients.OrderPending {
				order.Status = clients.OrderFailed
			}
		}
		return nil
	})
}

func (o orderService) Unsettled(context.Context, uuid.UUID) (seats []uuid.UUID, err error) {
	err = o.call("unsettled", func() error { seats = slices.Collect(maps.Keys(o.disputed)); return nil })
	return seats, err
}

func (o orderService) LiveTransfers(context.Context, uuid.UUID) (live []clients.Transfer, err error) {
	err = o.call("live transfers", func() error {
		live = slices.Clone(o.transfers[:min(len(o.transfers), 100)])
		return nil
	})
	return live, err
}

func (o orderService) EndListings(context.Context, uuid.UUID, string) (ended int, err error) {
	err = o.call("end listings", func() error {
		ended = min(o.listings, 100)
		o.listings -= ended
		return nil
	})
	return ended, err
}

func (w *world) Fail(_ context.Context, t clients.Transfer, _ string) error {
	return w.call("fail transfer", func() error {
		w.transfers = slices.DeleteFunc(w.transfers, func(other clients.Transfer) bool { return other.TransferID == t.TransferID })
		return nil
	})
}

// ── the user service ──

func (w *world) RefundTickets(_ context.Context, refunds []clients.TicketRefund) error {
	return w.call("credits", func() error {
		for _, r := range refunds {
			if !w.paid[r.RefundID] {
				w.paid[r.RefundID] = true
				w.credits[r.UserID] += r.Amount
			}
		}
		return nil
	})
}

// ── the event service ──

func (e eventService) Get(_ context.Context, id uuid.UUID) (found clients.Event, err error) {
	err = e.call("event", func() error {
		if found = e.event; found.EventID != id {
			return errGone
		}
		return nil
	})
	return found, err
}

func (e eventService) Change(_ context.Context, _ uuid.UUID, how string, c clients.EventChange) (clients.Event, error) {
	err := e.call("change event", func() error {
		if how != clients.CancelEvent || c.Reason == "" || c.By == uuid.Nil {
			return refusal
		}
		e.event.Status = clients.EventCancelled
		return nil
	})
	return e.event, err
}

// ── requests that may be repeated ──

func (w *world) Claim(_ context.Context, admin uuid.UUID, key string, fingerprint []byte, proposed uuid.UUID, _ time.Duration) (id uuid.UUID, first []byte, err error) {
	err = w.call("claim", func() error {
		key = admin.String() + key
		if _, known := w.requests[key]; !known {
			w.requests[key] = request{proposed, fingerprint}
		}
		id, first = w.requests[key].operation, w.requests[key].first
		return nil
	})
	return id, first, err
}

func (w *world) Forget(_ context.Context, admin uuid.UUID, key string, _ uuid.UUID) error {
	return w.call("forget", func() error { delete(w.requests, admin.String()+key); return nil })
}
