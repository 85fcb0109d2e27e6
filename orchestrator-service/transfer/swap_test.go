package transfer

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"ticketremaster/orchestrator-service/clients"
	"ticketremaster/platform/fault"
	inventoryv1 "ticketremaster/proto/inventory/v1"
)

// offered is a transfer for 20 credits that waits for both one-time passwords.
func offered(t *testing.T) (w *world, seller, buyer, id uuid.UUID) {
	t.Helper()
	w = newWorld(t)
	seller, buyer = w.parties(50_00)
	x, err := w.offer(seller, seller, buyer, 20_00)
	if err != nil {
		t.Fatal(err)
	}
	return w, seller, buyer, x.TransferID
}

// bought is a purchase at the marketplace that waits for the seller: the buyer's credits are in escrow.
func bought(t *testing.T) (w *world, seller, buyer, id uuid.UUID) {
	t.Helper()
	w, seller, buyer, id = offered(t)
	listing := uuid.New()
	x := w.transfers[id]
	x.ListingID, x.BuyerOTPVerified = &listing, true
	_, err := w.Book(t.Context(), clients.Escrow, clients.Booking{OperationID: id, UserID: buyer, Amount: 20_00})
	want(t, err, "")
	return w, seller, buyer, id
}

// wantDone fails the test unless the ticket is the buyer's and the credits are the seller's; wantUndone, unless all is
// as before.
func (w *world) wantDone(seller, buyer, id uuid.UUID) {
	w.t.Helper()
	if x := w.transfers[id]; x.Status != clients.TransferCompleted || w.seat.OwnerUserId != buyer.String() || w.balance(seller) != 20_00 || w.balance(buyer) != 30_00 || w.total() != 50_00 {
		w.t.Errorf("it is %s; seller %s, buyer %s of %s", x.Status, w.balance(seller), w.balance(buyer), w.total())
	}
}

func (w *world) wantUndone(seller, buyer, id uuid.UUID, reason string) {
	w.t.Helper()
	if x := w.transfers[id]; x.Status != clients.TransferFailed || x.FailureReason != reason || x.Swapping || w.balance(seller) != 0 || w.balance(buyer) != 50_00 || w.total() != 50_00 {
		w.t.Errorf("it is %s %s; seller %s, buyer %s of %s", x.Status, x.FailureReason, w.balance(seller), w.balance(buyer), w.total())
	}
}

func TestASwapWhenBothHaveConfirmed(t *testing.T) {
	w, seller, buyer, id := offered(t)
	out, err := w.ConfirmTransfer(t.Context(), seller, id, "123456", "")
	if err != nil || out.Pending || out.Status != clients.TransferPendingOTP || !out.SellerOTPVerified {
		t.Fatalf("after the first: %+v, %v", out, err)
	}
	out, err = w.ConfirmTransfer(t.Context(), buyer, id, "", "123456")
	if err != nil || out.Pending || out.Status != clients.TransferCompleted {
		t.Fatalf("after the second: %+v, %v", out, err)
	}
	w.wantDone(seller, buyer, id)
	_, err = w.ConfirmTransfer(t.Context(), buyer, id, "123456", "123456")
	want(t, err, fault.CodeTransferInvalidState)

	w, seller, buyer, id = offered(t)
	out, err = w.ConfirmTransfer(t.Context(), seller, id, "123456", "123456") // both in one call
	if err != nil || out.Status != clients.TransferCompleted {
		t.Fatalf("%+v, %v", out, err)
	}
	w.wantDone(seller, buyer, id)
}

func TestAGiftMovesNoCredits(t *testing.T) {
	w := newWorld(t)
	seller, buyer := w.parties(0)
	x, err := w.offer(seller, seller, buyer, 0)
	want(t, err, "")
	out, err := w.ConfirmTransfer(t.Context(), seller, x.TransferID, "123456", "123456")
	if err != nil || out.Status != clients.TransferCompleted || w.called(clients.Escrow) != 0 || w.called(clients.EscrowRelease) != 0 {
		t.Errorf("%+v, %v, %v", out, err, w.calls)
	}
}

// swapCalls are the calls of a swap's steps, those before the pivot first.
var swapCalls = []struct {
	name    string
	turning bool // a refusal turns the swap back
}{
	{clients.BeginSwap, true}, {clients.Escrow, true}, {"update-owner", true}, {clients.EscrowRelease, false}, {clients.Complete, false},
}

