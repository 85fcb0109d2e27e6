package refund

import (
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"ticketremaster/orchestrator-service/clients"
	"ticketremaster/orchestrator-service/repeat"
	"ticketremaster/platform/fault"
	"ticketremaster/platform/money"
	inventoryv1 "ticketremaster/proto/inventory/v1"
)

func want(t *testing.T, err error, code string) {
	t.Helper()
	if got := fault.Code(err); got != code {
		t.Fatalf("got %q (%v), want %q", got, err, code)
	}
}

// wantRefunded fails the test unless the order is refunded, its ticket void and that amount returned to its holder.
func (w *world) wantRefunded(holder uuid.UUID, seat *inventoryv1.Seat, order *clients.Order, credits money.Cents) {
	w.t.Helper()
	if w.credits[holder] != credits || order.Status != clients.OrderRefunded || seat.OwnerUserId != "" || seat.VoidId != "" {
		w.t.Errorf("%s returned, want %s; the order is %s, the seat is %v", w.credits[holder], credits, order.Status, seat)
	}
}

// wantUntouched fails the test unless the ticket is as it was sold.
func (w *world) wantUntouched(holder uuid.UUID, seat *inventoryv1.Seat, order *clients.Order) {
	w.t.Helper()
	if w.credits[holder] != 0 || order.Status != clients.OrderConfirmed || seat.VoidId != "" || len(w.refunds) != 0 {
		w.t.Errorf("%s returned; the order is %s, the seat is %v, refunds are %v", w.credits[holder], order.Status, seat, w.refunds)
	}
}

func TestAHolderGivesATicketBack(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		holder, seat, order := w.ticket()
		out, err := w.flows.GiveBack(t.Context(), holder, order.SeatID)
		want(t, err, "")
		if out.Pending || out.State.Amount != 72_00 || out.State.By != holder {
			t.Errorf("%+v", out)
		}
		w.wantRefunded(holder, seat, order, 72_00)
		if w.blocked[seat.SeatId] {
			t.Error("the seat is not for sale again")
		}
		_, err = w.flows.GiveBack(t.Context(), holder, order.SeatID) // not theirs any more
		want(t, err, fault.CodeNotSeatOwner)
		w.wantRefunded(holder, seat, order, 72_00)
	})
}

func TestThePolicyOfAnEvent(t *testing.T) {
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	hours, day, later, earlier := 24, now.Add(24*time.Hour), now.Add(time.Second), now.Add(-time.Second)
	for name, c := range map[string]struct {
		event   clients.Event
		hours   *int
		fee     int
		allowed bool
	}{
		"in time":                   {clients.Event{Status: clients.EventPublished, EventDate: day.Add(time.Hour)}, &hours, 10, true},
		"at the last moment":        {clients.Event{Status: clients.EventPublished, EventDate: day}, &hours, 10, true},
		"too late":                  {clients.Event{Status: clients.EventPublished, EventDate: day.Add(-time.Second)}, &hours, 0, false},
		"without a policy":          {clients.Event{Status: clients.EventPublished, EventDate: day}, nil, 0, false},
		"of a draft":                {clients.Event{Status: clients.EventDraft, EventDate: day}, &hours, 0, false},
		"of a cancelled event":      {clients.Event{Status: clients.EventCancelled, EventDate: day}, &hours, 0, false},
		"of a postponed event":      {clients.Event{Status: clients.EventPostponed, EventDate: now, RefundUntil: &later}, nil, 0, true},
		"until then":                {clients.Event{Status: clients.EventPostponed, EventDate: now, RefundUntil: &now}, &hours, 0, true},
		"after that":                {clients.Event{Status: clients.EventPostponed, EventDate: now, RefundUntil: &earlier}, &hours, 0, false},
		"after that, by the policy": {clients.Event{Status: clients.EventPostponed, EventDate: day, RefundUntil: &earlier}, &hours, 10, true},
		"once it was postponed":     {clients.Event{Status: clients.EventPublished, EventDate: now, RefundUntil: &later}, nil, 0, false},
	} {
		c.event.RefundHoursBefore, c.event.RefundFeePercent = c.hours, 10
		if fee, allowed := policy(c.event, now); fee != c.fee || allowed != c.allowed {
			t.Errorf("%s: %d %%, %t", name, fee, allowed)
		}
	}
}

