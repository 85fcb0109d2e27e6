package httpapi

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"ticketremaster/orchestrator-service/clients"
	"ticketremaster/orchestrator-service/purchase"
	"ticketremaster/orchestrator-service/saga"
	"ticketremaster/platform/fault"
	"ticketremaster/platform/money"
	"ticketremaster/platform/web"
)

func (s *Server) reserve(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		SeatID  string   `json:"seat_id"`
		SeatIDs []string `json:"seat_ids"`
		UserID  string   `json:"user_id"`
		bestJSON
	}
	if err := web.Decode(r, &in); err != nil {
		return err
	}
	want, err := in.read()
	if err == nil && want.Best != nil && (in.SeatID != "" || in.SeatIDs != nil) {
		err = fault.Field("quantity", "must not be given beside seats")
	}
	if err == nil && want.Best == nil {
		want.Seats, err = readSeats(in.SeatID, in.SeatIDs)
	}
	if err != nil {
		return err
	}
	if err := mustBeCaller(r, "user_id", in.UserID); err != nil {
		return err
	}
	res, err := s.Purchases.Reserve(r.Context(), caller(r).UserID, caller(r).PersonID, want)
	if err != nil {
		return err
	}
	if in.SeatID == "" {
		return answerBooking(w, res)
	}
	order := res.Orders[slices.IndexFunc(res.Orders, func(o clients.Order) bool { return o.SeatID == want.Seats[0] })]
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
	}{order.OrderID, order.SeatID, "HELD", order.HeldUntil.UTC(), wholeSeconds(res.TTL), order.Price, res.OTPRequired, message})
}

// bestJSON asks for the best available.
type bestJSON struct {
	EventID  string `json:"event_id"` // ignored beside a seat, which names its event
	Tier     string `json:"tier"`
	Quantity *int   `json:"quantity"`
	Split    bool   `json:"allow_split"`
}

func (in bestJSON) read() (purchase.Wanted, error) {
	if in.Quantity == nil {
		return purchase.Wanted{}, nil
	}
	if in.EventID == "" {
		err := fault.Field("event_id", "is required beside quantity")
		err.Fields["quantity"] = "quantity: needs event_id"
		return purchase.Wanted{}, err
	}
	event, err := web.UUID("event_id", in.EventID)
	switch {
	case err != nil:
		return purchase.Wanted{}, err
	case in.Tier == "":
		return purchase.Wanted{}, fault.Field("tier", "is required")
	case *in.Quantity < 1 || *in.Quantity > clients.MaxBooking:
		return purchase.Wanted{}, fault.Field("quantity", "must be 1 to %d", clients.MaxBooking)
	}
	return purchase.Wanted{Best: &purchase.Best{EventID: event, Tier: in.Tier, Quantity: *in.Quantity, Split: in.Split}}, nil
}

// readSeats reads the seat or the seats of a reservation.
func readSeats(one string, many []string) ([]uuid.UUID, error) {
	if many == nil {
		seat, err := web.UUID("seat_id", one)
		return []uuid.UUID{seat}, err
	}
	if one != "" {
		return nil, notBoth("seat_id", "seat_ids")
	}
	if len(many) == 0 || len(many) > clients.MaxBooking {
		return nil, fault.Field("seat_ids", "must be 1 to %d seats", clients.MaxBooking)
	}
	seats := make([]uuid.UUID, len(many))
	for i, id := range many {
		var err error
		if seats[i], err = web.UUID("seat_ids", id); err != nil {
			return nil, err
		}
		if slices.Contains(seats[:i], seats[i]) {
			return nil, fault.Field("seat_ids", "must be different seats")
		}
	}
	return seats, nil
}

// notBoth refuses two fields of which a request has one; its errors name both.
func notBoth(one, other string) error {
	err := fault.Field(one, "must not be given beside %s", other)
	err.Fields[other] = other + ": must not be given beside " + one
	return err
}

// heldOrder is an order of a booking as it is reserved.
type heldOrder struct {
	OrderID    uuid.UUID   `json:"order_id"`
	SeatID     uuid.UUID   `json:"seat_id"`
	RowNumber  string      `json:"row_number,omitempty"`
	SeatNumber int32       `json:"seat_number,omitempty"`
	Price      money.Cents `json:"price"`
}

func answerBooking(w http.ResponseWriter, res purchase.Reservation) error {
	orders := make([]heldOrder, len(res.Orders))
	var total money.Cents
	for i, o := range res.Orders {
		seat := res.Seats[o.SeatID]
		orders[i] = heldOrder{o.OrderID, o.SeatID, seat.GetRowNumber(), seat.GetSeatNumber(), o.Price}
		total += o.Price
	}
	message := "The seats are held for you. Please pay before the time is over."
	if res.OTPRequired {
		message = "The seats are held for you. We sent a one-time password to your phone: please enter it to pay."
	}
	return web.OK(w, map[string]any{
		"booking_id": res.BookingID, "event_id": res.Orders[0].EventID, "orders": orders, "total": total, "status": "HELD",
		"held_until": res.Orders[0].HeldUntil.UTC(), "ttl_seconds": wholeSeconds(res.TTL), "otp_required": res.OTPRequired, "message": message,
	})
}

