package httpapi

import (
	"bytes"
	"encoding/json"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"ticketremaster/orchestrator-service/clients"
	"ticketremaster/platform/fault"
	"ticketremaster/platform/web"
)

// hallForm keeps a hall's name short enough for a QR code of 200 characters.
var hallForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9 ._/-]{0,19}$`)

func (s *Server) createEvent(w http.ResponseWriter, r *http.Request) error {
	body := map[string]json.RawMessage{}
	if err := web.Decode(r, &body); err != nil {
		return err
	}
	var hall string
	if err := json.Unmarshal(body["hall_id"], &hall); err != nil || !hallForm.MatchString(hall) {
		return fault.Field("hall_id", "is required: 1 to 20 letters, digits, spaces or . _ / -")
	}
	for field, raw := range body {
		var err error
		if body[field], err = storable(field, raw); err != nil {
			return err
		}
	}
	key, err := idempotencyKey(r)
	if err != nil {
		return err
	}
	made, err := s.Catalogue.CreateEvent(r.Context(), caller(r).UserID, key, body)
	if err != nil {
		return err
	}
	if made.Pending {
		return web.Answer(w, http.StatusAccepted, map[string]any{"event_id": made.State.EventID, "status": "PENDING"})
	}
	return web.Answer(w, http.StatusCreated, map[string]any{
		"event_id": made.State.EventID, "seats_created": made.State.SeatsCreated, "warnings": warnings(made.State.Event),
	})
}

// storable returns a field in the form in which the saga log can hold it: UTF-8 without NUL, which PostgreSQL's JSON
// refuses. All else is checked by the event service.
func storable(field string, raw json.RawMessage) (json.RawMessage, error) {
	var v any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber() // an amount stays as it was written
	if err := d.Decode(&v); err != nil {
		return nil, fault.Field(field, "is not usable JSON").Because(err)
	}
	clean, err := json.Marshal(v)
	if err == nil && bytes.Contains(bytes.ReplaceAll(clean, []byte(`\\`), nil), []byte(`\u0000`)) {
		err = fault.Field(field, "must not have control characters")
	}
	return clean, err
}

// maxKey bounds an Idempotency-Key, in characters.
const maxKey = 255

func idempotencyKey(r *http.Request) (string, error) {
	key := r.Header.Get("Idempotency-Key")
	if key == "" {
		return "", nil
	}
	return web.Text("Idempotency-Key", key, maxKey)
}

func warnings(e clients.Event) []clients.Warning {
	if e.Warnings == nil {
		return []clients.Warning{}
	}
	return e.Warnings
}

// listEventsAsAdmin lists drafts and cancelled events too.
func (s *Server) listEventsAsAdmin(w http.ResponseWriter, r *http.Request) error {
	page, err := web.ReadPage(r)
	if err != nil {
		return err
	}
	filter, err := readEventFilter(r)
	if err != nil {
		return err
	}
	filter.Status = r.URL.Query().Get("status")
	events, total, err := s.Catalogue.Events.List(r.Context(), page, filter)
	if err != nil {
		return err
	}
	if events == nil {
		events = []clients.Event{}
	}
	return web.List(w, events, page, total)
}

func (s *Server) getEventAsAdmin(w http.ResponseWriter, r *http.Request) error {
	id, err := web.PathUUID(r, "event_id")
	if err != nil {
		return err
	}
	e, err := s.Catalogue.Events.Get(r.Context(), id)
	if err != nil {
		return err
	}
	return answerEvent(w, e)
}

// answerEvent answers an event with the version that a change has to name.
func answerEvent(w http.ResponseWriter, e clients.Event) error {
	w.Header().Set("ETag", `"`+strconv.Itoa(e.Version)+`"`)
	return web.OK(w, e)
}

// changeEvent serves changes of an event by the fields of the body.
func (s *Server) changeEvent(how string) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		id, change, err := readEventChange(r)
		if err != nil {
			return err
		}
		e, err := s.Catalogue.Events.Change(r.Context(), id, how, change)
		if err != nil {
			return err
		}
		return answerEvent(w, e)
	}
}

// readEventChange reads a change: reason, version and allow_past, and beside them the fields to be changed.
func readEventChange(r *http.Request) (id uuid.UUID, c clients.EventChange, err error) {
	if id, err = web.PathUUID(r, "event_id"); err != nil {
		return id, c, err
	}
	if err = web.Decode(r, &c.Fields); err != nil {
		return id, c, err
	}
	c.By = caller(r).UserID
	for field, to := range map[string]any{"reason": &c.Reason, "version": &c.Version, "allow_past": &c.AllowPast} {
		if raw, given := c.Fields[field]; given {
			if json.Unmarshal(raw, to) != nil {
				return id, c, fault.Field(field, "is not usable")
			}
			delete(c.Fields, field)
		}
	}
	if c.Reason, err = web.Text("reason", c.Reason, maxAdminReason); err != nil {
		return id, c, err
	}
	if match := r.Header.Get("If-Match"); match != "" {
		c.Version, err = strconv.Atoi(strings.Trim(strings.TrimPrefix(match, "W/"), `"`))
		if err != nil {
			return id, c, fault.Field("If-Match", "must be the ETag of the event")
		}
	}
	if c.Version < 1 {
		return id, c, fault.Field("version", "is required: that of the event that you looked at, here or in If-Match")
	}
	return id, c, nil
}

// maxAdminReason bounds the reason of an administrator's change, in characters.
const maxAdminReason = 500

func (s *Server) listEventChanges(w http.ResponseWriter, r *http.Request) error {
	id, err := web.PathUUID(r, "event_id")
	if err != nil {
		return err
	}
	page, err := web.ReadPage(r)
	if err != nil {
		return err
	}
	changes, total, err := s.Catalogue.Events.Changes(r.Context(), id, page)
	if err != nil {
		return err
	}
	return web.List(w, changes, page, total)
}
