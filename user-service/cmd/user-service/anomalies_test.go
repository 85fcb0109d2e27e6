package main

import (
	"slices"
	"strings"
	"sync"
	"testing"
)

// at is an event that Stripe made so many seconds after the first.
func at(second int64, e obj) obj {
	e["created"] = int64(1_790_000_000) + second
	return e
}

func refundEvent(kind, refund, topUp string, cents int64, status string) obj {
	return event("evt_"+newID(), kind, obj{
		"id": refund, "object": "refund", "amount": cents, "currency": "sgd", "status": status, "charge": "ch_1", "payment_intent": intentOf(topUp)})
}

// paidFor is a top-up of 50 that was paid.
func (w *world) paidFor(p person) (topUp string) {
	w.t.Helper()
	topUp = newID()
	w.wish(topUp, p, "50")
	w.stripe(paid(topUp, 50_00)).want(w.t, 200, "")
	return topUp
}

// A refund that the bank rejects is credited again, once, whichever event of Stripe's reports it, however often, before
// the refund or after it.
func TestAFailedRefundIsGivenBack(t *testing.T) {
	for _, kind := range []string{"refund.failed", "charge.refund.updated", "refund.updated"} {
		for _, order := range []string{"refund first", "failure first"} {
			t.Run(kind+" "+order, func(t *testing.T) {
				w := startWorld(t)
				p := w.join()
				topUp := w.paidFor(p)
				told := at(1, refunded(topUp, 30_00))
				failed := at(9, refundEvent(kind, "re_1", topUp, 30_00, "failed"))
				events := []obj{told, failed, failed, told}
				if order == "failure first" {
					events = []obj{failed, told, told, failed}
				}
				w.stripe(at(2, refundEvent("charge.refund.updated", "re_1", topUp, 30_00, "pending"))).want(t, 200, "")
				for _, e := range events {
					w.stripe(e).want(t, 200, "")
				}
				w.has(p, 50_00)
				again := at(10, refundEvent(kind, "re_1", topUp, 30_00, "failed")) // told once more, as another event
				w.stripe(again).want(t, 200, "")
				w.has(p, 50_00)
				w.stripe(at(20, refunded(topUp, 30_00))).want(t, 200, "") // tried anew: Stripe's count has the failed one no more
				w.has(p, 20_00)
				w.booksAreRight()
			})
		}
	}
}

// The debt that it caused is cancelled first.
func TestAFailedRefundForgivesItsDebt(t *testing.T) {
	w := startWorld(t)
	p := w.join()
	topUp := w.paidFor(p)
	w.deduct(newID(), p, 40).want(t, 200, "")
	w.stripe(at(1, refunded(topUp, 50_00))).want(t, 200, "")
	w.has(p, 0)
	w.give(p, "15")
	w.has(p, 0)
	w.stripe(at(9, refundEvent("refund.failed", "re_1", topUp, 50_00, "failed"))).want(t, 200, "")
	w.has(p, 25_00) // 10 that were taken and 15 that went to the debt; the 25 still owed are forgiven
	w.give(p, "5")
	w.has(p, 30_00)
	w.booksAreRight()
}

// Twenty concurrent events, each with a part of the facts, have the same result as in sequence.
func TestRefundsAndFailuresAtOnce(t *testing.T) {
	w := startWorld(t)
	p := w.join()
	topUp := newID()
	w.wish(topUp, p, "50")
	var wg sync.WaitGroup
	for i := range 20 {
		e := []obj{paid(topUp, 50_00), at(1, refunded(topUp, 30_00)), at(9, refundEvent("refund.failed", "re_1", topUp, 30_00, "failed")),
			at(3, disputed(topUp, 10_00, "needs_response"))}[i%4]
		wg.Go(func() {
			if a := w.stripe(e); a.status != 200 {
				t.Error(a.raw)
			}
		})
	}
	wg.Wait()
	w.has(p, 40_00)
	w.booksAreRight()
}

func in(currency string, e obj) obj {
	e["data"].(obj)["object"].(obj)["currency"] = currency
	return e
}

func (w *world) anomalies(state string) (list []obj) {
	w.t.Helper()
	a := w.internal("GET", "/internal/payments?state="+state, nil).want(w.t, 200, "")
	for _, p := range a.body["data"].([]any) {
		list = append(list, p.(obj))
	}
	return list
}

