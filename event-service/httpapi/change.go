package httpapi

import (
	"encoding/json"
	"net/http"

	"github.com/google/uuid"

	event "ticketremaster/event-service"
	"ticketremaster/platform/fault"
	"ticketremaster/platform/money"
	"ticketremaster/platform/web"
)

// authorJSON is who changes an event, and why, in the body of every change.
type authorJSON struct {
	ChangedBy   string `json:"changed_by"`
	Reason      string `json:"reason"`
	OperationID string `json:"operation_id"`
	Version     int    `json:"version"`
	AllowPast   bool   `json:"allow_past"`
}

func (in authorJSON) author() (a event.Author, err error) {
	if a.By, err = web.UUID("changed_by", in.ChangedBy); err != nil {
		return a, err
	}
	if in.OperationID != "" {
		if a.Operation, err = web.UUID("operation_id", in.OperationID); err != nil {
			return a, err
		}
	}
	if in.Version < 0 {
		return a, fault.Field("version", "must be a version of the event")
	}
	a.Version, a.AllowPast = in.Version, in.AllowPast
	a.Reason, err = web.Text("reason", in.Reason, event.MaxReason)
	return a, err
}

// change serves what changes an event by the fields in the body.
func (s server) change(how func(*event.Event, event.Patch) error) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		var in struct {
			authorJSON
			Fields event.Patch `json:"fields"`
		}
		id, author, err := readChange(r, &in, &in.authorJSON)
		if err != nil {
			return err
		}
		e, err := s.events.Change(r.Context(), id, author, func(e *event.Event) error { return how(e, in.Fields) })
		if err != nil {
			return err
		}
		return web.OK(w, e)
	}
}

func readChange(r *http.Request, in any, by *authorJSON) (id uuid.UUID, author event.Author, err error) {
	if id, err = web.PathUUID(r, "id"); err != nil {
		return id, author, err
	}
	if err = web.Decode(r, in); err != nil {
		return id, author, err
	}
	author, err = by.author()
	return id, author, err
}

// publish serves POST /events/{id}/publish; its body may be empty.
func (s server) publish(w http.ResponseWriter, r *http.Request) error {
	id, err := web.PathUUID(r, "id")
	if err != nil {
		return err
	}
	var author event.Author
	if r.ContentLength != 0 {
		var in authorJSON
		if _, author, err = readChange(r, &in, &in); err != nil {
			return err
		}
	}
	e, err := s.events.Publish(r.Context(), id, author)
	if err != nil {
		return err
	}
	return web.OK(w, e)
}

// grow serves POST /events/{id}/capacity: seats were added.
func (s server) grow(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		authorJSON
		Seats int             `json:"seats"`
		Tier  string          `json:"tier"`
		Price json.RawMessage `json:"price"`
	}
	id, author, err := readChange(r, &in, &in.authorJSON)
	if err != nil {
		return err
	}
	if author.Operation == uuid.Nil {
		return fault.Field("operation_id", "is required")
	}
	var price *money.Cents
	if len(in.Price) > 0 && string(in.Price) != "null" {
		c, err := web.Amount("price", in.Price)
		if err != nil {
			return err
		}
		price = &c
	}
	e, err := s.events.Change(r.Context(), id, author, func(e *event.Event) error { return e.Grow(in.Seats, in.Tier, price) })
	if err != nil {
		return err
	}
	return web.OK(w, e)
}

// note serves POST /events/{id}/notes: a change that was made elsewhere, for the history.
func (s server) note(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		authorJSON
		Field string          `json:"field"`
		From  json.RawMessage `json:"from"`
		To    json.RawMessage `json:"to"`
	}
	id, author, err := readChange(r, &in, &in.authorJSON)
	if err != nil {
		return err
	}
	field, err := web.Text("field", in.Field, 50)
	if err != nil {
		return err
	}
	if err := s.events.Note(r.Context(), id, author, []event.FieldChange{{Field: field, Old: in.From, New: in.To}}); err != nil {
		return err
	}
	return web.OK(w, nil)
}

func (s server) history(w http.ResponseWriter, r *http.Request) error {
	id, err := web.PathUUID(r, "id")
	if err != nil {
		return err
	}
	page, err := web.ReadPage(r)
	if err != nil {
		return err
	}
	changes, total, err := s.events.History(r.Context(), id, page)
	if err != nil {
		return err
	}
	return web.List(w, changes, page, total)
}