func (s *Server) pay(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		OrderID   string `json:"order_id"`
		BookingID string `json:"booking_id"`
		UserID    string `json:"user_id"`
	}
	if err := web.Decode(r, &in); err != nil {
		return err
	}
	if in.OrderID != "" && in.BookingID != "" {
		return notBoth("order_id", "booking_id")
	}
	field, value, pay := "order_id", in.OrderID, s.Purchases.Pay
	if in.BookingID != "" {
		field, value, pay = "booking_id", in.BookingID, s.Purchases.PayBooking
	}
	id, err := web.UUID(field, value)
	if err != nil {
		return err
	}
	if err := mustBeCaller(r, "user_id", in.UserID); err != nil {
		return err
	}
	p, err := pay(r.Context(), caller(r).UserID, id)
	switch {
	case err != nil:
		return err
	case in.BookingID != "":
		return answerPayment(w, id, p)
	case p.Pending:
		return web.Answer(w, http.StatusAccepted, map[string]any{
			"status": "PENDING", "order_id": id, "seat_id": p.Orders[0].SeatID, "message": "Your payment is under way. Look at the order for its outcome.",
		})
	}
	return web.OK(w, map[string]any{
		"status": p.Orders[0].Status, "order_id": id, "seat_id": p.Orders[0].SeatID, "credits_charged": p.Orders[0].CreditsCharged,
		"remaining_balance": p.Balance, "qr_hash": p.QR[0], "message": "The ticket is yours.",
	})
}

// paidOrder is an order of a booking as it is paid.
type paidOrder struct {
	OrderID        uuid.UUID   `json:"order_id"`
	SeatID         uuid.UUID   `json:"seat_id"`
	CreditsCharged money.Cents `json:"credits_charged"`
	QRHash         string      `json:"qr_hash"`
}

func answerPayment(w http.ResponseWriter, booking uuid.UUID, p purchase.Payment) error {
	if p.Pending {
		return web.Answer(w, http.StatusAccepted, map[string]any{
			"status": "PENDING", "booking_id": booking, "message": "Your payment is under way. Look at the booking's orders for its outcome.",
		})
	}
	orders := make([]paidOrder, len(p.Orders))
	var charged money.Cents
	for i, o := range p.Orders {
		orders[i] = paidOrder{o.OrderID, o.SeatID, o.CreditsCharged, p.QR[i]}
		charged += o.CreditsCharged
	}
	return web.OK(w, map[string]any{
		"status": clients.OrderConfirmed, "booking_id": booking, "orders": orders, "credits_charged": charged, "remaining_balance": p.Balance,
		"message": "The tickets are yours.",
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
	BookingID      *uuid.UUID         `json:"booking_id,omitempty"`
	Includes       []clients.Included `json:"includes,omitempty"` // fees and tax in the price
	Steps          []saga.Entry       `json:"steps,omitempty"`    // of the latest payment, for a person
}

func viewOrder(o clients.Order) orderView {
	return orderView{
		OrderID: o.OrderID, SeatID: o.SeatID, EventID: o.EventID, Status: o.Status, Price: o.Price, CreditsCharged: o.CreditsCharged,
		HeldUntil: o.HeldUntil, CreatedAt: o.CreatedAt, ConfirmedAt: o.ConfirmedAt, FailureReason: o.FailureReason, BookingID: o.BookingID, Includes: o.Includes,
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
	if booking := r.URL.Query().Get("booking_id"); booking != "" {
		return s.listBooking(w, r, booking)
	}
	orders, total, err := s.Purchases.OrdersOf(r.Context(), caller(r).UserID, status, page)
	if err != nil {
		return err
	}
	return web.List(w, viewOrders(orders), page, total)
}

// listBooking serves the orders of a booking, all on one page.
func (s *Server) listBooking(w http.ResponseWriter, r *http.Request, booking string) error {
	id, err := web.UUID("booking_id", booking)
	if err != nil {
		return err
	}
	orders, err := s.Purchases.Booking(r.Context(), caller(r).UserID, id)
	if err != nil {
		return err
	}
	return web.List(w, viewOrders(orders), web.Page{Number: 1, Size: clients.MaxBooking}, len(orders))
}

func viewOrders(orders []clients.Order) []orderView {
	views := make([]orderView, len(orders))
	for i, o := range orders {
		views[i] = viewOrder(o)
	}
	return views
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
	if view.Steps, err = s.Purchases.Trail(r.Context(), order); err != nil {
		return err
	}
	return web.OK(w, view)
}

func (s *Server) cancelOrder(w http.ResponseWriter, r *http.Request) error {
	id, err := web.PathUUID(r, "order_id")
	if err != nil {
		return err
	}
	orders, err := s.Purchases.Cancel(r.Context(), caller(r).UserID, id)
	if err != nil {
		return err
	}
	if orders[0].OrderID == id {
		return web.OK(w, viewOrder(orders[0]))
	}
	return web.OK(w, map[string]any{"booking_id": id, "orders": viewOrders(orders)})
}

// readOrderStatus reads the status that narrows a list of orders; empty: any.
func readOrderStatus(r *http.Request) (string, error) {
	switch status := r.URL.Query().Get("status"); status {
	case "", clients.OrderPending, clients.OrderConfirmed, clients.OrderFailed, clients.OrderRefunded:
		return status, nil
	}
	return "", fault.Field("status", "must be PENDING, CONFIRMED, FAILED or REFUNDED")
}
