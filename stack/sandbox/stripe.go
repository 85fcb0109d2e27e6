package sandbox

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
)

// payments is Stripe's state.
type payments struct {
	ctx     context.Context // webhooks are sent until it ends
	mu      sync.Mutex
	intents map[string]*intent
	answers map[string]answer // by idempotency key
}

// intent is a PaymentIntent. Amounts are in cents.
type intent struct {
	number                             int // the first is 1
	id, clientSecret, currency, status string
	amount, refunded                   int64
	created                            int64
	metadata                           map[string]string
	charge                             string
	refunds                            []refund         // oldest first, those that failed left out
	events                             map[string]event // sent, by type: a repeat sends the same one
}

// refund is one refund of a payment.
type refund struct {
	id     string
	amount int64
}

// answer is the answer to a request with an idempotency key, with the request's parameters.
type answer struct{ form, intent string }

// stripeOnly accepts callers with the key, as basic user name or bearer.
func (s *Server) stripeOnly(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		given, _, basic := r.BasicAuth()
		if !basic {
			given, _ = strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		}
		if subtle.ConstantTimeCompare([]byte(given), []byte(s.config.StripeKey.Reveal())) != 1 {
			refuse(w, http.StatusUnauthorized, "invalid_request_error", "", "Invalid API Key provided")
			return
		}
		next(w, r)
	}
}

// refuse answers an error shaped like Stripe's.
func refuse(w http.ResponseWriter, status int, kind, param, message string) {
	reply(w, status, object{"error": object{"type": kind, "param": param, "message": message}})
}

var metadataField = regexp.MustCompile(`^metadata\[([^\]]{1,40})\]$`)

// createIntent is POST /v1/payment_intents. The same idempotency key gets the same intent; with other parameters it is
// an error.
func (s *Server) createIntent(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		refuse(w, http.StatusBadRequest, "invalid_request_error", "", "the form cannot be read")
		return
	}
	amount, err := strconv.ParseInt(r.PostForm.Get("amount"), 10, 64)
	if err != nil || amount < 50 || amount > 99_999_999 { // Stripe's own limits
		refuse(w, http.StatusBadRequest, "invalid_request_error", "amount", "Invalid amount")
		return
	}
	currency := strings.ToLower(r.PostForm.Get("currency"))
	if len(currency) != 3 {
		refuse(w, http.StatusBadRequest, "invalid_request_error", "currency", "Invalid currency")
		return
	}
	s.stripe.mu.Lock()
	defer s.stripe.mu.Unlock()
	key, form := r.Header.Get("Idempotency-Key"), r.PostForm.Encode()
	if before, ok := s.stripe.answers[key]; ok && key != "" {
		if before.form != form {
			refuse(w, http.StatusBadRequest, "idempotency_error", "", "Keys for idempotent requests can only be used with the same parameters they were first used with.")
			return
		}
		w.Header().Set("Idempotent-Replayed", "true")
		reply(w, http.StatusOK, s.stripe.intents[before.intent].object())
		return
	}
	id := newID("pi_")
	made := &intent{number: len(s.stripe.intents) + 1, id: id, clientSecret: id + "_secret_" + newID(""), amount: amount, currency: currency, status: "requires_payment_method",
		created: s.now().Unix(), metadata: map[string]string{}, events: map[string]event{}}
	for field, values := range r.PostForm {
		if match := metadataField.FindStringSubmatch(field); match != nil {
			made.metadata[match[1]] = values[0]
		}
	}
	s.stripe.intents[id] = made
	if key != "" {
		s.stripe.answers[key] = answer{form, id}
	}
	reply(w, http.StatusOK, made.object())
}

func (s *Server) getIntent(w http.ResponseWriter, r *http.Request) {
	s.stripe.mu.Lock()
	defer s.stripe.mu.Unlock()
	found := s.stripe.intents[r.PathValue("id")]
	if found == nil {
		refuse(w, http.StatusNotFound, "invalid_request_error", "intent", "No such payment_intent: '"+r.PathValue("id")+"'")
		return
	}
	reply(w, http.StatusOK, found.object())
}

// object is the intent as Stripe shows it.
func (i *intent) object() object {
	received, charge := int64(0), any(nil)
	if i.status == "succeeded" {
		received, charge = i.amount, i.charge
	}
	return object{"id": i.id, "object": "payment_intent", "amount": i.amount, "amount_received": received, "currency": i.currency,
		"status": i.status, "client_secret": i.clientSecret, "metadata": i.metadata, "created": i.created, "livemode": false,
		"latest_charge": charge, "payment_method_types": []string{"card"}, "capture_method": "automatic"}
}

func (i *intent) chargeObject() object {
	return object{"id": i.charge, "object": "charge", "amount": i.amount, "amount_captured": i.amount, "amount_refunded": i.refunded,
		"refunded": i.refunded == i.amount, "currency": i.currency, "payment_intent": i.id, "metadata": i.metadata, "paid": true,
		"status": "succeeded", "livemode": false, "created": i.created}
}

// byIDOrSecret finds the intent that a page or a person names, by its id or its client_secret.
func (p *payments) byIDOrSecret(name string) *intent {
	id, _, _ := strings.Cut(name, "_secret_")
	found := p.intents[id]
	if found == nil || name != id && name != found.clientSecret {
		return nil
	}
	return found
}

