package httpapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/google/uuid"

	"ticketremaster/orchestrator-service/clients"
	"ticketremaster/orchestrator-service/marketplace"
	"ticketremaster/platform/fault"
	"ticketremaster/platform/web"
)

// viewListing returns a listing as the lists show it; only its parties see who bought it.
func viewListing(o marketplace.Offer) map[string]any {
	v := map[string]any{
		"listing_id": o.ListingID, "seat_id": o.SeatID, "event_id": o.EventID, "seller_user_id": o.SellerUserID, "asking_price": o.AskingPrice,
		"status": o.Status, "created_at": o.CreatedAt, "updated_at": o.UpdatedAt,
		"event": map[string]any{"name": o.Ticket.Event.Name, "event_date": rfc3339(o.Ticket.Event.EventDate), "image": o.Ticket.Event.Image},
		"seat":  map[string]any{"row_number": o.Ticket.Seat.GetRowNumber(), "seat_number": o.Ticket.Seat.GetSeatNumber()},
	}
	return v
}

func (s *Server) listListings(w http.ResponseWriter, r *http.Request) error {
	status := strings.ToUpper(r.URL.Query().Get("status"))
	switch status {
	case "":
		status = clients.ListingActive
	case clients.ListingActive, clients.ListingPendingTransfer:
	default:
		return fault.Field("status", "must be ACTIVE or PENDING_TRANSFER; your own of any status are at /marketplace/listings/mine")
	}
	var event uuid.UUID
	if id := r.URL.Query().Get("event_id"); id != "" {
		var err error
		if event, err = web.UUID("event_id", id); err != nil {
			return err
		}
	}
	return s.writeListings(w, r, clients.ListingFilter{Status: status, EventID: event})
}

func (s *Server) listOwnListings(w http.ResponseWriter, r *http.Request) error {
	return s.writeListings(w, r, clients.ListingFilter{SellerUserID: caller(r).UserID})
}

func (s *Server) writeListings(w http.ResponseWriter, r *http.Request, filter clients.ListingFilter) error {
	page, err := web.ReadPage(r)
	if err != nil {
		return err
	}
	offers, total, err := s.Market.Offers(r.Context(), filter, page)
	if err != nil {
		return err
	}
	views := make([]map[string]any, len(offers))
	for i, o := range offers {
		views[i] = viewListing(o)
	}
	return web.List(w, views, page, total)
}

func (s *Server) listTicket(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		SeatID      string          `json:"seat_id"`
		AskingPrice json.RawMessage `json:"asking_price"`
	}
	if err := web.Decode(r, &in); err != nil {
		return err
	}
	seat, err := web.UUID("seat_id", in.SeatID)
	if err != nil {
		return err
	}
	price, err := web.Amount("asking_price", in.AskingPrice)
	if err != nil {
		return err
	}
	l, err := s.Market.List(r.Context(), caller(r).UserID, seat, price)
	if err != nil {
		return err
	}
	return web.Answer(w, http.StatusCreated, map[string]any{
		"listing_id": l.ListingID, "seat_id": l.SeatID, "asking_price": l.AskingPrice, "status": l.Status,
		"message": fmt.Sprintf("Your ticket is listed for %s credits. Keep the listing's number to approve its sale: %s", l.AskingPrice, l.ListingID),
	})
}

// readListing reads a body that names a listing. A malformed id is answered as a listing that does not exist: people
// type it.
func readListing(r *http.Request) (id, otp string, err error) {
	var in struct {
		ListingID string `json:"listing_id"`
		OTP       string `json:"otp_code"`
	}
	if err := web.Decode(r, &in); err != nil {
		return "", "", err
	}
	id, err = web.Text("listing_id", strings.TrimSpace(in.ListingID), 100)
	return id, in.OTP, err
}

func (s *Server) buyListing(w http.ResponseWriter, r *http.Request) error {
	id, _, err := readListing(r)
	if err != nil {
		return err
	}
	b, err := s.Market.Buy(r.Context(), caller(r).UserID, id)
	if err != nil {
		return err
	}
	out := map[string]any{
		"listing_id": b.Listing.ListingID, "transfer_id": b.TransferID, "seat_id": b.Listing.SeatID, "credits_in_escrow": b.Listing.AskingPrice,
		"expires_at": b.ExpiresAt.UTC(), "status": clients.ListingPendingTransfer,
		"message": "The seller is asked to approve. Until then your credits are in escrow, and you can withdraw.",
	}
	if b.Pending {
		out["message"] = "Your purchase is under way. Look at your transfers for its outcome."
	}
	return web.Answer(w, status(b.Pending), out)
}

func (s *Server) approveListing(w http.ResponseWriter, r *http.Request) error {
	id, otp, err := readListing(r)
	if err != nil {
		return err
	}
	if err := checkOTP("otp_code", otp); err != nil {
		return err
	}
	l, t, err := s.Market.Approve(r.Context(), caller(r).UserID, id, otp)
	if err != nil {
		return err
	}
	out := map[string]any{"listing_id": l.ListingID, "transfer_id": l.TransferID, "seat_id": l.SeatID, "status": clients.ListingCompleted,
		"new_owner_user_id": t.BuyerUserID, "message": fmt.Sprintf("Your ticket is sold for %s credits.", l.AskingPrice)}
	if t.Pending {
		out["status"], out["message"] = clients.ListingPendingTransfer, "The sale is under way. Look at your transfers for its outcome."
	}
	return web.Answer(w, status(t.Pending), out)
}

func (s *Server) cancelListing(w http.ResponseWriter, r *http.Request) error {
	id, _, err := readListing(r)
	if err != nil {
		return err
	}
	l, err := s.Market.CancelListing(r.Context(), caller(r).UserID, id)
	if err != nil {
		return err
	}
	return web.OK(w, map[string]any{"listing_id": l.ListingID, "seat_id": l.SeatID, "status": l.Status, "message": "Your listing is taken back."})
}

func (s *Server) withdrawPurchase(w http.ResponseWriter, r *http.Request) error {
	id, _, err := readListing(r)
	if err != nil {
		return err
	}
	l, err := s.Market.Withdraw(r.Context(), caller(r).UserID, id)
	if err != nil {
		return err
	}
	return web.OK(w, map[string]any{"listing_id": l.ListingID, "seat_id": l.SeatID, "status": clients.ListingActive, "message": "Your purchase has ended; your credits are back."})
}