// A step with an unknown outcome is repeated, whether it was done or not.
func TestASwapOverUnknownOutcomes(t *testing.T) {
	for _, step := range swapCalls {
		for _, lost := range []bool{false, true} {
			w, seller, buyer, id := offered(t)
			w.fail(step.name, failure{unreachable, lost}, failure{unreachable, lost})
			if out, err := w.ConfirmTransfer(t.Context(), seller, id, "123456", "123456"); err != nil || out.Status != clients.TransferCompleted {
				t.Errorf("%s, lost %v: %+v, %v", step.name, lost, out, err)
			}
			w.wantDone(seller, buyer, id)
		}
	}
}

// A refused step compensates the swap until the seat is transferred; after that the saga is parked and reported as
// such.
func TestASwapThatIsRefused(t *testing.T) {
	for _, step := range swapCalls {
		w, seller, buyer, id := offered(t)
		w.fail(step.name, failure{err: refusal})
		_, err := w.ConfirmTransfer(t.Context(), seller, id, "123456", "123456")
		if !step.turning {
			want(t, err, fault.CodeInternal)
			if w.total() != 50_00 || w.seat.OwnerUserId != buyer.String() {
				t.Errorf("%s: %s in all, owner %s", step.name, w.total(), w.seat.OwnerUserId)
			}
			continue
		}
		want(t, err, refusal.Code)
		w.wantUndone(seller, buyer, id, refusal.Code)
		if w.seat.OwnerUserId != seller.String() {
			t.Errorf("%s: the ticket is %s's", step.name, w.seat.OwnerUserId)
		}
	}
}

// Compensation completes over unknown outcomes too.
func TestUndoingASwapOverUnknownOutcomes(t *testing.T) {
	for _, undo := range []string{clients.EscrowReturn, clients.AbortSwap} {
		for _, lost := range []bool{false, true} {
			w, seller, buyer, id := offered(t)
			w.seat.Status = inventoryv1.SeatStatus_CHECKED_IN
			w.fail(undo, failure{unreachable, lost})
			_, err := w.ConfirmTransfer(t.Context(), seller, id, "123456", "123456")
			want(t, err, fault.CodeSeatUnavailable)
			w.wantUndone(seller, buyer, id, fault.CodeSeatUnavailable)
		}
	}
}

func TestTheSellerHasLostTheTicket(t *testing.T) {
	w, seller, buyer, id := offered(t)
	w.seat.OwnerUserId = uuid.NewString()
	_, err := w.ConfirmTransfer(t.Context(), seller, id, "123456", "123456")
	want(t, err, fault.CodeNotSeatOwner)
	w.wantUndone(seller, buyer, id, fault.CodeNotSeatOwner)
}

func TestTwoConfirmAtOnce(t *testing.T) {
	w, seller, buyer, id := offered(t)
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() {
			out, err := w.ConfirmTransfer(t.Context(), seller, id, "123456", "123456")
			if err != nil && fault.Code(err) != fault.CodeTransferInvalidState || err == nil && out.Status != clients.TransferCompleted {
				t.Errorf("%+v, %v", out, err)
			}
		})
	}
	all.Wait()
	w.wantDone(seller, buyer, id)
}

// A buyer with too few credits learns so before their code is used, and can top up; the seller learns it only when both
// have agreed.
func TestABuyerWhoIsShort(t *testing.T) {
	w, seller, buyer, id := offered(t)
	w.users[buyer].CreditBalance = 10_00
	_, err := w.ConfirmTransfer(t.Context(), buyer, id, "", "123456")
	want(t, err, fault.CodeInsufficientCredits)
	if x := w.transfers[id]; x.Status != clients.TransferPendingOTP || x.BuyerOTPVerified || w.called("verify-otp") != 0 {
		t.Errorf("it is %+v", x)
	}
	w.users[buyer].CreditBalance = 50_00
	_, err = w.ConfirmTransfer(t.Context(), buyer, id, "", "123456")
	want(t, err, "")
	w.users[buyer].CreditBalance = 0 // spent since
	_, err = w.ConfirmTransfer(t.Context(), seller, id, "123456", "")
	want(t, err, fault.CodeInsufficientCredits)
	if fault.From(err).Message != errBuyerShort.Message || w.transfers[id].Status != clients.TransferFailed || w.balance(buyer) != 0 {
		t.Errorf("%v; it is %+v", err, w.transfers[id])
	}
}

