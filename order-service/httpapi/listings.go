package httpapi

import (
	"encoding/json"
	"net/http"
	"strings"

	order "ticketremaster/order-service"
	"ticketremaster/platform/fault"
	"ticketremaster/platform/web"
)

func (s server) list(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		ListingID    string          `json:"listing_id"`
		SeatID       string          `json:"seat_id"`
		EventID      string          `json:"event_id"`
		SellerUserID string          `json:"seller_user_id"`
		AskingPrice  json.RawMessage `json:"asking_price"`
		CheckFrom    string          `json:"check_from"`
	}
	if err := web.Decode(r, &in); err != nil {
		return err
	}
	var f fields
	request := order.ListingRequest{
		ID:           f.uuid("listing_id", in.ListingID),
		SeatID:       f.uuid("seat_id", in.SeatID),
		EventID:      f.uuid("event_id", in.EventID),
		SellerUserID: f.uuid("seller_user_id", in.SellerUserID),
		AskingPrice:  f.amount("asking_price", in.AskingPrice),
		CheckFrom:    f.time("check_from", in.CheckFrom),
	}
	if request.AskingPrice == 0 {
		f.fail(fault.Field("asking_price", "must be more than 0"))
	}
	if f.err != nil {
		return f.err
	}
	l, err := s.ledger.List(r.Context(), request)
	if err != nil {
		return err
	}
	return web.Answer(w, http.StatusCreated, l)
}

func (s server) listings(w http.ResponseWriter, r *http.Request) error {
	var f fields
	filter := order.ListingFilter{
		EventID:      f.queryUUID(r, "event_id"),
		SellerUserID: f.queryUUID(r, "seller_user_id"),
		SeatID:       f.queryUUID(r, "seat_id"),
		Status:       order.ListingStatus(strings.ToUpper(r.URL.Query().Get("status"))),
	}
	if filter.Status != "" && !filter.Status.Valid() {
		f.fail(fault.Field("status", "must be ACTIVE, PENDING_TRANSFER, COMPLETED or CANCELLED"))
	}
	if f.err != nil {
		return f.err
	}
	page, err := web.ReadPage(r)
	if err != nil {
		return err
	}
	listings, total, err := s.ledger.Listings(r.Context(), filter, page)
	if err != nil {
		return err
	}
	return web.List(w, listings, page, total)
}

func (s server) buy(w http.ResponseWriter, r *http.Request) error {
	p, _, err := readPurchase(r, false)
	if err != nil {
		return err
	}
	t, err := s.ledger.Buy(r.Context(), p)
	if err != nil {
		return err
	}
	return web.OK(w, t)
}

func (s server) abortBuy(w http.ResponseWriter, r *http.Request) error {
	p, reason, err := readPurchase(r, true)
	if err != nil {
		return err
	}
	t, err := s.ledger.AbortBuy(r.Context(), p, reason)
	if err != nil {
		return err
	}
	return web.OK(w, t)
}

// readPurchase reads who buys the listing of the path; what undoes it has a reason instead of a time.
func readPurchase(r *http.Request, undo bool) (p order.Purchase, reason string, err error) {
	var in struct {
		TransferID  string `json:"transfer_id"`
		BuyerUserID string `json:"buyer_user_id"`
		ExpiresAt   string `json:"expires_at"`
		Reason      string `json:"reason"`
	}
	id, err := web.PathUUID(r, "id")
	if err != nil {
		return p, "", err
	}
	if err := web.Decode(r, &in); err != nil {
		return p, "", err
	}
	var f fields
	p = order.Purchase{ListingID: id, TransferID: f.uuid("transfer_id", in.TransferID), BuyerUserID: f.uuid("buyer_user_id", in.BuyerUserID)}
	if undo {
		reason = f.text("reason", in.Reason, maxFailureReason)
	} else {
		p.ExpiresAt = f.time("expires_at", in.ExpiresAt)
	}
	return p, reason, f.err
}

func (s server) endListingsOfEvent(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		EventID string `json:"event_id"`
		Reason  string `json:"reason"`
	}
	if err := web.Decode(r, &in); err != nil {
		return err
	}
	var f fields
	event, reason := f.uuid("event_id", in.EventID), f.text("reason", in.Reason, maxFailureReason)
	if f.err != nil {
		return f.err
	}
	n, err := s.ledger.EndListingsOfEvent(r.Context(), event, reason, maxOverdue)
	if err != nil {
		return err
	}
	return web.OK(w, map[string]int64{"ended": n})
}
