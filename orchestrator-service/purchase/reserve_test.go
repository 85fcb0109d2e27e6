package purchase

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"ticketremaster/orchestrator-service/clients"
	"ticketremaster/orchestrator-service/hold"
	"ticketremaster/platform/fault"
)

func wantCode(t *testing.T, err error, code string) {
	t.Helper()
	if fault.Code(err) != code {
		t.Errorf("%v, want %q", err, code)
	}
}

func TestReserveHoldsTheSeatAndWritesItsOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, w, _ := start(t)
		user, seat := w.customer(100_00)
		r, err := f.Reserve(t.Context(), user, user, one(seat))
		if err != nil || r.Orders[0].Price != 80_00 || r.Orders[0].UserID != user || r.Orders[0].EventID != w.event.EventID || r.TTL != f.HoldTTL || r.OTPRequired {
			t.Fatalf("%+v, %v", r, err)
		}
		if len(w.messages) != 1 || w.messages[0].HoldID != r.Orders[0].OrderID || !w.messages[0].HeldUntil.Equal(w.seats[seat].until) {
			t.Errorf("the broker was told %+v", w.messages)
		}
		time.Sleep(time.Minute)
		again, err := f.Reserve(t.Context(), user, user, one(seat))
		if err != nil || again.Orders[0].OrderID != r.Orders[0].OrderID || again.TTL != f.HoldTTL-time.Minute {
			t.Errorf("asked again: %+v, %v", again, err)
		}
		before := len(w.calls)
		other, _ := w.customer(0)
		_, err = f.Reserve(t.Context(), other, other, one(seat))
		wantCode(t, err, fault.CodeSeatUnavailable)
		if late := w.calls[before:]; !slices.Equal(late, []string{"ReserveSeat"}) {
			t.Errorf("who comes too late costs %v", late)
		}
	})
}

// A reservation that is refused after the seat was held leaves neither a hold nor an order to pay.
func TestReserveGivesBackWhatItCannotOffer(t *testing.T) {
	unknownEvent := func(w *world) {
		w.plan["Recent"] = []func(func() error) error{refuse(refusal(fault.NotFound, fault.CodeEventNotFound))}
	}
	for _, c := range []struct {
		name   string
		change func(w *world)
		code   string
	}{
		{"no such event", unknownEvent, fault.CodeSeatUnavailable},
		{"an event that is a draft", func(w *world) { w.event.Status = "DRAFT" }, fault.CodeSeatUnavailable},
		{"an event that has begun", func(w *world) { w.event.EventDate = time.Now() }, clients.CodeEventEnded},
		{"a tier without a price", func(w *world) { w.event.PricingTiers = nil }, fault.CodeSeatUnavailable},
		{"the event service is away", func(w *world) { w.always["Recent"] = away }, fault.CodeUnavailable},
		{"the order is refused", func(w *world) { w.always["Place"] = refuse(refusal(fault.Conflict, "NO")) }, "NO"},
		{"the order was written, and nobody says so", func(w *world) { w.always["Place"] = lost }, fault.CodeUnavailable},
		{"the user service is away", func(w *world) { w.always["Risk"] = away }, fault.CodeUnavailable},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, w, _ := start(t)
				user, seat := w.customer(100_00)
				c.change(w)
				_, err := f.Reserve(t.Context(), user, user, one(seat))
				wantCode(t, err, c.code)
				if w.seats[seat].hold != uuid.Nil {
					t.Error("the seat is held")
				}
				for _, o := range w.orders {
					if o.Status != clients.OrderFailed {
						t.Errorf("the order is %s", o.Status)
					}
				}
			})
		})
	}
}

// A user keeps the hold that they had before a failed request.
func TestReserveKeepsAnEarlierHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, w, _ := start(t)
		user, seat := w.customer(100_00)
		first, err := f.Reserve(t.Context(), user, user, one(seat))
		if err != nil {
			t.Fatal(err)
		}
		w.always["Risk"] = away
		_, err = f.Reserve(t.Context(), user, user, one(seat))
		wantCode(t, err, fault.CodeUnavailable)
		if w.seats[seat].hold != first.Orders[0].OrderID || w.orders[first.Orders[0].OrderID].Status != clients.OrderPending {
			t.Error("the earlier hold was given back")
		}
	})
}

