package e2e

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"ticketremaster/stack/client"
)

// Each party sends its own code, in two calls; a verified code stays verified.
func TestEachPartyConfirmsAlone(t *testing.T) {
	seller, buyer := person(t, 100_00), person(t, 10_00)
	s := ticket(t, seller)
	id, sellerCode, buyerCode := offer(t, seller, buyer, s, 10_00)
	a, err := confirm(t, seller, id, "", "")
	refused(t, a, err, http.StatusBadRequest, "VALIDATION_ERROR")
	for range 2 { // an identical repeat changes nothing
		a, err = confirm(t, seller, id, sellerCode, "")
		must(t, a, err, http.StatusOK)
		if a.Text("status") != "PENDING_OTP" || field(a, "seller_otp_verified") != true || field(a, "buyer_otp_verified") != false {
			t.Errorf("the seller confirmed: %s", a.Data)
		}
	}
	a, err = confirm(t, buyer, id, "", other(buyerCode))
	refused(t, a, err, http.StatusUnauthorized, "OTP_INVALID")
	a, err = confirm(t, seller, id, other(sellerCode), "") // verified already: not looked at
	if must(t, a, err, http.StatusOK); field(a, "seller_otp_verified") != true {
		t.Errorf("what was verified did not stay so: %s", a.Data)
	}
	expectBalances(t, seller, 74_50, buyer, 10_00)
	a, err = confirm(t, buyer, id, "", buyerCode)
	if must(t, a, err, http.StatusOK).Text("status") != "COMPLETED" {
		t.Errorf("both confirmed: %s", a.Data)
	}
	expectBalances(t, seller, 84_50, buyer, 0)
	a, err = confirm(t, buyer, id, "", buyerCode)
	refused(t, a, err, http.StatusConflict, "TRANSFER_INVALID_STATE")
	expectBalances(t, seller, 84_50, buyer, 0)
}

// A code that was replaced by another of the same party is sent again: there is no other way to ask for it.
func TestACodeThatGaveWayIsSentAnew(t *testing.T) {
	seller, buyer := person(t, 100_00), person(t, 10_00)
	s := ticket(t, seller)
	id, sellerCode, buyerCode := offer(t, seller, buyer, s, 10_00)
	a, err := buyer.Post(t.Context(), "/auth/totp/enroll", map[string]string{"password": password})
	refused(t, a, err, http.StatusPreconditionRequired, "OTP_REQUIRED") // it has sent another code
	since := time.Now()
	a, err = confirm(t, buyer, id, sellerCode, buyerCode)
	refused(t, a, err, http.StatusGone, "OTP_EXPIRED")
	fresh, err := app.OTP(t.Context(), buyer.Phone, since)
	if err != nil {
		t.Fatal(err)
	}
	a, err = confirm(t, buyer, id, "", fresh) // the seller's was verified above
	if must(t, a, err, http.StatusOK).Text("status") != "COMPLETED" {
		t.Errorf("confirmed: %s", a.Data)
	}
	expectBalances(t, seller, 84_50, buyer, 0)
}

func TestThreeWrongCodesEndATransfer(t *testing.T) {
	seller, buyer := person(t, 100_00), person(t, 10_00)
	s := ticket(t, seller)
	id, sellerCode, buyerCode := offer(t, seller, buyer, s, 10_00)
	first, second, third := other(buyerCode), other(other(buyerCode)), other(other(other(buyerCode)))
	for range 3 { // the web app refreshes and repeats after any 401: one try
		a, err := confirm(t, buyer, id, "", first)
		refused(t, a, err, http.StatusUnauthorized, "OTP_INVALID")
	}
	if status := transferStatus(t, buyer, id); status != "PENDING_OTP" {
		t.Fatalf("after one wrong code it is %s", status)
	}
	a, err := confirm(t, buyer, id, "", second)
	refused(t, a, err, http.StatusUnauthorized, "OTP_INVALID")
	a, err = confirm(t, buyer, id, "", third)
	refused(t, a, err, http.StatusTooManyRequests, "OTP_MAX_RETRIES")
	if status := transferStatus(t, seller, id); status != "FAILED" {
		t.Fatalf("after three wrong codes it is %s", status)
	}
	a, err = confirm(t, buyer, id, sellerCode, buyerCode)
	refused(t, a, err, http.StatusConflict, "TRANSFER_INVALID_STATE")
	expectBalances(t, seller, 74_50, buyer, 10_00)
	handOver(t, seller, buyer, s, 1_00) // the seat is free for another
}

func TestAGift(t *testing.T) {
	seller, buyer := person(t, 100_00), person(t, 0)
	s := ticket(t, seller)
	id := handOver(t, seller, buyer, s, 0)
	expectBalances(t, seller, 74_50, buyer, 0)
	qrOf(t, buyer, s)
	// A gift can be disputed and reversed like any transfer.
	must(t, act(t, seller, "dispute", id), nil, http.StatusOK)
	must(t, act(t, buyer, "reverse", id), nil, http.StatusOK)
	qrOf(t, seller, s)
	expectBalances(t, seller, 74_50, buyer, 0)
}

// The buyer spends the credits between initiate and confirm: 402, FAILED, and nothing has changed.
func TestTheBuyerSpendsTheCreditsInBetween(t *testing.T) {
	seller, buyer := person(t, 100_00), person(t, 30_00)
	s := ticket(t, seller)
	id, sellerCode, buyerCode := offer(t, seller, buyer, s, 20_00)
	ticket(t, buyer)
	a, err := confirm(t, seller, id, sellerCode, buyerCode)
	refused(t, a, err, http.StatusPaymentRequired, "INSUFFICIENT_CREDITS")
	if status := transferStatus(t, seller, id); status != "FAILED" {
		t.Errorf("the transfer is %s", status)
	}
	expectBalances(t, seller, 74_50, buyer, 4_50)
	qrOf(t, seller, s)
	a, err = confirm(t, seller, id, sellerCode, buyerCode)
	refused(t, a, err, http.StatusConflict, "TRANSFER_INVALID_STATE")
	handOver(t, seller, buyer, s, 4_50)
}

