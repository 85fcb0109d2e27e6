package httpapi_test

import (
	"context"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	order "ticketremaster/order-service"
	"ticketremaster/platform/fault"
)

func newTransfer() body {
	seller := newID()
	return body{
		"status": "INITIATED", "transfer_id": newID(), "seat_id": newID(), "event_id": newID(), "seller_user_id": seller, "buyer_user_id": newID(),
		"initiated_by": seller, "credits_amount": 120.5, "expires_at": time.Now().Add(15 * time.Minute).UTC(),
	}
}

// onward is the transfer by which b's buyer hands the ticket on.
func onward(b body) body {
	return newTransfer().with(body{"seat_id": b["seat_id"], "event_id": b["event_id"], "seller_user_id": b["buyer_user_id"], "initiated_by": b["buyer_user_id"]})
}

func (s *service) initiate(b body) (t order.Transfer) {
	s.t.Helper()
	if err := s.post("/transfers", b, &t); err != nil {
		s.t.Fatal(err)
	}
	return t
}

// act does one action on the transfer: its address, and its body's fields as pairs of name and value.
func (s *service) act(b body, address string, fields ...any) error {
	in := body{}
	for i := 0; i+1 < len(fields); i += 2 {
		in[fields[i].(string)] = fields[i+1]
	}
	return s.post("/transfers/"+b["transfer_id"].(string)+"/"+address, in, nil)
}

func (s *service) must(errs ...error) {
	s.t.Helper()
	for _, err := range errs {
		if err != nil {
			s.t.Fatal(err)
		}
	}
}

func (s *service) transferOf(b body) (t order.Transfer) {
	s.t.Helper()
	s.must(s.get("/transfers/"+b["transfer_id"].(string), &t))
	return t
}

// Ids of the operations that the walks to a state use.
var (
	theDispute  = "0192aaaa-0000-7000-8000-000000000001"
	theReversal = "0192aaaa-0000-7000-8000-000000000002"
)

func (s *service) dispute(b body, id string) error {
	return s.act(b, "dispute", "dispute_id", id, "by", b["buyer_user_id"], "reason", "I was phished")
}

// walks lead a transfer from one state to the next; reach plays them up to the state that is wanted.
var walks = []struct {
	state, after string
	steps        func(*service, body) []error
}{
	{"INITIATED", "", func(*service, body) []error { return nil }},
	{"PENDING_OTP", "INITIATED", func(s *service, b body) []error { return []error{s.act(b, "await-otp")} }},
	{"verified", "PENDING_OTP", func(s *service, b body) []error {
		return []error{s.act(b, "otp-verified", "party", "seller"), s.act(b, "otp-verified", "party", "buyer")}
	}},
	{"swapping", "verified", func(s *service, b body) []error { return []error{s.act(b, "begin-swap")} }},
	{"COMPLETED", "swapping", func(s *service, b body) []error { return []error{s.act(b, "complete")} }},
	{"DISPUTED", "COMPLETED", func(s *service, b body) []error { return []error{s.dispute(b, theDispute)} }},
	{"reversing", "DISPUTED", func(s *service, b body) []error {
		return []error{s.act(b, "begin-reversal", "reversal_id", theReversal)}
	}},
	{"REVERSED", "reversing", func(s *service, b body) []error {
		return []error{s.act(b, "reverse", "reversal_id", theReversal)}
	}},
	{"FAILED", "PENDING_OTP", func(s *service, b body) []error { return []error{s.act(b, "fail", "reason", "too many wrong codes")} }},
}

func (s *service) reach(b body, state string) body {
	s.t.Helper()
	for _, w := range walks {
		if w.state != state {
			continue
		}
		if w.after == "" {
			s.initiate(b)
		} else {
			s.reach(b, w.after)
		}
		s.must(w.steps(s, b)...)
		return b
	}
	s.t.Fatalf("no walk leads to %s", state)
	return nil
}

