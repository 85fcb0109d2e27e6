package httpapi

import (
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"

	"ticketremaster/orchestrator-service/clients"
	"ticketremaster/orchestrator-service/saga"
	"ticketremaster/platform/fault"
	"ticketremaster/platform/money"
	"ticketremaster/platform/web"
)

func (s *Server) reserve(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		SeatID string `json:"seat_id"`
		UserID string `json:"user_id"`
	}
	if err := web.Decode(r, &in); err != nil {
		return err
	}
	seat, err := web.UUID("seat_id", in.SeatID)
	if err != nil {
		return err
	}
	if err := mustBeCaller(r, "user_id", in.UserID); err != nil {
		return err
	}
	res, err := s.Purchases.Reserve(r.Context(), caller(r).UserID, caller(r).PersonID, seat)
	if err != nil {
		return err
	}
	message := "The seat is held for you. Please pay before the time is over."
	if res.OTPRequired {
		message = "The seat is held for you. We sent a one-time password to your phone: please enter it to pay."
	}
	return web.OK(w, struct { // not a map: this is the busiest endpoint
		OrderID     uuid.UUID   `json:"order_id"`
		SeatID      uuid.UUID   `json:"seat_id"`
		Status      string      `json:"status"`
		HeldUntil   time.Time   `json:"held_until"`
		TTLSeconds  int         `json:"ttl_seconds"`
		Price       money.Cents `json:"price"`
		OTPRequired bool        `json:"otp_required"`
		Message     string      `json:"message"`
	}{res.Order.OrderID, seat, "HELD", res.Order.HeldUntil.UTC(), wholeSeconds(res.TTL), res.Order.Price, res.OTPRequired, message})
}

func (s *Server) pay(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		OrderID string `json:"order_id"`
		UserID  string `json:"user_id"`
	}
	if err := web.Decode(r, &in); err != nil {
		return err
	}
	id, err := web.UUID("order_id", in.OrderID)
	if err != nil {
		return err
	}
	if err := mustBeCaller(r, "user_id", in.UserID); err != nil {
		return err
	}
	p, err := s.Purchases.Pay(r.Context(), caller(r).UserID, id)
	if err != nil {
		return err
	}
	if p.Pending {
		return web.Answer(w, http.StatusAccepted, map[string]any{
			"status": "PENDING", "order_id": id, "seat_id": p.Order.SeatID, "message": "Your payment is under way. Look at the order for its outcome.",
		})
	}
	return web.OK(w, map[string]any{
		"status": p.Order.Status, "order_id": id, "seat_id": p.Order.SeatID, "credits_charged": p.Order.CreditsCharged,
		"remaining_balance": p.Balance, "qr_hash": p.QR, "message": "The ticket is yours.",
	})
}

func (s *Server) verifyOTP(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		OTP         string `json:"otp_code"`
		UserID      string `json:"user_id"`
		Context     string `json:"context"`
		ReferenceID string `json:"reference_id"`
	}
	if err := web.Decode(r, &in); err != nil {
		return err
	}
	if err := checkOTP("otp_code", in.OTP); err != nil {
		return err
	}
	if err := mustBeCaller(r, "user_id", in.UserID); err != nil {
		return err
	}
	if in.Context != "" && in.Context != clients.PurposePurchase && in.Context != contextMarketplace {
		return fault.Field("context", "must be purchase or marketplace: a transfer is confirmed at /transfer/confirm")
	}
	var order uuid.UUID
	if in.ReferenceID != "" {
		var err error
		if order, err = web.UUID("reference_id", in.ReferenceID); err != nil {
			return err
		}
	}
	if in.Context == contextMarketplace {
		if err := s.Market.VerifyOTP(r.Context(), caller(r).UserID, order, in.OTP); err != nil {
			return err
		}
		return web.OK(w, map[string]any{"verified": true, "reference_id": order, "message": "Thank you. You can buy now."})
	}
	order, err := s.Purchases.VerifyOTP(r.Context(), caller(r).UserID, order, in.OTP)
	if err != nil {
		return err
	}
	return web.OK(w, map[string]any{"verified": true, "reference_id": order, "message": "Thank you. You can pay now."})
}

// contextMarketplace is the context of a high-risk buyer's one-time password for a listing.
const contextMarketplace = "marketplace"

// checkOTP refuses a malformed one-time password.
func checkOTP(field, code string) error {
	if code == "" {
		return fault.Field(field, "is required")
	}
	if len(code) < 4 || len(code) > 8 || strings.Trim(code, "0123456789") != "" {
		return fault.Field(field, "must be the digits of the one-time password")
	}
	return nil
}

type orderView struct {
	OrderID        uuid.UUID          `json:"order_id"`
	SeatID         uuid.UUID          `json:"seat_id"`
	EventID        uuid.UUID          `json:"event_id"`
	Status         string             `json:"status"`
	Price          money.Cents        `json:"price"`
	CreditsCharged money.Cents        `json:"credits_charged"`
	HeldUntil      time.Time          `json:"held_until"`
	CreatedAt      time.Time          `json:"created_at"`
	ConfirmedAt    *time.Time         `json:"confirmed_at"`
	FailureReason  string             `json:"failure_reason,omitempty"`
	Includes       []clients.Included `json:"includes,omitempty"` // fees and tax in the price
	Steps          []saga.Entry       `json:"steps,omitempty"`    // of the latest payment, for a person
}

func viewOrder(o clients.Order) orderView {
	return orderView{
		OrderID: o.OrderID, SeatID: o.SeatID, EventID: o.EventID, Status: o.Status, Price: o.Price, CreditsCharged: o.CreditsCharged,
		HeldUntil: o.HeldUntil, CreatedAt: o.CreatedAt, ConfirmedAt: o.ConfirmedAt, FailureReason: o.FailureReason, Includes: o.Includes,
	}
}

func (s *Server) listOrders(w http.ResponseWriter, r *http.Request) error {
	page, err := web.ReadPage(r)
	if err != nil {
		return err
	}
	status, err := readOrderStatus(r)
	if err != nil {
		return err
	}
	orders, total, err := s.Purchases.OrdersOf(r.Context(), caller(r).UserID, status, page)
	if err != nil {
		return err
	}
	views := make([]orderView, len(orders))
	for i, o := range orders {
		views[i] = viewOrder(o)
	}
	return web.List(w, views, page, total)
}

func (s *Server) getOrder(w http.ResponseWriter, r *http.Request) error {
	id, err := web.PathUUID(r, "order_id")
	if err != nil {
		return err
	}
	order, err := s.Purchases.OwnOrder(r.Context(), caller(r).UserID, id)
	if err != nil {
		return err
	}
	view := viewOrder(order)
	if view.Steps, err = s.Purchases.Trail(r.Context(), id); err != nil {
		return err
	}
	return web.OK(w, view)
}

func (s *Server) cancelOrder(w http.ResponseWriter, r *http.Request) error {
	id, err := web.PathUUID(r, "order_id")
	if err != nil {
		return err
	}
	order, err := s.Purchases.Cancel(r.Context(), caller(r).UserID, id)
	if err != nil {
		return err
	}
	return web.OK(w, viewOrder(order))
}

// readOrderStatus reads the status that narrows a list of orders; empty: any.
func readOrderStatus(r *http.Request) (string, error) {
	switch status := r.URL.Query().Get("status"); status {
	case "", clients.OrderPending, clients.OrderConfirmed, clients.OrderFailed, clients.OrderRefunded:
		return status, nil
	}
	return "", fault.Field("status", "must be PENDING, CONFIRMED, FAILED or REFUNDED")
}
