package marketplace

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"ticketremaster/orchestrator-service/clients"
	"ticketremaster/platform/fault"
	"ticketremaster/platform/money"
	"ticketremaster/platform/web"
	inventoryv1 "ticketremaster/proto/inventory/v1"
)

func want(t *testing.T, err error, code string) {
	t.Helper()
	if got := fault.Code(err); got != code {
		t.Fatalf("got %q (%v), want %q", got, err, code)
	}
}

// wantState fails the test unless the listing has that status, the buyer those credits, and that much is in escrow.
func (w *world) wantState(l clients.Listing, status string, buyer uuid.UUID, credits, escrow money.Cents) {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	var held money.Cents
	for _, c := range w.escrow {
		held += c
	}
	if got := w.listings[l.ListingID].Status; got != status || w.credits[buyer] != credits || held != escrow {
		w.t.Errorf("the listing is %s, the buyer has %s, %s are in escrow; want %s, %s, %s", got, w.credits[buyer], held, status, credits, escrow)
	}
}

func TestATicketIsSoldOn(t *testing.T) {
	w, seller := newWorld(t)
	l, buyer := w.listed(seller), w.buyer(100_00)
	if l.Status != clients.ListingActive || l.AskingPrice != 80_00 || l.EventID != w.event.EventID || !l.CheckFrom.Before(w.event.EventDate) {
		t.Errorf("listed as %+v", l)
	}
	b, err := w.flows.Buy(t.Context(), buyer, l.ListingID.String())
	if err != nil || b.Pending || b.Listing.Status != clients.ListingPendingTransfer {
		t.Fatalf("%+v, %v", b, err)
	}
	w.wantState(l, clients.ListingPendingTransfer, buyer, 20_00, 80_00)
	if len(w.sent) != 1 {
		t.Fatalf("sent %+v", w.sent)
	}
	c := w.sent[0]
	for _, part := range []string{"buyer@example.com", "seat A1, Matinee", "80.00 credits", l.ListingID.String()} {
		if !strings.Contains(c.Message, part) {
			t.Errorf("%q does not name %s", c.Message, part)
		}
	}
	if c.UserID != seller || c.CounterpartyID != buyer || c.ReferenceID != b.TransferID || !c.IfNonePending {
		t.Errorf("asked %+v", c)
	}
	again, err := w.flows.Buy(t.Context(), buyer, l.ListingID.String()) // a double click
	if err != nil || again.TransferID != b.TransferID {
		t.Errorf("%+v, %v", again, err)
	}
	_, out, err := w.flows.Approve(t.Context(), seller, l.ListingID.String(), "123456")
	if err != nil || out.BuyerUserID != buyer {
		t.Fatalf("%+v, %v", out, err)
	}
	w.wantState(l, clients.ListingCompleted, buyer, 20_00, 0)
}

func TestWhatCannotBeListed(t *testing.T) {
	doors := time.Now().Add(time.Hour)
	half := 50
	for name, c := range map[string]struct {
		change func(*world)
		price  money.Cents
		code   string
	}{
		"another's ticket":   {func(w *world) { w.seat.OwnerUserId = uuid.NewString() }, 80_00, fault.CodeNotSeatOwner},
		"a used ticket":      {func(w *world) { w.seat.Status = inventoryv1.SeatStatus_CHECKED_IN }, 80_00, fault.CodeSeatUnavailable},
		"of a past event":    {func(w *world) { w.event.EndsAt = time.Now() }, 80_00, clients.CodeEventEnded},
		"of a cancelled one": {func(w *world) { w.event.Status = clients.EventCancelled }, 80_00, clients.CodeEventEnded},
		"above its price":    {func(*world) {}, 80_01, fault.CodeValidation},
		"above the event's":  {func(w *world) { w.event.ResaleCapPercent = &half }, 40_01, fault.CodeValidation},
		"within the event's": {func(w *world) { w.event.ResaleCapPercent, w.event.DoorsOpenAt = &half, &doors }, 40_00, ""},
		"for nothing":        {func(*world) {}, 0, fault.CodeValidation},
		"for less":           {func(*world) {}, -1, fault.CodeValidation},
		"a free ticket":      {func(w *world) { w.seat.PricePaidCents = 0 }, 1, "NOT_FOR_RESALE"},
		"of an unknown seat": {func(w *world) {
			w.fail("ticket", failure{err: fault.New(fault.NotFound, fault.CodeSeatNotFound, "No")})
		}, 80_00, fault.CodeSeatNotFound},
		"twice":               {func(w *world) { w.fail("list", failure{err: fault.New(fault.Conflict, "ALREADY_LISTED", "No")}) }, 80_00, "ALREADY_LISTED"},
		"what nobody answers": {func(w *world) { w.fail("list", failure{err: unreachable}) }, 80_00, fault.CodeUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			w, seller := newWorld(t)
			c.change(w)
			l, err := w.flows.List(t.Context(), seller, w.seatID(), c.price)
			want(t, err, c.code)
			if err == nil && !l.CheckFrom.Equal(doors) {
				t.Errorf("it is looked at from %s", l.CheckFrom)
			}
		})
	}
}

