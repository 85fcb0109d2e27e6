package httpapi

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"

	"ticketremaster/orchestrator-service/clients"
	"ticketremaster/orchestrator-service/refund"
	"ticketremaster/orchestrator-service/saga"
	"ticketremaster/platform/fault"
	"ticketremaster/platform/web"
)

// listOrdersAsAdmin finds orders by id, owner's e-mail address, seat or event.
func (s *Server) listOrdersAsAdmin(w http.ResponseWriter, r *http.Request) error {
	page, err := web.ReadPage(r)
	if err != nil {
		return err
	}
	q := r.URL.Query()
	var filter clients.OrderFilter
	if filter.Status, err = readOrderStatus(r); err != nil {
		return err
	}
	for field, to := range map[string]*uuid.UUID{"order_id": &filter.OrderID, "seat_id": &filter.SeatID, "event_id": &filter.EventID, "user_id": &filter.UserID} {
		if value := q.Get(field); value != "" {
			if *to, err = web.UUID(field, value); err != nil {
				return err
			}
		}
	}
	orders, total, err := s.Refunds.FindOrders(r.Context(), filter, strings.TrimSpace(q.Get("email")), page)
	if err != nil {
		return err
	}
	views := make([]foundOrderView, len(orders))
	for i, o := range orders {
		views[i] = foundOrderView{viewOrder(o.Order), o.UserID, o.Email, o.Refunds}
	}
	return web.List(w, views, page, total)
}

// foundOrderView is an order as an administrator sees it.
type foundOrderView struct {
	orderView
	UserID  uuid.UUID       `json:"user_id"`
	Email   string          `json:"email"`
	Refunds json.RawMessage `json:"refunds"`
}

// refundOrder serves an administrator's refund of an order: the whole or, with an amount, a part of it.
func (s *Server) refundOrder(w http.ResponseWriter, r *http.Request) error {
	id, err := web.PathUUID(r, "order_id")
	if err != nil {
		return err
	}
	var in struct {
		Amount json.RawMessage `json:"amount"`
		Block  bool            `json:"block"`
		Reason string          `json:"reason"`
	}
	if err := web.Decode(r, &in); err != nil {
		return err
	}
	request := refund.Request{OrderID: id, Block: in.Block}
	if request.Reason, err = web.Text("reason", in.Reason, maxAdminReason); err != nil {
		return err
	}
	if len(in.Amount) > 0 && string(in.Amount) != "null" {
		if request.Part, err = web.Amount("amount", in.Amount); err != nil {
			return err
		}
		if request.Part <= 0 {
			return fault.Field("amount", "must be more than 0; leave it out for the whole")
		}
	}
	key, err := idempotencyKey(r)
	if err != nil {
		return err
	}
	done, err := s.Refunds.Refund(r.Context(), caller(r).UserID, key, request)
	if fault.Code(err) == fault.CodeOrderNotFound && request.Part == 0 {
		shares, err := s.Refunds.RefundBooking(r.Context(), caller(r).UserID, id, request)
		return answerRefunds(w, shares, err)
	}
	if err != nil {
		return err
	}
	return answerRefund(w, done)
}

// giveBack serves a holder's refund of a ticket.
func (s *Server) giveBack(w http.ResponseWriter, r *http.Request) error {
	seat, err := web.PathUUID(r, "seat_id")
	if err != nil {
		return err
	}
	switch r.URL.Query().Get("booking") {
	case "":
	case "true":
		shares, err := s.Refunds.GiveBackBooking(r.Context(), caller(r).UserID, seat)
		return answerRefunds(w, shares, err)
	default:
		return fault.Field("booking", "must be true, or be left out")
	}
	done, err := s.Refunds.GiveBack(r.Context(), caller(r).UserID, seat)
	if err != nil {
		return err
	}
	return answerRefund(w, done)
}

func answerRefund(w http.ResponseWriter, done saga.Outcome[refund.Ticket]) error {
	return web.Answer(w, status(done.Pending), viewRefund(done))
}

