package e2e

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"ticketremaster/platform/money"
	"ticketremaster/stack/client"
)

// A → B → C: a dispute concerns its own transfer only, and a ticket that was transferred onward can no longer be
// disputed.
func TestAChainOfTransfers(t *testing.T) {
	a, b, c := person(t, 100_00), person(t, 50_00), person(t, 50_00)
	s := ticket(t, a)
	first := handOver(t, a, b, s, 10_00)
	onward, _, _ := offer(t, b, c, s, 20_00)
	// The dispute of the first ends the live onward one, and its codes with it.
	must(t, act(t, a, "dispute", first), nil, http.StatusOK)
	if got := transferStatus(t, c, onward); got != "FAILED" {
		t.Errorf("the onward transfer is %s", got)
	}
	answer, err := b.Post(t.Context(), "/transfer/initiate", map[string]any{"seat_id": s, "seller_id": b.ID, "buyer_id": c.ID, "credits_amount": 20})
	refused(t, answer, err, http.StatusConflict, "TRANSFER_IN_PROGRESS")
	must(t, act(t, a, "withdraw", first), nil, http.StatusOK)

	second := handOver(t, b, c, s, 20_00)
	for _, p := range []*client.Person{a, b} {
		refused(t, act(t, p, "dispute", first), nil, http.StatusConflict, "TRANSFER_INVALID_STATE")
	}
	if got := transferStatus(t, a, first); got != "COMPLETED" {
		t.Errorf("the first transfer is %s", got)
	}
	refused(t, act(t, a, "dispute", second), nil, http.StatusForbidden, "FORBIDDEN")
	must(t, act(t, c, "dispute", second), nil, http.StatusOK)
	if got := transferStatus(t, a, first); got != "COMPLETED" {
		t.Errorf("the second's dispute made the first %s", got)
	}
	must(t, act(t, b, "reverse", second), nil, http.StatusOK)
	if got, want := history(t, b, s), "PURCHASE:"+a.ID+" TRANSFER:"+b.ID+" TRANSFER:"+c.ID+" REVERSAL:"+b.ID; got != want {
		t.Errorf("history: %s, want %s", got, want)
	}
	expectBalances(t, a, 84_50, b, 40_00)
	expectBalances(t, a, 84_50, c, 50_00)
	// After the onward transfer was reversed, the first can be disputed again.
	must(t, act(t, b, "dispute", first), nil, http.StatusOK)
	must(t, act(t, a, "reverse", first), nil, http.StatusOK)
	qrOf(t, a, s)
	expectBalances(t, a, 74_50, b, 50_00)
}

