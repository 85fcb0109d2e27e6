package transfer

import (
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"ticketremaster/orchestrator-service/clients"
	"ticketremaster/platform/fault"
	"ticketremaster/platform/web"
	inventoryv1 "ticketremaster/proto/inventory/v1"
)

var onePage = web.Page{Number: 1, Size: 20}

// completed is a completed transfer for 20 credits.
func completed(t *testing.T) (w *world, seller, buyer, id uuid.UUID) {
	t.Helper()
	w, seller, buyer, id = offered(t)
	_, err := w.ConfirmTransfer(t.Context(), seller, id, "123456", "123456")
	want(t, err, "")
	return w, seller, buyer, id
}

// disputed is one that the buyer disputes.
func disputed(t *testing.T) (w *world, seller, buyer, id uuid.UUID) {
	t.Helper()
	w, seller, buyer, id = completed(t)
	out, err := w.RaiseDispute(t.Context(), buyer, id, "phished")
	if err != nil || out.Status != clients.TransferDisputed {
		t.Fatalf("%+v, %v", out, err)
	}
	return w, seller, buyer, id
}

func TestADisputeFreezesTheAmount(t *testing.T) {
	w, seller, buyer, id := disputed(t)
	if x := w.transfers[id]; x.Status != clients.TransferDisputed || w.balance(seller) != 0 || w.balance(buyer) != 30_00 || w.total() != 50_00 {
		t.Errorf("it is %s; seller %s, buyer %s of %s", x.Status, w.balance(seller), w.balance(buyer), w.total())
	}
}

func TestADisputeIsWithdrawnOrRejected(t *testing.T) {
	w, seller, buyer, id := disputed(t)
	_, err := w.WithdrawDispute(t.Context(), seller, id)
	want(t, err, fault.CodeForbidden)
	_, err = w.WithdrawDispute(t.Context(), w.person("third@example.com", 0), id)
	want(t, err, fault.CodeForbidden)
	out, err := w.WithdrawDispute(t.Context(), buyer, id)
	if err != nil || out.Status != clients.TransferCompleted {
		t.Fatalf("%+v, %v", out, err)
	}
	w.wantDone(seller, buyer, id)
	_, err = w.WithdrawDispute(t.Context(), buyer, id)
	want(t, err, fault.CodeTransferInvalidState)

	w, seller, buyer, id = disputed(t)
	out, err = w.RejectDispute(t.Context(), w.person("admin@example.com", 0), id)
	if err != nil || out.Status != clients.TransferCompleted {
		t.Fatalf("%+v, %v", out, err)
	}
	w.wantDone(seller, buyer, id)
	_, err = w.RejectDispute(t.Context(), buyer, uuid.New())
	want(t, err, "TRANSFER_NOT_FOUND")
}

func TestADisputeIsReversed(t *testing.T) {
	for _, by := range []string{"the other party", "an administrator"} {
		w, seller, buyer, id := disputed(t)
		_, err := w.ReverseTransfer(t.Context(), buyer, false, id, false) // who raised it does not decide
		want(t, err, fault.CodeForbidden)
		_, err = w.ReverseTransfer(t.Context(), seller, false, id, true) // who decides does not cover
		want(t, err, fault.CodeForbidden)
		caller, admin := seller, false
		if by == "an administrator" {
			caller, admin = w.person("admin@example.com", 0), true
		}
		out, err := w.ReverseTransfer(t.Context(), caller, admin, id, admin)
		if err != nil || out.Status != clients.TransferReversed {
			t.Fatalf("%s: %+v, %v", by, out, err)
		}
		if w.seat.OwnerUserId != seller.String() || w.balance(seller) != 0 || w.balance(buyer) != 50_00 || w.total() != 50_00 {
			t.Errorf("%s: the ticket is %s's; seller %s, buyer %s", by, w.seat.OwnerUserId, w.balance(seller), w.balance(buyer))
		}
		_, err = w.ReverseTransfer(t.Context(), caller, admin, id, false)
		want(t, err, fault.CodeTransferInvalidState)
	}
}

// Every step of every saga of a dispute has an unknown outcome twice, done or not.
func TestDisputesOverUnknownOutcomes(t *testing.T) {
	reverse := func(w *world, seller, _, id uuid.UUID) error {
		_, err := w.ReverseTransfer(w.t.Context(), seller, false, id, false)
		return err
	}
	raise := func(w *world, _, buyer, id uuid.UUID) error {
		_, err := w.RaiseDispute(w.t.Context(), buyer, id, "phished")
		return err
	}
	withdraw := func(w *world, _, buyer, id uuid.UUID) error {
		_, err := w.WithdrawDispute(w.t.Context(), buyer, id)
		return err
	}
	for call, c := range map[string]struct {
		from   func(*testing.T) (*world, uuid.UUID, uuid.UUID, uuid.UUID)
		do     func(*world, uuid.UUID, uuid.UUID, uuid.UUID) error
		status string
	}{
		"dispute":                {completed, raise, clients.TransferDisputed},
		clients.Freeze:           {completed, raise, clients.TransferDisputed},
		clients.EndDispute:       {disputed, withdraw, clients.TransferCompleted},
		clients.Unfreeze:         {disputed, withdraw, clients.TransferCompleted},
		clients.BeginReversal:    {disputed, reverse, clients.TransferReversed},
		clients.FrozenIntoEscrow: {disputed, reverse, clients.TransferReversed},
		"update-owner":           {disputed, reverse, clients.TransferReversed},
		clients.EscrowRelease:    {disputed, reverse, clients.TransferReversed},
		clients.Reverse:          {disputed, reverse, clients.TransferReversed},
	} {
		for _, lost := range []bool{false, true} {
			w, seller, buyer, id := c.from(t)
			w.fail(call, failure{unreachable, lost}, failure{unreachable, lost})
			if err := c.do(w, seller, buyer, id); err != nil || w.transfers[id].Status != c.status || w.total() != 50_00 {
				t.Errorf("%s, lost %v: %v, %s with %s in all", call, lost, err, w.transfers[id].Status, w.total())
			}
		}
	}
}

