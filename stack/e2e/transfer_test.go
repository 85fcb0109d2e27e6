package e2e

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"ticketremaster/platform/money"
	"ticketremaster/stack/client"
)

// Steps 1 to 8 of docs/architecture.md#transfer, and all that a party can see of the transfer afterwards.
func TestTransfer(t *testing.T) {
	staff, stranger := employee(t, "staff"), person(t, 0)
	seller, buyer := person(t, 100_00), person(t, 50_00)
	s := ticket(t, seller)
	formerQR := qrOf(t, seller, s)
	since := time.Now()
	a, err := buyer.Post(t.Context(), "/transfer/initiate", map[string]any{"seat_id": s, "seller_id": seller.ID, "buyer_id": buyer.ID, "credits_amount": 30.25})
	must(t, a, err, http.StatusCreated)
	id := a.Text("transfer_id")
	if a.Text("status") != "PENDING_OTP" || id == "" {
		t.Fatalf("initiated: %s", a.Data)
	}
	for _, p := range []struct{ to, other *client.Person }{{seller, buyer}, {buyer, seller}} {
		texts := inbox(t, p.to, since)
		other := strings.NewReplacer("@", " at ", ".", " dot ").Replace(p.other.Email) // spelled out, so that no phone makes a link of it
		if len(texts) != 1 || !strings.Contains(texts[0], "30.25") || !strings.Contains(texts[0], other) || !strings.Contains(texts[0], "seat ") {
			t.Errorf("the message must name seat, price and other party: %q", texts)
		}
	}
	a, err = stranger.Post(t.Context(), "/transfer/confirm", map[string]any{"transfer_id": id, "seller_otp": "123456", "buyer_otp": "123456"})
	refused(t, a, err, http.StatusForbidden, "FORBIDDEN")
	sellerCode, buyerCode := codes(t, seller, buyer, since)
	a, err = confirm(t, seller, id, sellerCode, buyerCode)
	must(t, a, err, http.StatusOK)
	if a.Text("status") != "COMPLETED" || a.Text("new_owner_user_id") != buyer.ID || a.Text("seat_id") != s || field(a, "credits_transferred") != 30.25 {
		t.Errorf("confirmed: %s", a.Data)
	}
	expectBalances(t, seller, 100_00-25_50+30_25, buyer, 50_00-30_25)

	if got := scan(t, staff, formerQR, "H1"); got.Text("result") != "NOT_FOUND" {
		t.Errorf("the former owner's QR: %s", got.Data)
	}
	a, err = seller.Get(t.Context(), "/tickets/"+s+"/qr")
	refused(t, a, err, http.StatusForbidden, "NOT_SEAT_OWNER")
	qrOf(t, buyer, s)

	if got := seatsIn(t, buyer, "/tickets"); len(got) != 1 || got[0] != s {
		t.Errorf("purchased by the buyer: %v", got)
	}
	if got := seatsIn(t, seller, "/tickets"); len(got) != 0 {
		t.Errorf("purchased by the seller: %v", got)
	}
	if got := seatsIn(t, seller, "/tickets/sold"); len(got) != 1 || got[0] != s {
		t.Errorf("sold by the seller: %v", got)
	}
	if got := seatsIn(t, buyer, "/tickets/sold"); len(got) != 0 {
		t.Errorf("sold by the buyer: %v", got)
	}
	for _, p := range []*client.Person{seller, buyer, admin} {
		a, err = p.Get(t.Context(), "/transfers/"+id)
		if must(t, a, err, http.StatusOK).Text("status") != "COMPLETED" {
			t.Errorf("read: %s", a.Data)
		}
	}
	a, err = stranger.Get(t.Context(), "/transfers/"+id)
	refused(t, a, err, http.StatusForbidden, "FORBIDDEN")
	for _, p := range []*client.Person{seller, buyer} {
		a, err = p.Get(t.Context(), "/transfers?per_page=1")
		must(t, a, err, http.StatusOK)
		var list []struct {
			ID string `json:"transfer_id"`
		}
		if err := a.Into(&list); err != nil || len(list) != 1 || list[0].ID != id {
			t.Errorf("listed: %s", a.Data)
		}
	}
	a, err = seller.Get(t.Context(), "/tickets/"+s+"/history")
	refused(t, a, err, http.StatusForbidden, "NOT_SEAT_OWNER")
	for _, p := range []*client.Person{buyer, admin} {
		if got := history(t, p, s); got != "PURCHASE:"+seller.ID+" TRANSFER:"+buyer.ID {
			t.Errorf("history: %s", got)
		}
	}
}