// Every cell of the state machine: each state × each action. A cell is the state it leads to, "same" for a repeat that
// changes nothing and succeeds, or "-" for 409 TRANSFER_INVALID_STATE.
func TestEveryCellOfTheStateMachine(t *testing.T) {
	s := start(t)
	actions := []struct {
		name string
		do   func(body) error
	}{
		{"await-otp", func(b body) error { return s.act(b, "await-otp") }},
		{"seller verified", func(b body) error { return s.act(b, "otp-verified", "party", "seller") }},
		{"buyer verified", func(b body) error { return s.act(b, "otp-verified", "party", "buyer") }},
		{"begin-swap", func(b body) error { return s.act(b, "begin-swap") }},
		{"complete", func(b body) error { return s.act(b, "complete") }},
		{"abort-swap", func(b body) error { return s.act(b, "abort-swap", "reason", "the seat was lost") }},
		{"fail", func(b body) error { return s.act(b, "fail", "reason", "expired") }},
		{"dispute", func(b body) error { return s.dispute(b, theDispute) }},
		{"dispute by another id", func(b body) error { return s.dispute(b, newID()) }},
		{"end-dispute", func(b body) error { return s.act(b, "end-dispute", "dispute_id", theDispute) }},
		{"begin-reversal", func(b body) error { return s.act(b, "begin-reversal", "reversal_id", theReversal) }},
		{"begin another reversal", func(b body) error { return s.act(b, "begin-reversal", "reversal_id", newID()) }},
		{"abort-reversal", func(b body) error { return s.act(b, "abort-reversal", "reversal_id", theReversal) }},
		{"reverse", func(b body) error { return s.act(b, "reverse", "reversal_id", theReversal) }},
		{"reverse by another id", func(b body) error { return s.act(b, "reverse", "reversal_id", newID()) }},
	}
	//                          INITIATED    PENDING_OTP  verified  swapping   COMPLETED DISPUTED   reversing  REVERSED  FAILED
	const cells = `
		await-otp               PENDING_OTP  same         same      same       -         -          -          -         -
		seller_verified         -            SELLER       same      same       -         -          -          -         -
		buyer_verified          -            BUYER        same      same       -         -          -          -         -
		begin-swap              -            -            SWAPPING  same       same      same       same       same      -
		complete                -            -            -         COMPLETED  same      same       same       same      -
		abort-swap              -            FAILED       FAILED    FAILED     -         -          -          -         same
		fail                    FAILED       FAILED       FAILED    -          -         -          -          -         same
		dispute                 -            -            -         -          DISPUTED  same       same       same      -
		dispute_by_another_id   -            -            -         -          DISPUTED  -          -          -         -
		end-dispute             same         same         same      same       same      COMPLETED  -          -         same
		begin-reversal          -            -            -         -          -         REVERSING  same       same      -
		begin_another_reversal  -            -            -         -          -         REVERSING  -          -         -
		abort-reversal          same         same         same      same       same      same       DISPUTED   -         same
		reverse                 -            -            -         -          -         -          REVERSED   same      -
		reverse_by_another_id   -            -            -         -          -         -          -          -         -`
	// show tells the states apart that the table has.
	show := func(x order.Transfer) string {
		switch {
		case x.Status == order.PendingOTP && x.Swapping:
			return "SWAPPING"
		case x.Status == order.PendingOTP && x.SellerOTPVerified && !x.BuyerOTPVerified:
			return "SELLER"
		case x.Status == order.PendingOTP && x.BuyerOTPVerified && !x.SellerOTPVerified:
			return "BUYER"
		case x.Status == order.Disputed && x.ReversalID != nil:
			return "REVERSING"
		}
		return string(x.Status)
	}
	lines := strings.Split(strings.TrimSpace(cells), "\n")
	if len(lines) != len(actions) {
		t.Fatalf("%d lines for %d actions", len(lines), len(actions))
	}
	for i, line := range lines {
		cell := strings.Fields(line)
		if a := actions[i]; cell[0] != strings.ReplaceAll(a.name, " ", "_") || len(cell) != 1+len(walks) {
			t.Fatalf("line %q does not fit action %s", line, a.name)
		}
		for j, w := range walks {
			t.Run(fmt.Sprintf("%s/%s", actions[i].name, w.state), func(t *testing.T) {
				b := newTransfer()
				s.reach(b, w.state)
				before := s.transferOf(b)
				err := actions[i].do(b)
				after := s.transferOf(b)
				switch expected := cell[1+j]; expected {
				case "-":
					if e := want(t, err, "TRANSFER_INVALID_STATE"); e.Details["status"] != string(before.Status) {
						t.Errorf("the loser learns %v, the state is %s", e.Details, before.Status)
					}
					if !reflect.DeepEqual(after, before) {
						t.Errorf("a refusal changed %+v to %+v", before, after)
					}
				case "same":
					want(t, err, "")
					if !reflect.DeepEqual(after, before) {
						t.Errorf("a repeat changed %+v to %+v", before, after)
					}
				default:
					want(t, err, "")
					if got := show(after); got != expected {
						t.Errorf("it led to %s, want %s", got, expected)
					}
					// And its repeat changes nothing.
					if err := actions[i].do(b); err != nil && !strings.Contains(actions[i].name, "another") {
						t.Errorf("the repeat: %v", err)
					}
					if again := s.transferOf(b); !reflect.DeepEqual(again, after) {
						t.Errorf("the repeat changed %+v to %+v", after, again)
					}
				}
			})
		}
	}
}

