package httpapi

import (
	"cmp"
	"encoding/base64"
	"net/http"

	"github.com/google/uuid"

	"ticketremaster/orchestrator-service/clients"
	"ticketremaster/orchestrator-service/gate"
	"ticketremaster/orchestrator-service/gate/device"
	"ticketremaster/orchestrator-service/gate/rules"
	"ticketremaster/platform/fault"
	"ticketremaster/platform/web"
	inventoryv1 "ticketremaster/proto/inventory/v1"
)

func (s *Server) gateEvents(w http.ResponseWriter, r *http.Request) error {
	events, err := s.Gate.MyEvents(r.Context(), staff(r))
	if err != nil {
		return err
	}
	views := make([]map[string]any, len(events))
	for i, e := range events {
		views[i] = viewGateEvent(e)
	}
	return web.OK(w, views)
}

func viewGateEvent(e clients.Event) map[string]any {
	return map[string]any{
		"event_id": e.EventID, "name": e.Name, "event_date": e.EventDate.UTC(), "ends_at": e.EndsAt.UTC(), "doors_open_at": e.DoorsOpenAt,
		"timezone": e.Timezone, "hall_id": e.HallID, "venue": e.Venue, "reentry_allowed": e.ReentryAllowed,
	}
}

// gateKeys returns the public keys of the manifests' signatures.
func (s *Server) gateKeys(w http.ResponseWriter, _ *http.Request) error {
	keys := map[string]string{}
	for id, key := range s.Gate.QR.PublicKeys() {
		keys[id] = base64.StdEncoding.EncodeToString(key)
	}
	return web.OK(w, map[string]any{"algorithm": "Ed25519", "keys": keys})
}

func (s *Server) gateEvent(w http.ResponseWriter, r *http.Request) error {
	id, err := web.PathUUID(r, "event_id")
	if err != nil {
		return err
	}
	event, n, err := s.Gate.Inside(r.Context(), staff(r), id)
	if err != nil {
		return err
	}
	view := viewGateEvent(event)
	view["inside"], view["entered"], view["conflicts"] = n.Inside, n.Entered, n.Conflicts
	return web.OK(w, view)
}

func (s *Server) gateTickets(w http.ResponseWriter, r *http.Request) error {
	id, err := web.PathUUID(r, "event_id")
	if err != nil {
		return err
	}
	q := r.URL.Query()
	search := gate.Search{Email: q.Get("email"), Seat: q.Get("seat")}
	if search.Order, err = optionalUUID("order", q.Get("order")); err != nil {
		return err
	}
	if search.With, err = optionalUUID("with", q.Get("with")); err != nil {
		return err
	}
	found, err := s.Gate.Find(r.Context(), staff(r), id, search)
	if err != nil {
		return err
	}
	views := make([]map[string]any, len(found))
	for i, t := range found {
		views[i] = map[string]any{
			"seat_id": t.SeatId, "row_number": t.RowNumber, "seat_number": t.SeatNumber, "owner_name": t.Owner,
			"entered": t.Entered, "left": t.Left, "payment_taken_back": t.TakenBack,
		}
	}
	return web.OK(w, views)
}

func (s *Server) gateEntries(w http.ResponseWriter, r *http.Request) error {
	id, err := web.PathUUID(r, "event_id")
	if err != nil {
		return err
	}
	var in struct {
		deviceFields
		HallID    string `json:"hall_id"`
		Direction string `json:"direction"`
		Entries   []struct {
			SeatID string `json:"seat_id"`
			ScanID string `json:"scan_id"`
		} `json:"entries"`
	}
	if err := web.Decode(r, &in); err != nil {
		return err
	}
	var d gate.Device
	if err := in.read(&d); err != nil {
		return err
	}
	if in.HallID != "" {
		if d.Hall, err = web.Text("hall_id", in.HallID, maxHall); err != nil {
			return err
		}
	}
	direction, err := readDirection(in.Direction)
	if err != nil {
		return err
	}
	if len(in.Entries) < 1 || len(in.Entries) > gate.MostTogether {
		return fault.Field("entries", "must be 1 to %d tickets", gate.MostTogether)
	}
	entries := make([]gate.Entry, len(in.Entries))
	for i, e := range in.Entries {
		if entries[i].SeatID, err = web.UUID("seat_id", e.SeatID); err != nil {
			return err
		}
		if entries[i].ScanID, err = optionalUUID("scan_id", e.ScanID); err != nil {
			return err
		}
	}
	admissions, err := s.Gate.Admit(r.Context(), staff(r), id, d, direction, entries)
	if err != nil {
		return err
	}
	views := make([]map[string]any, len(admissions))
	for i, a := range admissions {
		views[i] = viewAdmission(a)
		views[i]["seat_id"] = a.SeatID
	}
	return web.OK(w, views)
}

