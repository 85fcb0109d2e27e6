package demo

import (
	"fmt"
	"net/http"
	"time"

	"ticketremaster/platform/money"
	"ticketremaster/stack/client"
)

// transferPrice is what Dave pays Carol for her ticket.
const transferPrice money.Cents = 180_00

// transfers is docs/architecture.md#transfer. Carol's ticket goes to Dave and, by the reversal, back.
func (p *demo) transfers() {
	p.out.section("Scenario 2 · Secure P2P transfer", "Both parties prove themselves by one-time password; credits and ticket change hands together, or not at all.")
	transferID := p.swap()
	p.refusedTransfers()
	p.dispute(transferID)
}

// transferIs requires a transfer's status and shows it.
func (p *demo) transferIs(who *person, id, want string) {
	var t struct {
		Status string `json:"status"`
		Seller bool   `json:"seller_otp_verified"`
		Buyer  bool   `json:"buyer_otp_verified"`
		Reason string `json:"failure_reason"`
	}
	p.get(who, "/transfers/"+id, &t)
	p.expect(t.Status == want, "transfer %s is %s, want %s", id, t.Status, want)
	text := "transfer " + t.Status
	switch {
	case t.Status == "PENDING_OTP":
		text += fmt.Sprintf(", seller_otp_verified %t, buyer_otp_verified %t", t.Seller, t.Buyer)
	case t.Reason != "":
		text += ", because " + t.Reason
	}
	p.out.left("orders_db", "%s", text)
}

// initiate asks for a transfer as buyer and requires the answer.
func (p *demo) initiate(seller, buyer *person, s seat, amount money.Cents, status int, code string) client.Answer {
	return p.ask(buyer, http.MethodPost, "/transfer/initiate",
		map[string]any{"seat_id": s.ID, "seller_id": seller.ID, "buyer_id": buyer.ID, "credits_amount": amount}, status, code)
}

func (p *demo) swap() (transferID string) {
	out, s := p.out, p.carolTicket.seat
	out.table("Success path", fmt.Sprintf("Carol hands seat %s to Dave for %s", s, transferPrice))
	p.formerQR = p.ticketQR(p.carol, s.ID)

	since := time.Now()
	out.step("1", "Buyer → Orchestrator", "POST /transfer/initiate {seat_id, seller_id, buyer_id, credits_amount}", 0)
	a := p.initiate(p.carol, p.dave, s, transferPrice, http.StatusCreated, "")
	transferID = a.Text("transfer_id")
	out.step("2", "Orchestrator → Order Svc", "transfer record INITIATED, after every check: owner, seat, balance", 0)
	out.step("3", "Orchestrator → User Svc", "an OTP for each party by SMU's POST /sendOTP, side by side", 0)
	sellerCode, buyerCode := p.code(p.carol, since), p.code(p.dave, since)
	out.left("SMU", "Carol's phone got %s, Dave's %s", sellerCode, buyerCode)
	out.step("4", "", "201, transfer PENDING_OTP", a.Took)
	p.transferIs(p.dave, transferID, "PENDING_OTP")

	carol, dave := p.balance(p.carol), p.balance(p.dave)
	out.step("5", "Client → Orchestrator", "POST /transfer/confirm {transfer_id, seller_otp, buyer_otp}", 0)
	a = p.post(p.dave, "/transfer/confirm", map[string]any{"transfer_id": transferID, "seller_otp": sellerCode, "buyer_otp": buyerCode})
	out.step("6", "Orchestrator → User Svc", "both by SMU's POST /verifyOTP: both pass", 0)
	out.step("7", "Atomic swap", "escrow buyer's credits · UpdateOwner · escrow to seller · COMPLETED", a.Took)
	out.left("users_db", "Dave %s → %s, Carol %s → %s", dave, p.balance(p.dave), carol, p.balance(p.carol))
	p.expect(p.balance(p.dave) == dave-transferPrice && p.balance(p.carol) == carol+transferPrice, "the credits did not go from Dave to Carol")
	p.seatIs(s, "SOLD")
	p.transferIs(p.dave, transferID, "COMPLETED")

	var sold, purchased []struct {
		SeatID string `json:"seat_id"`
	}
	p.get(p.carol, "/tickets/sold", &sold)
	a = p.get(p.dave, "/tickets", &purchased)
	p.expect(len(sold) == 1 && sold[0].SeatID == s.ID && len(purchased) == 1 && purchased[0].SeatID == s.ID, "the ticket is not in both lists")
	out.step("8", "Result", "GET /tickets/sold of Carol and GET /tickets of Dave have the ticket", a.Took)
	return transferID
}