func TestDisputeEndsByWithdrawalRejectionOrReversal(t *testing.T) {
	seller, buyer, stranger := person(t, 100_00), person(t, 50_00), person(t, 0)
	s := ticket(t, seller)
	id := handOver(t, seller, buyer, s, 20_00)
	expectBalances(t, seller, 94_50, buyer, 30_00)
	for _, what := range []string{"dispute", "withdraw", "reverse"} {
		refused(t, act(t, stranger, what, id), nil, http.StatusForbidden, "FORBIDDEN")
	}
	refused(t, act(t, buyer, "dispute", id, "reason", "  "), nil, http.StatusBadRequest, "VALIDATION_ERROR")
	refused(t, act(t, buyer, "dispute", id, "reason", strings.Repeat("x", 501)), nil, http.StatusBadRequest, "VALIDATION_ERROR")
	refused(t, act(t, buyer, "dispute", "0193a5c0-0000-7000-8000-000000000001"), nil, http.StatusNotFound, "TRANSFER_NOT_FOUND")

	dispute := func(by *client.Person) {
		t.Helper()
		if got := must(t, act(t, by, "dispute", id), nil, http.StatusOK).Text("status"); got != "DISPUTED" {
			t.Fatalf("disputed, it is %s", got)
		}
		expectBalances(t, seller, 74_50, buyer, 30_00) // frozen at the seller
	}
	completed := func(a client.Answer) {
		t.Helper()
		if got := must(t, a, nil, http.StatusOK).Text("status"); got != "COMPLETED" {
			t.Fatalf("ended, the dispute leaves it %s", got)
		}
		expectBalances(t, seller, 94_50, buyer, 30_00)
	}
	dispute(seller)
	refused(t, act(t, buyer, "withdraw", id), nil, http.StatusForbidden, "FORBIDDEN") // the other party raised it
	refused(t, act(t, seller, "reject", id), nil, http.StatusForbidden, "FORBIDDEN")
	refused(t, act(t, seller, "reverse", id), nil, http.StatusForbidden, "FORBIDDEN") // who raised it does not decide
	refused(t, act(t, buyer, "reverse", id, "cover_short", true), nil, http.StatusForbidden, "FORBIDDEN")
	completed(act(t, seller, "withdraw", id))
	refused(t, act(t, seller, "dispute", id), nil, http.StatusConflict, "DISPUTE_WITHDRAWN") // not again within the hour
	dispute(buyer)                                                                           // but the other party may
	completed(act(t, admin, "reject", id))
	dispute(buyer)                                                 // also again: a rejection is the administrator's
	if got := seatsIn(t, seller, "/tickets/sold"); len(got) != 1 { // it is sold while they quarrel
		t.Errorf("the seller's sold tickets: %v", got)
	}
	qr := qrOf(t, buyer, s)
	a := must(t, act(t, seller, "reverse", id), nil, http.StatusOK)
	if a.Text("status") != "REVERSED" || a.Text("restored_owner_user_id") != seller.ID || field(a, "credits_returned") != 20.0 {
		t.Errorf("reversed: %s", a.Data)
	}
	expectBalances(t, seller, 74_50, buyer, 50_00)
	if got := scan(t, employee(t, "staff"), qr, "H1").Text("result"); got != "NOT_FOUND" {
		t.Errorf("the buyer's QR after the reversal: %s", got)
	}
	if got := seatsIn(t, seller, "/tickets"); len(got) != 1 || len(seatsIn(t, seller, "/tickets/sold")) != 0 {
		t.Errorf("the seller's tickets: %v", got)
	}
}

// The seller has spent the money: what is short is filled first from whatever the seller gets next, and until then
// only an administrator can reverse, from the platform's account.
func TestTheSellerHasSpentTheMoney(t *testing.T) {
	for _, ending := range []string{"filled by a top-up", "covered by the platform", "withdrawn"} {
		t.Run(ending, func(t *testing.T) {
			seller, buyer := person(t, 51_00), person(t, 50_00)
			id := handOver(t, seller, buyer, ticket(t, seller), 30_00) // the seller has 55.50
			ticket(t, seller)
			ticket(t, seller) // and now 4.50
			must(t, act(t, buyer, "dispute", id), nil, http.StatusOK)
			expectBalances(t, seller, 0, buyer, 20_00)
			refused(t, act(t, seller, "reverse", id), nil, http.StatusConflict, "FROZEN_SHORT")
			refused(t, act(t, admin, "reverse", id), nil, http.StatusConflict, "FROZEN_SHORT")
			if got := transferStatus(t, buyer, id); got != "DISPUTED" {
				t.Fatalf("a refused reversal leaves it %s", got)
			}
			expectBalances(t, seller, 0, buyer, 20_00)
			switch ending {
			case "filled by a top-up":
				topUp(t, seller, 10_00, 0) // all of it is owed
				refused(t, act(t, seller, "reverse", id), nil, http.StatusConflict, "FROZEN_SHORT")
				topUp(t, seller, 20_00, 4_50)
				must(t, act(t, seller, "reverse", id), nil, http.StatusOK)
				expectBalances(t, seller, 4_50, buyer, 50_00)
			case "covered by the platform":
				must(t, act(t, admin, "reverse", id, "cover_short", true), nil, http.StatusOK)
				expectBalances(t, seller, 0, buyer, 50_00)
				topUp(t, seller, 30_00, 4_50) // 25.50 is owed to the platform now
			case "withdrawn":
				must(t, act(t, buyer, "withdraw", id), nil, http.StatusOK)
				expectBalances(t, seller, 4_50, buyer, 20_00)
				topUp(t, seller, 10_00, 14_50) // nothing is owed any more
			}
		})
	}
}

