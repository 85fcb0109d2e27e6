package httpapi

import (
	"net/http"

	"github.com/google/uuid"

	"ticketremaster/platform/web"
)

// debts lists who owes what Stripe took back; after is the last user of the page before.
func (a *API) debts(w http.ResponseWriter, r *http.Request) error {
	after, err := lastRead(r)
	if err != nil {
		return err
	}
	debtors, err := a.Store.Debtors(r.Context(), after)
	if err != nil {
		return err
	}
	return web.OK(w, debtors)
}

// lastRead reads after, the last user of the page before; none for the first page.
func lastRead(r *http.Request) (uuid.UUID, error) {
	s := r.URL.Query().Get("after")
	if s == "" {
		return uuid.Nil, nil
	}
	return web.UUID("after", s)
}
