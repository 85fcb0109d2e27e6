package httpapi

import (
	"mime"
	"net/http"
	"strings"

	"ticketremaster/orchestrator-service/clients"
	"ticketremaster/orchestrator-service/qr"
	"ticketremaster/orchestrator-service/tickets"
	"ticketremaster/platform/money"
	"ticketremaster/platform/web"
)

// viewTicket returns a ticket as GET /tickets lists it.
func viewTicket(t tickets.Ticket) map[string]any {
	status := t.Seat.GetStatus().String()
	if t.Seat.GetVoidId() != "" {
		status = clients.OrderRefunded
	}
	return map[string]any{
		"seat_id": t.Seat.GetSeatId(), "status": status, "category": t.Seat.GetTier(),
		"event": map[string]any{
			"event_id": t.Event.EventID, "name": t.Event.Name, "event_date": t.Event.EventDate.UTC(),
			"hall_id": t.Event.HallID, "venue": t.Event.Venue,
		},
		"row_number": t.Seat.GetRowNumber(), "seat_number": t.Seat.GetSeatNumber(),
		"price_paid": money.Cents(t.Seat.GetPricePaidCents()), "purchased_at": rfc3339(t.Seat.GetSoldAt().AsTime()),
	}
}

// maxTickets is the size of a page of tickets, at most and by default: clients that send no page get all that all but a
// few people own.
const maxTickets = 1_000

func (s *Server) listTickets(w http.ResponseWriter, r *http.Request) error {
	page, err := web.ReadPageOf(r, maxTickets, maxTickets)
	if err != nil {
		return err
	}
	owned, total, err := s.Tickets.OfOwner(r.Context(), caller(r).UserID, page)
	if err != nil {
		return err
	}
	views := make([]map[string]any, len(owned))
	for i, t := range owned {
		views[i] = viewTicket(t)
	}
	return web.List(w, views, page, total)
}

func (s *Server) listSold(w http.ResponseWriter, r *http.Request) error {
	page, err := web.ReadPage(r)
	if err != nil {
		return err
	}
	sold, total, err := s.Tickets.SoldBy(r.Context(), caller(r).UserID, page)
	if err != nil {
		return err
	}
	views := make([]map[string]any, len(sold))
	for i, x := range sold {
		v := viewTicket(x.Ticket)
		// The seat's present state and price are private to its present owner; this shows what was sold.
		v["status"], v["price_paid"] = "SOLD", x.Transfer.CreditsAmount
		delete(v, "purchased_at")
		v["transfer_id"], v["buyer_user_id"], v["sold_at"] = x.Transfer.TransferID, x.Transfer.BuyerUserID, x.Transfer.CompletedAt
		views[i] = v
	}
	return web.List(w, views, page, total)
}

func (s *Server) ticketQR(w http.ResponseWriter, r *http.Request) error {
	seat, err := web.PathUUID(r, "seat_id")
	if err != nil {
		return err
	}
	code, err := s.Tickets.QRCode(r.Context(), caller(r).UserID, seat)
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	if wantsPNG(r.Header.Get("Accept")) {
		picture, err := qr.Picture(code.Payload)
		if err != nil {
			return err
		}
		w.Header().Set("Content-Type", "image/png")
		_, _ = w.Write(picture)
		return nil
	}
	return web.OK(w, map[string]any{
		"seat_id": seat, "qr_payload": code.Payload, "ttl_seconds": int(qr.Life.Seconds()),
		"generated_at": code.IssuedAt, "expires_at": code.ExpiresAt,
	})
}

func wantsPNG(accept string) bool {
	for part := range strings.SplitSeq(accept, ",") {
		if t, _, err := mime.ParseMediaType(part); err == nil && t == "image/png" {
			return true
		}
	}
	return false
}

func (s *Server) ticketHistory(w http.ResponseWriter, r *http.Request) error {
	seat, err := web.PathUUID(r, "seat_id")
	if err != nil {
		return err
	}
	changes, err := s.Tickets.History(r.Context(), caller(r).UserID, caller(r).IsAdmin(), seat)
	if err != nil {
		return err
	}
	views := make([]map[string]any, len(changes))
	for i, c := range changes {
		views[i] = map[string]any{
			"operation_id": c.OperationId, "cause": c.Cause, "to_user_id": c.ToUserId,
			"from_user_id": nullable(c.FromUserId), "at": rfc3339(c.At.AsTime()),
		}
	}
	return web.OK(w, views)
}

func nullable(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