// Either party may begin, and name the parties as either client does.
func TestEitherPartyInitiatesUnderEitherName(t *testing.T) {
	for _, byEmail := range []bool{false, true} {
		for side := range 2 {
			for _, fields := range [][2]string{{"seller_id", "buyer_id"}, {"seller_user_id", "buyer_user_id"}} {
				seller, buyer := person(t, 100_00), person(t, 0) // whose phones have no live code
				by := []*client.Person{seller, buyer}[side]
				body := map[string]any{"seat_id": ticket(t, seller), "credits_amount": 0, fields[0]: seller.ID, fields[1]: buyer.ID}
				if byEmail {
					body[fields[0]], body[fields[1]] = strings.ToUpper(seller.Email), " "+buyer.Email
				}
				a, err := by.Post(t.Context(), "/transfer/initiate", body)
				must(t, a, err, http.StatusCreated)
				var got struct{ Seller, Buyer, By string }
				got.Seller, got.Buyer, got.By = a.Text("seller_user_id"), a.Text("buyer_user_id"), a.Text("initiated_by")
				if got.Seller != seller.ID || got.Buyer != buyer.ID || got.By != by.ID {
					t.Errorf("%v: %s", body, a.Data)
				}
			}
		}
	}
}

// Every refusal comes before a one-time password is sent (docs/architecture.md#transfer, step 1).
func TestARefusedTransferSendsNoCode(t *testing.T) {
	staff := employee(t, "staff")
	seller, buyer, third := person(t, 200_00), person(t, 20_00), person(t, 100_00)
	owned, used, inTransfer := ticket(t, seller), ticket(t, seller), ticket(t, seller)
	must(t, scan(t, staff, qrOf(t, seller, used), "H1"), nil, http.StatusOK)
	offer(t, seller, third, inTransfer, 1_00)
	free, held := nextSeat(t), nextSeat(t)
	reserve(t, seller, held)
	nobody := "0193a5c0-0000-7000-8000-000000000001"
	for _, c := range []struct {
		name                string
		by                  *client.Person
		seat, seller, buyer string
		amount              any
		status              int
		code, recorded      string // recorded: the failure that stays in its maker's list
	}{
		{"the seller does not own it", buyer, owned, third.ID, buyer.ID, 5, 403, "NOT_SEAT_OWNER", "NOT_SEAT_OWNER"},
		{"the poor buyer asks", buyer, owned, seller.ID, buyer.ID, 20.01, 402, "INSUFFICIENT_CREDITS", "INSUFFICIENT_CREDITS"},
		{"to oneself", seller, owned, seller.ID, seller.Email, 5, 400, "SELF_TRANSFER", ""},
		{"by a stranger", third, owned, seller.ID, buyer.ID, 5, 403, "FORBIDDEN", ""},
		{"a free seat", buyer, free, seller.ID, buyer.ID, 5, 403, "NOT_SEAT_OWNER", "NOT_SEAT_OWNER"},
		{"a held seat", buyer, held, seller.ID, buyer.ID, 5, 403, "NOT_SEAT_OWNER", "NOT_SEAT_OWNER"},
		{"a used ticket", buyer, used, seller.ID, buyer.ID, 5, 403, "NOT_SEAT_OWNER", "NOT_SEAT_OWNER"}, // one answer, whatever the ticket's state
		{"one's own used ticket", seller, used, seller.ID, buyer.ID, 5, 409, "SEAT_UNAVAILABLE", ""},
		{"in transfer already", buyer, inTransfer, seller.ID, buyer.ID, 5, 409, "TRANSFER_IN_PROGRESS", ""},
		{"no such seat", buyer, nobody, seller.ID, buyer.ID, 5, 404, "SEAT_NOT_FOUND", ""},
		{"no such seller", buyer, owned, nobody, buyer.ID, 5, 404, "USER_NOT_FOUND", ""},
		{"no such e-mail", seller, owned, seller.ID, "nobody@example.com", 5, 404, "USER_NOT_FOUND", ""},
		{"a seat that is no id", seller, "A-1", seller.ID, buyer.ID, 5, 400, "INVALID_UUID", ""},
		{"a party that is no id", seller, owned, seller.ID, "me", 5, 400, "INVALID_UUID", ""},
		{"a party that is missing", seller, owned, seller.ID, "", 5, 400, "VALIDATION_ERROR", ""},
		{"a negative amount", seller, owned, seller.ID, buyer.ID, -1, 400, "VALIDATION_ERROR", ""},
		{"half a cent", seller, owned, seller.ID, buyer.ID, 1.005, 400, "VALIDATION_ERROR", ""},
		{"an amount in words", seller, owned, seller.ID, buyer.ID, "five", 400, "VALIDATION_ERROR", ""},
		{"no amount", seller, owned, seller.ID, buyer.ID, nil, 400, "VALIDATION_ERROR", ""},
		{"a huge amount", seller, owned, seller.ID, buyer.ID, 1e12, 400, "VALIDATION_ERROR", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			since := time.Now()
			a, err := c.by.Post(t.Context(), "/transfer/initiate", map[string]any{
				"seat_id": c.seat, "seller_user_id": c.seller, "buyer_user_id": c.buyer, "credits_amount": c.amount,
			})
			refused(t, a, err, c.status, c.code)
			for _, p := range []*client.Person{seller, buyer, third} {
				if texts := inbox(t, p, since); len(texts) != 0 {
					t.Errorf("%s got %q", p.Email, texts)
				}
			}
			if c.recorded == "" {
				return
			}
			list, err := c.by.Get(t.Context(), "/transfers?per_page=1")
			must(t, list, err, http.StatusOK)
			var newest []struct {
				Status string `json:"status"`
				Reason string `json:"failure_reason"`
			}
			if err := list.Into(&newest); err != nil || len(newest) != 1 || newest[0].Status != "FAILED" || newest[0].Reason != c.recorded {
				t.Errorf("recorded: %s", list.Data)
			}
		})
	}
	expectBalances(t, buyer, 20_00, third, 100_00)
}

