package httpapi_test

import (
	"context"
	"fmt"
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

// onward is the transfer of the ticket by b's buyer to another user.
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

// act calls one action of the transfer with the fields of the body, as pairs of name and value.
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

// Ids of the operations that walks use.
var (
	theDispute  = "0192aaaa-0000-7000-8000-000000000001"
	theReversal = "0192aaaa-0000-7000-8000-000000000002"
)

// walks are the steps from one state of a transfer to the next; reach makes them up to the wanted state.
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
	// show returns a transfer's state as the table names it.
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

// expire lets a transfer expire, without the trigger that forbids such a change.
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

// A swap that has begun completes even if the transfer expires meanwhile.
func TestSwapThatHasBegunOutlivesItsTime(t *testing.T) {
	s := start(t)
	b := s.reach(newTransfer(), "swapping")
	s.expire(b)
	s.must(s.act(b, "begin-swap"), s.act(b, "complete"))
}

// An action sees the result of the one before it, even if that is not committed yet when it starts.
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
