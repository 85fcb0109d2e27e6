package purchase

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"ticketremaster/orchestrator-service/clients"
	"ticketremaster/platform/fault"
	"ticketremaster/platform/money"
)

// some asks for n free seats.
func (w *world) some(n int) Wanted {
	var want Wanted
	for range n {
		_, seat := w.customer(0)
		want.Seats = append(want.Seats, seat)
	}
	return want
}

// booked returns a user with credits, and a booking of n seats of theirs.
func booked(t *testing.T, f *Flows, w *world, credits money.Cents, n int) (user uuid.UUID, r Reservation) {
	t.Helper()
	user, _ = w.customer(credits)
	r, err := f.Reserve(t.Context(), user, user, w.some(n))
	if err != nil {
		t.Fatal(err)
	}
	return user, r
}

// allOrNone fails the test unless each seat of a booking, its order and the credits tell the same.
func allOrNone(t *testing.T, w *world, user uuid.UUID, r Reservation, credits money.Cents, bought bool) {
	t.Helper()
	for _, o := range r.Orders {
		whole(t, w, user, o.SeatID, o.OrderID, w.balance[user]+map[bool]money.Cents{true: o.Price}[bought], bought)
	}
	if bought {
		credits -= total(r.Orders)
	}
	if w.balance[user] != credits {
		t.Errorf("the user has %s credits, want %s", w.balance[user], credits)
	}
}

// Each step of the payment, of one seat and of four, with each outcome: the payment is whole, and the client learns what became
// of it.
func TestEachStepOfAPayment(t *testing.T) {
	no := refuse(refusal(fault.Conflict, "NO"))
	for _, step := range []struct{ do, undo, code string }{
		{"PinHold", "UnpinHold", "NO"},
		{"Book /credits/deduct", "Book /credits/return", "NO"},
		{"Confirm", "UndoConfirm", "NO"},
		{"ConfirmSeat", "UndoConfirm", errHoldExpired.Code}, // the last has no undoing: nothing comes after it
	} {
		for _, c := range []struct {
			name   string
			plan   map[string][]func(func() error) error
			bought bool
		}{
			{"is away three times", map[string][]func(func() error) error{step.do: {away, away, away}}, true},
			{"is done, and nobody says so", map[string][]func(func() error) error{step.do: {lost}}, true},
			{"is refused", map[string][]func(func() error) error{step.do: {no}}, false},
			{"is refused, and undoing is away", map[string][]func(func() error) error{step.do: {no}, step.undo: {away, away}}, false},
			{"is refused, and undoing is done, and nobody says so", map[string][]func(func() error) error{step.do: {no}, step.undo: {lost}}, false},
		} {
			for _, seats := range []int{1, 4} {
				t.Run(fmt.Sprintf("%d %s %s", seats, step.do, c.name), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						f, w, _ := start(t)
						user, r := booked(t, f, w, 400_00, seats)
						w.plan = map[string][]func(func() error) error{}
						for name, plan := range c.plan {
							w.plan[name] = plan
						}
						p, err := f.PayBooking(t.Context(), user, r.BookingID)
						if c.bought {
							if err != nil || p.Pending || len(p.QR) != seats || p.Balance != 400_00-80_00*money.Cents(seats) {
								t.Errorf("%+v, %v", p, err)
							}
						} else {
							wantCode(t, err, step.code)
						}
						allOrNone(t, w, user, r, 400_00, c.bought)
						if !c.bought && w.orders[r.Orders[0].OrderID].Status == clients.OrderPending { // another attempt may do better
							w.plan = nil
							if _, err := f.PayBooking(t.Context(), user, r.BookingID); err != nil {
								t.Errorf("the next attempt: %v", err)
							}
							allOrNone(t, w, user, r, 400_00, true)
						}
					})
				})
			}
		}
	}
}

func TestABookingIsHeldAndPaidTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, w, log := start(t)
		user, r := booked(t, f, w, 400_00, 4)
		if len(r.Orders) != 4 || r.TTL != f.HoldTTL || len(w.messages) != 1 || len(w.messages[0].More) != 3 {
			t.Fatalf("%+v, and the broker was told %+v", r, w.messages)
		}
		var want Wanted
		for i, o := range r.Orders {
			want.Seats = append(want.Seats, o.SeatID)
			if o.Booking() != r.BookingID || o.Price != 80_00 || o.OrderID == r.Orders[(i+1)%4].OrderID || r.Seats[o.SeatID] == nil {
				t.Errorf("%+v", o)
			}
		}
		time.Sleep(time.Minute)
		for _, again := range []Wanted{want, {Seats: want.Seats[1:3]}, one(want.Seats[2])} { // all of them, some, or one: it is that booking
			a, err := f.Reserve(t.Context(), user, user, again)
			if err != nil || a.BookingID != r.BookingID || len(a.Orders) != 4 || a.TTL != f.HoldTTL-time.Minute {
				t.Errorf("asked again: %+v, %v", a, err)
			}
		}
		_, err := f.Pay(t.Context(), user, r.Orders[1].OrderID)
		wantCode(t, err, errOfBooking.Code)
		_, err = f.PayBooking(t.Context(), uuid.New(), r.BookingID)
		wantCode(t, err, fault.CodeOrderNotFound)

		w.calls = nil
		p, err := f.PayBooking(t.Context(), user, r.BookingID)
		if err != nil || p.Balance != 80_00 || len(p.Orders) != 4 {
			t.Fatalf("%+v, %v", p, err)
		}
		for i, o := range p.Orders {
			if o.Status != clients.OrderConfirmed || o.CreditsCharged != 80_00 || p.QR[i] != "qr of "+o.SeatID.String() {
				t.Errorf("%+v with %s", o, p.QR[i])
			}
		}
		allOrNone(t, w, user, r, 400_00, true)
		if n := len(w.calls); n != 6 { // the orders, the risk, and each step once
			t.Errorf("it took %v", w.calls)
		}
		if trail, err := f.Trail(t.Context(), r.Orders[3]); err != nil || len(trail) != 4 {
			t.Errorf("%+v, %v", trail, err)
		}
		if former, _ := log.Latest(t.Context(), "purchase", r.BookingID.String()); former != nil {
			t.Error("an orchestrator of a former release would take it for one of its own")
		}
		_, err = f.PayBooking(t.Context(), user, r.BookingID)
		wantCode(t, err, errOrderConfirmed.Code)
	})
}

// A booking of one seat is paid as its order is, whichever of its two names is used.
func TestABookingOfOneSeatIsItsOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, w, log := start(t)
		user, _, order := reserved(t, f, w, 100_00)
		if _, err := f.PayBooking(t.Context(), user, order); err != nil {
			t.Fatal(err)
		}
		if latest, _ := log.Latest(t.Context(), "purchase", order.String()); latest == nil {
			t.Error("it was paid as another thing")
		}
		_, err := f.Pay(t.Context(), user, order)
		wantCode(t, err, errOrderConfirmed.Code)
	})
}

// Whatever refuses one of the seats or orders leaves none of them held.
func TestABookingIsRefusedWhole(t *testing.T) {
	two := 2
	for _, c := range []struct {
		name   string
		change func(w *world, seats []uuid.UUID)
		code   string
	}{
		{"one seat is another's", func(w *world, seats []uuid.UUID) { w.seats[seats[2]].owner = uuid.New() }, fault.CodeSeatUnavailable},
		{"more than the event allows", func(w *world, _ []uuid.UUID) { w.event.MaxPerBooking = &two }, fault.CodeValidation},
		{"more than a person may have", func(w *world, _ []uuid.UUID) { w.event.MaxPerCustomer = &two }, fault.CodeTicketLimit},
		{"the orders were written, and nobody says so", func(w *world, _ []uuid.UUID) { w.always["Place"] = lost }, fault.CodeUnavailable},
		{"the user service is away", func(w *world, _ []uuid.UUID) { w.always["Risk"] = away }, fault.CodeUnavailable},
		{"the inventory service is of a former release", func(w *world, _ []uuid.UUID) { w.former = true }, fault.CodeUnavailable},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, w, _ := start(t)
				user, _ := w.customer(0)
				want := w.some(3)
				c.change(w, want.Seats)
				_, err := f.Reserve(t.Context(), user, user, want)
				wantCode(t, err, c.code)
				for _, s := range want.Seats {
					if w.seats[s].hold != uuid.Nil {
						t.Error("a seat is held")
					}
				}
				for _, o := range w.orders {
					if o.Status != clients.OrderFailed {
						t.Errorf("an order is %s", o.Status)
					}
				}
			})
		})
	}
}