// Offers disclose nothing: not a buyer's credits to a seller, not a seat's owner to a buyer, not a refused offer to the
// other party; after twenty refusals every offer is refused alike for an hour.
func TestWhatOffersDoNotTell(t *testing.T) {
	seller, buyer := person(t, 100_00), person(t, 20_00)
	s, free := ticket(t, seller), nextSeat(t)
	ask := func(by *client.Person, seat string, amount money.Cents) client.Answer {
		t.Helper()
		a, err := by.Post(t.Context(), "/transfer/initiate", map[string]any{"seat_id": seat, "seller_id": seller.ID, "buyer_id": buyer.ID, "credits_amount": amount})
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	a := must(t, ask(seller, s, 900_00), nil, http.StatusCreated)
	code, err := app.OTP(t.Context(), buyer.Phone, time.Now().Add(-time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	short, err := confirm(t, buyer, a.Text("transfer_id"), "", code)
	refused(t, short, err, http.StatusPaymentRequired, "INSUFFICIENT_CREDITS") // the buyer, who can top up
	if got := transferStatus(t, buyer, a.Text("transfer_id")); got != "PENDING_OTP" {
		t.Errorf("it is %s", got)
	}
	first := ask(buyer, free, 1_00)
	refused(t, first, nil, http.StatusForbidden, "NOT_SEAT_OWNER")
	list, err := seller.Get(t.Context(), "/transfers")
	var seen []struct{}
	if err := must(t, list, err, http.StatusOK).Into(&seen); err != nil || len(seen) != 1 {
		t.Errorf("the seller sees what was refused to the buyer: %s", list.Data)
	}
	for range 19 {
		refused(t, ask(buyer, free, 1_00), nil, http.StatusForbidden, "NOT_SEAT_OWNER")
	}
	refused(t, ask(buyer, free, 1_00), nil, http.StatusTooManyRequests, "TOO_MANY_OFFERS")
	refused(t, ask(buyer, s, 1_00), nil, http.StatusTooManyRequests, "TOO_MANY_OFFERS") // the right one is not told from the wrong
}

// A party that disputes and withdraws, again and again, does not use up the other's disputes.
func TestDisputesAreCountedPerParty(t *testing.T) {
	seller, buyer := person(t, 100_00), person(t, 50_00)
	id := handOver(t, seller, buyer, ticket(t, seller), 20_00)
	must(t, act(t, seller, "dispute", id), nil, http.StatusOK)
	must(t, act(t, seller, "withdraw", id), nil, http.StatusOK)
	for range 30 {
		refused(t, act(t, seller, "dispute", id), nil, http.StatusConflict, "DISPUTE_WITHDRAWN")
	}
	must(t, act(t, buyer, "dispute", id), nil, http.StatusOK)
}

func TestFiftyInitiatesOneLives(t *testing.T) {
	seller := person(t, 100_00)
	s := ticket(t, seller)
	buyers := make([]*client.Person, 5)
	for i := range buyers {
		buyers[i] = person(t, 10_00)
	}
	var mu sync.Mutex
	alive, late := 0, 0
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			b := buyers[i%len(buyers)]
			a, err := b.Post(t.Context(), "/transfer/initiate", map[string]any{"seat_id": s, "seller_id": seller.ID, "buyer_id": b.ID, "credits_amount": 1})
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err != nil:
				t.Error(err)
			case a.Status == http.StatusCreated:
				alive++
			case a.Status == http.StatusConflict && a.Code == "TRANSFER_IN_PROGRESS":
				late++
			default:
				t.Errorf("%d %s", a.Status, a.Raw)
			}
		})
	}
	all.Wait()
	if alive != 1 || late != 49 {
		t.Errorf("%d live, %d refused", alive, late)
	}
}

