package httpapi

import (
	"net/http"
	"regexp"

	"github.com/google/uuid"

	orchestrator "ticketremaster/orchestrator-service"
	"ticketremaster/orchestrator-service/clients"
	"ticketremaster/platform/fault"
	"ticketremaster/platform/money"
	"ticketremaster/platform/web"
)

// eventView is an event in public; its own answer has its seats too (seatmap.go).
type eventView struct {
	EventID        uuid.UUID              `json:"event_id"`
	Name           string                 `json:"name"`
	EventDate      string                 `json:"event_date"`
	EndsAt         string                 `json:"ends_at"`
	Venue          clients.Venue          `json:"venue"`
	HallID         string                 `json:"hall_id"`
	PricingTiers   map[string]money.Cents `json:"pricing_tiers"`
	TotalSeats     int                    `json:"total_seats"`
	AvailableSeats int                    `json:"available_seats"`
	Image          string                 `json:"image"`
	Featured       bool                   `json:"featured"`
}

func viewEvent(e clients.Event, available int) eventView {
	const layout = "2006-01-02T15:04:05Z"
	return eventView{
		EventID: e.EventID, Name: e.Name, EventDate: e.EventDate.UTC().Format(layout), EndsAt: e.EndsAt.UTC().Format(layout),
		Venue: e.Venue, HallID: e.HallID, PricingTiers: e.PricingTiers, TotalSeats: e.TotalSeats, AvailableSeats: available,
		Image: e.Image, Featured: e.Featured,
	}
}

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
	events, total, err := s.Flows.ListEvents(r.Context(), page, q.Get("date"), q.Get("featured"))
	if err != nil {
		return err
	}
	return web.List(w, viewListed(events), page, total)
}

func viewListed(events []orchestrator.Listed) []eventView {
	views := make([]eventView, len(events))
	for i, e := range events {
		views[i] = viewEvent(e.Event, e.AvailableSeats)
	}
	return views
}

func (s *Server) getEvent(w http.ResponseWriter, r *http.Request) error {
	id, err := web.PathUUID(r, "event_id")
	if err != nil {
		return err
	}
	return s.maps.serve(w, r, id)
}