// refusedTransfers plays the transfers that end FAILED (docs/architecture.md#transfer).
func (p *demo) refusedTransfers() {
	out, s := p.out, p.carolTicket.seat
	out.table("OTP mismatch", "Dave would hand it back to Carol; her code is wrong three times: PENDING_OTP, then FAILED")
	since := time.Now()
	a := p.initiate(p.dave, p.carol, s, 10_00, http.StatusCreated, "")
	transferID, right := a.Text("transfer_id"), p.code(p.carol, since)
	out.step("1–4", "Buyer → Orchestrator", "POST /transfer/initiate: PENDING_OTP", a.Took)
	for try := 1; try <= 3; try++ {
		status, code := http.StatusUnauthorized, "OTP_INVALID"
		if try == 3 {
			status, code = http.StatusTooManyRequests, "OTP_MAX_RETRIES"
		}
		a = p.ask(p.carol, http.MethodPost, "/transfer/confirm", map[string]any{"transfer_id": transferID, "buyer_otp": wrongCode(right, try)}, status, code)
		out.step("5–6", "Client → Orchestrator", fmt.Sprintf("POST /transfer/confirm, wrong code %d: %s", try, refusal(a)), a.Took)
		if try == 1 {
			p.transferIs(p.carol, transferID, "PENDING_OTP")
		}
	}
	p.transferIs(p.carol, transferID, "FAILED")

	out.table("Buyer has insufficient credits", "Bob would take it for more than he has: checked before any OTP is sent")
	a = p.initiate(p.dave, p.bob, s, p.balance(p.bob)+1, http.StatusPaymentRequired, "INSUFFICIENT_CREDITS")
	out.step("1", "Buyer → Orchestrator", "POST /transfer/initiate: "+refusal(a)+"; top up first", a.Took)
	p.newestTransferIs(p.bob, "FAILED", "INSUFFICIENT_CREDITS")

	out.table("Seller no longer owns the seat", "Bob would buy from Carol what is Dave's by now: gRPC GetSeatOwner at step 1")
	a = p.initiate(p.carol, p.bob, s, 10_00, http.StatusForbidden, "NOT_SEAT_OWNER")
	out.step("1", "Buyer → Orchestrator", "POST /transfer/initiate: "+refusal(a), a.Took)
	p.newestTransferIs(p.bob, "FAILED", "NOT_SEAT_OWNER")
}

// newestTransferIs looks at the transfer that a refusal recorded.
func (p *demo) newestTransferIs(who *person, status, reason string) {
	var list []struct {
		ID     string `json:"transfer_id"`
		Reason string `json:"failure_reason"`
	}
	p.get(who, "/transfers?per_page=1", &list)
	p.expect(len(list) == 1 && list[0].Reason == reason, "no transfer was recorded as %s for %s", status, reason)
	p.transferIs(who, list[0].ID, status)
}

func (p *demo) dispute(transferID string) {
	out, s := p.out, p.carolTicket.seat
	about := map[string]any{"transfer_id": transferID}
	raise := func(who *person, name, reason string) {
		a := p.post(who, "/transfer/dispute", map[string]any{"transfer_id": transferID, "reason": reason})
		out.step("", name+" → Orchestrator", "POST /transfer/dispute {transfer_id, reason}: credits frozen", a.Took)
	}
	out.table("Fraud / phishing flag", "Carol disputes the transfer; then she takes that back")
	before := p.balance(p.carol)
	raise(p.carol, "Seller", "I was told that this was for charity")
	p.transferIs(p.dave, transferID, "DISPUTED")
	frozen := p.balance(p.carol)
	p.expect(frozen == before-transferPrice, "Carol's %s are not frozen: %s → %s", transferPrice, before, frozen)
	out.left("users_db", "Carol %s → %s, %s frozen", before, frozen, transferPrice)
	a := p.ask(p.dave, http.MethodPost, "/transfer/withdraw", about, http.StatusForbidden, "FORBIDDEN")
	out.step("", "Buyer → Orchestrator", "POST /transfer/withdraw, which is not his: "+refusal(a), a.Took)
	a = p.post(p.carol, "/transfer/withdraw", about)
	out.step("", "Seller → Orchestrator", "POST /transfer/withdraw: unfrozen", a.Took)
	p.transferIs(p.dave, transferID, "COMPLETED")
	out.left("users_db", "Carol %s → %s", frozen, p.balance(p.carol))
	p.expect(p.balance(p.carol) == before, "Carol's credits are not unfrozen")
	a = p.ask(p.carol, http.MethodPost, "/transfer/dispute", map[string]any{"transfer_id": transferID, "reason": "and again"}, http.StatusConflict, "DISPUTE_WITHDRAWN")
	out.step("", "Seller → Orchestrator", "POST /transfer/dispute within the hour: "+refusal(a), a.Took)

	out.table("Undo / reverse transfer", "Dave disputes it, and Carol takes the ticket back")
	dave := p.balance(p.dave)
	raise(p.dave, "Buyer", "This is not my seat")
	a = p.ask(p.dave, http.MethodPost, "/transfer/reverse", about, http.StatusForbidden, "FORBIDDEN")
	out.step("", "Buyer → Orchestrator", "POST /transfer/reverse by who raised it: "+refusal(a), a.Took)
	a = p.post(p.carol, "/transfer/reverse", about)
	out.step("", "Seller → Orchestrator", "POST /transfer/reverse: UpdateOwner back, credits returned", a.Took)
	p.transferIs(p.dave, transferID, "REVERSED")
	out.left("users_db", "Dave %s → %s, Carol %s → %s", dave, p.balance(p.dave), before, p.balance(p.carol))
	p.expect(p.balance(p.dave) == dave+transferPrice && p.balance(p.carol) == before-transferPrice, "the credits did not go back from Carol to Dave")
	p.seatIs(s, "SOLD")
}
