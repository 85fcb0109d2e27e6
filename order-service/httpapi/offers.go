package httpapi

import (
	"net/http"

	"ticketremaster/platform/web"
)

func (s server) beginOffer(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		OfferID string `json:"offer_id"`
		UserID  string `json:"user_id"`
	}
	if err := web.Decode(r, &in); err != nil {
		return err
	}
	var f fields
	id, user := f.uuid("offer_id", in.OfferID), f.uuid("user_id", in.UserID)
	if f.err != nil {
		return f.err
	}
	if err := s.ledger.BeginOffer(r.Context(), id, user); err != nil {
		return err
	}
	return web.Answer(w, http.StatusCreated, struct{}{})
}

func (s server) refuseOffer(w http.ResponseWriter, r *http.Request) error {
	id, err := web.PathUUID(r, "id")
	if err != nil {
		return err
	}
	if err := s.ledger.RefuseOffer(r.Context(), id); err != nil {
		return err
	}
	return web.OK(w, struct{}{})
}
