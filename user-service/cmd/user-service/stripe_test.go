package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stripe/stripe-go/v76/webhook"
)

const webhookSecret = "whsec_test_secret"

// wish records a top-up, as POST /credits/topup does before it calls Stripe.
func (w *world) wish(id string, p person, amount string) {
	w.t.Helper()
	_, err := w.db.Exec(w.t.Context(), `INSERT INTO topups (topup_id, user_id, amount) VALUES ($1, $2, $3::text::numeric)`, id, p.id, amount)
	must(w.t, err)
}

// event makes one of Stripe's events around an object.
func event(id, kind string, object obj) obj {
	return obj{"id": id, "object": "event", "type": kind, "api_version": "2023-10-16", "livemode": false, "data": obj{"object": object}}
}

// intentOf is the PaymentIntent of a top-up in these tests.
func intentOf(topUp string) string { return "pi_" + strings.ReplaceAll(topUp, "-", "") }

func paid(topUp string, cents int64) obj {
	return event("evt_paid_"+topUp, "payment_intent.succeeded", obj{
		"id": intentOf(topUp), "object": "payment_intent", "amount": cents, "amount_received": cents, "currency": "sgd",
		"status": "succeeded", "metadata": obj{"topup_id": topUp}})
}

func refunded(topUp string, inAll int64) obj {
	return event("evt_"+newID(), "charge.refunded", obj{
		"id": "ch_1", "object": "charge", "amount": 50_00, "amount_refunded": inAll, "currency": "sgd", "payment_intent": intentOf(topUp)})
}

func disputed(topUp string, cents int64, status string) obj {
	kind := "charge.dispute.created"
	if status == "won" || status == "lost" {
		kind = "charge.dispute.closed"
	}
	return event("evt_"+newID(), kind, obj{
		"id": "dp_" + topUp, "object": "dispute", "amount": cents, "currency": "sgd", "status": status, "payment_intent": intentOf(topUp)})
}

// stripe delivers an event, signed now.
func (w *world) stripe(e obj) answer { return w.signed(e, time.Now(), webhookSecret) }

func (w *world) signed(e obj, at time.Time, secret string) answer {
	body, err := json.Marshal(e)
	must(w.t, err)
	s := webhook.GenerateTestSignedPayload(&webhook.UnsignedPayload{Payload: body, Secret: secret, Timestamp: at})
	return w.call("POST", "/webhooks/stripe", "", string(body), "Stripe-Signature", s.Header)
}

func TestAPaymentCreditsOnce(t *testing.T) {
	w := startWorld(t)
	p := w.join()
	topUp := newID()
	w.wish(topUp, p, "50")

	w.signed(paid(topUp, 50_00), time.Now(), "whsec_forged").want(t, 400, "VALIDATION_ERROR")
	w.signed(paid(topUp, 50_00), time.Now().Add(-301*time.Second), webhookSecret).want(t, 400, "VALIDATION_ERROR")
	w.call("POST", "/webhooks/stripe", "", "{}").want(t, 400, "VALIDATION_ERROR")
	w.call("POST", "/webhooks/stripe", "", strings.Repeat("x", 257<<10), "Stripe-Signature", "t=1,v1=00").want(t, 413, "PAYLOAD_TOO_LARGE")
	w.has(p, 0)

	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			e := paid(topUp, 50_00)
			if i%2 == 1 {
				e["id"] = "evt_" + newID() // Stripe may send another event of the same payment
			}
			if a := w.stripe(e); a.status != http.StatusOK {
				t.Errorf("a duplicate is fine: %s", a.raw)
			}
		})
	}
	wg.Wait()
	w.has(p, 50_00)

	other := paid(topUp, 50_00)
	other["id"], other["api_version"] = "evt_other", "2029-01-01"
	w.stripe(other).want(t, 200, "")
	w.stripe(event("evt_x", "customer.created", obj{"id": "cus_1"})).want(t, 200, "")
	w.has(p, 50_00)
	w.booksAreRight()
}

// The amount credited is what Stripe says was paid, not what was asked for.
func TestStripesAmountCounts(t *testing.T) {
	w := startWorld(t)
	p := w.join()
	topUp := newID()
	w.wish(topUp, p, "50")
	e := paid(topUp, 12_34)
	e["api_version"] = "2019-05-16"
	w.stripe(e).want(t, 200, "")
	w.has(p, 12_34)
}