// pay does what the customer's card does: the intent succeeds, and its webhook is sent. Paying again sends the same
// event again, as Stripe does at times. The answer tells whether the first try to deliver it succeeded; if not, it is
// tried again.
func (s *Server) pay(w http.ResponseWriter, r *http.Request) {
	s.happen(w, r, func(i *intent) ([]event, string) {
		if sent, ok := i.events["payment_intent.succeeded"]; ok {
			return []event{sent}, ""
		}
		i.status, i.charge = "succeeded", newID("ch_")
		return []event{i.newEvent("payment_intent.succeeded", i.object(), s.now())}, ""
	})
}

// decline does what a card without money does: the payment fails, and another card may still pay.
func (s *Server) decline(w http.ResponseWriter, r *http.Request) {
	s.happen(w, r, func(i *intent) ([]event, string) {
		if i.status == "succeeded" {
			return nil, "paid already"
		}
		about := i.object()
		about["last_payment_error"] = object{"type": "card_error", "code": "card_declined", "decline_code": "insufficient_funds",
			"message": "Your card has insufficient funds."}
		return []event{i.newEvent("payment_intent.payment_failed", about, s.now())}, ""
	})
}

// refund refunds the payment, all of it or the form's or query's amount in cents.
func (s *Server) refund(w http.ResponseWriter, r *http.Request) {
	s.happen(w, r, func(i *intent) ([]event, string) {
		amount := i.amount - i.refunded
		if text := r.FormValue("amount"); text != "" {
			var err error
			if amount, err = strconv.ParseInt(text, 10, 64); err != nil {
				return nil, "amount is not a number of cents"
			}
		}
		if i.status != "succeeded" || amount <= 0 || amount > i.amount-i.refunded {
			return nil, "nothing to refund, or not so much"
		}
		i.refunded += amount
		i.refunds = append(i.refunds, refund{newID("re_"), amount})
		return []event{i.newEvent("charge.refunded", i.chargeObject(), s.now())}, ""
	})
}

// failRefund is the customer's bank not taking the last refund: the money is ours again. Stripe tells it twice, as two
// types of event.
func (s *Server) failRefund(w http.ResponseWriter, r *http.Request) {
	s.happen(w, r, func(i *intent) ([]event, string) {
		if len(i.refunds) == 0 {
			return nil, "no refund"
		}
		last := i.refunds[len(i.refunds)-1]
		i.refunds = i.refunds[:len(i.refunds)-1]
		i.refunded -= last.amount
		about := object{"id": last.id, "object": "refund", "amount": last.amount, "currency": i.currency, "charge": i.charge, "payment_intent": i.id,
			"status": "failed", "failure_reason": "expired_or_canceled_card", "metadata": object{}, "created": s.now().Unix()}
		return []event{i.newEvent("refund.failed", about, s.now()), i.newEvent("charge.refund.updated", about, s.now())}, ""
	})
}

// chargeback is the customer's bank reclaiming the payment, in the payment's currency or the form's.
func (s *Server) chargeback(w http.ResponseWriter, r *http.Request) {
	s.happen(w, r, func(i *intent) ([]event, string) {
		if sent, ok := i.events["charge.dispute.created"]; ok {
			return []event{sent}, ""
		}
		if i.status != "succeeded" {
			return nil, "not paid"
		}
		currency := i.currency
		if other := strings.ToLower(r.FormValue("currency")); len(other) == 3 {
			currency = other
		}
		return []event{i.newEvent("charge.dispute.created", object{"id": newID("dp_"), "object": "dispute", "amount": i.amount - i.refunded, "currency": currency,
			"charge": i.charge, "payment_intent": i.id, "reason": "fraudulent", "status": "needs_response", "metadata": object{},
			"livemode": false, "created": s.now().Unix()}, s.now())}, ""
	})
}

// happen changes an intent, sends its events, and answers. The answer names the first event.
func (s *Server) happen(w http.ResponseWriter, r *http.Request, change func(*intent) (sent []event, refusal string)) {
	s.stripe.mu.Lock()
	found := s.stripe.byIDOrSecret(r.PathValue("id"))
	if found == nil {
		s.stripe.mu.Unlock()
		reply(w, http.StatusNotFound, object{"success": false, "error": "no such payment intent"})
		return
	}
	sent, refusal := change(found)
	body := found.object()
	s.stripe.mu.Unlock()
	if refusal != "" {
		reply(w, http.StatusConflict, object{"success": false, "error": refusal})
		return
	}
	delivered := true
	for _, e := range sent {
		delivered = s.send(r.Context(), e) && delivered
	}
	if strings.Contains(r.Header.Get("Accept"), "text/html") {
		http.Redirect(w, r, "/pay/"+found.id, http.StatusSeeOther)
		return
	}
	reply(w, http.StatusOK, object{"success": true, "event_id": sent[0].id, "delivered": delivered, "payment_intent": body})
}

// newID is a random id in Stripe's form.
func newID(prefix string) string {
	b := make([]byte, 12)
	rand.Read(b) // never fails
	return prefix + hex.EncodeToString(b)
}