// Seats that a user holds one by one are no booking, and stay as they are.
func TestSeatsThatAreHeldApartAreNoBooking(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, w, _ := start(t)
		user, _ := w.customer(0)
		want := w.some(3)
		for _, s := range want.Seats[:2] {
			if _, err := f.Reserve(t.Context(), user, user, one(s)); err != nil {
				t.Fatal(err)
			}
		}
		_, err := f.Reserve(t.Context(), user, user, Wanted{Seats: want.Seats[:2]})
		wantCode(t, err, errHeldApart.Code)
		_, err = f.Reserve(t.Context(), user, user, want)
		wantCode(t, err, fault.CodeSeatUnavailable)
		if !w.held(want.Seats[0]) || !w.held(want.Seats[1]) || w.held(want.Seats[2]) {
			t.Error("the holds are others than before")
		}
	})
}

// During a roll a step may meet an inventory service that knows no bookings: it waits for one that does.
func TestABookingWaitsForTheNewRelease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, w, _ := start(t)
		user, r := booked(t, f, w, 400_00, 3)
		w.former = true
		time.AfterFunc(2*time.Second, func() { w.mu.Lock(); w.former = false; w.mu.Unlock() })
		if p, err := f.PayBooking(t.Context(), user, r.BookingID); err != nil || p.Pending {
			t.Errorf("%+v, %v", p, err)
		}
		allOrNone(t, w, user, r, 400_00, true)
	})
}

// A seat of a booking may be given back before it is paid; the rest is paid. The whole is given back by the booking's id.
func TestGivingBackOfABooking(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, w, _ := start(t)
		user, r := booked(t, f, w, 400_00, 3)
		gone := r.Orders[1]
		if o, err := f.Cancel(t.Context(), user, gone.OrderID); err != nil || len(o) != 1 || o[0].Status != clients.OrderFailed || w.held(gone.SeatID) {
			t.Errorf("%+v, %v", o, err)
		}
		p, err := f.PayBooking(t.Context(), user, r.BookingID)
		if err != nil || len(p.Orders) != 2 || p.Balance != 240_00 {
			t.Errorf("%+v, %v", p, err)
		}
		_, err = f.Cancel(t.Context(), user, r.BookingID)
		wantCode(t, err, errOrderConfirmed.Code)

		user, r = booked(t, f, w, 400_00, 3)
		for range 2 {
			o, err := f.Cancel(t.Context(), user, r.BookingID)
			if err != nil || len(o) != 3 {
				t.Fatalf("%+v, %v", o, err)
			}
			for _, o := range o {
				if o.Status != clients.OrderFailed || o.FailureReason != reasonCancelled || w.held(o.SeatID) {
					t.Errorf("%+v", o)
				}
			}
		}
		_, err = f.PayBooking(t.Context(), user, r.BookingID)
		wantCode(t, err, errSeatNotHeld.Code)
		_, err = f.Cancel(t.Context(), uuid.New(), r.BookingID)
		wantCode(t, err, fault.CodeOrderNotFound)
	})
}

func TestPayingABookingAtOnceChargesOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, w, _ := start(t)
		user, r := booked(t, f, w, 1_000_00, 4)
		w.always["PinHold"] = func(do func() error) error { time.Sleep(200 * time.Millisecond); return do() }
		var all sync.WaitGroup
		codes := make([]string, 8)
		for i := range codes {
			all.Go(func() { _, err := f.PayBooking(t.Context(), user, r.BookingID); codes[i] = fault.Code(err) })
		}
		all.Wait()
		paid := 0
		for _, code := range codes {
			if code == "" {
				paid++
			} else if code != errOrderConfirmed.Code {
				t.Errorf("one is told %s", code)
			}
		}
		if paid != 1 {
			t.Errorf("%d are told that they paid", paid)
		}
		allOrNone(t, w, user, r, 1_000_00, true)
	})
}

