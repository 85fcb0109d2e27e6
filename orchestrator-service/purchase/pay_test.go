package purchase

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"ticketremaster/orchestrator-service/clients"
	"ticketremaster/orchestrator-service/saga"
	"ticketremaster/platform/fault"
	"ticketremaster/platform/money"
)

// reserved returns a user with credits and their order.
func reserved(t *testing.T, f *Flows, w *world, credits money.Cents) (user, seat, order uuid.UUID) {
	t.Helper()
	user, seat = w.customer(credits)
	r, err := f.Reserve(t.Context(), user, user, one(seat))
	if err != nil {
		t.Fatal(err)
	}
	return user, seat, r.Orders[0].OrderID
}

// whole fails the test unless seat, order and credits agree: all bought, or none.
func whole(t *testing.T, w *world, user, seatID, order uuid.UUID, credits money.Cents, bought bool) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	s, o := w.seats[seatID], w.orders[order]
	if owned := s.owner == user; owned != bought {
		t.Errorf("the user owns the seat: %v", owned)
	}
	if s.pin != uuid.Nil && !bought {
		t.Error("the hold is pinned still")
	}
	if confirmed := o.Status == clients.OrderConfirmed; confirmed != bought || confirmed && o.CreditsCharged != o.Price {
		t.Errorf("the order is %+v", o)
	}
	want := credits
	if bought {
		want -= o.Price
	}
	if w.balance[user] != want {
		t.Errorf("the user has %s credits, want %s", w.balance[user], want)
	}
}

func TestPay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, w, log := start(t)
		user, seat, order := reserved(t, f, w, 100_00)
		w.calls = nil
		p, err := f.Pay(t.Context(), user, order)
		if err != nil || p.Pending || p.Balance != 20_00 || p.QR[0] != "qr of "+seat.String() || p.Orders[0].Status != clients.OrderConfirmed || p.Orders[0].CreditsCharged != 80_00 {
			t.Fatalf("%+v, %v", p, err)
		}
		whole(t, w, user, seat, order, 100_00, true)
		if w.seats[seat].price != 80_00 {
			t.Errorf("the seat bears a price of %d", w.seats[seat].price)
		}
		if steps := w.calls[2:]; !slices.Equal(steps, []string{"PinHold", "Book /credits/deduct", "Confirm", "ConfirmSeat"}) {
			t.Errorf("the steps were %v", steps)
		}
		_, err = f.Pay(t.Context(), user, order)
		wantCode(t, err, errOrderConfirmed.Code)
		whole(t, w, user, seat, order, 100_00, true)

		synctest.Wait()
		trail, err := f.Trail(t.Context(), *w.orders[order])
		if err != nil || len(trail) != 4 || trail[0].Step != "pin hold" {
			t.Errorf("%+v, %v", trail, err)
		}
		if trail, err := f.Trail(t.Context(), clients.Order{OrderID: uuid.New()}); err != nil || trail != nil {
			t.Errorf("of an order that nobody paid: %+v, %v", trail, err)
		}
		latest, _ := log.Latest(t.Context(), "purchase", order.String())
		if latest == nil || latest.Status != saga.Done {
			t.Errorf("the saga's record: %+v", latest)
		}
	})
}

func TestPayRefusals(t *testing.T) {
	for _, c := range []struct {
		name    string
		credits money.Cents
		change  func(w *world, o *clients.Order, s *seat)
		code    string
	}{
		{"too few credits", 79_99, func(*world, *clients.Order, *seat) {}, fault.CodeInsufficientCredits},
		{"confirmed already", 100_00, func(_ *world, o *clients.Order, _ *seat) { o.Status = clients.OrderConfirmed }, errOrderConfirmed.Code},
		{"cancelled", 100_00, func(_ *world, o *clients.Order, _ *seat) {
			o.Status, o.FailureReason = clients.OrderFailed, reasonCancelled
		}, errSeatNotHeld.Code},
		{"expired", 100_00, func(_ *world, o *clients.Order, _ *seat) { o.Status = clients.OrderFailed }, errHoldExpired.Code},
		{"refunded", 100_00, func(_ *world, o *clients.Order, _ *seat) { o.Status = clients.OrderRefunded }, errHoldExpired.Code},
		{"the hold is over", 100_00, func(_ *world, _ *clients.Order, s *seat) { s.until = time.Now().Add(-time.Second) }, "HOLD_EXPIRED"},
		{"another's order", 100_00, func(_ *world, o *clients.Order, _ *seat) { o.UserID = uuid.New() }, fault.CodeOrderNotFound},
		{"the order service is away", 100_00, func(w *world, _ *clients.Order, _ *seat) { w.always["Get"] = away }, fault.CodeUnavailable},
		{"the user service is away", 100_00, func(w *world, _ *clients.Order, _ *seat) { w.always["Risk"] = away }, fault.CodeUnavailable},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, w, _ := start(t)
				user, seat, order := reserved(t, f, w, c.credits)
				c.change(w, w.orders[order], w.seats[seat])
				_, err := f.Pay(t.Context(), user, order)
				wantCode(t, err, c.code)
				if w.balance[user] != c.credits || w.seats[seat].owner != uuid.Nil || w.seats[seat].pin != uuid.Nil {
					t.Errorf("%s credits, seat %+v", w.balance[user], w.seats[seat])
				}
			})
		})
	}
}

