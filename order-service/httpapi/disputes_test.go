package httpapi_test

import (
	"reflect"
	"testing"

	order "ticketremaster/order-service"
	"ticketremaster/platform/fault"
)

func (s *service) dispute(b body, id string) error {
	return s.act(b, "dispute", "dispute_id", id, "by", b["buyer_user_id"], "reason", "I was phished")
}

func TestDisputeCancelsALiveOnwardTransfer(t *testing.T) {
	s := start(t)
	for _, state := range []string{"INITIATED", "PENDING_OTP", "verified"} {
		b := s.reach(newTransfer(), "COMPLETED")
		next := s.reach(onward(b), state)
		for range 2 { // the repeat answers the same
			var answer struct{ Transfer, Cancelled *order.Transfer }
			s.must(s.post("/transfers/"+b["transfer_id"].(string)+"/dispute", body{"dispute_id": b["transfer_id"], "by": b["seller_user_id"], "reason": "x"}, &answer))
			if answer.Transfer.Status != order.Disputed || answer.Cancelled == nil || answer.Cancelled.ID.String() != next["transfer_id"] ||
				answer.Cancelled.Status != order.TransferFailed {
				t.Errorf("onward %s: answered %+v", state, answer)
			}
		}
		if x := s.transferOf(next); x.Status != order.TransferFailed {
			t.Errorf("the onward transfer is %s", x.Status)
		}
	}
}

func TestDisputeAfterTheTicketWasHandedOn(t *testing.T) {
	s := start(t)
	for _, state := range []string{"swapping", "COMPLETED", "DISPUTED"} {
		b := s.reach(newTransfer(), "COMPLETED")
		next := s.reach(onward(b), state)
		before := s.transferOf(next)
		if e := want(t, s.dispute(b, newID()), "TRANSFER_INVALID_STATE"); e.Details["status"] != "COMPLETED" {
			t.Errorf("%s: learns %v", state, e.Details)
		}
		if after := s.transferOf(next); !reflect.DeepEqual(after, before) {
			t.Errorf("a refused dispute changed the onward transfer to %+v", after)
		}
	}
	for _, state := range []string{"FAILED", "REVERSED"} {
		b := s.reach(newTransfer(), "COMPLETED")
		s.reach(onward(b), state)
		s.must(s.dispute(b, newID()))
	}
	// A → B, B → C, and C → D is live: the refused dispute of the first does not affect the last.
	first := s.reach(newTransfer(), "COMPLETED")
	second := s.reach(onward(first), "COMPLETED")
	third := s.reach(onward(second), "verified")
	want(t, s.dispute(first, newID()), "TRANSFER_INVALID_STATE")
	if x := s.transferOf(third); x.Status != order.PendingOTP {
		t.Errorf("the last transfer is %s", x.Status)
	}
	// A dispute refers to its own transfer only.
	s.must(s.dispute(second, newID()))
	if x := s.transferOf(first); x.Status != order.Completed || x.DisputeID != nil {
		t.Errorf("the first transfer is %+v", x)
	}
}

// After a reversal the ticket may be transferred again; a repeat of the old dispute must not affect that.
func TestRepeatedDisputeLeavesALaterTransferAlone(t *testing.T) {
	s := start(t)
	b := s.reach(newTransfer(), "REVERSED")
	anew := s.reach(newTransfer().with(body{"seat_id": b["seat_id"]}), "PENDING_OTP")
	s.must(s.dispute(b, theDispute))
	if x := s.transferOf(anew); x.Status != order.PendingOTP {
		t.Errorf("the new transfer is %s", x.Status)
	}
}

func TestDisputeByAStranger(t *testing.T) {
	s := start(t)
	b := s.reach(newTransfer(), "COMPLETED")
	wantField(t, s.act(b, "dispute", "dispute_id", newID(), "by", newID(), "reason", "x"), "by")
}