// A flagged user proves a booking once, by its id or that of any of its orders, or by none if it is the only one.
func TestOneCodeForABooking(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, w, _ := start(t)
		user, _ := w.customer(400_00)
		w.risk[user] = &clients.Risk{IsFlagged: true, OTPPending: true}
		r, err := f.Reserve(t.Context(), user, user, w.some(3))
		synctest.Wait()
		if err != nil || !r.OTPRequired || len(w.sent) != 1 || w.sent[0].ReferenceID != r.BookingID {
			t.Fatalf("%+v, %v; sent %+v", r, err, w.sent)
		}
		_, err = f.PayBooking(t.Context(), user, r.BookingID)
		wantCode(t, err, errOTPRequired.Code)
		for _, id := range []uuid.UUID{r.BookingID, r.Orders[2].OrderID, uuid.Nil} {
			w.risk[user].OTPVerified = false
			if of, err := f.VerifyOTP(t.Context(), user, id, "123456"); err != nil || of != r.BookingID {
				t.Errorf("%s, %v", of, err)
			}
		}
		_, err = f.VerifyOTP(t.Context(), user, uuid.New(), "123456")
		wantCode(t, err, fault.CodeOrderNotFound)
		if _, err := f.PayBooking(t.Context(), user, r.BookingID); err != nil {
			t.Error(err)
		}
	})
}

// The best available is a booking like any other; what the event does not offer is refused before anything is held.
func TestTheBestAvailableIsABooking(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, w, _ := start(t)
		user, _ := w.customer(400_00)
		w.some(6)
		w.event.NoSingleSeats = true
		w.alone = []string{"any"} // the inventory service has looked at that itself
		best := Best{EventID: w.event.EventID, Tier: "A", Quantity: 3, Split: true}
		r, err := f.Reserve(t.Context(), user, user, Wanted{Best: &best})
		if err != nil || len(r.Orders) != 3 || r.Orders[0].Booking() != r.BookingID || !w.best.AllowSplit || !w.best.NoSingles || w.best.Tier != "A" {
			t.Fatalf("%+v, %v; asked %+v", r, err, w.best)
		}
		if p, err := f.PayBooking(t.Context(), user, r.BookingID); err != nil || p.Balance != 160_00 {
			t.Errorf("%+v, %v", p, err)
		}
		w.calls = nil
		for _, c := range []struct {
			change func(b *Best)
			code   string
		}{
			{func(b *Best) { b.Tier = "B" }, fault.CodeValidation},
			{func(b *Best) { b.Quantity = 11 }, fault.CodeValidation},
			{func(*Best) { w.event.Status = clients.EventCancelled }, clients.CodeEventEnded},
			{func(*Best) { w.event.Status = clients.EventDraft }, fault.CodeEventNotFound},
		} {
			wrong := best
			c.change(&wrong)
			_, err := f.Reserve(t.Context(), user, user, Wanted{Best: &wrong})
			wantCode(t, err, c.code)
		}
		if n := w.count("ReserveSeat"); n != 0 {
			t.Errorf("%d were held", n)
		}
	})
}

// Where no seat may be left alone, chosen ones that leave one are given back, and named what they leave.
func TestChosenSeatsLeaveNoneAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, w, _ := start(t)
		user, seat := w.customer(0)
		if _, err := f.Reserve(t.Context(), user, user, one(seat)); err != nil || w.count("FindSingles") != 0 {
			t.Fatalf("without the rule: %v, and %d looks", err, w.count("FindSingles"))
		}
		w.event.NoSingleSeats, w.alone = true, []string{"x"}
		if _, err := f.Reserve(t.Context(), user, user, one(seat)); err != nil {
			t.Errorf("what is held already stays: %v", err)
		}
		want := w.some(2)
		_, err := f.Reserve(t.Context(), user, user, want)
		wantCode(t, err, errLeavesSingle.Code)
		if fault.From(err).Details["seat_ids"] != "x" || w.held(want.Seats[0]) || w.held(want.Seats[1]) {
			t.Errorf("%v", err)
		}
	})
}