func TestWhatAHolderCannotGiveBack(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*world, *inventoryv1.Seat, *clients.Order)
		code   string
	}{
		"another's ticket":   {func(_ *world, s *inventoryv1.Seat, _ *clients.Order) { s.OwnerUserId = uuid.NewString() }, fault.CodeNotSeatOwner},
		"a used ticket":      {func(_ *world, s *inventoryv1.Seat, _ *clients.Order) { s.Status = inventoryv1.SeatStatus_CHECKED_IN }, fault.CodeTicketAlreadyUsed},
		"too late":           {func(w *world, _ *inventoryv1.Seat, _ *clients.Order) { w.event.EventDate = time.Now() }, "REFUND_NOT_ALLOWED"},
		"of a cancelled one": {func(w *world, _ *inventoryv1.Seat, _ *clients.Order) { w.event.Status = clients.EventCancelled }, "REFUND_NOT_ALLOWED"},
		"a disputed ticket":  {func(w *world, _ *inventoryv1.Seat, o *clients.Order) { w.disputed[o.SeatID] = fault.CodeTicketDisputed }, fault.CodeTicketDisputed},
		"what changes hands": {func(w *world, _ *inventoryv1.Seat, o *clients.Order) {
			w.disputed[o.SeatID] = fault.CodeTransferInProgress
		}, fault.CodeTransferInProgress},
		"an unknown seat": {func(_ *world, s *inventoryv1.Seat, _ *clients.Order) { s.SeatId = "" }, fault.CodeSeatNotFound},
		"in an outage":    {func(w *world, _ *inventoryv1.Seat, _ *clients.Order) { w.fail("owner", failure{err: unreachable}) }, fault.CodeUnavailable},
		"in another":      {func(w *world, _ *inventoryv1.Seat, _ *clients.Order) { w.fail("event", failure{err: unreachable}) }, fault.CodeUnavailable},
		"in a third":      {func(w *world, _ *inventoryv1.Seat, _ *clients.Order) { w.fail("order", failure{err: unreachable}) }, fault.CodeUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				holder, seat, order := w.ticket()
				c.change(w, seat, order)
				_, err := w.flows.GiveBack(t.Context(), holder, order.SeatID)
				want(t, err, c.code)
				w.wantUntouched(holder, seat, order)
			})
		})
	}
	inWorld(t, func(t *testing.T, w *world) { // void by another refund already, which has not been settled
		holder, seat, order := w.ticket()
		seat.VoidId = uuid.NewString()
		_, err := w.flows.GiveBack(t.Context(), holder, order.SeatID)
		want(t, err, fault.CodeTicketRefunded)
	})
}

