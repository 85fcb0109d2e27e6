package httpapi

import (
	"net/http"
	"strings"

	"ticketremaster/orchestrator-service/clients"
	"ticketremaster/platform/fault"
	"ticketremaster/platform/money"
	"ticketremaster/platform/token"
	"ticketremaster/platform/web"
	inventoryv1 "ticketremaster/proto/inventory/v1"
)

func (s *Server) dashboard(w http.ResponseWriter, r *http.Request) error {
	id, err := web.PathUUID(r, "event_id")
	if err != nil {
		return err
	}
	d, err := s.Catalogue.EventDashboard(r.Context(), id)
	if err != nil {
		return err
	}
	attendees := make([]map[string]any, len(d.Attendees))
	for i, a := range d.Attendees {
		attendees[i] = map[string]any{
			"user_id": a.Seat.OwnerUserId, "email": a.Email, "seat_id": a.Seat.SeatId,
			"row_number": a.Seat.RowNumber, "seat_number": a.Seat.SeatNumber, "status": a.Seat.Status.String(),
		}
	}
	return web.OK(w, map[string]any{
		"event_id": id, "name": d.Event.Name,
		"stats": map[string]any{
			"total_seats": d.Event.TotalSeats, "seats_sold": d.Counts.GetSold(), "seats_held": d.Counts.GetHeld(),
			"seats_available": d.Counts.GetAvailable(), "seats_blocked": d.Counts.GetBlocked(), "seats_refunded": d.Counts.GetRefunded(), "checked_in": d.Counts.GetCheckedIn(),
			"revenue": money.Cents(d.Counts.GetRevenueCents()), "scans": scanCounts(d.Scans),
		},
		"attendees": attendees,
	})
}

// scanCounts names every result, the ones that never happened too.
func scanCounts(counts map[string]int32) map[string]int32 {
	all := map[string]int32{}
	for n, name := range inventoryv1.ScanResult_name {
		if n != 0 {
			all[name] = counts[name]
		}
	}
	return all
}

func (s *Server) listScans(w http.ResponseWriter, r *http.Request) error {
	id, err := web.PathUUID(r, "event_id")
	if err != nil {
		return err
	}
	page, err := web.ReadPage(r)
	if err != nil {
		return err
	}
	name := r.URL.Query().Get("result")
	result := inventoryv1.ScanResult(inventoryv1.ScanResult_value[name])
	if name != "" && result == 0 {
		return fault.Field("result", "must be SUCCESS, DUPLICATE, WRONG_HALL, UNPAID, NOT_FOUND or EXPIRED")
	}
	list, err := s.Catalogue.Scans(r.Context(), id, result, page)
	if err != nil {
		return err
	}
	scans := make([]map[string]any, len(list.Scans))
	for i, x := range list.Scans {
		scans[i] = viewScan(x)
	}
	return web.List(w, map[string]any{"scans": scans, "counts": scanCounts(list.Counts)}, page, int(list.Total))
}

func (s *Server) listUsers(w http.ResponseWriter, r *http.Request) error {
	page, err := web.ReadPage(r)
	if err != nil {
		return err
	}
	users, total, err := s.Users.List(r.Context(), page, strings.TrimSpace(r.URL.Query().Get("email")))
	if err != nil {
		return err
	}
	if users == nil {
		users = []clients.User{}
	}
	return web.List(w, users, page, total)
}

func (s *Server) changeUser(w http.ResponseWriter, r *http.Request) error {
	id, err := web.PathUUID(r, "user_id")
	if err != nil {
		return err
	}
	var in struct {
		Role    *string `json:"role"`
		Flagged *bool   `json:"is_flagged"`
	}
	if err := web.Decode(r, &in); err != nil {
		return err
	}
	switch {
	case in.Role == nil && in.Flagged == nil:
		return fault.Field("role", "or is_flagged is required")
	case in.Role != nil && *in.Role != token.Customer && *in.Role != token.Staff && *in.Role != token.Admin:
		return fault.Field("role", "must be customer, staff or admin")
	case in.Role != nil && id == caller(r).UserID && *in.Role != token.Admin:
		return fault.Field("role", "cannot be taken from yourself: another administrator has to")
	}
	user, err := s.Users.Change(r.Context(), id, in.Role, in.Flagged)
	if err != nil {
		return err
	}
	return web.OK(w, user)
}
