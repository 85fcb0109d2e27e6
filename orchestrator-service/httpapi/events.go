package httpapi

import (
	"net/http"
	"regexp"

	"ticketremaster/orchestrator-service/clients"
	"ticketremaster/platform/fault"
	"ticketremaster/platform/web"
)

var dateForm = regexp.MustCompile(`^\d{4}-\d{2}-\d{2}$`)

func (s *Server) listEvents(w http.ResponseWriter, r *http.Request) error {
	page, err := web.ReadPage(r)
	if err != nil {
		return err
	}
	filter, err := readEventFilter(r)
	if err != nil {
		return err
	}
	events, total, err := s.Catalogue.List(r.Context(), page, filter)
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

// readEventFilter reads ?date, ?featured and ?past.
func readEventFilter(r *http.Request) (f clients.EventFilter, err error) {
	q := r.URL.Query()
	f = clients.EventFilter{Date: q.Get("date"), Featured: q.Get("featured"), Past: q.Get("past")}
	if f.Date != "" && !dateForm.MatchString(f.Date) {
		return f, fault.Field("date", "must look like 2027-12-31")
	}
	for name, value := range map[string]string{"featured": f.Featured, "past": f.Past} {
		if value != "" && value != "true" && value != "false" {
			return f, fault.Field(name, "must be true or false")
		}
	}
	return f, nil
}
