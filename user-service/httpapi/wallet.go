package httpapi

import (
	"encoding/json"
	"io"
	"net/http"
	"time"

	"github.com/google/uuid"

	"ticketremaster/platform/fault"
	"ticketremaster/platform/money"
	"ticketremaster/platform/token"
	"ticketremaster/platform/web"
	user "ticketremaster/user-service"
	"ticketremaster/user-service/payments"
)

// maxIdempotencyKey is the longest Idempotency-Key a client may send, in bytes.
const maxIdempotencyKey = 255

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

func (a *API) balance(w http.ResponseWriter, r *http.Request) error {
	b, err := a.Store.Balance(r.Context(), token.From(r.Context()).UserID)
	if err != nil {
		return err
	}
	return web.OK(w, map[string]money.Cents{"credit_balance": b})
}

type movementJSON struct {
	ID        int64       `json:"transaction_id"`
	Kind      string      `json:"type"`
	Amount    money.Cents `json:"amount"` // negative: taken
	Balance   money.Cents `json:"balance_after"`
	Reference *uuid.UUID  `json:"reference_id"`
	At        string      `json:"created_at"`
}

func (a *API) transactions(w http.ResponseWriter, r *http.Request) error {
	page, err := web.ReadPage(r)
	if err != nil {
		return err
	}
	list, total, err := a.Store.Movements(r.Context(), token.From(r.Context()).UserID, page.Size, page.Offset())
	if err != nil {
		return err
	}
	out := make([]movementJSON, len(list))
	for i, m := range list {
		out[i] = movementJSON{m.ID, m.Kind, m.Amount, m.Balance, m.ReferenceID, stamp(m.At)}
	}
	return web.List(w, out, page, total)
}

func (a *API) topUp(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Amount json.RawMessage `json:"amount"`
	}
	if err := web.Decode(r, &in); err != nil {
		return err
	}
	amount, err := web.Amount("amount", in.Amount)
	if err != nil {
		return err
	}
	key := r.Header.Get("Idempotency-Key")
	if len(key) > maxIdempotencyKey || key != printable(key) {
		return fault.Field("Idempotency-Key", "must be at most %d characters of text", maxIdempotencyKey)
	}
	t, err := a.Payments.Start(r.Context(), token.From(r.Context()).UserID, amount, key)
	if err != nil {
		return err
	}
	return web.OK(w, map[string]any{"topup_id": t.TopUpID, "client_secret": t.ClientSecret, "amount": t.Amount, "currency": user.Currency})
}

// topUpStatus tells the caller where one of their top-ups stands.
func (a *API) topUpStatus(w http.ResponseWriter, r *http.Request) error {
	id, err := web.PathUUID(r, "id")
	if err != nil {
		return err
	}
	t, err := a.Store.TopUp(r.Context(), id, token.From(r.Context()).UserID)
	if err != nil {
		return err
	}
	out := map[string]any{"topup_id": t.ID, "status": t.Status, "amount": t.Amount, "currency": user.Currency, "created_at": stamp(t.Created),
		"credited_amount": t.Credited, "credited_at": nil, "failure": nil}
	if t.CreditedAt != nil {
		out["credited_at"] = stamp(*t.CreditedAt)
	}
	if t.Status == user.TopUpFailed {
		out["failure"] = map[string]string{"code": t.FailureCode, "message": t.Failure}
	}
	return web.OK(w, out)
}

func (a *API) stripeEvent(w http.ResponseWriter, r *http.Request) error {
	body, err := io.ReadAll(io.LimitReader(r.Body, payments.MaxEvent+1))
	if err != nil {
		return fault.New(fault.Invalid, fault.CodeValidation, "The event could not be read").Because(err)
	}
	if len(body) > payments.MaxEvent {
		return fault.New(fault.TooLarge, fault.CodeTooLarge, "The event is larger than %d KB", payments.MaxEvent>>10)
	}
	if err := a.Payments.Receive(r.Context(), body, r.Header.Get("Stripe-Signature")); err != nil {
		return err
	}
	return web.OK(w, map[string]bool{"received": true})
}
