package httpapi

import (
	"net/http"

	"github.com/google/uuid"

	"ticketremaster/platform/web"
)

// debts lists who owes what Stripe took back; after is the last user of the page before.
func (a *API) debts(w http.ResponseWriter, r *http.Request) error {
	after := uuid.Nil
	if s := r.URL.Query().Get("after"); s != "" {
		var err error
		if after, err = web.UUID("after", s); err != nil {
			return err
		}
	}
	debtors, err := a.Store.Debtors(r.Context(), after)
	if err != nil {
		return err
	}
	return web.OK(w, debtors)
}