// The ticket is used between initiate and confirm: the credits, in escrow by then, come back.
func TestTheTicketIsUsedInBetween(t *testing.T) {
	staff := employee(t, "staff")
	seller, buyer := person(t, 100_00), person(t, 30_00)
	s := ticket(t, seller)
	id, sellerCode, buyerCode := offer(t, seller, buyer, s, 20_00)
	if got := scan(t, staff, qrOf(t, seller, s), "H1"); got.Text("result") != "SUCCESS" {
		t.Fatalf("scan: %s", got.Raw)
	}
	a, err := confirm(t, buyer, id, sellerCode, buyerCode)
	refused(t, a, err, http.StatusConflict, "SEAT_UNAVAILABLE")
	if status := transferStatus(t, seller, id); status != "FAILED" {
		t.Errorf("the transfer is %s", status)
	}
	expectBalances(t, seller, 74_50, buyer, 30_00)
	if got := seatsIn(t, seller, "/tickets"); len(got) != 1 || got[0] != s {
		t.Errorf("the seller's tickets: %v", got)
	}
}

func TestSimultaneousConfirms(t *testing.T) {
	seller, buyer := person(t, 100_00), person(t, 30_00)
	s := ticket(t, seller)
	id, sellerCode, buyerCode := offer(t, seller, buyer, s, 20_00)
	var all sync.WaitGroup
	answers := make([]client.Answer, 12)
	for i := range answers {
		all.Go(func() {
			var a client.Answer
			var err error
			switch i % 3 {
			case 0:
				a, err = confirm(t, seller, id, sellerCode, "")
			case 1:
				a, err = confirm(t, buyer, id, "", buyerCode)
			default:
				a, err = confirm(t, buyer, id, sellerCode, buyerCode)
			}
			if err != nil {
				t.Error(err)
			}
			answers[i] = a
		})
	}
	all.Wait()
	completed := 0
	for _, a := range answers {
		switch {
		case a.Status == http.StatusOK && a.Text("status") == "COMPLETED":
			completed++
		case a.Status == http.StatusOK && a.Text("status") == "PENDING_OTP": // the other's code was still to come
		case a.Status == http.StatusConflict && a.Code == "TRANSFER_INVALID_STATE":
		default:
			t.Errorf("%d %s", a.Status, a.Raw)
		}
	}
	if status := transferStatus(t, seller, id); completed == 0 || status != "COMPLETED" {
		t.Errorf("%d calls completed it, it is %s", completed, status)
	}
	expectBalances(t, seller, 94_50, buyer, 10_00)
}

// A → B is disputed while B → C is being confirmed: either the dispute comes first and ends B → C with nothing
// changed, or the swap does and the dispute is refused.
func TestConfirmRacesTheDisputeThatCancelsIt(t *testing.T) {
	a, b, c := person(t, 200_00), person(t, 100_00), person(t, 100_00)
	wins := map[string]int{}
	for range 4 {
		s := ticket(t, a)
		first := handOver(t, a, b, s, 10_00)
		beforeA, beforeB, beforeC := balance(t, a), balance(t, b), balance(t, c)
		onward, bCode, cCode := offer(t, b, c, s, 5_00)
		var confirmed, disputed client.Answer
		var both sync.WaitGroup
		both.Go(func() {
			var err error
			if confirmed, err = confirm(t, c, onward, bCode, cCode); err != nil {
				t.Error(err)
			}
		})
		both.Go(func() { disputed = act(t, a, "dispute", first) })
		both.Wait()
		switch {
		case confirmed.Status == http.StatusOK && disputed.Status == http.StatusConflict:
			wins["confirm"]++
			if got := transferStatus(t, a, first); got != "COMPLETED" {
				t.Errorf("the first transfer is %s", got)
			}
			qrOf(t, c, s)
			expectBalances(t, b, beforeB+5_00, c, beforeC-5_00)
		case disputed.Status == http.StatusOK && confirmed.Status == http.StatusConflict:
			wins["dispute"]++
			if got := transferStatus(t, b, onward); got != "FAILED" {
				t.Errorf("the onward transfer is %s", got)
			}
			qrOf(t, b, s)
			expectBalances(t, a, beforeA-10_00, b, beforeB) // the amount is frozen
			expectBalances(t, b, beforeB, c, beforeC)
			must(t, act(t, a, "withdraw", first), nil, http.StatusOK)
		default:
			t.Errorf("confirm %d %s, dispute %d %s", confirmed.Status, confirmed.Raw, disputed.Status, disputed.Raw)
		}
	}
	t.Logf("won by %v", wins)
}

// other is a code of the same form that is not this one.
func other(code string) string {
	digits := []byte(code)
	digits[len(digits)-1] = '0' + (digits[len(digits)-1]-'0'+1)%10
	return string(digits)
}

// act disputes, withdraws, rejects or reverses.
func act(t *testing.T, by *client.Person, what, id string, more ...any) client.Answer {
	t.Helper()
	body := map[string]any{"transfer_id": id}
	if what == "dispute" {
		body["reason"] = "it was not me"
	}
	for i := 0; i+1 < len(more); i += 2 {
		body[more[i].(string)] = more[i+1]
	}
	a, err := by.Post(t.Context(), "/transfer/"+what, body)
	if err != nil {
		t.Fatal(err)
	}
	return a
}
