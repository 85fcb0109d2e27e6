package payments

import (
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/stripe/stripe-go/v76/webhook"

	"ticketremaster/platform/fault"
	"ticketremaster/platform/money"
	user "ticketremaster/user-service"
)

// MaxEvent is the largest event that is read, in bytes.
const MaxEvent = 256 << 10

var errSignature = fault.New(fault.Invalid, fault.CodeValidation, "The signature does not fit")

// Receive takes in one event: the raw body and its Stripe-Signature. It returns after the commit. A type that is not
// handled, a duplicate and a payment that is not ours are no errors; VALIDATION_ERROR for a wrong or old signature or
// an event that cannot be read, SERVICE_UNAVAILABLE when the database does not answer, so that Stripe sends it again.
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
	event.Told, event.Ours = time.Unix(min(max(stripeEvent.Created, 0), endOfTime), 0).UTC(), user.Currency
	outcome, err := s.store.PaymentEvent(ctx, event)
	if err != nil {
		return err
	}
	level := slog.LevelInfo
	switch outcome {
	case "unknown_topup", "wrong_currency", "topup_paid_twice", "refund_currency", "dispute_currency":
		level = slog.LevelError // money moved that no one was credited or charged for: a person must look
	}
	slog.Log(ctx, level, "Stripe event", "event", event.ID, "type", event.Type, "intent", event.Intent, "outcome", outcome)
	return nil
}

// endOfTime is the last second that RFC 3339 can write.
const endOfTime = 253_402_300_799

// told is what is read of an event's object, whatever its type.
type told struct {
	ID             string            `json:"id"`
	Amount         int64             `json:"amount"`
	AmountReceived int64             `json:"amount_received"`
	AmountRefunded int64             `json:"amount_refunded"`
	Currency       string            `json:"currency"`
	Metadata       map[string]string `json:"metadata"`
	Intent         json.RawMessage   `json:"payment_intent"`
	Status         string            `json:"status"`
	LastError      *struct {
		Code        string `json:"code"`
		DeclineCode string `json:"decline_code"`
		Message     string `json:"message"`
	} `json:"last_payment_error"`
}

// readers return what the events of each type say; false: not about a payment of ours. Other types are not handled.
var readers = map[string]func(*user.PaymentEvent, told) (amount int64, ok bool){
	"payment_intent.succeeded":        readPaid,
	"payment_intent.payment_failed":   readFailure,
	"payment_intent.canceled":         readFailure,
	"charge.refunded":                 readRefunded,
	"charge.refund.updated":           readRefund,
	"refund.updated":                  readRefund,
	"refund.failed":                   readRefund,
	"charge.dispute.created":          readDispute,
	"charge.dispute.funds_withdrawn":  readDispute,
	"charge.dispute.funds_reinstated": readDispute,
	"charge.dispute.closed":           readDispute,
}

// read returns what an event says of a payment; ok is false for a type that is not handled, or a payment without an
// intent.
func read(id, kind string, raw json.RawMessage) (e user.PaymentEvent, ok bool, err error) {
	reader := readers[kind]
	if reader == nil {
		return e, false, nil
	}
	var o told
	if err := json.Unmarshal(raw, &o); err != nil {
		return e, false, fault.New(fault.Invalid, fault.CodeValidation, "The event cannot be read").Because(err)
	}
	e = user.PaymentEvent{ID: id, Type: kind, ObjectID: o.ID, Intent: intentID(o.Intent), Currency: strings.ToLower(o.Currency)}
	amount, ok := reader(&e, o)
	if !ok {
		return e, false, nil
	}
	if id == "" || o.ID == "" || amount < 0 || amount > int64(money.Max) || strings.ContainsRune(id+o.ID+e.Intent+e.Currency, 0) {
		return e, false, fault.New(fault.Invalid, fault.CodeValidation, "The event lacks an id or has an impossible amount")
	}
	return e, e.Intent != "", nil // a charge without an intent is not ours
}

// aboutIntent notes that the object is the PaymentIntent itself.
func aboutIntent(e *user.PaymentEvent, o told) {
	e.Intent = o.ID
	if topUp, err := uuid.Parse(o.Metadata[topUpKey]); err == nil {
		e.TopUpID = &topUp
	}
}

func readPaid(e *user.PaymentEvent, o told) (int64, bool) {
	aboutIntent(e, o)
	amount := o.Amount
	if o.AmountReceived > 0 {
		amount = o.AmountReceived
	}
	paid := money.Cents(amount)
	e.Paid = &paid
	return amount, true
}

// maxFailure bounds what is kept of Stripe's words, in characters.
const maxFailure = 300

// readFailure reads a payment that was refused or cancelled: only one for a top-up of ours says anything.
func readFailure(e *user.PaymentEvent, o told) (int64, bool) {
	aboutIntent(e, o)
	if e.Cancelled = e.Type == "payment_intent.canceled"; e.Cancelled {
		return 0, e.TopUpID != nil
	}
	e.Failure = &user.PaymentFailure{Code: "payment_failed", Message: "The payment was refused."}
	if o.LastError != nil && o.LastError.Code != "" {
		e.Failure.Code = plain(o.LastError.Code)
	}
	if o.LastError != nil && o.LastError.Message != "" {
		e.Failure.Message = plain(o.LastError.Message)
	}
	return 0, e.TopUpID != nil
}

// plain returns text that PostgreSQL can hold, and no more than maxFailure of it.
func plain(s string) string {
	r := []rune(strings.ReplaceAll(strings.ToValidUTF8(s, ""), "\x00", ""))
	return string(r[:min(len(r), maxFailure)])
}

func readRefunded(e *user.PaymentEvent, o told) (int64, bool) {
	refunded := money.Cents(o.AmountRefunded)
	e.Refunded = &refunded
	return o.AmountRefunded, true
}

// readRefund reads a refund that failed; any other is reported by its charge.
func readRefund(e *user.PaymentEvent, o told) (int64, bool) {
	e.Failed = &user.FailedRefund{Amount: money.Cents(o.Amount)}
	return o.Amount, o.Status == "failed" || o.Status == "canceled" || e.Type == "refund.failed"
}

// readDispute reads a chargeback. An inquiry ("warning_…") moves no money; if it becomes a chargeback, funds_withdrawn
// tells. A lost one leaves things as they are.
func readDispute(e *user.PaymentEvent, o told) (int64, bool) {
	won := e.Type == "charge.dispute.funds_reinstated" || o.Status == "won"
	e.Dispute = &user.PaymentDispute{Amount: money.Cents(o.Amount), Won: won}
	return o.Amount, !strings.HasPrefix(o.Status, "warning_") && (e.Type != "charge.dispute.closed" || won)
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
