package httpapi

import (
	"encoding/json"
	"net/http"

	"github.com/google/uuid"

	order "ticketremaster/order-service"
	"ticketremaster/platform/fault"
	"ticketremaster/platform/web"
)

// maxRefunds is the most refunds that one call records, and maxLive the most transfers that one call lists.
const (
	maxRefunds      = 150 // of 64 KB
	maxLive         = 100
	maxRefundReason = 500
)

// refund serves POST /refunds: refunds of different orders, each by itself.
func (s server) refund(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Refunds []refundJSON `json:"refunds"`
	}
	if err := web.Decode(r, &in); err != nil {
		return err
	}
	if len(in.Refunds) == 0 || len(in.Refunds) > maxRefunds {
		return fault.Field("refunds", "must be 1 to %d refunds", maxRefunds)
	}
	var f fields
	requests, orders := make([]order.RefundRequest, len(in.Refunds)), map[uuid.UUID]bool{}
	for i, one := range in.Refunds {
		requests[i] = one.request(&f)
		if orders[requests[i].OrderID] {
			f.fail(fault.Field("order_id", "must be a different one in each refund"))
		}
		orders[requests[i].OrderID] = true
	}
	if f.err != nil {
		return f.err
	}
	results, err := s.ledger.Refund(r.Context(), requests)
	if err != nil {
		return err
	}
	answers := make([]refundAnswer, len(results))
	for i, result := range results {
		answers[i].Refund = result.Refund
		if result.Refusal != nil {
			answers[i].ErrorCode, answers[i].Message, answers[i].Details = result.Refusal.Code, result.Refusal.Message, result.Refusal.Details
		}
	}
	return web.OK(w, answers)
}

type refundJSON struct {
	RefundID   string           `json:"refund_id"`
	OrderID    string           `json:"order_id"`
	Kind       order.RefundKind `json:"kind"`
	Amount     json.RawMessage  `json:"amount"`
	FeePercent int              `json:"fee_percent"`
	ToUserID   string           `json:"to_user_id"`
	RefundedBy string           `json:"refunded_by"`
	Reason     string           `json:"reason"`
}

// refundAnswer has a refund, or why there is none.
type refundAnswer struct {
	Refund    *order.Refund     `json:"refund"`
	ErrorCode string            `json:"error_code,omitempty"`
	Message   string            `json:"message,omitempty"`
	Details   map[string]string `json:"details,omitempty"`
}

func (in refundJSON) request(f *fields) order.RefundRequest {
	r := order.RefundRequest{
		ID: f.uuid("refund_id", in.RefundID), OrderID: f.uuid("order_id", in.OrderID), Kind: in.Kind, FeePercent: in.FeePercent,
		ToUserID: f.uuid("to_user_id", in.ToUserID), Reason: f.text("reason", in.Reason, maxRefundReason),
	}
	if in.RefundedBy != "" {
		r.By = f.uuid("refunded_by", in.RefundedBy)
	}
	switch {
	case in.Kind != order.Whole && in.Kind != order.Part:
		f.fail(fault.Field("kind", "must be WHOLE or PART"))
	case in.Kind == order.Part:
		if r.Amount = f.amount("amount", in.Amount); r.Amount == 0 {
			f.fail(fault.Field("amount", "must be more than 0"))
		}
	case in.FeePercent < 0 || in.FeePercent > 100:
		f.fail(fault.Field("fee_percent", "must be a whole number from 0 to 100"))
	}
	return r
}

// failPending serves POST /events/{id}/fail-pending: an event is cancelled.
func (s server) failPending(w http.ResponseWriter, r *http.Request) error {
	id, err := web.PathUUID(r, "id")
	if err != nil {
		return err
	}
	reason, err := web.ReadReason(r, maxFailureReason)
	if err != nil {
		return err
	}
	n, err := s.ledger.FailPending(r.Context(), id, reason)
	if err != nil {
		return err
	}
	return web.OK(w, map[string]int64{"failed": n})
}

// liveTransfers serves GET /events/{id}/live-transfers: those that nobody has confirmed.
func (s server) liveTransfers(w http.ResponseWriter, r *http.Request) error {
	id, err := web.PathUUID(r, "id")
	if err != nil {
		return err
	}
	transfers, err := s.ledger.LiveTransfers(r.Context(), id, maxLive)
	if err != nil {
		return err
	}
	return web.OK(w, transfers)
}