// A simultaneous call paid the price between the look at the transfer and the look at the balance: the buyer is not poor.
func TestAPriceThatWasPaidMeanwhile(t *testing.T) {
	w, seller, buyer, id := offered(t)
	w.users[buyer].CreditBalance = w.transfers[id].CreditsAmount
	w.Users = &meanwhile{w, func() {
		w.Users = w
		_, err := w.ConfirmTransfer(t.Context(), buyer, id, "123456", "123456")
		want(t, err, "")
	}}
	_, err := w.ConfirmTransfer(t.Context(), buyer, id, "", "123456")
	if code := fault.Code(err); err != nil && code != fault.CodeTransferInvalidState {
		t.Error(err)
	}
	if status := w.transfers[id].Status; status != clients.TransferCompleted || w.balance(buyer) != 0 {
		t.Errorf("%s, %s left of %s", status, w.balance(buyer), seller)
	}
}

// meanwhile is the world with something that happens just before users are looked up.
type meanwhile struct {
	*world
	happens func()
}

func (m *meanwhile) Lookup(ctx context.Context, ids []uuid.UUID, emails []string) ([]clients.User, error) {
	m.happens()
	return m.world.Lookup(ctx, ids, emails)
}

func TestWhatCannotBeConfirmed(t *testing.T) {
	w, seller, buyer, id := offered(t)
	_, err := w.ConfirmTransfer(t.Context(), w.person("third@example.com", 0), id, "123456", "123456")
	want(t, err, fault.CodeForbidden)
	_, err = w.ConfirmTransfer(t.Context(), seller, uuid.New(), "123456", "")
	want(t, err, "TRANSFER_NOT_FOUND")
	_, err = w.ConfirmTransfer(t.Context(), seller, id, "", "")
	want(t, err, fault.CodeValidation)
	_, err = w.ConfirmTransfer(t.Context(), seller, id, "654321", "")
	want(t, err, "OTP_INVALID")
	w.fail(clients.OTPVerified, failure{err: unreachable})
	_, err = w.ConfirmTransfer(t.Context(), seller, id, "123456", "")
	want(t, err, fault.CodeUnavailable)
	w.fail("lookup", failure{err: unreachable})
	_, err = w.ConfirmTransfer(t.Context(), buyer, id, "", "123456")
	want(t, err, fault.CodeUnavailable)
	w.transfers[id].ExpiresAt = time.Now().Add(-time.Second)
	_, err = w.ConfirmTransfer(t.Context(), seller, id, "123456", "123456")
	want(t, err, fault.CodeOTPExpired)
}

// A code that has expired or was replaced is sent again, but not for a transfer that has ended.
func TestACodeIsSentAnew(t *testing.T) {
	for _, code := range []string{fault.CodeOTPExpired, fault.CodeValidation} {
		w, seller, _, id := offered(t)
		w.codes, w.sent = map[uuid.UUID]string{}, nil
		w.fail("verify-otp", failure{err: fault.New(fault.Gone, code, "Over")})
		_, err := w.ConfirmTransfer(t.Context(), seller, id, "123456", "")
		want(t, err, fault.CodeOTPExpired)
		if len(w.sent) != 1 || w.sent[0].UserID != seller || !w.sent[0].IfNonePending {
			t.Errorf("sent %+v", w.sent)
		}
		w.fail("verify-otp", failure{err: fault.New(fault.Gone, code, "Over")})
		w.fail("send-otp", failure{err: unreachable})
		_, err = w.ConfirmTransfer(t.Context(), seller, id, "123456", "")
		want(t, err, fault.CodeUnavailable)
		w.fail("verify-otp", failure{err: fault.New(fault.Gone, code, "Over")})
		w.fail("read", failure{}, failure{err: unreachable})
		_, err = w.ConfirmTransfer(t.Context(), seller, id, "123456", "")
		want(t, err, fault.CodeUnavailable)
	}
	w, seller, _, id := offered(t)
	w.fail("verify-otp", failure{err: fault.New(fault.Gone, fault.CodeOTPExpired, "Over")})
	x := *w.transfers[id]
	w.transfers[id].Status = clients.TransferFailed
	err := w.verifyParty(t.Context(), x, seller, "123456", seller)
	want(t, err, fault.CodeTransferInvalidState)
}