// A dispute and the onward swap at once: either the ticket is disputed and stays, or it is transferred and cannot be
// disputed.
func TestDisputeRacesTheOnwardSwap(t *testing.T) {
	s := start(t)
	for range 10 {
		b := s.reach(newTransfer(), "COMPLETED")
		next := s.reach(onward(b), "verified")
		results := atOnce(10,
			func() error { return s.dispute(b, theDispute) },
			func() error {
				if err := s.act(next, "begin-swap"); err != nil {
					return err
				}
				return s.act(next, "complete")
			})
		disputed, handedOn := s.transferOf(b).Status == order.Disputed, s.transferOf(next).Status == order.Completed
		if disputed == handedOn {
			t.Fatalf("disputed %v, handed on %v", disputed, handedOn)
		}
		for i, err := range results {
			if won := (i%2 == 0) == disputed; won && err != nil || !won && fault.Code(err) != "TRANSFER_INVALID_STATE" {
				t.Fatalf("disputed %v: action %d answered %v", disputed, i%2, err)
			}
		}
	}
}

// A dispute and a new onward transfer at once: whichever is second, there is no live onward transfer beside the
// dispute.
func TestDisputeRacesANewOnwardTransfer(t *testing.T) {
	s := start(t)
	for range 10 {
		b := s.reach(newTransfer(), "COMPLETED")
		for i, err := range atOnce(10, func() error { return s.dispute(b, theDispute) }, func() error { return s.post("/transfers", onward(b), nil) }) {
			if code := fault.Code(err); i%2 == 0 && err != nil || i%2 == 1 && err != nil && code != "TRANSFER_IN_PROGRESS" {
				t.Fatalf("action %d: %v", i%2, err)
			}
		}
		if n := s.count(`SELECT count(*) FROM transfers WHERE seat_id = $1 AND status IN ('INITIATED', 'PENDING_OTP')`, b["seat_id"]); n != 0 || s.transferOf(b).Status != order.Disputed {
			t.Fatalf("%d live onward transfers stand beside the dispute", n)
		}
	}
}

// Concurrent disputes along a chain do not deadlock.
func TestDisputesOfOneSeatAtOnce(t *testing.T) {
	s := start(t)
	first := s.reach(newTransfer(), "COMPLETED")
	second := s.reach(onward(first), "verified")
	for _, err := range atOnce(10, func() error { return s.dispute(first, theDispute) }, func() error { return s.dispute(second, theReversal) }) {
		if fault.Unknown(err) {
			t.Error(err)
		}
	}
}

func TestReversalRacesTheEndOfItsDispute(t *testing.T) {
	s := start(t)
	for range 5 {
		b := s.reach(newTransfer(), "DISPUTED")
		results := atOnce(20, func() error { return s.act(b, "begin-reversal", "reversal_id", theReversal) },
			func() error { return s.act(b, "end-dispute", "dispute_id", theDispute) })
		reversing := s.transferOf(b).ReversalID != nil
		for i, err := range results {
			if won := (i%2 == 0) == reversing; won && err != nil || !won && fault.Code(err) != "TRANSFER_INVALID_STATE" {
				t.Fatalf("reversing %v: action %d answered %v", reversing, i%2, err)
			}
		}
	}
}

func TestReversalRacesItsUndo(t *testing.T) {
	s := start(t)
	for range 10 {
		b := s.reach(newTransfer(), "DISPUTED")
		for i, err := range atOnce(5, func() error { return s.act(b, "begin-reversal", "reversal_id", theReversal) },
			func() error { return s.act(b, "abort-reversal", "reversal_id", theReversal) }) {
			if undo := i%2 == 1; err != nil && (undo || fault.Code(err) != "OPERATION_VOIDED") {
				t.Fatalf("undo %v: %v", undo, err)
			}
		}
		if x := s.transferOf(b); x.ReversalID != nil {
			t.Fatal("a reversal that was undone is under way")
		}
	}
}

