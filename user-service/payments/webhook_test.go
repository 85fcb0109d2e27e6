package payments

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stripe/stripe-go/v76/webhook"

	"ticketremaster/platform/fault"
	"ticketremaster/platform/money"
)

// An event that is accepted has an id, an intent and an amount that the ledger can hold; any other is the sender's
// error.
func FuzzRead(f *testing.F) {
	for _, kind := range []string{"payment_intent.succeeded", "charge.refunded", "charge.dispute.created", "charge.dispute.closed",
		"charge.refund.updated", "refund.failed", "payment_intent.payment_failed", "payment_intent.canceled", "customer.created"} {
		for _, object := range []string{
			`{"id":"pi_1","amount":100,"currency":"sgd","metadata":{"topup_id":"x"}}`, `{"id":"ch_1","amount_refunded":5,"payment_intent":"pi_1"}`,
			`{"id":"dp_1","amount":5,"status":"won","payment_intent":{"id":"pi_1"}}`, `{"id":"re_1","amount":5,"status":"failed","payment_intent":"pi_1"}`, `{"id":"pi_1","last_payment_error":{"code":"card_declined"},"metadata":{"topup_id":"0190c0c8-0000-7000-8000-000000000000"}}`,
			`{}`, `null`, `[]`, `{"id":1}`, `{"amount":1e99}`, `{"payment_intent":[]}`, ``,
		} {
			f.Add(kind, object)
		}
	}
	f.Fuzz(func(t *testing.T, kind, object string) {
		e, ok, err := read("evt_1", kind, json.RawMessage(object))
		if err != nil {
			if fault.From(err).Kind != fault.Invalid {
				t.Fatal(err)
			}
			return
		}
		if !ok {
			return
		}
		amounts := []*money.Cents{e.Paid, e.Refunded}
		if e.Dispute != nil {
			amounts = append(amounts, &e.Dispute.Amount)
		}
		if e.Failed != nil {
			amounts = append(amounts, &e.Failed.Amount)
		}
		for _, c := range amounts {
			if c != nil && (*c < 0 || *c > money.Max) {
				t.Fatalf("amount %v", *c)
			}
		}
		if e.Intent == "" || len(amounts) == 2 && e.Paid == nil && e.Refunded == nil && e.Failure == nil && !e.Cancelled {
			t.Fatalf("says nothing: %+v", e)
		}
	})
}

// No body makes the reader of signed events fail other than by a refusal.
func FuzzReceive(f *testing.F) {
	for _, body := range []string{`{}`, `null`, `{"id":"evt_1","type":"payment_intent.succeeded"}`, `{"id":"e","type":"charge.refunded","data":{"object":null}}`, `{"data":{}}`, ``} {
		f.Add(body)
	}
	s := &Service{config: Config{WebhookSecret: "whsec"}}
	f.Fuzz(func(t *testing.T, body string) {
		signed := webhook.GenerateTestSignedPayload(&webhook.UnsignedPayload{Payload: []byte(body), Secret: "whsec", Timestamp: time.Now()})
		var event struct {
			Data *struct{ Object json.RawMessage }
		}
		if json.Unmarshal([]byte(body), &event) == nil && event.Data != nil && len(event.Data.Object) > 2 {
			return // this one would be written down, for which there is no database here
		}
		if err := s.Receive(t.Context(), []byte(body), signed.Header); err != nil && fault.From(err).Kind != fault.Invalid {
			t.Fatal(err)
		}
	})
}