// A hold whose call was not answered is released, even if the call succeeds late, unless the user repeated the request
// and has the hold.
func TestAHoldThatWasNotAnsweredIsGivenBack(t *testing.T) {
	for _, c := range []struct {
		name string
		late time.Duration // when the call comes about
		held bool          // in the end
		asks bool          // the user does, again
	}{
		{name: "at once", late: 0},
		{name: "after the first look", late: 1500 * time.Millisecond},
		{name: "and the user asked again", late: 0, asks: true, held: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, w, _ := start(t)
				user, seat := w.customer(100_00)
				w.plan["ReserveSeat"] = []func(func() error) error{func(do func() error) error {
					if c.late == 0 {
						return lost(do)
					}
					time.AfterFunc(c.late, func() { _ = do() })
					return errAway
				}}
				ctx, stop := context.WithCancel(t.Context())
				defer stop()
				go f.GiveBackLost(ctx)
				_, err := f.Reserve(ctx, user, user, one(seat))
				wantCode(t, err, fault.CodeUnavailable)
				if c.asks {
					if _, err := f.Reserve(ctx, user, user, one(seat)); err != nil {
						t.Fatal(err)
					}
				}
				time.Sleep(5 * time.Second)
				if held := w.held(seat); held != c.held {
					t.Errorf("the seat is held: %v", held)
				}
				if remembered(f) != 0 {
					t.Errorf("%d holds are still to be given back", remembered(f))
				}
			})
		})
	}
}

// While the inventory is down, many reservations cause no more background work than one, and what is kept for them is
// bounded.
func TestGivingBackIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, w, _ := start(t)
		user, seat := w.customer(100_00)
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go f.GiveBackLost(ctx)
		w.always["ReserveSeat"], w.always["ReleaseSeat"] = away, away
		synctest.Wait()
		before := runtime.NumGoroutine()
		most := 0
		for range 12 * 10 { // 12 s of 48 clients that try again ten times a second
			var all sync.WaitGroup
			for range 48 {
				all.Go(func() { _, _ = f.Reserve(ctx, user, user, one(seat)) })
			}
			all.Wait()
			synctest.Wait()
			most = max(most, runtime.NumGoroutine()-before)
			time.Sleep(100 * time.Millisecond)
		}
		if asked := w.count("Get"); asked == 0 || asked > 12 {
			t.Errorf("the order service was asked %d times in 12 s", asked)
		}
		if most > 2*48 { // those of the last clients may be on their way out
			t.Errorf("%d goroutines more than before", most)
		}
		if n := remembered(f); n > mostLost {
			t.Errorf("%d holds are remembered", n)
		}
		w.mu.Lock()
		clear(w.always)
		w.mu.Unlock()
		time.Sleep(2 * lostBackOff)
		if n := remembered(f); n != 0 {
			t.Errorf("%d holds are not given back once the inventory is there", n)
		}
	})
}

// A hold that cannot be released for a minute is left to its expiry.
func TestGivingBackEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, w, _ := start(t)
		user, seat := w.customer(100_00)
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go f.GiveBackLost(ctx)
		w.always["ReserveSeat"], w.always["Get"] = away, away
		_, _ = f.Reserve(ctx, user, user, one(seat))
		time.Sleep(lostFor + 2*lostBackOff)
		if remembered(f) != 0 || w.count("ReleaseSeat") != 0 {
			t.Errorf("%d are remembered; the seat was released %d times though nobody knew if it has an order", remembered(f), w.count("ReleaseSeat"))
		}
	})
}

func TestCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, w, _ := start(t)
		user, seat := w.customer(100_00)
		r, err := f.Reserve(t.Context(), user, user, one(seat))
		if err != nil {
			t.Fatal(err)
		}
		_, err = f.Cancel(t.Context(), uuid.New(), r.Orders[0].OrderID)
		wantCode(t, err, fault.CodeOrderNotFound)
		for range 2 { // again answers the same
			o, err := f.Cancel(t.Context(), user, r.Orders[0].OrderID)
			if err != nil || o[0].Status != clients.OrderFailed || o[0].FailureReason != reasonCancelled || w.seats[seat].hold != uuid.Nil {
				t.Errorf("%+v, %v", o, err)
			}
		}
		_, err = f.Pay(t.Context(), user, r.Orders[0].OrderID)
		wantCode(t, err, errSeatNotHeld.Code)

		r, _ = f.Reserve(t.Context(), user, user, one(seat))
		w.seats[seat].pin = uuid.New()
		_, err = f.Cancel(t.Context(), user, r.Orders[0].OrderID)
		wantCode(t, err, errPayUnderWay.Code)
		w.seats[seat].pin = uuid.Nil
		if _, err = f.Pay(t.Context(), user, r.Orders[0].OrderID); err != nil {
			t.Fatal(err)
		}
		_, err = f.Cancel(t.Context(), user, r.Orders[0].OrderID)
		wantCode(t, err, errOrderConfirmed.Code)
		w.orders[r.Orders[0].OrderID].Status = clients.OrderPending // the seat knows better than a stale order
		_, err = f.Cancel(t.Context(), user, r.Orders[0].OrderID)
		wantCode(t, err, errOrderConfirmed.Code)
	})
}

func TestExpireHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, w, _ := start(t)
		user, seat := w.customer(100_00)
		r, _ := f.Reserve(t.Context(), user, user, one(seat))
		message := w.messages[0]
		expire := func() error { return f.ExpireHold(t.Context(), message) }

		if err := expire(); !errors.Is(err, errNotDue) || w.seats[seat].hold == uuid.Nil {
			t.Errorf("before its time: %v", err)
		}
		time.Sleep(f.HoldTTL)
		w.seats[seat].pin = uuid.New()
		if err := expire(); err != nil || w.seats[seat].hold == uuid.Nil {
			t.Errorf("pinned: %v", err)
		}
		w.seats[seat].pin = uuid.Nil
		for range 2 { // a message may come twice
			if err := expire(); err != nil || w.seats[seat].hold != uuid.Nil || w.orders[r.Orders[0].OrderID].FailureReason != errHoldExpired.Code {
				t.Errorf("%v, %+v", err, w.orders[r.Orders[0].OrderID])
			}
		}
		if err := f.ExpireHold(t.Context(), hold.Message{Held: hold.Held{SeatID: seat, HoldID: uuid.New()}}); err != nil {
			t.Errorf("a hold that has no order: %v", err)
		}
		w.orders[r.Orders[0].OrderID].Status = clients.OrderRefunded
		if err := expire(); err != nil {
			t.Errorf("an order that is over: %v", err)
		}
		w.seats[seat].owner = user
		if err := expire(); err != nil {
			t.Errorf("bought: %v", err)
		}
		w.always["ReleaseSeat"] = away
		wantCode(t, expire(), fault.CodeUnavailable)
	})
}

// The sweep ends what the broker missed, after the grace period; an order that cannot be ended does not delay those
// after it.
func TestSweep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, w, _ := start(t)
		var seats []uuid.UUID
		for range 3 {
			user, seat := w.customer(0)
			seats = append(seats, seat)
			if _, err := f.Reserve(t.Context(), user, user, one(seat)); err != nil {
				t.Fatal(err)
			}
		}
		round := f.Sweep()
		time.Sleep(f.HoldTTL + f.SweepGrace)
		_ = round(t.Context())
		if w.count("ReleaseSeat") != 0 {
			t.Error("the broker was not given its time")
		}
		time.Sleep(time.Second)
		w.plan["ReleaseSeat"] = []func(func() error) error{away}
		_ = round(t.Context())
		held := 0
		for _, seat := range seats {
			if w.seats[seat].hold != uuid.Nil {
				held++
			}
		}
		if held != 1 {
			t.Errorf("%d seats are held, want the one that could not be freed", held)
		}
	})
}

// remembered returns how many holds are to be released.
func remembered(f *Flows) int {
	_, n := f.lost.first()
	return n
}
