package httpapi

import (
	"net/http"

	"github.com/go-chi/chi/v5"

	"ticketremaster/platform/fault"
	"ticketremaster/platform/web"
)

// listPayments lists payments of which Stripe said something that did not fit: an unknown top-up, a wrong currency.
func (s *Server) listPayments(w http.ResponseWriter, r *http.Request) error {
	page, err := web.ReadPage(r)
	if err != nil {
		return err
	}
	state := r.URL.Query().Get("state")
	if state != "" && state != "anomaly" && state != "resolved" {
		return fault.Field("state", "must be anomaly or resolved")
	}
	payments, total, err := s.Users.Payments(r.Context(), state, page)
	if err != nil {
		return err
	}
	return web.List(w, payments, page, total)
}

func (s *Server) resolvePayment(w http.ResponseWriter, r *http.Request) error {
	reason, err := web.ReadReason(r, maxAdminReason)
	if err != nil {
		return err
	}
	payment, err := s.Users.ResolvePayment(r.Context(), chi.URLParam(r, "payment_intent_id"), caller(r).UserID, reason)
	if err != nil {
		return err
	}
	return web.OK(w, payment)
}