// Each step of a refund has an unknown outcome, done or not, or is refused.
func TestARefundOverEveryOutcome(t *testing.T) {
	for _, step := range []string{"void", "refund", "credits", "free"} {
		for _, lost := range []bool{false, true} {
			inWorld(t, func(t *testing.T, w *world) {
				holder, seat, order := w.ticket()
				w.fail(step, failure{unreachable, lost}, failure{unreachable, lost})
				_, err := w.flows.GiveBack(t.Context(), holder, order.SeatID)
				want(t, err, "")
				w.wantRefunded(holder, seat, order, 72_00)
			})
		}
		inWorld(t, func(t *testing.T, w *world) {
			holder, seat, order := w.ticket()
			w.fail(step, failure{err: refusal})
			_, err := w.flows.GiveBack(t.Context(), holder, order.SeatID)
			if step == "void" || step == "refund" {
				want(t, err, refusal.Code)
				w.wantUntouched(holder, seat, order)
				return
			}
			want(t, err, fault.CodeInternal) // past the point of no return: a person decides, and the ticket stays void
			if seat.VoidId == "" || order.Status != clients.OrderRefunded {
				t.Errorf("%s refused: the order is %s, the seat %v", step, order.Status, seat)
			}
		})
	}
	for _, lost := range []bool{false, true} {
		inWorld(t, func(t *testing.T, w *world) { // the undoing
			holder, seat, order := w.ticket()
			w.fail("refund", failure{err: refusal})
			w.fail("restore", failure{unreachable, lost})
			_, err := w.flows.GiveBack(t.Context(), holder, order.SeatID)
			want(t, err, refusal.Code)
			w.wantUntouched(holder, seat, order)
			out, err := w.flows.GiveBack(t.Context(), holder, order.SeatID) // what was undone may be tried again
			want(t, err, "")
			if out.Joined {
				t.Error("it was not tried again")
			}
			w.wantRefunded(holder, seat, order, 72_00)
		})
	}
	inWorld(t, func(t *testing.T, w *world) { // made void, the answer lost, and then refused
		holder, seat, order := w.ticket()
		w.fail("void", failure{unreachable, true}, failure{err: refusal})
		_, err := w.flows.GiveBack(t.Context(), holder, order.SeatID)
		want(t, err, refusal.Code)
		w.wantUntouched(holder, seat, order)
	})
}

func TestAnAdministratorRefundsToTheOwner(t *testing.T) {
	admin := uuid.New()
	for _, c := range []struct {
		block, cancelled, blocked bool
	}{{}, {block: true, blocked: true}, {cancelled: true, blocked: true}} {
		inWorld(t, func(t *testing.T, w *world) {
			buyer, seat, order := w.ticket()
			owner := uuid.New()
			seat.OwnerUserId = owner.String() // it was handed on
			if c.cancelled {
				w.event.Status = clients.EventCancelled
			}
			w.event.EventDate = time.Now() // the policy binds holders only
			r := Request{OrderID: order.OrderID, Block: c.block, Reason: "ill"}
			out, err := w.flows.Refund(t.Context(), admin, "", r)
			want(t, err, "")
			w.wantRefunded(owner, seat, order, 80_00)
			if w.credits[buyer] != 0 || w.blocked[seat.SeatId] != c.blocked || out.State.By != admin || out.State.Reason != "ill" {
				t.Errorf("%+v: blocked %t, %+v", c, w.blocked[seat.SeatId], out)
			}
			again, err := w.flows.Refund(t.Context(), uuid.New(), "", r) // never twice, whoever asks
			want(t, err, "")
			if !again.Joined || again.State.RefundID != out.State.RefundID {
				t.Errorf("again: %+v", again)
			}
			w.wantRefunded(owner, seat, order, 80_00)
			_, err = w.flows.Refund(t.Context(), admin, "", Request{OrderID: order.OrderID, Part: 1_00})
			want(t, err, fault.CodeTicketRefunded)
		})
	}
	for _, call := range []string{"order", "owner", "event"} {
		inWorld(t, func(t *testing.T, w *world) {
			_, _, order := w.ticket()
			w.fail(call, failure{err: unreachable})
			_, err := w.flows.Refund(t.Context(), admin, "", Request{OrderID: order.OrderID})
			want(t, err, fault.CodeUnavailable)
		})
	}
}

func TestATicketThatWasHandedOnMeanwhileIsRefundedToItsNewOwner(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		holder, seat, order := w.ticket()
		next := uuid.New()
		w.before = func(call string) {
			if call == "void" {
				seat.OwnerUserId = next.String()
			}
		}
		_, err := w.flows.Refund(t.Context(), uuid.New(), "", Request{OrderID: order.OrderID})
		want(t, err, "")
		w.wantRefunded(next, seat, order, 80_00)
		if w.credits[holder] != 0 {
			t.Errorf("who handed it on has %s", w.credits[holder])
		}
	})
}

