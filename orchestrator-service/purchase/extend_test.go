package purchase

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"ticketremaster/orchestrator-service/clients"
	"ticketremaster/orchestrator-service/hold"
)

// paysNow reports a top-up under way for each user.
func (w *world) paysNow(users ...uuid.UUID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, user := range users {
		w.payers = append(w.payers, clients.Payer{UserID: user, PersonID: user})
	}
	slices.SortFunc(w.payers, func(a, b clients.Payer) int { return slices.Compare(a.UserID[:], b.UserID[:]) })
}

// A hold that would end while its holder pays for credits is extended once; its messages let it end at its new end.
func TestAHoldIsExtendedWhileItsHolderTopsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, w, _ := start(t)
		user, seat := w.customer(0)
		other, others := w.customer(0)
		r, err := f.Reserve(t.Context(), user, user, one(seat))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Reserve(t.Context(), other, other, one(others)); err != nil {
			t.Fatal(err)
		}
		round := func() {
			t.Helper()
			if err := f.ExtendHolds(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		comesBack := func(m hold.Message) {
			t.Helper()
			if err := f.ExpireHold(t.Context(), m); err != nil {
				t.Fatal(err)
			}
		}
		end := r.Orders[0].HeldUntil
		w.paysNow(user)
		round()
		if !w.seats[seat].until.Equal(end) {
			t.Fatal("extended long before its end")
		}
		time.Sleep(f.HoldTTL - 30*time.Second)
		round()
		round()
		later := end.Add(f.HoldTTL)
		if !w.seats[seat].until.Equal(later) || !w.orders[r.Orders[0].OrderID].HeldUntil.Equal(later) {
			t.Fatalf("the seat is held until %s, its order until %s, want %s", w.seats[seat].until, w.orders[r.Orders[0].OrderID].HeldUntil, later)
		}
		published := len(w.messages)
		if _, err := f.Reserve(t.Context(), user, user, one(seat)); err != nil || len(w.messages) != published {
			t.Fatalf("%d messages after a repeat (%v), want %d: one more would come back too early", len(w.messages), err, published)
		}
		time.Sleep(30 * time.Second)
		comesBack(w.messages[0])
		comesBack(w.messages[1])
		if !w.held(seat) || w.held(others) {
			t.Fatal("the extended hold ended with its first message, or the other did not")
		}
		if len(w.messages) != 3 || !w.messages[2].HeldUntil.Equal(later) {
			t.Fatalf("no message follows the extended hold's: %+v", w.messages)
		}
		time.Sleep(f.HoldTTL - time.Second)
		round() // once per hold
		time.Sleep(time.Second)
		comesBack(w.messages[2])
		if w.held(seat) || w.orders[r.Orders[0].OrderID].FailureReason != errHoldExpired.Code {
			t.Fatal("the hold did not end at its new end")
		}
	})
}

// If recording the order's new end fails, or the process dies before, the returning message or the sweep records it.
func TestAnExtensionThatItsOrderDoesNotKnow(t *testing.T) {
	for _, swept := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			f, w, _ := start(t)
			user, seat := w.customer(0)
			r, err := f.Reserve(t.Context(), user, user, one(seat))
			if err != nil {
				t.Fatal(err)
			}
			w.paysNow(user)
			time.Sleep(f.HoldTTL - time.Second)
			w.plan["Extend"] = []func(func() error) error{away, away}
			if err := f.ExtendHolds(t.Context()); err == nil {
				t.Fatal("the failure is not told")
			}
			time.Sleep(2 * time.Second)
			if err := f.ExpireHold(t.Context(), w.messages[0]); err == nil || len(w.messages) != 1 {
				t.Fatalf("the order is not noted: %v, %+v", err, w.messages)
			}
			if swept {
				time.Sleep(f.SweepGrace)
				err = f.Sweep()(t.Context())
			} else {
				err = f.ExpireHold(t.Context(), w.messages[0])
			}
			if err != nil {
				t.Fatal(err)
			}
			if o := w.orders[r.Orders[0].OrderID]; o.Status != clients.OrderPending || !o.HeldUntil.Equal(w.seats[seat].until) || len(w.messages) != 2 {
				t.Fatalf("the order is %+v, with %d messages", o, len(w.messages))
			}
		})
	}
}

// More payers than one page has, and holds without an order that stands.
func TestExtensionsOfMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, w, _ := start(t)
		var seats []uuid.UUID
		for range clients.MostPayers + 2 {
			user, seat := w.customer(0)
			if _, err := f.Reserve(t.Context(), user, user, one(seat)); err != nil {
				t.Fatal(err)
			}
			w.paysNow(user)
			seats = append(seats, seat)
		}
		w.orders[w.seats[seats[0]].hold].Status = clients.OrderFailed
		delete(w.orders, w.seats[seats[1]].hold)
		time.Sleep(f.HoldTTL - time.Second)
		if err := f.ExtendHolds(t.Context()); err != nil {
			t.Fatal(err)
		}
		for i, seat := range seats {
			if w.seats[seat].extended == uuid.Nil {
				t.Fatalf("hold %d is not extended", i)
			}
		}
	})
}

// A booking's holds are extended together, and each goes on when their one message comes back.
func TestABookingIsExtendedWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, w, _ := start(t)
		user, r := booked(t, f, w, 400_00, 3)
		w.paysNow(user)
		time.Sleep(f.HoldTTL - time.Second)
		if err := f.ExtendHolds(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		if err := f.ExpireHold(t.Context(), w.messages[0]); err != nil {
			t.Fatal(err)
		}
		for _, o := range r.Orders {
			if now := w.orders[o.OrderID]; now.Status != clients.OrderPending || !w.held(o.SeatID) || !now.HeldUntil.After(o.HeldUntil) {
				t.Errorf("%+v", now)
			}
		}
		if p, err := f.PayBooking(t.Context(), user, r.BookingID); err != nil || len(p.Orders) != 3 {
			t.Errorf("%+v, %v", p, err)
		}
	})
}
