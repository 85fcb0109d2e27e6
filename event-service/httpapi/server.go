// Package httpapi serves the catalogue to the other services, as docs/internal-api.md says.
package httpapi

import (
	"context"
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

// New returns the service's handler. Every address but /health wants the bearer secret, one of secrets.
func New(events postgres.Store, secrets ...string) http.Handler {
	s := server{events}
	r := web.NewRouter(events.Pool.Ping)
	r.Group(func(r chi.Router) {
		r.Use(web.RequireService(secrets...))
		r.Method(http.MethodPost, "/events", edge(s.create))
		r.Method(http.MethodGet, "/events", edge(s.list))
		r.Method(http.MethodGet, "/events/{id}", edge(s.get))
		r.Method(http.MethodDelete, "/events/{id}", edge(s.remove))
		r.Method(http.MethodPatch, "/events/{id}", edge(s.change((*event.Event).Apply)))
		r.Method(http.MethodPost, "/events/{id}/publish", edge(s.publish))
		r.Method(http.MethodPost, "/events/{id}/postpone", edge(s.change((*event.Event).Postpone)))
		r.Method(http.MethodPost, "/events/{id}/cancel", edge(s.change((*event.Event).Cancel)))
		r.Method(http.MethodPost, "/events/{id}/capacity", edge(s.grow))
		r.Method(http.MethodPost, "/events/{id}/notes", edge(s.note))
		r.Method(http.MethodGet, "/events/{id}/changes", edge(s.history))
	})
	return r
}

// edge sets a handler's deadline and is the one place where errors of the database become faults.
func edge(h web.Handler) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		ctx, cancel := context.WithTimeout(r.Context(), requestLimit)
		defer cancel()
		return database.Fault(h(w, r.WithContext(ctx)), "the catalogue")
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

// readFilter reads ?date, ?featured, ?past and ?status.
func readFilter(r *http.Request) (f event.Filter, err error) {
	q := r.URL.Query()
	if s := q.Get("date"); s != "" {
		if f.Day, err = event.Day("date", s); err != nil {
			return f, err
		}
	}
	if f.Featured, err = flag("featured", q.Get("featured")); err != nil {
		return f, err
	}
	past, err := flag("past", q.Get("past"))
	f.Past = past != nil && *past
	if f.Status = event.Status(q.Get("status")); err == nil && f.Status != "" && !f.Status.Valid() {
		err = fault.Field("status", "must be DRAFT, PUBLISHED, POSTPONED or CANCELLED")
	}
	return f, err
}

// flag reads true or false; nil if it is not given.
func flag(field, value string) (*bool, error) {
	switch value {
	case "":
		return nil, nil
	case "true", "1":
		yes := true
		return &yes, nil
	case "false", "0":
		no := false
		return &no, nil
	}
	return nil, fault.Field(field, "must be true or false")
}
