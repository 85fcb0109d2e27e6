package httpapi

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/google/uuid"

	"ticketremaster/orchestrator-service/gate"
	"ticketremaster/orchestrator-service/gate/rules"
	"ticketremaster/platform/fault"
	"ticketremaster/platform/web"
)

// Limits of what a gate's device says of itself, in characters.
const (
	maxHall   = 20
	maxDevice = 64
	maxNote   = 500
)

func staff(r *http.Request) gate.Staff {
	c := caller(r)
	return gate.Staff{ID: c.UserID, Admin: c.IsAdmin()}
}

// verify decides a scan; every decided one is 200, for the gatekeeper app (docs/clients.md#the-gatekeeper-app).
func (s *Server) verify(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		QR      string `json:"qr_payload"`
		HallID  string `json:"hall_id"`
		StaffID string `json:"staff_id"`
		deviceFields
		ScanID    string `json:"scan_id"`
		Direction string `json:"direction"`
	}
	if err := web.Decode(r, &in); err != nil {
		return err
	}
	if in.QR == "" {
		return fault.Field("qr_payload", "is required")
	}
	scan := gate.Scan{Payload: in.QR}
	var err error
	if scan.Hall, err = web.Text("hall_id", in.HallID, maxHall); err != nil { // where the member of staff stands
		return err
	}
	if err := mustBeCaller(r, "staff_id", in.StaffID); err != nil {
		return err
	}
	if err := in.read(&scan.Device); err != nil {
		return err
	}
	if scan.ID, err = optionalUUID("scan_id", in.ScanID); err != nil {
		return err
	}
	if scan.Direction, err = readDirection(in.Direction); err != nil {
		return err
	}
	a, err := s.Gate.Verify(r.Context(), staff(r), scan)
	if err != nil {
		return err
	}
	return web.OK(w, viewAdmission(a))
}

// deviceFields are what a device may say of itself.
type deviceFields struct {
	Device  string `json:"device"`
	EventID string `json:"event_id"`
}

func (f deviceFields) read(d *gate.Device) (err error) {
	if f.Device != "" {
		if d.Name, err = web.Text("device", f.Device, maxDevice); err != nil {
			return err
		}
	}
	d.Event, err = optionalUUID("event_id", f.EventID)
	return err
}

func readDirection(text string) (rules.Direction, error) {
	switch d := rules.Direction(text); d {
	case "":
		return rules.In, nil
	case rules.In, rules.Out:
		return d, nil
	}
	return "", fault.Field("direction", "must be IN or OUT")
}

func optionalUUID(field, text string) (uuid.UUID, error) {
	if text == "" {
		return uuid.Nil, nil
	}
	return web.UUID(field, text)
}

func viewAdmission(a gate.Admission) map[string]any {
	out := map[string]any{"result": a.Result, "message": a.Message}
	if a.Reason != "" {
		out["reason"] = a.Reason
	}
	if a.Seat != nil {
		out["seat_id"], out["row_number"], out["seat_number"] = a.Seat.SeatId, a.Seat.RowNumber, a.Seat.SeatNumber
		out["owner_name"], out["scan_id"] = a.Owner, a.ScanID
	}
	return out
}

// verifyForWebApp is verify for the staff page of the web app: a refusal is a 4xx there, and the member of staff's
// assignment decides where they stand (docs/clients.md).
func (s *Server) verifyForWebApp(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		QR string `json:"qr_hash"` // the scanned string, whatever it is called
	}
	if err := web.Decode(r, &in); err != nil {
		return err
	}
	if in.QR == "" {
		return fault.Field("qr_hash", "is required")
	}
	a, err := s.Gate.Verify(r.Context(), staff(r), gate.Scan{Payload: in.QR, Direction: rules.In})
	switch {
	case errors.Is(err, gate.ErrQRInvalid):
		return fault.New(fault.NotFound, codeTicketNotFound, "This is not a ticket of ours, or the code is damaged")
	case err != nil:
		return err
	case a.Result == rules.Success:
		return web.OK(w, viewAdmission(a))
	case a.Result == rules.WrongHall:
		return refuseVenue(w, a)
	}
	return refusals[a.Result].with(a.Message)
}

// Codes of the web app's staff page.
const (
	codeTicketNotFound = "TICKET_NOT_FOUND"
	codeWrongVenue     = "WRONG_VENUE"
)

type refusal struct {
	kind fault.Kind
	code string
}

func (r refusal) with(message string) error { return fault.New(r.kind, r.code, "%s", message) }

// refusals are what the page tells apart; UNPAID is ours.
var refusals = map[rules.Result]refusal{
	rules.NotFound:  {fault.NotFound, codeTicketNotFound},
	rules.Duplicate: {fault.Conflict, "TICKET_ALREADY_USED"},
	rules.Unpaid:    {fault.PaymentRequired, "TICKET_UNPAID"},
	rules.Expired:   {fault.Gone, "QR_EXPIRED"},
}

// refuseVenue answers with correct_venue at top level, where the page reads it.
func refuseVenue(w http.ResponseWriter, a gate.Admission) error {
	body, err := json.Marshal(struct {
		web.Envelope
		CorrectVenue string `json:"correct_venue"`
	}{web.Envelope{ErrorCode: codeWrongVenue, Message: a.Message}, a.Event.Venue.Name})
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusConflict)
	_, _ = w.Write(body)
	return nil
}