// A free ticket moves no credits, whatever the outcome.
func TestPayForAFreeTicket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, w, _ := start(t)
		w.event.PricingTiers["A"] = 0
		user, _, order := reserved(t, f, w, 5_00)
		w.plan["ConfirmSeat"] = []func(func() error) error{refuse(refusal(fault.Conflict, "NO"))}
		_, err := f.Pay(t.Context(), user, order)
		wantCode(t, err, errHoldExpired.Code)
		user, seat, order := reserved(t, f, w, 5_00)
		p, err := f.Pay(t.Context(), user, order)
		if err != nil || p.Balance != 5_00 {
			t.Errorf("%+v, %v", p, err)
		}
		whole(t, w, user, seat, order, 5_00, true)
		if n := w.count("Book /credits/deduct") + w.count("Book /credits/return"); n != 0 {
			t.Errorf("%d bookings", n)
		}
	})
}

// Two concurrent payments, in one process or on two replicas, charge once: one succeeds, the other is told that the
// order is paid.
func TestTwoPayAtOnce(t *testing.T) {
	for _, replicas := range []int{1, 2} {
		t.Run(fmt.Sprintf("%d replicas", replicas), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, w, log := start(t)
				user, seat, order := reserved(t, f, w, 200_00)
				g := f
				if replicas == 2 {
					g = &Flows{Settings: f.Settings, Inventory: w, Users: w, Orders: w, Events: w, Tickets: w, Holds: w}
					g.Register(saga.NewEngine(log, ""))
				}
				w.always["PinHold"] = func(do func() error) error { time.Sleep(200 * time.Millisecond); return do() }
				var all sync.WaitGroup
				var codes [8]string
				for i := range codes {
					all.Go(func() {
						which := f
						if i%2 == 1 {
							which = g
						}
						_, err := which.Pay(t.Context(), user, order)
						codes[i] = fault.Code(err)
					})
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
				whole(t, w, user, seat, order, 200_00, true)
				if n := w.count("Get"); replicas == 1 && n != 1 {
					t.Errorf("the order was read %d times for one payment", n)
				}
			})
		})
	}
}

// A repeated request gets the first one's refusal too.
func TestARepeatedRequestSharesTheRefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, w, _ := start(t)
		user, _, order := reserved(t, f, w, 1_00)
		w.always["PinHold"] = func(do func() error) error { time.Sleep(200 * time.Millisecond); return do() }
		var all sync.WaitGroup
		for range 2 {
			all.Go(func() {
				_, err := f.Pay(t.Context(), user, order)
				wantCode(t, err, fault.CodeInsufficientCredits)
			})
		}
		all.Wait()
		if len(f.paying.now) != 0 {
			t.Error("a request is remembered that has ended")
		}
	})
}

// A payment that does not complete in time is answered as pending: the first request after five seconds, a repeated one
// after one second. While requests only wait they say so. The payment ends by itself.
func TestAStuckPayment(t *testing.T) {
	for _, replica := range []bool{false, true} {
		t.Run(fmt.Sprintf("another replica: %v", replica), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, w, log := start(t)
				user, seat, order := reserved(t, f, w, 100_00)
				w.always["Book /credits/deduct"] = away
				g := f
				if replica {
					g = &Flows{Settings: f.Settings, Inventory: w, Users: w, Orders: w, Events: w, Tickets: w, Holds: w}
					g.Register(saga.NewEngine(log, ""))
				}
				begun := time.Now()
				pay := func(f *Flows, within, busy time.Duration) func() {
					return func() {
						var waits time.Duration
						ctx := saga.OnWait(t.Context(), sync.OnceFunc(func() { waits = time.Since(begun) }))
						p, err := f.Pay(ctx, user, order)
						if err != nil || !p.Pending || p.Orders[0].SeatID != seat {
							t.Errorf("%+v, %v", p, err)
						}
						if took := time.Since(begun); took > within+time.Second || waits > busy+time.Second || waits == 0 {
							t.Errorf("answered after %s, busy for %s", took, waits)
						}
					}
				}
				var all sync.WaitGroup
				all.Go(pay(f, 5*time.Second, 500*time.Millisecond))
				time.Sleep(time.Second)
				for range 20 {
					all.Go(pay(g, 2*time.Second, time.Second))
				}
				all.Wait()
				w.mu.Lock()
				clear(w.always)
				w.mu.Unlock()
				time.Sleep(5 * time.Second)
				whole(t, w, user, seat, order, 100_00, true)
			})
		})
	}
}

// A client that disconnects does not end the payment: a repeated request gets its outcome.
func TestTheFirstClientGoesAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, w, _ := start(t)
		user, seat, order := reserved(t, f, w, 100_00)
		w.always["Risk"] = func(do func() error) error { time.Sleep(300 * time.Millisecond); return do() }
		first, goAway := context.WithCancel(t.Context())
		go func() { _, _ = f.Pay(first, user, order) }()
		synctest.Wait()
		time.AfterFunc(100*time.Millisecond, goAway)
		_, err := f.Pay(t.Context(), user, order)
		wantCode(t, err, errOrderConfirmed.Code)
		whole(t, w, user, seat, order, 100_00, true)
	})
}

