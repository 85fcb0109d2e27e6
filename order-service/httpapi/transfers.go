package httpapi

import (
	"encoding/json"
	"net/http"

	order "ticketremaster/order-service"
	"ticketremaster/platform/fault"
	"ticketremaster/platform/web"
)

// moves are the actions on a transfer by route, with the fields of each body.
var moves = map[string]func(*http.Request) (order.Move, error){
	"await-otp":      plain(order.AwaitOTP),
	"otp-verified":   readParty,
	"begin-swap":     plain(order.BeginSwap),
	"complete":       plain(order.Complete),
	"abort-swap":     withReason(order.AbortSwap),
	"fail":           withReason(order.Fail),
	"end-dispute":    readEndDispute,
	"begin-reversal": withOperation(order.BeginReversal, "reversal_id"),
	"abort-reversal": withOperation(order.AbortReversal, "reversal_id"),
	"reverse":        withOperation(order.Reverse, "reversal_id"),
}

// plain is an action with an empty body.
func plain(a order.Action) func(*http.Request) (order.Move, error) {
	return func(*http.Request) (order.Move, error) { return order.Move{Action: a}, nil }
}

func withReason(a order.Action) func(*http.Request) (order.Move, error) {
	return func(r *http.Request) (order.Move, error) {
		reason, err := web.ReadReason(r, maxFailureReason)
		return order.Move{Action: a, Reason: reason}, err
	}
}

// withOperation is an action under the id of a dispute or a reversal, in the field of that name.
func withOperation(a order.Action, field string) func(*http.Request) (order.Move, error) {
	return func(r *http.Request) (order.Move, error) {
		var in map[string]json.RawMessage
		if err := web.Decode(r, &in); err != nil {
			return order.Move{}, err
		}
		var id string
		if raw := in[field]; raw != nil {
			if err := json.Unmarshal(raw, &id); err != nil {
				return order.Move{}, fault.Field(field, "must be a string")
			}
		}
		operation, err := web.UUID(field, id)
		return order.Move{Action: a, Operation: operation}, err
	}
}

func readEndDispute(r *http.Request) (order.Move, error) {
	var in struct {
		DisputeID string       `json:"dispute_id"`
		Ending    order.Ending `json:"ending"`
	}
	if err := web.Decode(r, &in); err != nil {
		return order.Move{}, err
	}
	switch in.Ending {
	case order.Withdrawn, order.Rejected, order.Undone:
	case "":
		in.Ending = order.Undone
	default:
		return order.Move{}, fault.Field("ending", "must be WITHDRAWN, REJECTED or UNDONE")
	}
	id, err := web.UUID("dispute_id", in.DisputeID)
	return order.Move{Action: order.EndDispute, Operation: id, Ending: in.Ending}, err
}

func readParty(r *http.Request) (order.Move, error) {
	var in struct {
		Party string `json:"party"`
	}
	if err := web.Decode(r, &in); err != nil {
		return order.Move{}, err
	}
	switch in.Party {
	case "seller":
		return order.Move{Action: order.SellerVerified}, nil
	case "buyer":
		return order.Move{Action: order.BuyerVerified}, nil
	}
	return order.Move{}, fault.Field("party", "must be seller or buyer")
}

func (s server) move(read func(*http.Request) (order.Move, error)) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		id, err := web.PathUUID(r, "id")
		if err != nil {
			return err
		}
		m, err := read(r)
		if err != nil {
			return err
		}
		t, err := s.ledger.Move(r.Context(), id, m)
		if err != nil {
			return err
		}
		return web.OK(w, t)
	}
}

func (s server) dispute(w http.ResponseWriter, r *http.Request) error {
	id, err := web.PathUUID(r, "id")
	if err != nil {
		return err
	}
	m, err := readDispute(r)
	if err != nil {
		return err
	}
	t, cancelled, err := s.ledger.Dispute(r.Context(), id, m)
	if err != nil {
		return err
	}
	return web.OK(w, struct {
		Transfer  order.Transfer  `json:"transfer"`
		Cancelled *order.Transfer `json:"cancelled"`
	}{t, cancelled})
}