func TestTwentyReversalsOneWins(t *testing.T) {
	s := start(t)
	b, won := s.reach(newTransfer(), "DISPUTED"), 0
	for _, err := range atOnce(20, func() error { return s.act(b, "begin-reversal", "reversal_id", newID()) }) {
		if err == nil {
			won++
		} else {
			want(t, err, "TRANSFER_INVALID_STATE")
		}
	}
	if won != 1 {
		t.Errorf("%d reversals won", won)
	}
}

func (s *service) disputeBy(b body, party, id string) error {
	return s.act(b, "dispute", "dispute_id", id, "by", b[party+"_user_id"], "reason", "I was phished")
}

// raiseAndEnd has the party raise a dispute and ends it with that ending.
func (s *service) raiseAndEnd(b body, party, ending string) error {
	d := newID()
	if err := s.disputeBy(b, party, d); err != nil {
		return err
	}
	return s.act(b, "end-dispute", "dispute_id", d, "ending", ending)
}

// One party cannot use up the other's disputes, however often it withdraws or is rejected.
func TestDisputesAreCountedPerParty(t *testing.T) {
	s := start(t)
	b := s.reach(newTransfer(), "COMPLETED")
	for range 150 { // what could not be recorded whole was never raised
		s.must(s.raiseAndEnd(b, "seller", "UNDONE"))
	}
	for range order.MaxDisputes {
		s.must(s.raiseAndEnd(b, "seller", "REJECTED"))
	}
	want(t, s.disputeBy(b, "seller", newID()), "TOO_MANY_DISPUTES")
	s.must(s.raiseAndEnd(b, "buyer", "WITHDRAWN"))
}

func TestWhoWithdrewWaitsAnHour(t *testing.T) {
	s := start(t)
	b := s.reach(newTransfer(), "COMPLETED")
	s.must(s.raiseAndEnd(b, "seller", "WITHDRAWN"))
	want(t, s.disputeBy(b, "seller", newID()), "DISPUTE_WITHDRAWN")
	s.must(s.raiseAndEnd(b, "buyer", "REJECTED"), s.raiseAndEnd(b, "buyer", "REJECTED")) // the other is free
	s.exec(`ALTER TABLE transfer_operations DISABLE TRIGGER transfer_operations_guard`)
	s.exec(`UPDATE transfer_operations SET voided_at = voided_at - interval '61 minutes'`)
	s.must(s.raiseAndEnd(b, "seller", "WITHDRAWN"))
}

// A party that has raised a dispute before does not end the other's onward transfer again.
func TestADisputeEndsAnOnwardTransferOnce(t *testing.T) {
	s := start(t)
	b := s.reach(newTransfer(), "COMPLETED")
	first := s.reach(onward(b), "PENDING_OTP")
	s.must(s.raiseAndEnd(b, "seller", "REJECTED"))
	if x := s.transferOf(first); x.Status != order.TransferFailed {
		t.Errorf("the first onward transfer is %s", x.Status)
	}
	second := s.reach(onward(b), "PENDING_OTP")
	want(t, s.disputeBy(b, "seller", newID()), "TRANSFER_INVALID_STATE")
	if x := s.transferOf(second); x.Status != order.PendingOTP {
		t.Errorf("the second onward transfer is %s", x.Status)
	}
	s.must(s.disputeBy(b, "buyer", newID())) // its own may go
}

// Attempts to reverse that were undone have no limit: the frozen amount would be stuck.
func TestReversalsCanBeTriedForEver(t *testing.T) {
	s := start(t)
	b := s.reach(newTransfer(), "DISPUTED")
	for range 101 {
		r := newID()
		s.must(s.act(b, "begin-reversal", "reversal_id", r), s.act(b, "abort-reversal", "reversal_id", r))
	}
	s.must(s.act(b, "begin-reversal", "reversal_id", theReversal), s.act(b, "reverse", "reversal_id", theReversal))
}