func (s *Server) gateUndo(w http.ResponseWriter, r *http.Request) error {
	event, err := web.PathUUID(r, "event_id")
	if err != nil {
		return err
	}
	var in struct {
		SeatID string `json:"seat_id"`
		ScanID string `json:"scan_id"`
		UndoID string `json:"undo_id"`
		Reason string `json:"reason"`
		Device string `json:"device"`
	}
	if err := web.Decode(r, &in); err != nil {
		return err
	}
	seat, err := web.UUID("seat_id", in.SeatID)
	if err != nil {
		return err
	}
	var d gate.Device
	var scan, id uuid.UUID
	if scan, err = optionalUUID("scan_id", in.ScanID); err != nil {
		return err
	}
	if id, err = optionalUUID("undo_id", in.UndoID); err != nil {
		return err
	}
	if err := (deviceFields{Device: in.Device}).read(&d); err != nil {
		return err
	}
	reason, err := web.Text("reason", in.Reason, maxNote)
	if err != nil {
		return err
	}
	now, err := s.Gate.Undo(r.Context(), staff(r), event, seat, scan, id, d.Name, reason)
	if err != nil {
		return err
	}
	return web.OK(w, map[string]any{"seat_id": seat, "entered": now.Status == inventoryv1.SeatStatus_CHECKED_IN, "message": "The check-in was undone"})
}

func (s *Server) gateManifest(w http.ResponseWriter, r *http.Request) error {
	id, err := web.PathUUID(r, "event_id")
	if err != nil {
		return err
	}
	m, err := s.Gate.Manifest(r.Context(), staff(r), id)
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	return web.OK(w, map[string]any{"manifest": string(m.Text), "key_id": m.KeyID, "signature": base64.StdEncoding.EncodeToString(m.Signature)})
}

func (s *Server) gateScans(w http.ResponseWriter, r *http.Request) error {
	event, err := web.PathUUID(r, "event_id")
	if err != nil {
		return err
	}
	var in struct {
		Scans []device.Decided `json:"scans"`
	}
	if err := web.Decode(r, &in); err != nil {
		return err
	}
	if len(in.Scans) < 1 || len(in.Scans) > gate.MostUploaded {
		return fault.Field("scans", "must be 1 to %d", gate.MostUploaded)
	}
	for i := range in.Scans {
		if err := checkDecided(&in.Scans[i]); err != nil {
			return err
		}
	}
	uploads, err := s.Gate.TakeIn(r.Context(), staff(r), event, in.Scans)
	if err != nil {
		return err
	}
	return web.OK(w, map[string]any{"scans": uploads})
}

func checkDecided(d *device.Decided) (err error) {
	undo := d.Direction == device.Undo
	_, known := inventoryv1.ScanResult_value[string(d.Result)]
	switch {
	case d.ScanID == uuid.Nil:
		return fault.Field("scan_id", "is required")
	case d.SeatID == uuid.Nil:
		return fault.Field("seat_id", "is required")
	case d.Direction != rules.In && d.Direction != rules.Out && !undo:
		return fault.Field("direction", "must be IN, OUT or UNDO")
	case !known || d.Result == "SCAN_RESULT_UNSPECIFIED":
		return fault.Field("result", "must be SUCCESS, DUPLICATE, WRONG_HALL, UNPAID, NOT_FOUND or EXPIRED")
	case d.At.IsZero() || d.At.Year() < 2000 || d.At.Year() > 2200:
		return fault.Field("decided_at", "is required: when the device decided, RFC 3339")
	case d.Version < 0:
		return fault.Field("ownership_version", "must not be negative")
	case undo && d.Undoes == uuid.Nil:
		return fault.Field("undoes", "is required of an UNDO: the scan_id of the check-in")
	}
	for _, t := range []struct {
		field    string
		value    *string
		most     int
		required bool
	}{{"device", &d.Device, maxDevice, true}, {"hall_id", &d.Hall, maxHall, false}, {"reason", (*string)(&d.Reason), 40, false}, {"note", &d.Note, maxNote, undo}} {
		if *t.value == "" && !t.required {
			continue
		}
		if *t.value, err = web.Text(t.field, *t.value, t.most); err != nil {
			return err
		}
	}
	return nil
}