func TestUnknownTransfer(t *testing.T) {
	s := start(t)
	b := newTransfer()
	want(t, s.get("/transfers/"+b["transfer_id"].(string), nil), "TRANSFER_NOT_FOUND")
	for address, in := range map[string]body{
		"await-otp": {}, "otp-verified": {"party": "seller"}, "begin-swap": {}, "complete": {}, "abort-swap": {"reason": "x"}, "fail": {"reason": "x"},
		"dispute": {"dispute_id": newID(), "by": newID(), "reason": "x"}, "end-dispute": {"dispute_id": newID()},
		"begin-reversal": {"reversal_id": newID()}, "abort-reversal": {"reversal_id": newID()}, "reverse": {"reversal_id": newID()},
	} {
		want(t, s.post("/transfers/"+b["transfer_id"].(string)+"/"+address, in, nil), "TRANSFER_NOT_FOUND")
	}
}

func TestInitiatedTransferIsAnsweredWhole(t *testing.T) {
	s := start(t)
	b := newTransfer()
	x := s.initiate(b)
	if x.ID.String() != b["transfer_id"] || x.SeatID.String() != b["seat_id"] || x.EventID.String() != b["event_id"] ||
		x.SellerUserID.String() != b["seller_user_id"] || x.BuyerUserID.String() != b["buyer_user_id"] || x.InitiatedBy.String() != b["initiated_by"] ||
		x.Status != order.Initiated || x.CreditsAmount != 120_50 || x.SellerOTPVerified || x.BuyerOTPVerified || x.Swapping || x.CompletedAt != nil {
		t.Errorf("answered %+v", x)
	}
	if again := s.initiate(b.with(body{"credits_amount": 1})); !reflect.DeepEqual(again, x) {
		t.Errorf("the repeat answered %+v, first %+v", again, x)
	}
	var raw map[string]any
	s.must(s.get("/transfers/"+x.ID.String(), &raw))
	for _, field := range strings.Fields(`transfer_id seat_id event_id seller_user_id buyer_user_id initiated_by status seller_otp_verified
		buyer_otp_verified credits_amount dispute_id disputed_by dispute_reason failure_reason swapping reversal_id expires_at created_at completed_at`) {
		if _, ok := raw[field]; !ok {
			t.Errorf("%s is missing", field)
		}
	}
}

func TestOneLiveTransferPerSeat(t *testing.T) {
	s := start(t)
	for _, state := range []string{"INITIATED", "PENDING_OTP", "swapping", "DISPUTED", "reversing"} {
		b := s.reach(newTransfer(), state)
		want(t, s.post("/transfers", onward(b), nil), "TRANSFER_IN_PROGRESS")
		failed := onward(b).with(body{"status": "FAILED", "failure_reason": "the buyer has too little credit"})
		if x := s.initiate(failed); x.Status != order.TransferFailed || *x.FailureReason != "the buyer has too little credit" {
			t.Errorf("a failed one beside it: %+v", x)
		}
	}
	for _, state := range []string{"COMPLETED", "FAILED", "REVERSED"} {
		s.initiate(onward(s.reach(newTransfer(), state)))
	}
}

func TestFiftyInitiatesOneWins(t *testing.T) {
	s := start(t)
	seat, won := newID(), 0
	for _, err := range atOnce(50, func() error { return s.post("/transfers", newTransfer().with(body{"seat_id": seat}), nil) }) {
		if err == nil {
			won++
		} else {
			want(t, err, "TRANSFER_IN_PROGRESS")
		}
	}
	if won != 1 {
		t.Errorf("%d transfers of one seat are live", won)
	}
}

