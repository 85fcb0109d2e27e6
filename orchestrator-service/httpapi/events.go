package httpapi

import (
	"net/http"
	"regexp"

	"ticketremaster/platform/fault"
	"ticketremaster/platform/web"
)

var dateForm = regexp.MustCompile(`^\d{4}-\d{2}-\d{2}$`)

func (s *Server) listEvents(w http.ResponseWriter, r *http.Request) error {
	page, err := web.ReadPage(r)
	if err != nil {
		return err
	}
	q := r.URL.Query()
	if d := q.Get("date"); d != "" && !dateForm.MatchString(d) {
		return fault.Field("date", "must look like 2027-12-31")
	}
	if f := q.Get("featured"); f != "" && f != "true" && f != "false" {
		return fault.Field("featured", "must be true or false")
	}
	events, total, err := s.Catalogue.List(r.Context(), page, q.Get("date"), q.Get("featured"))
	if err != nil {
		return err
	}
	return web.List(w, events, page, total)
}

func (s *Server) getEvent(w http.ResponseWriter, r *http.Request) error {
	id, err := web.PathUUID(r, "event_id")
	if err != nil {
		return err
	}
	return s.SeatMaps.Serve(w, r, id)
}
