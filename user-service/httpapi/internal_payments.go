package httpapi

import (
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"

	"ticketremaster/platform/fault"
	"ticketremaster/platform/money"
	"ticketremaster/platform/web"
	user "ticketremaster/user-service"
	"ticketremaster/user-service/postgres"
)

// maxReason is the longest reason of a resolution, in characters.
const maxReason = 500

type paymentJSON struct {
	Intent    string         `json:"payment_intent_id"`
	State     string         `json:"state"`
	TopUpID   *uuid.UUID     `json:"topup_id"`
	UserID    *uuid.UUID     `json:"user_id"`
	Paid      *money.Cents   `json:"paid"`
	Currency  *string        `json:"currency"`
	Refunded  money.Cents    `json:"refunded"`
	TakenBack money.Cents    `json:"taken_back"`
	Created   string         `json:"created_at"`
	Anomalies []user.Anomaly `json:"anomalies"`
}

func paymentToJSON(p user.Payment) paymentJSON {
	state := postgres.Resolved
	for i, a := range p.Anomalies {
		if a.ResolvedAt == nil {
			state = postgres.Anomalous
		}
		p.Anomalies[i].At = a.At.UTC()
	}
	return paymentJSON{p.Intent, state, p.TopUpID, p.UserID, p.Paid, p.Currency, p.Refunded, p.TakenBack, stamp(p.Created), p.Anomalies}
}

// listPayments lists payments with something that did not fit; state is anomaly, the default, or resolved.
func (a *API) listPayments(w http.ResponseWriter, r *http.Request) error {
	page, err := web.ReadPage(r)
	if err != nil {
		return err
	}
	state := r.URL.Query().Get("state")
	switch state {
	case "":
		state = postgres.Anomalous
	case postgres.Anomalous, postgres.Resolved:
	default:
		return fault.Field("state", "must be %s or %s", postgres.Anomalous, postgres.Resolved)
	}
	list, total, err := a.Store.Payments(r.Context(), state, page.Size, page.Offset())
	if err != nil {
		return err
	}
	out := make([]paymentJSON, len(list))
	for i, p := range list {
		out[i] = paymentToJSON(p)
	}
	return web.List(w, out, page, total)
}

// payers lists whose top-up is under way; after is the last user of the page before.
func (a *API) payers(w http.ResponseWriter, r *http.Request) error {
	after, err := lastRead(r)
	if err != nil {
		return err
	}
	payers, err := a.Store.Payers(r.Context(), after)
	if err != nil {
		return err
	}
	return web.OK(w, payers)
}

func (a *API) resolvePayment(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		By     string `json:"by_user_id"`
		Reason string `json:"reason"`
	}
	if err := web.Decode(r, &in); err != nil {
		return err
	}
	by, err := web.UUID("by_user_id", in.By)
	if err != nil {
		return err
	}
	reason := strings.TrimSpace(printable(in.Reason))
	if err := required("reason", reason); err != nil {
		return err
	}
	if utf8.RuneCountInString(reason) > maxReason {
		return fault.Field("reason", "must have at most %d characters", maxReason)
	}
	p, err := a.Store.Resolve(r.Context(), printable(chi.URLParam(r, "id")), by, reason)
	if err != nil {
		return err
	}
	return web.OK(w, paymentToJSON(p))
}