// A freeze that is refused leaves no dispute; a reversal that is refused leaves the dispute as it was.
func TestDisputesThatAreRefused(t *testing.T) {
	w, seller, buyer, id := completed(t)
	w.fail(clients.Freeze, failure{err: refusal})
	_, err := w.RaiseDispute(t.Context(), buyer, id, "phished")
	want(t, err, refusal.Code)
	w.wantDone(seller, buyer, id)

	for _, call := range []string{clients.BeginReversal, clients.FrozenIntoEscrow, "update-owner"} {
		w, seller, buyer, id := disputed(t)
		w.fail(call, failure{err: refusal})
		_, err := w.ReverseTransfer(t.Context(), seller, false, id, false)
		want(t, err, refusal.Code)
		x := w.transfers[id]
		if x.Status != clients.TransferDisputed || x.ReversalID != nil || w.balance(seller) != 0 || w.balance(buyer) != 30_00 || len(w.frozen) != 1 || len(w.escrow) != 0 {
			t.Errorf("%s: it is %+v; frozen %v, escrow %v", call, x, w.frozen, w.escrow)
		}
		if _, err := w.ReverseTransfer(t.Context(), seller, false, id, false); err != nil { // and may be tried again
			t.Errorf("%s: %v", call, err)
		}
	}
	// Another reversal is not aborted with this one.
	w, _, _, id = disputed(t)
	w.fail(clients.AbortReversal, failure{err: errTransferState})
	if err := w.dropReversal(t.Context(), &Reversal{Transfer: *w.transfers[id]}); err != nil {
		t.Error(err)
	}
}

func TestTwoReverseAtOnce(t *testing.T) {
	w, seller, buyer, id := disputed(t)
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() {
			if _, err := w.ReverseTransfer(t.Context(), seller, false, id, false); err != nil && fault.Code(err) != fault.CodeTransferInvalidState {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if w.balance(buyer) != 50_00 || w.total() != 50_00 {
		t.Errorf("buyer %s of %s", w.balance(buyer), w.total())
	}
}

func TestWhatCannotBeDisputed(t *testing.T) {
	w, seller, buyer, id := completed(t)
	raise := func(by uuid.UUID) error {
		_, err := w.RaiseDispute(t.Context(), by, id, "phished")
		return err
	}
	want(t, raise(w.person("third@example.com", 0)), fault.CodeForbidden)
	w.fail("ticket", failure{err: unreachable})
	want(t, raise(buyer), fault.CodeUnavailable)
	w.event.EventDate = time.Now()
	want(t, raise(buyer), fault.CodeTransferInvalidState)
	w.event.EventDate = time.Now().Add(time.Hour)
	w.seat.Status = inventoryv1.SeatStatus_CHECKED_IN
	want(t, raise(seller), fault.CodeTransferInvalidState)
	w.seat.Status = inventoryv1.SeatStatus_SOLD
	w.transfers[id].Status = clients.TransferReversed
	want(t, raise(seller), fault.CodeTransferInvalidState)
}

// The live onward transfer of the ticket ends with the dispute, its codes with it, and a buyer at the marketplace gets
// the price back.
func TestADisputeEndsTheOnwardTransfer(t *testing.T) {
	w, seller, buyer, id := completed(t)
	third := w.person("third@example.com", 70_00)
	listing := uuid.New()
	w.onward = &clients.Transfer{TransferID: uuid.New(), SellerUserID: buyer, BuyerUserID: third, CreditsAmount: 40_00, Status: clients.TransferFailed, ListingID: &listing}
	_, err := w.Book(t.Context(), clients.Escrow, clients.Booking{OperationID: w.onward.TransferID, UserID: third, Amount: 40_00})
	want(t, err, "")
	w.codes = map[uuid.UUID]string{buyer: "123456"}
	w.fail(clients.EscrowReturn, failure{unreachable, true})
	_, err = w.RaiseDispute(t.Context(), seller, id, "phished")
	want(t, err, "")
	if w.balance(third) != 70_00 || len(w.escrow) != 0 || len(w.codes) != 0 {
		t.Errorf("the third has %s; escrow %v, codes %v", w.balance(third), w.escrow, w.codes)
	}

	w, seller, _, id = completed(t)
	w.onward = &clients.Transfer{TransferID: uuid.New(), CreditsAmount: 5_00}
	_, err = w.RaiseDispute(t.Context(), seller, id, "phished")
	want(t, err, "")
	if w.called(clients.EscrowReturn) != 0 {
		t.Error("a private transfer has no escrow to return")
	}
}

func TestADisputeThatIsStillBeingRecorded(t *testing.T) {
	w, seller, buyer, id := completed(t)
	now, d := time.Now(), uuid.New()
	x := w.transfers[id]
	x.Status, x.DisputeID, x.DisputedBy, x.CompletedAt = clients.TransferDisputed, &d, &buyer, &now
	_, err := w.ReverseTransfer(t.Context(), seller, false, id, false)
	want(t, err, fault.CodeInternal) // no saga has it: our books are wrong
}
