package payments

import (
	"context"
	"encoding/json"
	"log/slog"
	"strings"

	"github.com/google/uuid"
	"github.com/stripe/stripe-go/v76/webhook"

	"ticketremaster/platform/fault"
	"ticketremaster/platform/money"
	user "ticketremaster/user-service"
)

// MaxEvent is the largest event that is read, in bytes.
const MaxEvent = 256 << 10

var errSignature = fault.New(fault.Invalid, fault.CodeValidation, "The signature does not fit")

// Receive takes in one event: the raw body and its Stripe-Signature. It returns after the commit. A type that is not handled, a
// duplicate and a payment that is not ours are no errors; VALIDATION_ERROR for a wrong or old signature or an event that cannot be read,
// SERVICE_UNAVAILABLE when the database does not answer, so that Stripe sends it again.
func (s *Service) Receive(ctx context.Context, body []byte, signature string) error {
	// An event of another API version still has the few fields that are read here.
	stripeEvent, err := webhook.ConstructEventWithOptions(body, signature, s.config.WebhookSecret,
		webhook.ConstructEventOptions{IgnoreAPIVersionMismatch: true})
	if err != nil {
		return errSignature.Because(err)
	}
	var raw json.RawMessage
	if stripeEvent.Data != nil {
		raw = stripeEvent.Data.Raw
	}
	event, ok, err := read(stripeEvent.ID, string(stripeEvent.Type), raw)
	if err != nil || !ok {
		return err
	}
	outcome, err := s.store.PaymentEvent(ctx, event)
	if err != nil {
		return err
	}
	level := slog.LevelInfo
	switch outcome {
	case "unknown_topup", "wrong_currency", "topup_paid_twice":
		level = slog.LevelError // money came in that was credited to nobody: a person must look
	}
	slog.Log(ctx, level, "Stripe event", "event", event.ID, "type", event.Type, "intent", event.Intent, "outcome", outcome)
	return nil
}

// read returns what an event says of a payment; ok is false for a type that is not handled, or a payment without an intent.
func read(id, kind string, raw json.RawMessage) (e user.PaymentEvent, ok bool, err error) {
	e = user.PaymentEvent{ID: id, Type: kind}
	var o struct {
		ID             string            `json:"id"`
		Amount         int64             `json:"amount"`
		AmountReceived int64             `json:"amount_received"`
		AmountRefunded int64             `json:"amount_refunded"`
		Currency       string            `json:"currency"`
		Metadata       map[string]string `json:"metadata"`
		Intent         json.RawMessage   `json:"payment_intent"`
		Status         string            `json:"status"`
	}
	handled := map[string]bool{"payment_intent.succeeded": true, "charge.refunded": true, "charge.dispute.created": true,
		"charge.dispute.funds_withdrawn": true, "charge.dispute.funds_reinstated": true, "charge.dispute.closed": true}
	if !handled[kind] {
		return e, false, nil
	}
	if err := json.Unmarshal(raw, &o); err != nil {
		return e, false, fault.New(fault.Invalid, fault.CodeValidation, "The event cannot be read").Because(err)
	}
	e.Intent = intentID(o.Intent)
	amount := o.Amount
	switch kind {
	case "payment_intent.succeeded":
		e.Intent, e.Currency = o.ID, strings.ToLower(o.Currency)
		if o.AmountReceived > 0 {
			amount = o.AmountReceived
		}
		paid := money.Cents(amount)
		e.Paid = &paid
		if topUp, err := uuid.Parse(o.Metadata[topUpKey]); err == nil {
			e.TopUpID = &topUp
		}
	case "charge.refunded":
		amount = o.AmountRefunded
		refunded := money.Cents(amount)
		e.Refunded = &refunded
	default:
		// An inquiry ("warning_…") moves no money; if it becomes a chargeback, funds_withdrawn follows. A lost one
		// leaves things as they are.
		e.DisputeWon = kind == "charge.dispute.funds_reinstated" || o.Status == "won"
		if strings.HasPrefix(o.Status, "warning_") || kind == "charge.dispute.closed" && !e.DisputeWon {
			return e, false, nil
		}
		e.DisputeID, e.DisputeAmount = &o.ID, money.Cents(amount)
	}
	if id == "" || o.ID == "" || amount < 0 || amount > int64(money.Max) {
		return e, false, fault.New(fault.Invalid, fault.CodeValidation, "The event lacks an id or has an impossible amount")
	}
	return e, e.Intent != "", nil // a charge without an intent is not ours
}

// intentID reads payment_intent, which is an id or, where it was expanded, an object.
func intentID(raw json.RawMessage) string {
	var id string
	if json.Unmarshal(raw, &id) == nil {
		return id
	}
	var o struct {
		ID string `json:"id"`
	}
	_ = json.Unmarshal(raw, &o)
	return o.ID
}