// A payment that cannot be credited to anyone is listed for an administrator, and Stripe does not send the event again.
func TestPaymentsThatAreNotCredited(t *testing.T) {
	w := startWorld(t)
	p := w.join()
	topUp := newID()
	w.wish(topUp, p, "50")
	object := func(e obj) obj { return e["data"].(obj)["object"].(obj) }

	foreign := paid(topUp, 50_00)
	object(foreign)["currency"], object(foreign)["id"], foreign["id"] = "usd", "pi_usd", "evt_usd"
	unknown := paid(newID(), 50_00)
	without := paid(newID(), 50_00)
	object(without)["metadata"] = obj{}
	for want, e := range map[string]obj{"wrong_currency": foreign, "unknown_topup": unknown} {
		w.stripe(e).want(t, 200, "")
		w.isAnomaly(object(e)["id"], want)
	}
	w.stripe(without).want(t, 200, "")
	w.isAnomaly(object(without)["id"], "unknown_topup")
	w.has(p, 0)

	w.stripe(paid(topUp, 50_00)).want(t, 200, "") // the right one still counts
	twice := paid(topUp, 50_00)
	object(twice)["id"], twice["id"] = "pi_twice", "evt_twice"
	w.stripe(twice).want(t, 200, "")
	w.isAnomaly("pi_twice", "topup_paid_twice")
	w.has(p, 50_00)
	w.stripe(event("evt_foreign_refund", "charge.refunded", obj{"id": "ch", "amount_refunded": 50_00, "payment_intent": "pi_usd"})).want(t, 200, "")
	w.has(p, 50_00)
	w.booksAreRight()

	nonsense := paid(topUp, -5)
	object(nonsense)["amount_received"] = 0
	w.stripe(nonsense).want(t, 400, "VALIDATION_ERROR")
	mistyped := paid(topUp, 5)
	object(mistyped)["amount"] = "5"
	w.stripe(mistyped).want(t, 400, "VALIDATION_ERROR")
}

func (w *world) isAnomaly(intent any, want string) {
	w.t.Helper()
	var got string
	must(w.t, w.db.QueryRow(w.t.Context(), `SELECT coalesce(anomaly, '') FROM payments WHERE payment_intent_id = $1`, intent).Scan(&got))
	if got != want {
		w.t.Fatalf("%s is recorded as %q, want %q", intent, got, want)
	}
}

func (w *world) isFlagged(p person, want bool) {
	w.t.Helper()
	if a := w.internal("GET", "/users/"+p.id+"/risk", nil).want(w.t, 200, ""); a.data()["is_flagged"] != want {
		w.t.Fatalf("flagged is %v, want %v", a.data()["is_flagged"], want)
	}
}

func TestARefundTakesTheCreditsBack(t *testing.T) {
	w := startWorld(t)
	p := w.join()
	topUp := newID()
	w.wish(topUp, p, "50")
	w.stripe(paid(topUp, 50_00)).want(t, 200, "")
	w.isFlagged(p, false)

	part := refunded(topUp, 20_00)
	for range 3 {
		w.stripe(part).want(t, 200, "")
	}
	altered := refunded(topUp, 50_00)
	altered["id"] = part["id"]
	w.stripe(altered).want(t, 200, "") // an event's id counts once, whatever comes under it
	w.has(p, 30_00)
	w.isFlagged(p, true)
	w.deduct(newID(), p, 25).want(t, 200, "")
	w.stripe(refunded(topUp, 50_00)).want(t, 200, "") // cumulative: 30 more, of which 25 are spent
	w.stripe(refunded(topUp, 40_00)).want(t, 200, "") // late: nothing new
	w.has(p, 0)
	w.give(p, "10")
	w.has(p, 0)
	w.give(p, "20")
	w.has(p, 5_00)
	w.booksAreRight()
	w.call("GET", "/credits/balance", p.access, nil).want(t, 200, "") // being flagged by Stripe logs nobody out
}

// A refund that is reported before its payment is applied as soon as the payment is reported.
func TestReorderedEvents(t *testing.T) {
	w := startWorld(t)
	p := w.join()
	first, second := newID(), newID()
	w.wish(first, p, "50")
	w.wish(second, p, "50")
	w.stripe(refunded(first, 50_00)).want(t, 200, "")
	w.has(p, 0)
	w.stripe(paid(first, 50_00)).want(t, 200, "")
	w.has(p, 0)
	w.isFlagged(p, true)
	w.stripe(disputed(second, 50_00, "won")).want(t, 200, "") // the end before the beginning
	w.stripe(paid(second, 50_00)).want(t, 200, "")
	w.stripe(disputed(second, 50_00, "needs_response")).want(t, 200, "")
	w.has(p, 50_00)
	w.booksAreRight()
}

func TestAChargeback(t *testing.T) {
	w := startWorld(t)
	p := w.join()
	topUp := newID()
	w.wish(topUp, p, "50")
	w.stripe(paid(topUp, 50_00)).want(t, 200, "")
	w.stripe(disputed(topUp, 50_00, "warning_needs_response")).want(t, 200, "") // an inquiry moves no money
	w.has(p, 50_00)
	w.deduct(newID(), p, 20).want(t, 200, "")
	w.stripe(disputed(topUp, 50_00, "needs_response")).want(t, 200, "")
	w.has(p, 0)
	w.isFlagged(p, true)
	withdrawn := disputed(topUp, 50_00, "needs_response")
	withdrawn["type"] = "charge.dispute.funds_withdrawn"
	w.stripe(withdrawn).want(t, 200, "") // the same dispute, told again
	w.give(p, "5")
	w.has(p, 0)
	w.stripe(disputed(topUp, 50_00, "won")).want(t, 200, "")
	w.has(p, 35_00) // 30 that were taken and 5 that went to the debt; the 15 still owed are forgiven
	w.give(p, "5")
	w.has(p, 40_00)
	w.booksAreRight()
}
