package refund

import (
	"slices"
	"sync"
	"testing"
	"time"

	"ticketremaster/orchestrator-service/clients"
	"ticketremaster/platform/fault"
)

func TestWhatIsDisputedWaits(t *testing.T) {
	for _, code := range []string{fault.CodeTicketDisputed, fault.CodeTransferInProgress} {
		for _, meanwhile := range []bool{false, true} { // it comes to be disputed while its batch is under way
			inWorld(t, func(t *testing.T, w *world) {
				holders := w.sold(3)
				seat := w.seats[1]
				dispute := func() { w.disputed[clients.ID(seat.SeatId)] = code }
				if meanwhile {
					w.before = func(call string) {
						if call == "refund" && w.calls[call] == 1 {
							dispute()
						}
					}
				} else {
					dispute()
					w.before = func(string) {
						if seat.VoidId != "" && len(w.disputed) > 0 {
							t.Error("a disputed ticket is void")
						}
					}
				}
				w.cancel()
				w.wantProgress(2, 1, 1, false)
				if seat.VoidId != "" || w.credits[holders[1]] != 0 {
					t.Errorf("a disputed ticket is %v, its holder has %s", seat, w.credits[holders[1]])
				}
				w.sweep("")
				w.wantProgress(2, 1, 1, false)
				clear(w.disputed)
				w.sweep("")
				w.wantAllRefunded(holders)
			})
		}
	}
}

// A ticket was restored, the answer was lost, and its dispute ended before the repeat.
func TestADisputeThatEndsWhileItsTicketIsRestored(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		holders := w.sold(2)
		w.before = func(call string) {
			switch {
			case call == "refund" && w.calls[call] == 1:
				w.disputed[clients.ID(w.seats[1].SeatId)] = fault.CodeTicketDisputed
			case call == "restore":
				clear(w.disputed)
			}
		}
		w.fail("restore", failure{unreachable, true})
		w.cancel()
		w.sweep("")
		w.wantAllRefunded(holders)
	})
}

// A ticket that an administrator refunds while its event is cancelled is refunded once.
func TestARefundAndACancellationAtOnce(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		holder, seat, order := w.ticket()
		code := w.preview().Code
		w.fail("credits", slices.Repeat([]failure{{unreachable, false}}, 3)...)
		var both sync.WaitGroup
		both.Go(func() {
			_, err := w.flows.Refund(t.Context(), admin, "", Request{OrderID: order.OrderID})
			if c := fault.Code(err); c != "" && c != fault.CodeTicketRefunded {
				t.Error(err)
			}
		})
		both.Go(func() {
			_, err := w.flows.Cancel(t.Context(), admin, w.event.EventID, code, "Fire")
			want(t, err, "")
		})
		both.Wait()
		w.sweep("")
		if w.credits[holder] != 80_00 || len(w.refunds) != 1 || order.Status != clients.OrderRefunded {
			t.Errorf("%s returned by %d refunds; the seat is %v", w.credits[holder], len(w.refunds), seat)
		}
	})
}

func TestManyWhoCancelAtOnceCancelOnce(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		holders := w.sold(2*batchSize + 1)
		code := w.preview().Code
		var all sync.WaitGroup
		for range 5 {
			all.Go(func() {
				_, err := w.flows.Cancel(t.Context(), admin, w.event.EventID, code, "Fire")
				want(t, err, "")
			})
		}
		all.Wait()
		time.Sleep(time.Minute)
		w.wantAllRefunded(holders)
	})
}

func TestFreeTicketsOfACancelledEvent(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		holder, _, order := w.ticket()
		order.CreditsCharged = 0
		w.cancel()
		w.wantProgress(1, 0, 0, true)
		if w.credits[holder] != 0 || w.calls["credits"] != 0 {
			t.Error("no credits were to be returned")
		}
	})
}
