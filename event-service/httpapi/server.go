// Package httpapi serves the catalogue to the other services, as docs/internal-api.md says.
package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"

	event "ticketremaster/event-service"
	"ticketremaster/event-service/postgres"
	"ticketremaster/platform/database"
	"ticketremaster/platform/fault"
	"ticketremaster/platform/web"
)

// requestLimit bounds a request, the wait for a connection to the database included. Callers wait no longer than that.
const requestLimit = 5 * time.Second

type server struct{ events postgres.Store }

// New gives the service's handler. Every address but /health wants the bearer secret.
func New(events postgres.Store, secret string) http.Handler {
	s := server{events}
	r := web.NewRouter(events.Pool.Ping)
	r.Group(func(r chi.Router) {
		r.Use(web.RequireService(secret))
		r.Method(http.MethodPost, "/events", edge(s.create))
		r.Method(http.MethodGet, "/events", edge(s.list))
		r.Method(http.MethodGet, "/events/{id}", edge(s.get))
		r.Method(http.MethodDelete, "/events/{id}", edge(s.remove))
		r.Method(http.MethodPost, "/events/{id}/publish", edge(s.publish))
	})
	return r
}

// edge gives a handler its deadline, and is the one place where the database's errors become faults.
func edge(h web.Handler) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		ctx, cancel := context.WithTimeout(r.Context(), requestLimit)
		defer cancel()
		err := h(w, r.WithContext(ctx))
		var known *fault.Error
		if err != nil && !errors.As(err, &known) && database.Unreachable(err) {
			return fault.Unreachable("the catalogue", err)
		}
		return err
	}
}

func (s server) create(w http.ResponseWriter, r *http.Request) error {
	draft, err := readDraft(r)
	if err != nil {
		return err
	}
	e, err := s.events.Create(r.Context(), draft)
	if err != nil {
		return err
	}
	return web.Answer(w, http.StatusCreated, e)
}

func (s server) publish(w http.ResponseWriter, r *http.Request) error {
	id, err := web.PathUUID(r, "id")
	if err != nil {
		return err
	}
	e, err := s.events.Publish(r.Context(), id)
	if err != nil {
		return err
	}
	return web.OK(w, e)
}

func (s server) remove(w http.ResponseWriter, r *http.Request) error {
	id, err := web.PathUUID(r, "id")
	if err != nil {
		return err
	}
	if err := s.events.Delete(r.Context(), id); err != nil {
		return err
	}
	return web.OK(w, map[string]any{"event_id": id, "deleted": true})
}

func (s server) get(w http.ResponseWriter, r *http.Request) error {
	id, err := web.PathUUID(r, "id")
	if err != nil {
		return err
	}
	e, err := s.events.Get(r.Context(), id)
	if err != nil {
		return err
	}
	return web.OK(w, e)
}

func (s server) list(w http.ResponseWriter, r *http.Request) error {
	filter, err := readFilter(r)
	if err != nil {
		return err
	}
	page, err := web.ReadPage(r)
	if err != nil {
		return err
	}
	events, total, err := s.events.List(r.Context(), filter, page)
	if err != nil {
		return err
	}
	return web.List(w, events, page, total)
}

// readDraft reads and checks the body of POST /events.
func readDraft(r *http.Request) (event.Draft, error) {
	var in struct {
		EventID string `json:"event_id"`
		Name    string `json:"name"`
		Venue   struct {
			Name       string `json:"name"`
			Address    string `json:"address"`
			City       string `json:"city"`
			TotalHalls int    `json:"total_halls"`
		} `json:"venue"`
		HallID          string                     `json:"hall_id"`
		EventDate       string                     `json:"event_date"`
		DurationMinutes int                        `json:"duration_minutes"`
		TotalSeats      int                        `json:"total_seats"`
		SeatsPerRow     int                        `json:"seats_per_row"`
		PricingTiers    map[string]json.RawMessage `json:"pricing_tiers"`
		Image           string                     `json:"image"`
		Featured        bool                       `json:"featured"`
	}
	if err := web.Decode(r, &in); err != nil {
		return event.Draft{}, err
	}
	id, err := web.UUID("event_id", in.EventID)
	if err != nil {
		return event.Draft{}, err
	}
	date, err := event.ParseDate("event_date", in.EventDate)
	if err != nil {
		return event.Draft{}, err
	}
	tiers := make(event.Tiers, len(in.PricingTiers))
	for name, raw := range in.PricingTiers {
		if tiers[name], err = web.Amount("pricing_tiers."+name, raw); err != nil {
			return event.Draft{}, err
		}
	}
	d := event.Draft{
		ID: id, Name: in.Name,
		Venue:  event.Venue{Name: in.Venue.Name, Address: in.Venue.Address, City: in.Venue.City, TotalHalls: in.Venue.TotalHalls},
		HallID: in.HallID, Date: date, DurationMinutes: in.DurationMinutes,
		TotalSeats: in.TotalSeats, SeatsPerRow: in.SeatsPerRow, Tiers: tiers, Image: in.Image, Featured: in.Featured,
	}
	return d, d.Check()
}

// readFilter reads ?date and ?featured.
func readFilter(r *http.Request) (f event.Filter, err error) {
	q := r.URL.Query()
	if s := q.Get("date"); s != "" {
		day, err := event.ParseDay("date", s)
		if err != nil {
			return f, err
		}
		f.Date = &day
	}
	switch q.Get("featured") {
	case "":
	case "true", "1":
		yes := true
		f.Featured = &yes
	case "false", "0":
		no := false
		f.Featured = &no
	default:
		return f, fault.Field("featured", "must be true or false")
	}
	return f, nil
}