// answerRefunds answers the refunds of a booking, one by one.
func answerRefunds(w http.ResponseWriter, shares []refund.Share, err error) error {
	if err != nil {
		return err
	}
	pending := false
	views := make([]map[string]any, len(shares))
	for i, share := range shares {
		pending = pending || share.Outcome.Pending
		if views[i] = viewRefund(share.Outcome); share.Refusal != nil {
			views[i] = map[string]any{"order_id": share.Order.OrderID, "seat_id": share.Order.SeatID, "status": share.Order.Status,
				"error_code": share.Refusal.Code, "message": share.Refusal.Message}
		}
	}
	return web.Answer(w, status(pending), map[string]any{"booking_id": shares[0].Order.Booking(), "refunds": views})
}

func viewRefund(done saga.Outcome[refund.Ticket]) map[string]any {
	t := done.State
	if done.Pending {
		return map[string]any{"order_id": t.Order.OrderID, "status": "PENDING"}
	}
	kind, orderStatus := clients.RefundWhole, clients.OrderRefunded
	if t.Part > 0 {
		kind, orderStatus = clients.RefundPart, clients.OrderConfirmed
	}
	return map[string]any{
		"refund_id": t.RefundID, "order_id": t.Order.OrderID, "seat_id": t.Order.SeatID, "kind": kind, "status": orderStatus,
		"credits_returned": t.Amount, "credits_kept": t.Order.CreditsCharged - t.Amount, "to_user_id": t.ToUserID,
	}
}

// previewCancellation is the dry run of a cancellation.
func (s *Server) previewCancellation(w http.ResponseWriter, r *http.Request) error {
	id, err := web.PathUUID(r, "event_id")
	if err != nil {
		return err
	}
	p, err := s.Refunds.Preview(r.Context(), caller(r).UserID, id)
	if err != nil {
		return err
	}
	return web.OK(w, map[string]any{
		"event_id": id, "tickets": p.Tickets, "holders": p.Holders, "credits": p.Credits, "holds": p.Holds, "waiting": p.Waiting,
		"code": p.Code, "expires_at": p.ExpiresAt,
	})
}

func (s *Server) cancelEvent(w http.ResponseWriter, r *http.Request) error {
	id, err := web.PathUUID(r, "event_id")
	if err != nil {
		return err
	}
	var in struct {
		Code   string `json:"code"`
		Reason string `json:"reason"`
	}
	if err := web.Decode(r, &in); err != nil {
		return err
	}
	if in.Code, err = web.Text("code", in.Code, maxCode); err != nil {
		return err
	}
	if in.Reason, err = web.Text("reason", in.Reason, maxAdminReason); err != nil {
		return err
	}
	c, err := s.Refunds.Cancel(r.Context(), caller(r).UserID, id, in.Code, in.Reason)
	if err != nil {
		return err
	}
	return web.Answer(w, http.StatusAccepted, viewCancellation(c))
}

// maxCode bounds a dry run's code, in characters.
const maxCode = 20

func (s *Server) cancellation(w http.ResponseWriter, r *http.Request) error {
	id, err := web.PathUUID(r, "event_id")
	if err != nil {
		return err
	}
	c, err := s.Refunds.Progress(r.Context(), id)
	if err != nil {
		return err
	}
	return web.OK(w, viewCancellation(c))
}

func viewCancellation(c refund.Cancellation) map[string]any {
	status := "RUNNING"
	switch {
	case c.SettledAt != nil:
		status = "DONE"
	case c.Left > 0 && c.Left == c.Waiting:
		status = "WAITING" // for disputes to end
	}
	return map[string]any{
		"event_id": c.EventID, "status": status, "tickets_refunded": c.Refunded, "tickets_left": c.Left, "tickets_waiting": c.Waiting,
		"cancelled_by": c.By, "reason": c.Reason, "started_at": rfc3339(c.StartedAt), "settled_at": optionalTime(c.SettledAt),
	}
}

func optionalTime(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	return rfc3339(*t)
}