// An amount in another currency is not credited but listed for an administrator.
func TestDisputesInAnotherCurrency(t *testing.T) {
	w := startWorld(t)
	p := w.join()
	topUp := w.paidFor(p)
	w.stripe(in("jpy", disputed(topUp, 40_00, "needs_response"))).want(t, 200, "")
	w.stripe(in("jpy", disputed(topUp, 40_00, "won"))).want(t, 200, "")
	w.stripe(in("usd", refunded(topUp, 40_00))).want(t, 200, "")
	w.stripe(in("usd", refundEvent("refund.failed", "re_1", topUp, 40_00, "failed"))).want(t, 200, "")
	w.has(p, 50_00)
	w.isFlagged(p, false)
	w.booksAreRight()

	list := w.anomalies("anomaly")
	if len(list) != 1 || list[0]["payment_intent_id"] != intentOf(topUp) || list[0]["user_id"] != p.id || list[0]["topup_id"] != topUp || list[0]["state"] != "anomaly" {
		t.Fatalf("%v", list)
	}
	kinds := map[string]any{}
	for _, a := range list[0]["anomalies"].([]any) {
		kinds[a.(obj)["kind"].(string)+" "+a.(obj)["subject"].(string)] = a.(obj)["currency"]
	}
	if len(kinds) != 3 || kinds["dispute_currency dp_"+topUp] != "jpy" || kinds["refund_currency ch_1"] != "usd" || kinds["refund_currency re_1"] != "usd" {
		t.Errorf("%v", kinds)
	}
	// Before the payment is known, too.
	second := newID()
	w.wish(second, p, "50")
	w.stripe(in("eur", disputed(second, 40_00, "needs_response"))).want(t, 200, "")
	w.stripe(paid(second, 50_00)).want(t, 200, "")
	w.has(p, 100_00)
}

func TestAnomaliesAreResolvedWithAReason(t *testing.T) {
	w := startWorld(t)
	p, admin := w.join(), newID()
	unknown := paid(newID(), 50_00)
	w.stripe(unknown).want(t, 200, "")
	intent := unknown["data"].(obj)["object"].(obj)["id"].(string)
	list := w.anomalies("")
	if len(list) != 1 || list[0]["paid"] != 50.0 || list[0]["user_id"] != nil || list[0]["anomalies"].([]any)[0].(obj)["kind"] != "unknown_topup" {
		t.Fatalf("%v", list)
	}
	resolve := func(intent string, body obj) answer {
		return w.internal("POST", "/internal/payments/"+intent+"/resolve", body)
	}
	resolve(intent, obj{"by_user_id": admin, "reason": " "}).want(t, 400, "VALIDATION_ERROR")
	resolve(intent, obj{"by_user_id": admin, "reason": strings.Repeat("x", 501)}).want(t, 400, "VALIDATION_ERROR")
	resolve(intent, obj{"reason": "refunded by hand"}).want(t, 400, "VALIDATION_ERROR")
	resolve("pi_none", obj{"by_user_id": admin, "reason": "refunded by hand"}).want(t, 404, "PAYMENT_NOT_FOUND")
	resolve(intentOf(w.paidFor(p)), obj{"by_user_id": admin, "reason": "nothing is wrong with it"}).want(t, 404, "PAYMENT_NOT_FOUND")
	if a := resolve(intent, obj{"by_user_id": admin, "reason": "refunded by hand"}).want(t, 200, ""); a.data()["state"] != "resolved" {
		t.Error(a.raw)
	}
	a := resolve(intent, obj{"by_user_id": newID(), "reason": "once more"}).want(t, 200, "") // a repeat keeps the first reason
	if kept := a.data()["anomalies"].([]any)[0].(obj); kept["reason"] != "refunded by hand" || kept["resolved_by"] != admin || kept["resolved_at"] == nil {
		t.Error(a.raw)
	}
	if len(w.anomalies("anomaly")) != 0 || len(w.anomalies("resolved")) != 1 {
		t.Error("it is in the wrong list")
	}
	w.internal("GET", "/internal/payments?state=other", nil).want(t, 400, "VALIDATION_ERROR")
	w.call("GET", "/internal/payments", p.access, nil).want(t, 401, "UNAUTHORIZED")
}