func TestTwoHundredBuyersOneWins(t *testing.T) {
	w, seller := newWorld(t)
	l := w.listed(seller)
	var all sync.WaitGroup
	var mu sync.Mutex
	buyers, winners := make([]uuid.UUID, 200), 0
	for i := range buyers {
		buyers[i] = w.buyer(100_00)
	}
	for _, b := range buyers {
		all.Go(func() {
			_, err := w.flows.Buy(t.Context(), b, l.ListingID.String())
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				winners++
			} else if fault.Code(err) != errUnavailable.Code {
				t.Error(err)
			}
		})
	}
	all.Wait()
	whole := 0
	for _, b := range buyers {
		if w.credits[b] == 100_00 {
			whole++
		}
	}
	if winners != 1 || whole != 199 || len(w.escrow) != 1 {
		t.Errorf("%d won, %d have all their credits, %d escrows", winners, whole, len(w.escrow))
	}
}

func TestWhatCannotBeBought(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*world, clients.Listing)
		code   string
	}{
		"with too few credits": {func(w *world, _ clients.Listing) {
			for id := range w.credits {
				w.credits[id] = 79_99
			}
		}, fault.CodeInsufficientCredits},
		"what is cancelled": {func(w *world, l clients.Listing) { w.listings[l.ListingID].Status = clients.ListingCancelled }, errUnavailable.Code},
		"a used ticket":     {func(w *world, _ clients.Listing) { w.seat.Status = inventoryv1.SeatStatus_CHECKED_IN }, errUnavailable.Code},
		"what is handed on": {func(w *world, _ clients.Listing) { w.seat.OwnerUserId = uuid.NewString() }, errUnavailable.Code},
		"of a past event":   {func(w *world, _ clients.Listing) { w.event.EndsAt = time.Now() }, errUnavailable.Code},
		"and cannot be ended": {func(w *world, _ clients.Listing) {
			w.event.EndsAt = time.Now()
			w.fail("end", failure{err: unreachable})
		}, fault.CodeUnavailable},
		"in an outage": {func(w *world, _ clients.Listing) { w.fail("ticket", failure{err: unreachable}) }, fault.CodeUnavailable},
		"in another":   {func(w *world, _ clients.Listing) { w.fail("user", failure{err: unreachable}) }, fault.CodeUnavailable},
		"in a third":   {func(w *world, _ clients.Listing) { w.fail("risk", failure{err: unreachable}) }, fault.CodeUnavailable},
		"in a fourth":  {func(w *world, _ clients.Listing) { w.fail("listing", failure{err: unreachable}) }, fault.CodeUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			w, seller := newWorld(t)
			l, buyer := w.listed(seller), w.buyer(100_00)
			c.change(w, l)
			before := w.credits[buyer]
			_, err := w.flows.Buy(t.Context(), buyer, l.ListingID.String())
			want(t, err, c.code)
			if w.credits[buyer] != before || len(w.escrow) != 0 {
				t.Errorf("credits moved: %s, escrow %v", w.credits[buyer], w.escrow)
			}
			if got := w.listings[l.ListingID].Status; c.code == fault.CodeInsufficientCredits && got != clients.ListingActive || c.code == errUnavailable.Code && got != clients.ListingCancelled {
				t.Errorf("the listing is %s", got)
			}
		})
	}
	w, seller := newWorld(t)
	l := w.listed(seller)
	_, err := w.flows.Buy(t.Context(), seller, l.ListingID.String())
	want(t, err, "SELF_TRANSFER")
	_, err = w.flows.Buy(t.Context(), uuid.New(), "R-1001") // a person typed it
	want(t, err, "LISTING_NOT_FOUND")
	_, err = w.flows.Buy(t.Context(), uuid.New(), uuid.NewString())
	want(t, err, "LISTING_NOT_FOUND")
	_, err = w.flows.Buy(t.Context(), w.buyer(80_00), l.ListingID.String())
	want(t, err, "")
	w.fail("transfer", failure{err: unreachable})
	_, err = w.flows.Buy(t.Context(), w.buyer(80_00), l.ListingID.String())
	want(t, err, fault.CodeUnavailable)
}