// A ticket that was used cannot be reversed.
func TestNoDisputeOrReversalAfterCheckIn(t *testing.T) {
	staff := employee(t, "staff")
	seller, buyer := person(t, 100_00), person(t, 50_00)
	s, disputed := ticket(t, seller), ticket(t, seller)
	id := handOver(t, seller, buyer, s, 10_00)
	must(t, scan(t, staff, qrOf(t, buyer, s), "H1"), nil, http.StatusOK)
	for _, p := range []*client.Person{seller, buyer} {
		refused(t, act(t, p, "dispute", id), nil, http.StatusConflict, "TRANSFER_INVALID_STATE")
	}
	// If the ticket was used after the dispute was raised, the dispute can be withdrawn or rejected, not reversed.
	id = handOver(t, seller, buyer, disputed, 10_00)
	must(t, act(t, seller, "dispute", id), nil, http.StatusOK)
	must(t, scan(t, staff, qrOf(t, buyer, disputed), "H1"), nil, http.StatusOK)
	beforeSeller, beforeBuyer := balance(t, seller), balance(t, buyer)
	for _, p := range []*client.Person{buyer, admin} {
		a := act(t, p, "reverse", id)
		if a.Status != http.StatusConflict {
			t.Errorf("reversing after check-in: %d %s", a.Status, a.Raw)
		}
	}
	expectBalances(t, seller, beforeSeller, buyer, beforeBuyer)
	if got := transferStatus(t, seller, id); got != "DISPUTED" {
		t.Errorf("it is %s", got)
	}
	must(t, act(t, admin, "reject", id), nil, http.StatusOK)
	expectBalances(t, seller, beforeSeller+10_00, buyer, beforeBuyer)
}

// Each status × each action: allowed or 409, and a 409 changes nothing.
func TestEveryCellOfTheStateMachine(t *testing.T) {
	actions := []string{"initiate", "confirm", "dispute", "withdraw", "reject", "reverse"}
	allowed := map[string]string{ // per status
		"INITIATED": "", "PENDING_OTP": "confirm", "COMPLETED": "initiate dispute", "DISPUTED": "withdraw reject reverse", "REVERSED": "initiate", "FAILED": "initiate",
	}
	for _, status := range []string{"PENDING_OTP", "COMPLETED", "DISPUTED", "REVERSED", "FAILED"} {
		var idle *transferAt // the refused actions leave it as it is: one is enough for all of them
		for _, action := range actions {
			t.Run(status+" "+action, func(t *testing.T) {
				if strings.Contains(allowed[status], action) {
					x := transferIn(t, status)
					if a := x.act(t, action); a.Status != http.StatusOK && a.Status != http.StatusCreated {
						t.Fatalf("refused: %d %s", a.Status, a.Raw)
					}
					return
				}
				if idle == nil {
					idle = transferIn(t, status)
				}
				idle.mustRefuse(t, action)
			})
		}
	}
	// INITIATED lasts as long as the codes are being sent.
	x := newTransferAt(t)
	s := ticket(t, x.seller)
	if err := app.Control(t.Context(), map[string]any{"target": "smu", "delay_ms": 600}); err != nil {
		t.Fatal(err)
	}
	sent := make(chan client.Answer, 1)
	go func() {
		a, err := x.buyer.Post(context.WithoutCancel(t.Context()), "/transfer/initiate", map[string]any{"seat_id": s, "seller_id": x.seller.ID, "buyer_id": x.buyer.ID, "credits_amount": 5})
		if err != nil {
			t.Error(err)
		}
		sent <- a
	}()
	eventually(t, "the transfer is written down", func() bool {
		a, err := x.buyer.Get(t.Context(), "/transfers")
		var list []struct {
			ID string `json:"transfer_id"`
		}
		if err := must(t, a, err, http.StatusOK).Into(&list); err != nil {
			t.Fatal(err)
		}
		if len(list) > 0 {
			x.id, x.seat, x.status = list[0].ID, s, "INITIATED"
		}
		return len(list) > 0
	})
	for _, action := range actions {
		x.mustRefuse(t, action)
	}
	must(t, <-sent, nil, http.StatusCreated)
	if err := app.Control(t.Context(), map[string]any{}); err != nil {
		t.Fatal(err)
	}
}

// transferAt is a transfer in some status, with who may act on it.
type transferAt struct {
	seller, buyer         *client.Person
	id, seat, status      string
	sellerCode, buyerCode string
}

func newTransferAt(t *testing.T) *transferAt {
	return &transferAt{seller: person(t, 40_00), buyer: person(t, 40_00), sellerCode: "123456", buyerCode: "123456"}
}

