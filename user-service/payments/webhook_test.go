package payments

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stripe/stripe-go/v76/webhook"

	"ticketremaster/platform/fault"
	"ticketremaster/platform/money"
)

// An event that is read has an id, an intent and an amount that the ledger can hold; anything else is refused as the sender's.
func FuzzRead(f *testing.F) {
	for _, kind := range []string{"payment_intent.succeeded", "charge.refunded", "charge.dispute.created", "charge.dispute.closed", "customer.created"} {
		for _, object := range []string{
			`{"id":"pi_1","amount":100,"currency":"sgd","metadata":{"topup_id":"x"}}`, `{"id":"ch_1","amount_refunded":5,"payment_intent":"pi_1"}`,
			`{"id":"dp_1","amount":5,"status":"won","payment_intent":{"id":"pi_1"}}`, `{}`, `null`, `[]`, `{"id":1}`, `{"amount":1e99}`, `{"payment_intent":[]}`, ``,
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
		for _, c := range []*money.Cents{e.Paid, e.Refunded, &e.DisputeAmount} {
			if c != nil && (*c < 0 || *c > money.Max) {
				t.Fatalf("amount %v", *c)
			}
		}
		if e.Intent == "" || e.Paid == nil && e.Refunded == nil && e.DisputeID == nil {
			t.Fatalf("says nothing: %+v", e)
		}
	})
}

// No body makes the reader of signed events fail in any way but a refusal.
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
