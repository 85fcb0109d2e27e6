package httpapi

import (
	"encoding/json"
	"net/http"

	"github.com/google/uuid"

	event "ticketremaster/event-service"
	"ticketremaster/platform/web"
)

// readDraft reads the body of POST /events.
func readDraft(r *http.Request) (event.Draft, error) {
	var in struct {
		EventID string `json:"event_id"`
		Name    string `json:"name"`
		Venue   struct {
			Name       string `json:"name"`
			Address    string `json:"address"`
			City       string `json:"city"`
			TotalHalls int    `json:"total_halls"`
			Timezone   string `json:"timezone"`
		} `json:"venue"`
		HallID          string                     `json:"hall_id"`
		EventDate       string                     `json:"event_date"`
		EndsAt          string                     `json:"ends_at"`
		DoorsOpenAt     string                     `json:"doors_open_at"`
		SalesStart      string                     `json:"sales_start"`
		SalesEnd        string                     `json:"sales_end"`
		AllowPast       bool                       `json:"allow_past"`
		DurationMinutes int                        `json:"duration_minutes"`
		TotalSeats      int                        `json:"total_seats"`
		SeatsPerRow     int                        `json:"seats_per_row"`
		PricingTiers    map[string]json.RawMessage `json:"pricing_tiers"`
		Image           string                     `json:"image"`
		Featured        bool                       `json:"featured"`
		CreatedBy       string                     `json:"created_by"`
		event.Rules
	}
	if err := web.Decode(r, &in); err != nil {
		return event.Draft{}, err
	}
	id, err := web.UUID("event_id", in.EventID)
	if err != nil {
		return event.Draft{}, err
	}
	var by uuid.UUID
	if in.CreatedBy != "" {
		if by, err = web.UUID("created_by", in.CreatedBy); err != nil {
			return event.Draft{}, err
		}
	}
	tiers := make(event.Tiers, len(in.PricingTiers))
	for name, raw := range in.PricingTiers {
		if tiers[name], err = web.Amount("pricing_tiers."+name, raw); err != nil {
			return event.Draft{}, err
		}
	}
	d := event.Draft{
		ID: id, Name: in.Name,
		Venue:  event.Venue{Name: in.Venue.Name, Address: in.Venue.Address, City: in.Venue.City, TotalHalls: in.Venue.TotalHalls, Timezone: in.Venue.Timezone},
		HallID: in.HallID, By: by, AllowPast: in.AllowPast, DurationMinutes: in.DurationMinutes,
		Times:      event.Times{Date: in.EventDate, EndsAt: in.EndsAt, DoorsOpenAt: in.DoorsOpenAt, SalesStart: in.SalesStart, SalesEnd: in.SalesEnd},
		TotalSeats: in.TotalSeats, SeatsPerRow: in.SeatsPerRow, Tiers: tiers, Rules: in.Rules, Image: in.Image, Featured: in.Featured,
	}
	return d, d.Check()
}
