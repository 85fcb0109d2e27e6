package refund

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"ticketremaster/orchestrator-service/clients"
	"ticketremaster/platform/fault"
	inventoryv1 "ticketremaster/proto/inventory/v1"
)

var admin = uuid.New()

// sold sells that many tickets, each to a holder of its own.
func (w *world) sold(n int) (holders []uuid.UUID) {
	for range n {
		holder, _, _ := w.ticket()
		holders = append(holders, holder)
	}
	return holders
}

// preview returns the code of a dry run.
func (w *world) preview() Preview {
	w.t.Helper()
	p, err := w.flows.Preview(w.t.Context(), admin, w.event.EventID)
	want(w.t, err, "")
	return p
}

// cancel cancels the event with the code of a dry run and waits until the refunds cannot proceed further.
func (w *world) cancel() {
	w.t.Helper()
	_, err := w.flows.Cancel(w.t.Context(), admin, w.event.EventID, w.preview().Code, "Fire")
	want(w.t, err, "")
	time.Sleep(time.Minute)
}

// sweep sweeps when everything is due and fails the test unless its error has that code.
func (w *world) sweep(code string) {
	w.t.Helper()
	time.Sleep(time.Minute)
	want(w.t, w.flows.Sweep(w.t.Context()), code)
}

// wantProgress fails the test unless the cancellation has that progress.
func (w *world) wantProgress(refunded, left, waiting int, settled bool) {
	w.t.Helper()
	c, err := w.flows.Progress(w.t.Context(), w.event.EventID)
	want(w.t, err, "")
	if c.Refunded != refunded || c.Left != left || c.Waiting != waiting || (c.SettledAt != nil) != settled {
		w.t.Errorf("%d refunded, %d left, %d waiting, settled %v; want %d, %d, %d, %t", c.Refunded, c.Left, c.Waiting, c.SettledAt, refunded, left, waiting, settled)
	}
}

// wantAllRefunded fails the test unless every holder has 80 credits, once.
func (w *world) wantAllRefunded(holders []uuid.UUID) {
	w.t.Helper()
	w.wantProgress(len(holders), 0, 0, true)
	for _, h := range holders {
		if w.credits[h] != 80_00 {
			w.t.Errorf("a holder has %s", w.credits[h])
		}
	}
	if len(w.paid) != len(holders) || len(w.refunds) != len(holders) {
		w.t.Errorf("%d refunds, %d of them paid, of %d tickets", len(w.refunds), len(w.paid), len(holders))
	}
}

func TestADryRunTellsWhatACancellationDoes(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.sold(3)
		w.seats[1].OwnerUserId = w.seats[0].OwnerUserId
		w.disputed[clients.ID(w.seats[2].SeatId)] = fault.CodeTicketDisputed
		w.held = 2
		p := w.preview()
		for range 5 {
			w.disputed[uuid.New()] = fault.CodeTransferInProgress // of tickets that are settled
		}
		if over := w.preview(); over.Waiting != 3 {
			t.Errorf("%d of 3 wait", over.Waiting)
		}
		if p.Tickets != 3 || p.Holders != 2 || p.Credits != 240_00 || p.Holds != 2 || p.Waiting != 1 || len(p.Code) != 8 || time.Until(p.ExpiresAt) > codeLife {
			t.Errorf("%+v", p)
		}
		if w.event.Status != clients.EventPublished || len(w.refunds) != 0 {
			t.Error("a dry run changed something")
		}
		if c := w.cancellations[w.event.EventID]; len(c.code) != 32 {
			t.Error("the code itself is kept")
		}
		w.event.Status = clients.EventDraft
		_, err := w.flows.Preview(t.Context(), admin, w.event.EventID)
		want(t, err, fault.CodeEventInvalidState)
		_, err = w.flows.Preview(t.Context(), admin, uuid.New())
		want(t, err, fault.CodeNotFound)
	})
	for _, call := range []string{"event", "count", "unsettled", "preview"} {
		inWorld(t, func(t *testing.T, w *world) {
			w.fail(call, failure{err: unreachable})
			_, err := w.flows.Preview(t.Context(), admin, w.event.EventID)
			want(t, err, fault.CodeUnavailable)
		})
	}
}