// transferIn brings a new transfer to a status, the buyer being who raises disputes.
func transferIn(t *testing.T, status string) *transferAt {
	t.Helper()
	x := newTransferAt(t)
	x.seat, x.status = ticket(t, x.seller), status
	x.id, x.sellerCode, x.buyerCode = offer(t, x.seller, x.buyer, x.seat, 5_00)
	if status == "FAILED" {
		for _, wrong := range []string{other(x.buyerCode), other(other(x.buyerCode)), other(other(other(x.buyerCode)))} {
			if _, err := confirm(t, x.buyer, x.id, "", wrong); err != nil {
				t.Fatal(err)
			}
		}
	} else if status != "PENDING_OTP" {
		a, err := confirm(t, x.buyer, x.id, x.sellerCode, x.buyerCode)
		must(t, a, err, http.StatusOK)
	}
	if status == "DISPUTED" || status == "REVERSED" {
		must(t, act(t, x.buyer, "dispute", x.id), nil, http.StatusOK)
	}
	if status == "REVERSED" {
		must(t, act(t, x.seller, "reverse", x.id), nil, http.StatusOK)
	}
	if got := transferStatus(t, x.buyer, x.id); got != status {
		t.Fatalf("it is %s, not %s", got, status)
	}
	return x
}

// act has the person do it who may, so that a refusal is due to the status.
func (x *transferAt) act(t *testing.T, action string) client.Answer {
	t.Helper()
	switch action {
	case "initiate":
		from, to := x.seller, x.buyer // who has the ticket hands it to the other
		if x.status == "COMPLETED" || x.status == "DISPUTED" {
			from, to = to, from
		}
		a, err := from.Post(t.Context(), "/transfer/initiate", map[string]any{"seat_id": x.seat, "seller_id": from.ID, "buyer_id": to.ID, "credits_amount": 1})
		if err != nil {
			t.Fatal(err)
		}
		return a
	case "confirm":
		a, err := confirm(t, x.buyer, x.id, x.sellerCode, x.buyerCode)
		if err != nil {
			t.Fatal(err)
		}
		return a
	case "reject":
		return act(t, admin, action, x.id)
	case "reverse":
		return act(t, x.seller, action, x.id)
	}
	return act(t, x.buyer, action, x.id)
}

// mustRefuse expects 409, the status unchanged, and the money too.
func (x *transferAt) mustRefuse(t *testing.T, action string) {
	t.Helper()
	seller, buyer := balance(t, x.seller), balance(t, x.buyer)
	code := "TRANSFER_INVALID_STATE"
	if action == "initiate" {
		code = "TRANSFER_IN_PROGRESS"
	}
	a := x.act(t, action)
	if a.Status != http.StatusConflict || a.Code != code {
		t.Errorf("%s %s: %d %s", x.status, action, a.Status, a.Raw)
	}
	if got := transferStatus(t, x.buyer, x.id); got != x.status {
		t.Errorf("%s made a transfer that was %s %s", action, x.status, got)
	}
	expectBalances(t, x.seller, seller, x.buyer, buyer)
}

// topUp buys credits of which some are owed already, so that less than the amount is left.
func topUp(t *testing.T, p *client.Person, amount, balanceAfter money.Cents) {
	t.Helper()
	before := toppedUp(t, p)
	a, err := p.Post(t.Context(), "/credits/topup", map[string]any{"amount": amount})
	intent, _, _ := strings.Cut(must(t, a, err, http.StatusOK).Text("client_secret"), "_secret_")
	if err := app.Stripe(t.Context(), "pay", intent); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the top-up is credited", func() bool { return toppedUp(t, p) == before+amount })
	if got := balance(t, p); got != balanceAfter {
		t.Errorf("after a top-up of %s the balance is %s, want %s", amount, got, balanceAfter)
	}
}

func toppedUp(t *testing.T, p *client.Person) (sum money.Cents) {
	t.Helper()
	a, err := p.Get(t.Context(), "/credits/transactions?per_page=50")
	var list []struct {
		Type   string      `json:"type"`
		Amount money.Cents `json:"amount"`
	}
	if err := must(t, a, err, http.StatusOK).Into(&list); err != nil {
		t.Fatal(err)
	}
	for _, m := range list {
		if m.Type == "topup" {
			sum += m.Amount
		}
	}
	return sum
}