func failedPayment(topUp, message string) obj {
	return event("evt_"+newID(), "payment_intent.payment_failed", obj{
		"id": intentOf(topUp), "object": "payment_intent", "amount": 50_00, "currency": "sgd", "status": "requires_payment_method",
		"metadata": obj{"topup_id": topUp}, "last_payment_error": obj{"code": "card_declined", "decline_code": "insufficient_funds", "message": message}})
}

// Who is at paying a top-up is listed, with the person whose account it is: not who has paid, was refused or has given
// up.
func TestWhoseTopUpIsUnderWay(t *testing.T) {
	w := startWorld(t)
	ada, her, bob := w.joinAs("ada@example.com", "+6591111111"), w.joinAs("ada+2@example.com", "+6591111111"), w.join()
	payers := func(after string) (list []string) {
		for _, x := range w.internal("GET", "/internal/payers?after="+after, nil).want(t, 200, "").body["data"].([]any) {
			list = append(list, x.(obj)["user_id"].(string)+" "+x.(obj)["person_id"].(string))
		}
		return list
	}
	begun := func(p person) (topUp string) {
		topUp = newID()
		w.wish(topUp, p, "50")
		return topUp
	}
	atStripe := func(topUp string) {
		_, err := w.db.Exec(t.Context(), `UPDATE topups SET payment_intent_id = $2 WHERE topup_id = $1`, topUp, intentOf(topUp))
		must(t, err)
	}
	first, second, his := begun(ada), begun(her), begun(bob)
	if list := payers(""); len(list) != 0 {
		t.Fatalf("Stripe has no payment yet, and there are payers: %v", list)
	}
	for _, topUp := range []string{first, second, his} {
		atStripe(topUp)
	}
	all := []string{ada.id + " " + w.personOf(ada), her.id + " " + w.personOf(ada), bob.id + " " + w.personOf(bob)}
	slices.Sort(all)
	if list := payers(""); !slices.Equal(list, all) {
		t.Fatalf("%v, want %v", list, all)
	}
	if list := payers(all[0][:36]); !slices.Equal(list, all[1:]) {
		t.Errorf("the page after the first is %v, want %v", list, all[1:])
	}
	w.stripe(paid(first, 50_00)).want(t, 200, "")
	w.stripe(failedPayment(second, "Your card was declined.")).want(t, 200, "")
	_, err := w.db.Exec(t.Context(), `UPDATE topups SET created_at = now() - interval '11 minutes' WHERE topup_id = $1`, his)
	must(t, err)
	if list := payers(""); len(list) != 0 {
		t.Errorf("paid, refused, given up: %v", list)
	}
	w.internal("GET", "/internal/payers?after=x", nil).want(t, 400, "INVALID_UUID")
	w.call("GET", "/internal/payers", ada.access, nil).want(t, 401, "UNAUTHORIZED")
}