func (s *Server) gateConflicts(w http.ResponseWriter, r *http.Request) error {
	id, err := web.PathUUID(r, "event_id")
	if err != nil {
		return err
	}
	page, err := web.ReadPage(r)
	if err != nil {
		return err
	}
	list, total, err := s.Gate.Conflicts(r.Context(), staff(r), id, page)
	if err != nil {
		return err
	}
	views := make([]map[string]any, len(list))
	for i, c := range list {
		view := map[string]any{"scan": viewScan(c.Scan), "standing": nil}
		if c.Standing != nil {
			view["standing"] = viewScan(c.Standing)
		}
		views[i] = view
	}
	return web.List(w, views, page, total)
}

// viewScan is one line of the entry log.
func viewScan(x *inventoryv1.Scan) map[string]any {
	v := map[string]any{
		"log_id": x.ScanId, "seat_id": nullable(x.SeatId), "presented_seat_id": nullable(x.PresentedSeatId),
		"scanned_at": rfc3339(x.ScannedAt.AsTime()), "scanned_by_staff_id": x.StaffId, "result": x.Result.String(),
		"hall_id_presented": x.HallIdPresented, "hall_id_expected": x.HallIdExpected, "hall_id_staff": x.HallIdStaff,
		"direction": x.Direction.String(), "device": x.Device, "reason": x.Reason, "note": x.Note, "manual": x.Manual,
		"offline": x.DecidedAt != nil, "decided_at": nil, "device_result": nil, "conflicts_with": nullable(x.ConflictsWith), "undoes": nullable(x.Undoes),
	}
	if x.DecidedAt != nil {
		v["decided_at"], v["device_result"] = rfc3339(x.DecidedAt.AsTime()), x.DeviceResult.String()
	}
	return v
}

func (s *Server) getAssignments(w http.ResponseWriter, r *http.Request) error {
	id, err := web.PathUUID(r, "user_id")
	if err != nil {
		return err
	}
	a, err := s.Gate.Assignment(r.Context(), id)
	if err != nil {
		return err
	}
	return web.OK(w, map[string]any{"user_id": id, "venue_ids": a.Venues, "event_ids": a.Events})
}

// mostAssigned is how many venues, and how many events, an assignment names.
const mostAssigned = 200

func (s *Server) putAssignments(w http.ResponseWriter, r *http.Request) error {
	id, err := web.PathUUID(r, "user_id")
	if err != nil {
		return err
	}
	var in struct {
		VenueIDs []string `json:"venue_ids"`
		EventIDs []string `json:"event_ids"`
		Reason   string   `json:"reason"`
	}
	if err := web.Decode(r, &in); err != nil {
		return err
	}
	a := rules.Assignment{Venues: make([]uuid.UUID, len(in.VenueIDs)), Events: make([]uuid.UUID, len(in.EventIDs))}
	for _, list := range []struct {
		field string
		in    []string
		out   []uuid.UUID
	}{{"venue_ids", in.VenueIDs, a.Venues}, {"event_ids", in.EventIDs, a.Events}} {
		if len(list.in) > mostAssigned {
			return fault.Field(list.field, "must be at most %d", mostAssigned)
		}
		for i, text := range list.in {
			if list.out[i], err = web.UUID(list.field, text); err != nil {
				return err
			}
		}
	}
	reason, err := web.Text("reason", cmp.Or(in.Reason, "none given"), maxNote)
	if err != nil {
		return err
	}
	if err := s.Gate.Assign(r.Context(), caller(r).UserID, id, a, reason); err != nil {
		return err
	}
	return web.OK(w, map[string]any{"user_id": id, "venue_ids": a.Venues, "event_ids": a.Events})
}

func (s *Server) allowEntry(w http.ResponseWriter, r *http.Request) error {
	seat, err := web.PathUUID(r, "seat_id")
	if err != nil {
		return err
	}
	reason, err := web.ReadReason(r, maxNote)
	if err != nil {
		return err
	}
	if err := s.Gate.AllowEntry(r.Context(), caller(r).UserID, seat, reason); err != nil {
		return err
	}
	return web.OK(w, map[string]any{"seat_id": seat, "message": "This ticket is let in although its payment was taken back"})
}

// offlineTicket returns what a phone needs to make the ticket's codes itself.
func (s *Server) offlineTicket(w http.ResponseWriter, r *http.Request) error {
	seat, err := web.PathUUID(r, "seat_id")
	if err != nil {
		return err
	}
	t, err := s.Tickets.Offline(r.Context(), caller(r).UserID, seat)
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	return web.OK(w, map[string]any{
		"seat_id": seat, "prefix": t.Prefix, "secret": base64.StdEncoding.EncodeToString(t.Secret), "algorithm": "SHA256", "digits": 8, "period_seconds": 30,
	})
}