// Each step of a purchase is refused, or has an unknown outcome, done or not; and so is its undo.
func TestAPurchaseOverEveryOutcome(t *testing.T) {
	for _, step := range []string{"claim", clients.Escrow} {
		for _, lost := range []bool{false, true} {
			w, seller := newWorld(t)
			l, buyer := w.listed(seller), w.buyer(100_00)
			w.fail(step, failure{unreachable, lost}, failure{unreachable, lost})
			_, err := w.flows.Buy(t.Context(), buyer, l.ListingID.String())
			want(t, err, "")
			w.wantState(l, clients.ListingPendingTransfer, buyer, 20_00, 80_00)
		}
		w, seller := newWorld(t)
		l, buyer := w.listed(seller), w.buyer(100_00)
		w.fail(step, failure{err: refusal})
		_, err := w.flows.Buy(t.Context(), buyer, l.ListingID.String())
		want(t, err, refusal.Code)
		if w.credits[buyer] != 100_00 || len(w.escrow) != 0 {
			t.Errorf("%s refused: the buyer has %s", step, w.credits[buyer])
		}
	}
	for _, undo := range []string{"unclaim", clients.EscrowReturn} {
		for _, lost := range []bool{false, true} {
			w, seller := newWorld(t)
			l, buyer := w.listed(seller), w.buyer(1_00)
			w.fail(undo, failure{unreachable, lost})
			_, err := w.flows.Buy(t.Context(), buyer, l.ListingID.String())
			want(t, err, fault.CodeInsufficientCredits)
			w.wantState(l, clients.ListingActive, buyer, 1_00, 0)
		}
	}
	// A step that is done, whose answer is lost, and that is then refused, is undone.
	late, owner := newWorld(t)
	x, poor := late.listed(owner), late.buyer(100_00)
	late.fail(clients.Escrow, failure{unreachable, true}, failure{err: refusal})
	_, err := late.flows.Buy(t.Context(), poor, x.ListingID.String())
	want(t, err, refusal.Code)
	late.wantState(x, clients.ListingActive, poor, 100_00, 0)
	// The purchase was ended by something else: there is nothing left to undo.
	w, seller := newWorld(t)
	l, buyer := w.listed(seller), w.buyer(1_00)
	w.fail("unclaim", failure{err: fault.New(fault.Conflict, fault.CodeTransferInvalidState, "Past that")})
	_, err = w.flows.Buy(t.Context(), buyer, l.ListingID.String())
	want(t, err, fault.CodeInsufficientCredits)
	// A purchase does not depend on the seller's code being sent.
	w, seller = newWorld(t)
	l, buyer = w.listed(seller), w.buyer(100_00)
	w.fail("send-otp", failure{err: unreachable})
	_, err = w.flows.Buy(t.Context(), buyer, l.ListingID.String())
	want(t, err, "")
	w.wantState(l, clients.ListingPendingTransfer, buyer, 20_00, 80_00)
}

func TestAHighRiskBuyerProvesThePurchase(t *testing.T) {
	w, seller := newWorld(t)
	l, buyer := w.listed(seller), w.buyer(100_00)
	w.risk = clients.Risk{IsFlagged: true}
	_, err := w.flows.Buy(t.Context(), buyer, l.ListingID.String())
	want(t, err, "OTP_REQUIRED")
	w.wantState(l, clients.ListingActive, buyer, 100_00, 0)
	if len(w.sent) != 1 || w.sent[0].UserID != buyer || w.sent[0].ReferenceID != l.ListingID || !w.sent[0].IfNonePending {
		t.Errorf("sent %+v", w.sent)
	}
	want(t, w.flows.VerifyOTP(t.Context(), buyer, l.ListingID, "654321"), "OTP_INVALID")
	want(t, w.flows.VerifyOTP(t.Context(), buyer, l.ListingID, "123456"), "")
	_, err = w.flows.Buy(t.Context(), buyer, l.ListingID.String())
	want(t, err, "")
	w.risk.OTPVerified = false
	w.fail("send-otp", failure{err: unreachable})
	want(t, w.flows.proved(t.Context(), buyer, l), fault.CodeUnavailable)
}