// If a one-time password cannot be sent, the transfer is FAILED, the caller knows, and the seat is free for another.
func TestATransferWhoseCodesCannotBeSent(t *testing.T) {
	seller, buyer := person(t, 100_00), person(t, 10_00)
	s := ticket(t, seller)
	if err := app.Control(t.Context(), map[string]any{"target": "smu", "down": true}); err != nil {
		t.Fatal(err)
	}
	a, err := buyer.Post(t.Context(), "/transfer/initiate", map[string]any{"seat_id": s, "seller_id": seller.ID, "buyer_id": buyer.ID, "credits_amount": 1})
	if up := app.Control(context.WithoutCancel(t.Context()), map[string]any{}); up != nil {
		t.Fatal(up)
	}
	refused(t, a, err, http.StatusServiceUnavailable, "SERVICE_UNAVAILABLE")
	if a.Took > 5*time.Second {
		t.Errorf("the caller waited %s", a.Took)
	}
	list, err := buyer.Get(t.Context(), "/transfers")
	must(t, list, err, http.StatusOK)
	var transfers []struct {
		ID     string `json:"transfer_id"`
		Status string `json:"status"`
	}
	if err := list.Into(&transfers); err != nil || len(transfers) != 1 || transfers[0].Status != "FAILED" {
		t.Errorf("recorded: %s", list.Data)
	}
	eventually(t, "the SMS service works again", func() bool {
		a, err := buyer.Post(t.Context(), "/transfer/initiate", map[string]any{"seat_id": s, "seller_id": seller.ID, "buyer_id": buyer.ID, "credits_amount": 1})
		if err != nil {
			t.Fatal(err)
		}
		return a.Status == http.StatusCreated
	})
}