func TestSwapNeedsBothPartiesAndTime(t *testing.T) {
	s := start(t)
	for _, party := range []string{"seller", "buyer"} {
		b := s.reach(newTransfer(), "PENDING_OTP")
		s.must(s.act(b, "otp-verified", "party", party))
		want(t, s.act(b, "begin-swap"), "TRANSFER_INVALID_STATE")
	}
	late := s.reach(newTransfer().with(body{"expires_at": time.Now().Add(-time.Second)}), "verified")
	if e := want(t, s.act(late, "begin-swap"), "TRANSFER_INVALID_STATE"); e.Details["status"] != "PENDING_OTP" {
		t.Errorf("an expired one learns %v", e.Details)
	}
}

// expire ends a transfer's time, past the trigger that keeps it from changing.
func (s *service) expire(b body) {
	s.t.Helper()
	tx, err := s.pool.Begin(s.t.Context())
	s.must(err)
	defer tx.Rollback(context.Background())
	_, err = tx.Exec(s.t.Context(), `SET LOCAL session_replication_role = replica`)
	s.must(err)
	_, err = tx.Exec(s.t.Context(), `UPDATE transfers SET expires_at = now() - interval '1 minute' WHERE transfer_id = $1`, b["transfer_id"])
	s.must(err, tx.Commit(s.t.Context()))
}

// Once begun, a swap ends well although its time is over meanwhile.
func TestSwapThatHasBegunOutlivesItsTime(t *testing.T) {
	s := start(t)
	b := s.reach(newTransfer(), "swapping")
	s.expire(b)
	s.must(s.act(b, "begin-swap"), s.act(b, "complete"))
}

// An action sees what the one before it did, even if that is not committed yet when it comes.
func TestActionsOfOneTransferQueue(t *testing.T) {
	s := start(t)
	b := s.reach(newTransfer(), "PENDING_OTP")
	s.must(s.act(b, "otp-verified", "party", "seller"))
	s.must(s.afterwards(func() error { return s.act(b, "begin-swap") }, `UPDATE transfers SET buyer_otp_verified = true WHERE transfer_id = $1`, b["transfer_id"]))
}

