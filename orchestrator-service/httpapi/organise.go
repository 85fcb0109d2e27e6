package httpapi

import (
	"bytes"
	"encoding/json"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"ticketremaster/orchestrator-service/catalogue"
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

// blockSeats serves what takes seats off sale, or puts them back.
func (s *Server) blockSeats(blocked bool) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		b := catalogue.Blocking{Admin: caller(r).UserID, Blocked: blocked}
		var in struct {
			SeatIDs []string `json:"seat_ids"`
			Reason  string   `json:"reason"`
		}
		var err error
		if b.EventID, err = web.PathUUID(r, "event_id"); err != nil {
			return err
		}
		if err := web.Decode(r, &in); err != nil {
			return err
		}
		if b.Reason, err = web.Text("reason", in.Reason, maxAdminReason); err != nil {
			return err
		}
		if len(in.SeatIDs) == 0 || len(in.SeatIDs) > maxBlocked {
			return fault.Field("seat_ids", "must be 1 to %d seats", maxBlocked)
		}
		for _, text := range in.SeatIDs {
			id, err := web.UUID("seat_ids", text)
			if err != nil {
				return err
			}
			b.SeatIDs = append(b.SeatIDs, id)
		}
		done, err := s.Catalogue.Block(r.Context(), b)
		if err != nil {
			return err
		}
		return web.Answer(w, status(done.Pending), map[string]any{"event_id": b.EventID, "seat_ids": b.SeatIDs, "blocked": blocked})
	}
}

// maxBlocked bounds one request to block seats.
const maxBlocked = 1000

// addRows serves POST /admin/events/{event_id}/rows.
func (s *Server) addRows(w http.ResponseWriter, r *http.Request) error {
	a := catalogue.Addition{Admin: caller(r).UserID}
	var in struct {
		Rows        int             `json:"rows"`
		SeatsPerRow int             `json:"seats_per_row"`
		Tier        string          `json:"tier"`
		Price       json.RawMessage `json:"price"`
		Reason      string          `json:"reason"`
	}
	var err error
	if a.EventID, err = web.PathUUID(r, "event_id"); err != nil {
		return err
	}
	if err := web.Decode(r, &in); err != nil {
		return err
	}
	if a.Reason, err = web.Text("reason", in.Reason, maxAdminReason); err != nil {
		return err
	}
	if a.Tier, err = web.Text("tier", in.Tier, maxTierName); err != nil {
		return err
	}
	switch a.Rows, a.SeatsPerRow = in.Rows, in.SeatsPerRow; {
	case a.Rows < 1 || a.Rows > catalogue.MostAdded:
		return fault.Field("rows", "must be a whole number from 1 to %d", catalogue.MostAdded)
	case a.SeatsPerRow < 1 || a.SeatsPerRow > maxSeatsPerRow:
		return fault.Field("seats_per_row", "must be a whole number from 1 to %d", maxSeatsPerRow)
	}
	if len(in.Price) > 0 && string(in.Price) != "null" {
		price, err := web.Amount("price", in.Price)
		if err != nil {
			return err
		}
		a.Price = &price
	}
	key, err := idempotencyKey(r)
	if err != nil {
		return err
	}
	done, err := s.Catalogue.AddRows(r.Context(), key, a)
	if err != nil {
		return err
	}
	if done.Pending {
		return web.Answer(w, http.StatusAccepted, map[string]any{"event_id": a.EventID, "status": "PENDING"})
	}
	return web.Answer(w, http.StatusCreated, map[string]any{
		"event_id": a.EventID, "seats_added": a.Rows * a.SeatsPerRow, "first_row": done.State.FirstRow, "last_row": done.State.LastRow,
	})
}

// Limits of added rows, as the event service has them.
const (
	maxTierName    = 32
	maxSeatsPerRow = 1000
)