func TestACancellationNeedsTheCodeOfADryRun(t *testing.T) {
	for name, c := range map[string]struct {
		admin uuid.UUID
		code  func(last string) string
		after time.Duration
		want  string
	}{
		"in time":            {admin, func(last string) string { return last }, codeLife - time.Second, ""},
		"too late":           {admin, func(last string) string { return last }, codeLife, ErrCode.Code},
		"another's":          {uuid.New(), func(last string) string { return last }, 0, ErrCode.Code},
		"a wrong one":        {admin, func(string) string { return "ABCDEFGH" }, 0, ErrCode.Code},
		"its hash":           {admin, func(last string) string { return string(hashOf(last)) }, 0, ErrCode.Code},
		"no code":            {admin, func(string) string { return "" }, 0, ErrCode.Code},
		"of a dry run since": {admin, nil, 0, ErrCode.Code},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.sold(1)
				code := w.preview().Code
				if c.code == nil {
					w.preview()
				} else {
					code = c.code(code)
				}
				time.Sleep(c.after)
				_, err := w.flows.Cancel(t.Context(), c.admin, w.event.EventID, code, "Fire")
				want(t, err, c.want)
				if cancelled := w.event.Status == clients.EventCancelled; cancelled != (c.want == "") {
					t.Errorf("cancelled: %t", cancelled)
				}
				time.Sleep(time.Minute)
			})
		})
	}
	inWorld(t, func(t *testing.T, w *world) {
		_, err := w.flows.Cancel(t.Context(), admin, w.event.EventID, "ABCDEFGH", "Fire") // without a dry run
		want(t, err, ErrCode.Code)
		_, err = w.flows.Progress(t.Context(), w.event.EventID)
		want(t, err, ErrNoCancellation.Code)
		w.cancel()
		_, err = w.flows.Preview(t.Context(), admin, w.event.EventID)
		want(t, err, ErrStarted.Code)
	})
}

// Batches of 150 tickets follow each other; each ticket is refunded once, whoever continues the chain.
func TestACancellationRefundsEveryTicket(t *testing.T) {
	for _, tickets := range []int{0, 1, batchSize, 2*batchSize + 1} {
		inWorld(t, func(t *testing.T, w *world) {
			holders := w.sold(tickets)
			for i := range holders {
				if i%2 == 0 {
					w.seats[i].Status = inventoryv1.SeatStatus_CHECKED_IN // of a cancelled event those inside are refunded too
				}
			}
			began := time.Now()
			w.cancel()
			w.wantAllRefunded(holders)
			c := w.cancellations[w.event.EventID]
			if batches := tickets/batchSize + min(tickets, 1); c.Batches != batches || w.calls["void tickets"] != batches {
				t.Errorf("%d batches of %d tickets", c.Batches, tickets)
			}
			if took := c.SettledAt.Sub(began); took < time.Duration(tickets)*pace {
				t.Errorf("%d tickets took %s: nothing was left to those who buy", tickets, took)
			}
			w.sweep("")
			w.wantAllRefunded(holders)
		})
	}
}

func TestACancellationEndsTheSaleFirst(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		holders := w.sold(1)
		w.listings, w.held, w.pinned = 550, 3, 2
		for range 150 {
			w.transfers = append(w.transfers, clients.Transfer{TransferID: uuid.New()})
		}
		late := &clients.Order{OrderID: uuid.New(), Status: clients.OrderPending}
		w.before = func(call string) {
			switch {
			case call == "close event" && w.calls[call] == 3: // an order that was written down meanwhile
				w.orders[late.OrderID] = late
			case call == "void tickets" && (w.listings+w.pinned+w.held+len(w.transfers) > 0 || late.Status != clients.OrderFailed):
				t.Error("refunds began before the sale had ended")
			}
		}
		w.fail("fail transfer", failure{err: fault.New(fault.Conflict, fault.CodeTransferInvalidState, "It has ended")}) // by itself, meanwhile
		w.cancel()
		w.wantAllRefunded(holders)
	})
}