func readDispute(r *http.Request) (order.Move, error) {
	var in struct {
		DisputeID string `json:"dispute_id"`
		By        string `json:"by"`
		Reason    string `json:"reason"`
	}
	if err := web.Decode(r, &in); err != nil {
		return order.Move{}, err
	}
	var f fields
	return order.Move{
		Action:    order.Dispute,
		Operation: f.uuid("dispute_id", in.DisputeID),
		By:        f.uuid("by", in.By),
		Reason:    f.text("reason", in.Reason, maxDisputeReason),
	}, f.err
}

func (s server) initiate(w http.ResponseWriter, r *http.Request) error {
	request, err := readTransfer(r)
	if err != nil {
		return err
	}
	t, err := s.ledger.Initiate(r.Context(), request)
	if err != nil {
		return err
	}
	return web.Answer(w, http.StatusCreated, t)
}

// readTransfer reads the body of POST /transfers.
func readTransfer(r *http.Request) (order.TransferRequest, error) {
	var in struct {
		Status        order.TransferStatus `json:"status"`
		TransferID    string               `json:"transfer_id"`
		SeatID        string               `json:"seat_id"`
		EventID       string               `json:"event_id"`
		SellerUserID  string               `json:"seller_user_id"`
		BuyerUserID   string               `json:"buyer_user_id"`
		InitiatedBy   string               `json:"initiated_by"`
		CreditsAmount json.RawMessage      `json:"credits_amount"`
		ExpiresAt     string               `json:"expires_at"`
		FailureReason string               `json:"failure_reason"`
	}
	if err := web.Decode(r, &in); err != nil {
		return order.TransferRequest{}, err
	}
	var f fields
	t := order.TransferRequest{
		ID:            f.uuid("transfer_id", in.TransferID),
		SeatID:        f.uuid("seat_id", in.SeatID),
		EventID:       f.uuid("event_id", in.EventID),
		SellerUserID:  f.uuid("seller_user_id", in.SellerUserID),
		BuyerUserID:   f.uuid("buyer_user_id", in.BuyerUserID),
		InitiatedBy:   f.uuid("initiated_by", in.InitiatedBy),
		CreditsAmount: f.amount("credits_amount", in.CreditsAmount),
		ExpiresAt:     f.time("expires_at", in.ExpiresAt),
	}
	switch in.Status {
	case order.Initiated:
	case order.TransferFailed:
		t.FailureReason = f.text("failure_reason", in.FailureReason, maxFailureReason)
	default:
		f.fail(fault.Field("status", "must be INITIATED or FAILED"))
	}
	if t.BuyerUserID == t.SellerUserID {
		f.fail(fault.Field("buyer_user_id", "must not be the seller"))
	}
	if t.InitiatedBy != t.SellerUserID && t.InitiatedBy != t.BuyerUserID {
		f.fail(fault.Field("initiated_by", "must be the seller or the buyer"))
	}
	return t, f.err
}

func (s server) transfers(w http.ResponseWriter, r *http.Request) error {
	filter, err := readTransferFilter(r)
	if err != nil {
		return err
	}
	page, err := web.ReadPage(r)
	if err != nil {
		return err
	}
	transfers, total, err := s.ledger.Transfers(r.Context(), filter, page)
	if err != nil {
		return err
	}
	return web.List(w, transfers, page, total)
}

// maxStatuses is how many statuses a list may be filtered by: all of them.
const maxStatuses = 6

func readTransferFilter(r *http.Request) (order.TransferFilter, error) {
	var f fields
	q := r.URL.Query()
	filter := order.TransferFilter{
		UserID: f.queryUUID(r, "user_id"),
		SeatID: f.queryUUID(r, "seat_id"),
		Role:   q.Get("role"),
	}
	switch filter.Role {
	case "":
	case "seller", "buyer":
		if filter.UserID == nil {
			f.fail(fault.Field("user_id", "is required with role"))
		}
	default:
		f.fail(fault.Field("role", "must be seller or buyer"))
	}
	for _, s := range q["status"] { // may be given several times
		switch status := order.TransferStatus(s); {
		case s == "":
		case !status.Valid() || len(filter.Statuses) == maxStatuses:
			f.fail(fault.Field("status", "must be INITIATED, PENDING_OTP, COMPLETED, DISPUTED, REVERSED or FAILED"))
		default:
			filter.Statuses = append(filter.Statuses, status)
		}
	}
	if filter.UserID == nil && filter.SeatID == nil {
		f.fail(fault.Field("user_id", "is required, or seat_id"))
	}
	return filter, f.err
}