func TestAFlaggedUserProvesThePurchase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, w, _ := start(t)
		user, seat := w.customer(100_00)
		w.risk[user] = &clients.Risk{IsFlagged: true}
		r, err := f.Reserve(t.Context(), user, user, one(seat))
		synctest.Wait()
		if err != nil || !r.OTPRequired || len(w.sent) != 1 || w.sent[0].ReferenceID != r.Orders[0].OrderID || !w.sent[0].IfNonePending {
			t.Fatalf("%+v, %v, sent %+v", r, err, w.sent)
		}
		if m := w.sent[0].Message; m != "TicketRemaster: confirm your purchase of seat C7, Concert for 80.00 credits." {
			t.Errorf("%q", m)
		}
		order := r.Orders[0].OrderID
		_, err = f.Pay(t.Context(), user, order) // none is pending any more: another is sent
		wantCode(t, err, errOTPRequired.Code)
		w.risk[user].OTPPending = true
		_, err = f.Pay(t.Context(), user, order)
		wantCode(t, err, errOTPRequired.Code)
		if len(w.sent) != 2 {
			t.Errorf("%d were sent", len(w.sent))
		}
		whole(t, w, user, seat, order, 100_00, false)

		_, err = f.VerifyOTP(t.Context(), uuid.New(), order, "123456")
		wantCode(t, err, fault.CodeOrderNotFound)
		_, err = f.VerifyOTP(t.Context(), user, order, "000000")
		wantCode(t, err, "OTP_INVALID")
		if verified, err := f.VerifyOTP(t.Context(), user, uuid.Nil, "123456"); err != nil || verified != order { // the one that waits
			t.Errorf("%s, %v", verified, err)
		}
		if _, err = f.Pay(t.Context(), user, order); err != nil {
			t.Error(err)
		}
		whole(t, w, user, seat, order, 100_00, true)
	})
}

// A one-time password without an order id is for the one order that waits for it.
func TestWhichOrderAOneTimePasswordIsFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, w, _ := start(t)
		user, seat := w.customer(0)
		w.risk[user] = &clients.Risk{IsFlagged: true}
		verify := func() error { _, err := f.VerifyOTP(t.Context(), user, uuid.Nil, "123456"); return err }
		if err := verify(); fault.From(err).Fields["otp_code"] == "" {
			t.Errorf("none waits: %v", err)
		}
		_, second := w.customer(0)
		for _, s := range []uuid.UUID{seat, second} {
			if _, err := f.Reserve(t.Context(), user, user, one(s)); err != nil {
				t.Fatal(err)
			}
		}
		if err := verify(); fault.From(err).Fields["reference_id"] == "" {
			t.Errorf("two wait: %v", err)
		}
		for _, o := range w.orders {
			o.HeldUntil = time.Now().Add(-time.Second) // of both the time is over
		}
		if err := verify(); fault.From(err).Fields["otp_code"] == "" { // none waits any more
			t.Error(err)
		}
		for _, service := range []string{"Risk", "OfUser"} {
			for _, o := range w.orders {
				o.HeldUntil = time.Now().Add(time.Minute)
			}
			w.always[service] = away
			wantCode(t, verify(), fault.CodeUnavailable)
		}
		synctest.Wait()
	})
}

// One-time passwords that cannot be sent delay neither reservations nor each other: /pay sends them again.
func TestOneTimePasswordsBehindTheAnswerAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, w, _ := start(t)
		w.always["SendOTP"] = func(func() error) error { time.Sleep(5 * time.Second); return errAway }
		w.always["Ticket"] = away // the message does without
		var user, order uuid.UUID
		for range 3 * sendingAtOnce {
			var seat uuid.UUID
			user, seat = w.customer(100_00)
			w.risk[user] = &clients.Risk{IsFlagged: true}
			r, err := f.Reserve(t.Context(), user, user, one(seat))
			if err != nil {
				t.Fatal(err)
			}
			order = r.Orders[0].OrderID
		}
		synctest.Wait()
		if n := w.count("SendOTP"); n != sendingAtOnce {
			t.Errorf("%d are being sent", n)
		}
		_, err := f.Pay(t.Context(), user, order)
		wantCode(t, err, fault.CodeUnavailable)
		w.mu.Lock()
		clear(w.always)
		w.mu.Unlock()
		_, err = f.Pay(t.Context(), user, order)
		wantCode(t, err, errOTPRequired.Code)
	})
}

func TestOrdersOf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, w, _ := start(t)
		user, _, order := reserved(t, f, w, 0)
		orders, total, err := f.OrdersOf(t.Context(), user, clients.OrderPending, firstPage)
		if err != nil || total != 1 || orders[0].OrderID != order {
			t.Errorf("%+v, %d, %v", orders, total, err)
		}
	})
}