// A top-up has a status.
func TestWhereATopUpStands(t *testing.T) {
	w := startWorld(t)
	p, other := w.join(), w.join()
	status := func(topUp string) answer { return w.call("GET", "/credits/topups/"+topUp, p.access, nil) }
	is := func(topUp, want string) answer {
		t.Helper()
		a := status(topUp).want(t, 200, "")
		if a.data()["status"] != want {
			t.Errorf("%s, want %s", a.raw, want)
		}
		return a
	}
	topUp := newID()
	w.wish(topUp, p, "50")
	if a := is(topUp, "pending"); a.data()["amount"] != 50.0 || a.data()["currency"] != "sgd" || a.data()["credited_amount"] != nil || a.data()["failure"] != nil {
		t.Error(a.raw)
	}
	w.stripe(at(5, failedPayment(topUp, "Your card has insufficient funds."))).want(t, 200, "")
	w.stripe(at(3, failedPayment(topUp, "Your card was declined."))).want(t, 200, "") // an earlier one, told late
	if a := is(topUp, "failed"); a.data()["failure"].(obj)["code"] != "card_declined" || a.data()["failure"].(obj)["message"] != "Your card has insufficient funds." {
		t.Error(a.raw)
	}
	w.has(p, 0)
	w.stripe(paid(topUp, 49_00)).want(t, 200, "") // with another card
	w.stripe(at(9, failedPayment(topUp, "Your card was declined."))).want(t, 200, "")
	if a := is(topUp, "succeeded"); a.data()["credited_amount"] != 49.0 || a.data()["credited_at"] == nil || a.data()["failure"] != nil {
		t.Error(a.raw)
	}
	cancelled, old := newID(), newID()
	w.wish(cancelled, p, "50")
	w.stripe(event("evt_cancelled", "payment_intent.canceled", obj{"id": intentOf(cancelled), "amount": 50_00, "currency": "sgd", "metadata": obj{"topup_id": cancelled}})).want(t, 200, "")
	is(cancelled, "expired")
	w.wish(old, p, "50")
	must(t, w.exec(`UPDATE topups SET created_at = created_at - interval '25 hours' WHERE topup_id = '`+old+`'`))
	is(old, "expired")
	w.stripe(paid(old, 50_00)).want(t, 200, "") // money that comes all the same is credited
	is(old, "succeeded")

	w.stripe(failedPayment(newID(), "Not ours.")).want(t, 200, "")
	foreign := failedPayment(topUp, "Another payment's.")
	foreign["data"].(obj)["object"].(obj)["metadata"] = obj{}
	w.stripe(foreign).want(t, 200, "")
	w.call("GET", "/credits/topups/"+topUp, other.access, nil).want(t, 404, "NOT_FOUND")
	w.call("GET", "/credits/topups/"+topUp, "", nil).want(t, 401, "UNAUTHORIZED")
	status("x").want(t, 400, "INVALID_UUID")
	status(newID()).want(t, 404, "NOT_FOUND")
	w.booksAreRight()
}

// The number of a user's unpaid PaymentIntents is limited; after a payment the user may make another.
func TestTopUpsAreLimited(t *testing.T) {
	api := startStripe(t)
	w := startWorld(t, func(s *settings) { s.StripeURL, s.TopUpsPerHour = api.URL, 5 })
	p := w.join()
	var mu sync.Mutex
	var made []string
	seen := map[int]int{}
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			a := w.call("POST", "/credits/topup", p.access, obj{"amount": 10})
			mu.Lock()
			defer mu.Unlock()
			seen[a.status]++
			if a.status == 200 {
				made = append(made, a.data()["topup_id"].(string))
			}
		})
	}
	wg.Wait()
	if seen[200] != 5 || seen[429] != 15 {
		t.Fatalf("%v", seen)
	}
	w.stripe(paid(made[0], 10_00)).want(t, 200, "")
	w.call("POST", "/credits/topup", p.access, obj{"amount": 10}, "Idempotency-Key", "mine").want(t, 200, "")
	w.call("POST", "/credits/topup", p.access, obj{"amount": 10}, "Idempotency-Key", "mine").want(t, 200, "") // no new one
	a := w.call("POST", "/credits/topup", p.access, obj{"amount": 10}).want(t, 429, "RATE_LIMITED")
	if a.header.Get("Retry-After") == "" {
		t.Error("it does not say when")
	}
	w.call("POST", "/credits/topup", w.join().access, obj{"amount": 10}).want(t, 200, "")
	must(t, w.exec(`UPDATE topups SET created_at = created_at - interval '1 hour'`))
	w.call("POST", "/credits/topup", p.access, obj{"amount": 10}).want(t, 200, "")
}

// The former release's calls of the database still work.
func TestTheFormerPaymentFunction(t *testing.T) {
	w := startWorld(t)
	p := w.join()
	topUp := newID()
	w.wish(topUp, p, "50")
	call := func(event string, paid, refunded any) (outcome string) {
		must(t, w.db.QueryRow(t.Context(), `SELECT payment_event($1, 'x', $2, $3, $4, 'sgd', 'sgd', $5, NULL, NULL, false)`,
			event, intentOf(topUp), topUp, paid, refunded).Scan(&outcome))
		return outcome
	}
	if got := call("e1", "50", nil); got != "credited" {
		t.Error(got)
	}
	if got := call("e2", nil, "20"); got != "taken_back" {
		t.Error(got)
	}
	w.has(p, 30_00)
	w.booksAreRight()
}