func TestPartsOfAPrice(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		holder, seat, order := w.ticket()
		admin := uuid.New()
		for _, c := range []struct {
			key   string
			part  money.Cents
			total money.Cents
			code  string
		}{
			{"a", 30_00, 30_00, ""},
			{"a", 30_00, 30_00, ""},                       // the same request
			{"a", 20_00, 30_00, repeat.ErrKeyReused.Code}, // another by its key
			{"b", 30_00, 60_00, ""},                       // another
			{"c", 20_01, 60_00, "REFUND_TOO_LARGE"},       // more than is left
			{"c", 10_00, 70_00, ""},                       // corrected, by the key of what was refused
			{"", 5_00, 75_00, ""}, {"", 5_00, 75_00, ""},  // a double click
			{"d", 80_00, 75_00, "REFUND_TOO_LARGE"}, // more than the price
		} {
			_, err := w.flows.Refund(t.Context(), admin, c.key, Request{OrderID: order.OrderID, Part: c.part, Reason: "rain"})
			want(t, err, c.code)
			if w.credits[holder] != c.total || seat.VoidId != "" || order.Status != clients.OrderConfirmed {
				t.Errorf("%+v: %s returned, %v", c, w.credits[holder], seat)
			}
		}
		_, err := w.flows.Refund(t.Context(), admin, "", Request{OrderID: order.OrderID}) // the rest of it
		want(t, err, "")
		w.wantRefunded(holder, seat, order, 80_00)
	})
	for name, c := range map[string]struct {
		change func(*world, *inventoryv1.Seat)
		code   string
	}{
		"of a used ticket":    {func(_ *world, s *inventoryv1.Seat) { s.Status = inventoryv1.SeatStatus_CHECKED_IN }, fault.CodeTicketAlreadyUsed},
		"of a seat sold anew": {func(_ *world, s *inventoryv1.Seat) { s.HoldId = uuid.NewString() }, fault.CodeTicketRefunded},
		"of a free seat":      {func(_ *world, s *inventoryv1.Seat) { s.OwnerUserId = "" }, fault.CodeTicketRefunded},
		"unrecorded":          {func(w *world, _ *inventoryv1.Seat) { w.fail("claim", failure{err: unreachable}) }, fault.CodeUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				holder, seat, order := w.ticket()
				c.change(w, seat)
				_, err := w.flows.Refund(t.Context(), uuid.New(), "", Request{OrderID: order.OrderID, Part: 1_00})
				want(t, err, c.code)
				w.wantUntouched(holder, seat, order)
			})
		})
	}
}

func TestAFreeTicketMovesNoCredits(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		holder, seat, order := w.ticket()
		order.CreditsCharged = 0
		_, err := w.flows.GiveBack(t.Context(), holder, order.SeatID)
		want(t, err, "")
		w.wantRefunded(holder, seat, order, 0)
		if w.calls["credits"] != 0 {
			t.Error("no credits were to be returned")
		}
	})
}

// A holder and two administrators at once, and again: one refund.
func TestManyRefundsAtOnceAreOne(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		holder, seat, order := w.ticket()
		var all sync.WaitGroup
		for i := range 30 {
			all.Go(func() {
				var err error
				if i%3 == 0 {
					_, err = w.flows.GiveBack(t.Context(), holder, order.SeatID)
				} else {
					_, err = w.flows.Refund(t.Context(), uuid.New(), "", Request{OrderID: order.OrderID})
				}
				if code := fault.Code(err); err != nil && code != fault.CodeNotSeatOwner {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if len(w.refunds) != 1 {
			t.Errorf("%d refunds", len(w.refunds))
		}
		for _, r := range w.refunds {
			w.wantRefunded(holder, seat, order, r.Amount)
		}
	})
}