// The user service learns who enters a code; a code that is sent again because of the other party's entry counts as the
// other party's.
func TestWhoEntersACode(t *testing.T) {
	w, seller, buyer, id := offered(t)
	_, err := w.ConfirmTransfer(t.Context(), seller, id, "123456", "123456")
	want(t, err, "")
	if got := [][2]uuid.UUID{{seller, seller}, {buyer, seller}}; !slices.Equal(w.entered, got) {
		t.Errorf("entered %v, want %v", w.entered, got)
	}
	w, seller, buyer, id = offered(t)
	w.codes, w.sent = map[uuid.UUID]string{}, nil
	_, err = w.ConfirmTransfer(t.Context(), seller, id, "", "123456")
	want(t, err, fault.CodeOTPExpired)
	_, err = w.ConfirmTransfer(t.Context(), seller, id, "123456", "")
	want(t, err, fault.CodeOTPExpired)
	if len(w.sent) != 2 || w.sent[0].UserID != buyer || w.sent[0].CounterpartyID != seller || w.sent[1].CounterpartyID != uuid.Nil {
		t.Errorf("sent %+v", w.sent)
	}
}

func TestTooManyWrongCodesEndATransfer(t *testing.T) {
	w, seller, buyer, id := offered(t)
	w.fail("verify-otp", failure{err: fault.New(fault.TooMany, fault.CodeOTPMaxRetries, "Too many")})
	_, err := w.ConfirmTransfer(t.Context(), seller, id, "654321", "")
	want(t, err, fault.CodeOTPMaxRetries)
	w.wantUndone(seller, buyer, id, fault.CodeOTPMaxRetries)
	if len(w.codes) != 0 {
		t.Errorf("codes are still live: %v", w.codes)
	}
}

func TestATransferThatNobodyConfirmsExpires(t *testing.T) {
	for name, begin := range map[string]func(*testing.T) (*world, uuid.UUID, uuid.UUID, uuid.UUID){"private": offered, "bought": bought} {
		t.Run(name, func(t *testing.T) {
			w, seller, buyer, id := begin(t)
			w.transfers[id].ExpiresAt = time.Now().Add(-time.Second)
			w.fail(clients.FailTransfer, failure{unreachable, true})
			w.fail("cancel-otp", failure{err: unreachable})
			for range 2 {
				if err := w.Sweep()(t.Context()); err != nil {
					t.Error(err)
				}
			}
			w.wantUndone(seller, buyer, id, "EXPIRED")
		})
	}
	w, seller, buyer, id := bought(t)
	w.transfers[id].SellerOTPVerified, w.transfers[id].Swapping = true, true
	if err := w.ExpireTransfer(t.Context(), *w.transfers[id]); err != nil { // the swap was faster
		t.Error(err)
	}
	if w.balance(buyer) != 30_00 || w.balance(seller) != 0 || w.transfers[id].Status != clients.TransferPendingOTP {
		t.Errorf("a swap that has begun lost its escrow: buyer %s", w.balance(buyer))
	}
}

func TestASweepThatCannotRead(t *testing.T) {
	w, _, _, _ := offered(t)
	w.fail("overdue", failure{err: unreachable})
	want(t, w.Sweep()(t.Context()), fault.CodeUnavailable)
}

// A purchase at the marketplace is approved by the seller's code alone; the escrow is not filled twice.
func TestAPurchaseIsApproved(t *testing.T) {
	w, seller, buyer, id := bought(t)
	out, err := w.ConfirmTransfer(t.Context(), seller, id, "123456", "")
	if err != nil || out.Status != clients.TransferCompleted {
		t.Fatalf("%+v, %v", out, err)
	}
	w.wantDone(seller, buyer, id)

	w, seller, buyer, id = bought(t) // less the platform's fee
	w.SaleFeePercent = 7
	_, err = w.ConfirmTransfer(t.Context(), seller, id, "123456", "")
	if err != nil || w.balance(seller) != 18_60 || w.balance(buyer) != 30_00 || w.platform != 1_40 {
		t.Errorf("%v: seller %s, buyer %s, platform %s", err, w.balance(seller), w.balance(buyer), w.platform)
	}
	w, seller, _, id = completed(t) // a private transfer has none
	w.SaleFeePercent = 7
	if got := w.fee(*w.transfers[id]); got != 0 || w.balance(seller) != 20_00 {
		t.Errorf("a private transfer costs %s", got)
	}
}

func TestListsAreTheOrderServices(t *testing.T) {
	w, seller, _, _ := offered(t)
	if list, total, err := w.Flows.TransfersOf(t.Context(), seller, onePage); err != nil || len(list) != 1 || total != 1 {
		t.Errorf("%v of %d, %v", list, total, err)
	}
}