func TestUndoneOperationsAreRefusedForEver(t *testing.T) {
	s := start(t)
	b := s.reach(newTransfer(), "COMPLETED")
	dispute, reversal := newID(), newID()

	s.must(s.act(b, "end-dispute", "dispute_id", dispute)) // before it came
	want(t, s.dispute(b, dispute), "OPERATION_VOIDED")

	s.must(s.dispute(b, theDispute), s.act(b, "end-dispute", "dispute_id", theDispute))
	if x := s.transferOf(b); x.Status != order.Completed {
		t.Errorf("after the dispute: %s", x.Status)
	}
	want(t, s.dispute(b, theDispute), "OPERATION_VOIDED")

	second := newID()
	s.must(s.dispute(b, second))
	s.must(s.act(b, "end-dispute", "dispute_id", theDispute)) // the first one's end, again
	if x := s.transferOf(b); x.Status != order.Disputed || x.DisputeID.String() != second {
		t.Errorf("the end of the first dispute touched the second: %+v", x)
	}
	s.must(s.act(b, "abort-reversal", "reversal_id", reversal)) // before it came
	want(t, s.act(b, "begin-reversal", "reversal_id", reversal), "OPERATION_VOIDED")
	want(t, s.act(b, "reverse", "reversal_id", reversal), "OPERATION_VOIDED")

	s.must(s.act(b, "begin-reversal", "reversal_id", theReversal), s.act(b, "abort-reversal", "reversal_id", reversal))
	if x := s.transferOf(b); x.ReversalID == nil || x.ReversalID.String() != theReversal {
		t.Errorf("another reversal's undo touched this one: %+v", x)
	}
	s.must(s.act(b, "abort-reversal", "reversal_id", theReversal))
	want(t, s.act(b, "reverse", "reversal_id", theReversal), "OPERATION_VOIDED")
	third := newID()
	s.must(s.act(b, "begin-reversal", "reversal_id", third), s.act(b, "reverse", "reversal_id", third))
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
	// A → B, B → C, C → D under way: the refused dispute of the first leaves the last alone.
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

// After a reversal the ticket may be transferred anew; a repeat of the old dispute must leave that alone.
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

// Twenty of each at once: begin-swap, failure and verification. The swap begins or the transfer has failed, never both.
func TestSwapRacesFailure(t *testing.T) {
	s := start(t)
	for range 5 {
		b := s.reach(newTransfer(), "verified")
		results := atOnce(20, func() error { return s.act(b, "begin-swap") }, func() error { return s.act(b, "fail", "reason", "expired") })
		swapping := s.transferOf(b).Swapping
		for i, err := range results {
			if won := (i%2 == 0) == swapping; won && err != nil || !won && fault.Code(err) != "TRANSFER_INVALID_STATE" {
				t.Fatalf("swapping %v: action %d answered %v", swapping, i%2, err)
			}
		}
	}
}

func TestCompletionRacesAbort(t *testing.T) {
	s := start(t)
	for range 5 {
		b := s.reach(newTransfer(), "swapping")
		results := atOnce(20, func() error { return s.act(b, "complete") }, func() error { return s.act(b, "abort-swap", "reason", "x") })
		completed := s.transferOf(b).Status == order.Completed
		for i, err := range results {
			if won := (i%2 == 0) == completed; won && err != nil || !won && fault.Code(err) != "TRANSFER_INVALID_STATE" {
				t.Fatalf("completed %v: action %d answered %v", completed, i%2, err)
			}
		}
	}
}

// The dispute of a transfer and the beginning of the onward swap at once: the ticket is disputed and stays, or it is
// handed on and cannot be disputed.
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

// A dispute and a new onward transfer at once: whichever is second, no live onward transfer stands beside the dispute.
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

// Disputes along a chain at once do not wait for each other for ever.
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

// raiseAndEnd raises a dispute by the party and ends it so.
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

// Only who made a refused offer has it in the list.
func TestRefusedOffersAreListedForTheirMaker(t *testing.T) {
	s := start(t)
	b := newTransfer().with(body{"status": "FAILED", "failure_reason": "NOT_SEAT_OWNER"})
	b = b.with(body{"initiated_by": b["buyer_user_id"]})
	if x := s.initiate(b); !x.Refused {
		t.Error("it does not say that it was refused")
	}
	for query, want := range map[string]int{
		"user_id=" + b["buyer_user_id"].(string):                   1,
		"user_id=" + b["buyer_user_id"].(string) + "&role=buyer":   1,
		"user_id=" + b["seller_user_id"].(string):                  0,
		"user_id=" + b["seller_user_id"].(string) + "&role=seller": 0,
	} {
		var list []order.Transfer
		s.must(s.get("/transfers?"+query, &list))
		if len(list) != want {
			t.Errorf("%s lists %d, want %d", query, len(list), want)
		}
	}
}

func TestTransfersList(t *testing.T) {
	s := start(t)
	first := s.reach(newTransfer(), "COMPLETED")
	second := s.reach(onward(first), "COMPLETED")
	third := s.reach(onward(second), "INITIATED")
	s.initiate(newTransfer())
	seat, b := first["seat_id"].(string), first["buyer_user_id"].(string)
	for _, c := range []struct {
		query string
		want  []body
		total int
	}{
		{"seat_id=" + seat, []body{third, second, first}, 3},
		{"seat_id=" + seat + "&per_page=1&page=2", []body{second}, 3},
		{"seat_id=" + seat + "&status=COMPLETED", []body{second, first}, 2},
		{"user_id=" + b, []body{second, first}, 2},
		{"user_id=" + b + "&role=seller", []body{second}, 1},
		{"user_id=" + b + "&role=buyer", []body{first}, 1},
		{"user_id=" + b + "&role=buyer&seat_id=" + newID(), nil, 0},
	} {
		var transfers []order.Transfer
		page, err := s.Page(t.Context(), http.MethodGet, "/transfers?"+c.query, nil, &transfers)
		s.must(err)
		var got, wanted []any
		for _, x := range transfers {
			got = append(got, x.ID.String())
		}
		for _, x := range c.want {
			wanted = append(wanted, x["transfer_id"])
		}
		if !reflect.DeepEqual(got, wanted) || page.Total != c.total {
			t.Errorf("%s: %v of %d, want %v of %d", c.query, got, page.Total, wanted, c.total)
		}
	}
}

func TestOverdueTransfers(t *testing.T) {
	s := start(t)
	ago := func(d time.Duration, state string) any {
		return s.reach(newTransfer().with(body{"expires_at": time.Now().Add(-d)}), state)["transfer_id"]
	}
	later, sooner := ago(time.Minute, "INITIATED"), ago(time.Hour, "verified")
	ago(2*time.Hour, "FAILED")
	s.reach(newTransfer(), "PENDING_OTP")
	s.expire(s.reach(newTransfer(), "swapping"))
	for query, wanted := range map[string][]any{"": {sooner, later}, "?limit=1": {sooner}} {
		var transfers []order.Transfer
		s.must(s.get("/transfers/overdue"+query, &transfers))
		var got []any
		for _, x := range transfers {
			got = append(got, x.ID.String())
		}
		if !reflect.DeepEqual(got, wanted) {
			t.Errorf("%s: %v, want %v", query, got, wanted)
		}
	}
}

func TestMalformedTransferNamesTheField(t *testing.T) {
	s := start(t)
	good := newTransfer()
	for _, c := range []struct {
		field  string
		values []any
	}{
		{"transfer_id", []any{nil, "A-1", 5}},
		{"seat_id", []any{nil, "A-1"}},
		{"event_id", []any{nil, "A-1"}},
		{"seller_user_id", []any{nil, "A-1"}},
		{"buyer_user_id", []any{nil, "A-1", good["seller_user_id"]}},
		{"initiated_by", []any{nil, newID()}},
		{"status", []any{nil, "COMPLETED", 1}},
		{"credits_amount", []any{nil, -1, 1.005, "12", 100000000}},
		{"expires_at", []any{nil, "soon"}},
	} {
		for _, value := range c.values {
			wantField(t, s.post("/transfers", good.with(body{c.field: value}), nil), c.field)
		}
	}
	wantField(t, s.post("/transfers", good.with(body{"status": "FAILED"}), nil), "failure_reason")
	id := "/transfers/" + newID() + "/"
	for _, c := range []struct {
		address, field string
		body           body
	}{
		{"otp-verified", "party", body{}},
		{"otp-verified", "party", body{"party": "both"}},
		{"otp-verified", "party", body{"party": 1}},
		{"abort-swap", "reason", body{}},
		{"fail", "reason", body{"reason": " "}},
		{"dispute", "dispute_id", body{"by": newID(), "reason": "x"}},
		{"dispute", "by", body{"dispute_id": newID(), "reason": "x"}},
		{"dispute", "reason", body{"dispute_id": newID(), "by": newID()}},
		{"dispute", "reason", body{"dispute_id": newID(), "by": newID(), "reason": strings.Repeat("x", 1001)}},
		{"end-dispute", "dispute_id", body{}},
		{"begin-reversal", "reversal_id", body{"reversal_id": "A-1"}},
		{"abort-reversal", "reversal_id", body{"reversal_id": 5}},
		{"reverse", "reversal_id", body{"reversal_id": nil}},
	} {
		wantField(t, s.post(id+c.address, c.body, nil), c.field)
	}
	for query, field := range map[string]string{
		"":                                     "user_id",
		"?role=seller":                         "user_id",
		"?role=seller&seat_id=" + newID():      "user_id",
		"?user_id=A-1":                         "user_id",
		"?seat_id=A-1":                         "seat_id",
		"?user_id=" + newID() + "&role=judge":  "role",
		"?user_id=" + newID() + "&status=LOST": "status",
		"?user_id=" + newID() + "&page=x":      "page",
		"/overdue?limit=0":                     "limit",
	} {
		wantField(t, s.get("/transfers"+query, nil), field)
	}
}

// The schema refuses what a faulty service might write.
func TestSchemaGuardsTransfers(t *testing.T) {
	s := start(t)
	statuses := []string{"INITIATED", "PENDING_OTP", "COMPLETED", "DISPUTED", "REVERSED", "FAILED"}
	allowed := map[string]bool{
		"INITIATED PENDING_OTP": true, "INITIATED FAILED": true, "PENDING_OTP COMPLETED": true, "PENDING_OTP FAILED": true,
		"COMPLETED DISPUTED": true, "DISPUTED COMPLETED": true, "DISPUTED REVERSED": true,
	}
	for _, from := range statuses {
		id := s.reach(newTransfer(), from)["transfer_id"]
		for _, to := range statuses {
			if from != to && !allowed[from+" "+to] {
				s.refuses("transfers_transition", `UPDATE transfers SET status = $2 WHERE transfer_id = $1`, id, to)
			}
		}
	}
	s.refuses("transfers_transition", `UPDATE transfers SET status = 'COMPLETED', completed_at = now() WHERE transfer_id = $1`, s.reach(newTransfer(), "verified")["transfer_id"])
	for _, to := range []string{"PENDING_OTP", "COMPLETED", "DISPUTED", "REVERSED"} {
		s.refuses("transfers_transition", `INSERT INTO transfers (transfer_id, seat_id, event_id, seller_user_id, buyer_user_id, initiated_by, status, credits_amount, expires_at)
			SELECT gen_random_uuid(), seat_id, event_id, seller_user_id, buyer_user_id, initiated_by, $1, 1, now() FROM transfers LIMIT 1`, to)
	}
	completed := s.reach(newTransfer(), "COMPLETED")
	s.must(s.act(completed, "end-dispute", "dispute_id", newID()))
	for _, change := range []string{
		"transfer_id = gen_random_uuid()", "seat_id = gen_random_uuid()", "event_id = gen_random_uuid()", "seller_user_id = gen_random_uuid()",
		"buyer_user_id = gen_random_uuid()", "initiated_by = buyer_user_id", "credits_amount = 1", "expires_at = now()", "created_at = now()",
		"completed_at = now() + interval '1s'",
	} {
		s.refuses("transfers_immutable", `UPDATE transfers SET `+change+` WHERE transfer_id = $1`, completed["transfer_id"])
	}
	initiated, pending, disputed := s.reach(newTransfer(), "INITIATED"), s.reach(newTransfer(), "PENDING_OTP"), s.reach(newTransfer(), "DISPUTED")
	for _, c := range []struct {
		of                 body
		constraint, change string
	}{
		{pending, "transfers_verified_before_swap", "swapping = true"},
		{initiated, "transfers_swapping_while_pending", "swapping = true, seller_otp_verified = true, buyer_otp_verified = true"},
		{pending, "transfers_completed_at_known", "completed_at = now(), seller_otp_verified = true, buyer_otp_verified = true"},
		{completed, "transfers_dispute_whole", "status = 'DISPUTED'"},
		{completed, "transfers_dispute_whole", "dispute_id = gen_random_uuid()"},
		{completed, "transfers_disputed_by_party", "dispute_id = gen_random_uuid(), disputed_by = gen_random_uuid(), dispute_reason = 'x'"},
		{disputed, "transfers_reversal_of_dispute", "status = 'REVERSED'"},
		{completed, "transfers_reversal_of_dispute", "reversal_id = gen_random_uuid()"},
		{pending, "transfers_reason_if_failed", "status = 'FAILED'"},
		{pending, "transfers_reason_length", "status = 'FAILED', failure_reason = repeat('x', 501)"},
	} {
		s.refuses(c.constraint, `UPDATE transfers SET `+c.change+` WHERE transfer_id = $1`, c.of["transfer_id"])
	}
	s.refuses("transfers_never_deleted", `DELETE FROM transfers`)
	s.refuses("transfers_never_deleted", `TRUNCATE transfers CASCADE`)
	mark := `UPDATE transfer_operations SET `
	for _, change := range []string{"operation_id = gen_random_uuid()", "voided_at = now() + interval '1s'", "voided_at = NULL, ending = NULL", "ending = 'WITHDRAWN'"} {
		s.refuses("transfer_operations_immutable", mark+change+` WHERE transfer_id = $1`, completed["transfer_id"])
	}
	s.refuses("transfer_operations_never_deleted", `DELETE FROM transfer_operations`)
	s.refuses("transfers_two_parties", `INSERT INTO transfers (transfer_id, seat_id, event_id, seller_user_id, buyer_user_id, initiated_by, status, credits_amount, expires_at)
		SELECT gen_random_uuid(), seat_id, event_id, seller_user_id, seller_user_id, seller_user_id, 'INITIATED', 1, now() FROM transfers LIMIT 1`)
}