// Each step of a cancellation has an unknown outcome, done or not.
func TestACancellationOverEveryOutcome(t *testing.T) {
	steps := []string{
		"change event", "fail pending", "close event", "end listings", "live transfers", "fail transfer", "unsettled", "void tickets", "refund", "credits", "settle",
	}
	for _, step := range steps {
		for _, lost := range []bool{false, true} {
			inWorld(t, func(t *testing.T, w *world) {
				holders := w.sold(2)
				w.transfers = []clients.Transfer{{TransferID: uuid.New()}}
				code := w.preview().Code
				w.fail(step, failure{unreachable, lost}, failure{unreachable, lost})
				_, err := w.flows.Cancel(t.Context(), admin, w.event.EventID, code, "Fire")
				if err != nil && fault.Code(err) != fault.CodeUnavailable {
					t.Fatal(err)
				}
				w.sweep("")
				w.wantAllRefunded(holders)
			})
		}
	}
	for _, call := range []string{"count", "later", "advance", "settled", "cancellation"} { // outside of the sagas
		inWorld(t, func(t *testing.T, w *world) {
			holders := w.sold(2)
			code := w.preview().Code
			w.fail(call, failure{unreachable, false}, failure{unreachable, true})
			_, _ = w.flows.Cancel(t.Context(), admin, w.event.EventID, code, "Fire")
			for range 3 {
				time.Sleep(time.Minute)
				_ = w.flows.Sweep(t.Context())
			}
			clear(w.failing)
			w.wantAllRefunded(holders)
		})
	}
	for _, step := range []string{"refund", "credits", "settle"} { // refused: a person decides, nobody is paid twice
		inWorld(t, func(t *testing.T, w *world) {
			w.sold(1)
			w.fail(step, failure{err: refusal})
			w.cancel()
			w.sweep("")
			if c, err := w.flows.Progress(t.Context(), w.event.EventID); err != nil || c.SettledAt != nil || len(w.paid) > 1 {
				t.Errorf("%s refused: %+v, %v", step, c, err)
			}
		})
	}
}

func TestACancellationThatIsRefusedMayBeTriedAgain(t *testing.T) {
	for _, died := range []bool{false, true} {
		inWorld(t, func(t *testing.T, w *world) {
			holders := w.sold(1)
			code := w.preview().Code
			w.fail("change event", failure{err: refusal})
			if died { // between its start and its first step
				_, err := w.flows.Cancellations.Start(t.Context(), w.event.EventID, admin, hashOf(code), "Fire", codeLife)
				want(t, err, "")
				w.sweep(refusal.Code)
			} else {
				_, err := w.flows.Cancel(t.Context(), admin, w.event.EventID, code, "Fire")
				want(t, err, refusal.Code)
			}
			_, err := w.flows.Progress(t.Context(), w.event.EventID)
			want(t, err, ErrNoCancellation.Code)
			w.cancel()
			w.wantAllRefunded(holders)
		})
	}
	inWorld(t, func(t *testing.T, w *world) { // refused after the event was cancelled: it stays started
		code := w.preview().Code
		w.fail("close event", failure{err: refusal})
		_, err := w.flows.Cancel(t.Context(), admin, w.event.EventID, code, "Fire")
		want(t, err, fault.CodeInternal)
		w.wantProgress(0, 0, 0, false)
	})
}

// Ten cancellations that cannot go on do not keep the eleventh waiting.
func TestACancellationThatIsStuckHoldsUpNoOther(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		holders := w.sold(1)
		for range 10 {
			stuck := uuid.New()
			w.cancellations[stuck] = &cancellation{Cancellation: Cancellation{EventID: stuck, By: admin, Reason: "Fire"}, started: true, lookAt: time.Now()}
			w.fail("close event", failure{err: refusal})
		}
		_, err := w.flows.Cancellations.Start(t.Context(), w.event.EventID, admin, hashOf(w.preview().Code), "Fire", codeLife)
		want(t, err, "")
		w.sweep(fault.CodeInternal)
		want(t, w.flows.Sweep(t.Context()), "")
		w.wantAllRefunded(holders)
	})
	inWorld(t, func(t *testing.T, w *world) {
		w.fail("due", failure{err: unreachable})
		w.sweep(fault.CodeUnavailable)
	})
}