func TestWhoEndsWhat(t *testing.T) {
	w, seller := newWorld(t)
	l, buyer, other := w.listed(seller), w.buyer(100_00), w.buyer(100_00)
	id := l.ListingID.String()
	_, _, err := w.flows.Approve(t.Context(), seller, id, "123456")
	want(t, err, "LISTING_NOT_BOUGHT")
	_, err = w.flows.Withdraw(t.Context(), buyer, id)
	want(t, err, "LISTING_NOT_BOUGHT")
	_, err = w.flows.CancelListing(t.Context(), buyer, id)
	want(t, err, fault.CodeForbidden)
	_, err = w.flows.Buy(t.Context(), buyer, id)
	want(t, err, "")
	_, err = w.flows.CancelListing(t.Context(), seller, id)
	want(t, err, "LISTING_UNAVAILABLE")
	_, _, err = w.flows.Approve(t.Context(), buyer, id, "123456")
	want(t, err, fault.CodeForbidden)
	_, _, err = w.flows.Approve(t.Context(), seller, id, "654321")
	want(t, err, "OTP_INVALID")
	_, err = w.flows.Withdraw(t.Context(), other, id)
	want(t, err, fault.CodeForbidden)
	_, err = w.flows.Withdraw(t.Context(), buyer, id)
	want(t, err, "")
	w.wantState(l, clients.ListingActive, buyer, 100_00, 0)
	_, _, err = w.flows.Approve(t.Context(), seller, id, "123456") // what was withdrawn
	want(t, err, "LISTING_NOT_BOUGHT")
	for range 2 {
		got, err := w.flows.CancelListing(t.Context(), seller, id)
		if err != nil || got.Status != clients.ListingCancelled || got.EndReason != reasonBySeller {
			t.Errorf("%+v, %v", got, err)
		}
	}
	for _, do := range []func() error{
		func() error { _, err := w.flows.CancelListing(t.Context(), seller, "x"); return err },
		func() error { _, _, err := w.flows.Approve(t.Context(), seller, "x", "123456"); return err },
		func() error { _, err := w.flows.Withdraw(t.Context(), buyer, "x"); return err },
	} {
		want(t, do(), "LISTING_NOT_FOUND")
	}
}

func TestTheSweepEndsWhatCannotBeSold(t *testing.T) {
	for reason, change := range map[string]func(*world){
		"":               func(*world) {},
		reasonTicketUsed: func(w *world) { w.seat.Status = inventoryv1.SeatStatus_CHECKED_IN },
		reasonOwner:      func(w *world) { w.seat.OwnerUserId = uuid.NewString() },
		reasonEventOver:  func(w *world) { w.event.Status = clients.EventCancelled },
	} {
		w, seller := newWorld(t)
		l := w.listed(seller)
		change(w)
		w.fail("ticket", failure{}, failure{err: unreachable}) // the second of two cannot be looked at, and keeps none waiting
		if err := w.flows.Sweep()(t.Context()); err != nil {
			t.Error(err)
		}
		if got := w.listings[l.ListingID].EndReason; got != reason {
			t.Errorf("it ended as %q, want %q", got, reason)
		}
	}
	w, seller := newWorld(t)
	l := w.listed(seller)
	w.seat.Status = inventoryv1.SeatStatus_CHECKED_IN
	w.fail("end", failure{err: errUnavailable}) // bought in this moment
	if err := w.flows.endIfOver(t.Context(), l, mustTicket(w)); err != nil {
		t.Error(err)
	}
	w.fail("check", failure{err: unreachable})
	want(t, w.flows.Sweep()(t.Context()), fault.CodeUnavailable)
}

func TestListsHaveTheirTickets(t *testing.T) {
	w, seller := newWorld(t)
	page := web.Page{Number: 1, Size: 20}
	if list, total, err := w.flows.Offers(t.Context(), clients.ListingFilter{}, page); err != nil || len(list) != 0 || total != 0 {
		t.Errorf("an empty list: %v of %d, %v", list, total, err)
	}
	w.listed(seller)
	list, total, err := w.flows.Offers(t.Context(), clients.ListingFilter{Status: clients.ListingActive}, page)
	if err != nil || total != 1 || len(list) != 1 || list[0].Ticket.Event.Name != "Matinee" || list[0].Ticket.Seat.RowNumber != "A" {
		t.Errorf("%+v of %d, %v", list, total, err)
	}
	for _, call := range []string{"listings", "seats"} {
		w.fail(call, failure{err: unreachable})
		_, _, err = w.flows.Offers(t.Context(), clients.ListingFilter{}, page)
		want(t, err, fault.CodeUnavailable)
	}
}
