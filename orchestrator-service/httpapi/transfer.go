package httpapi

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/google/uuid"

	"ticketremaster/orchestrator-service/clients"
	"ticketremaster/orchestrator-service/transfer"
	"ticketremaster/platform/fault"
	"ticketremaster/platform/web"
)

func (s *Server) initiateTransfer(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		SeatID   string          `json:"seat_id"`
		SellerID string          `json:"seller_id"`
		BuyerID  string          `json:"buyer_id"`
		Seller   string          `json:"seller_user_id"`
		Buyer    string          `json:"buyer_user_id"`
		Amount   json.RawMessage `json:"credits_amount"`
	}
	if err := web.Decode(r, &in); err != nil {
		return err
	}
	seat, err := web.UUID("seat_id", in.SeatID)
	if err != nil {
		return err
	}
	seller, err := party("seller_user_id", in.Seller, in.SellerID)
	if err != nil {
		return err
	}
	buyer, err := party("buyer_user_id", in.Buyer, in.BuyerID)
	if err != nil {
		return err
	}
	amount, err := web.Amount("credits_amount", in.Amount)
	if err != nil {
		return err
	}
	if amount < 0 {
		return fault.Field("credits_amount", "must not be negative; 0 makes it a gift")
	}
	t, err := s.Transfers.Initiate(r.Context(), caller(r).UserID, transfer.Offer{SeatID: seat, Seller: seller, Buyer: buyer, Amount: amount})
	if err != nil {
		return err
	}
	return web.Answer(w, http.StatusCreated, t)
}

// party reads one side of a transfer, a UUID or an e-mail address, under either of its two names
// (docs/clients.md#tickets-and-transfers).
func party(field, value, alias string) (string, error) {
	if value == "" {
		value = alias
	}
	value = strings.TrimSpace(value)
	if value == "" {
		return "", fault.Field(field, "is required")
	}
	if !strings.Contains(value, "@") {
		_, err := web.UUID(field, value)
		return value, err
	}
	if len(value) > 255 {
		return "", fault.Field(field, "is longer than an e-mail address can be")
	}
	return value, nil
}

func (s *Server) confirmTransfer(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		TransferID string `json:"transfer_id"`
		SellerOTP  string `json:"seller_otp"`
		BuyerOTP   string `json:"buyer_otp"`
	}
	if err := web.Decode(r, &in); err != nil {
		return err
	}
	id, err := web.UUID("transfer_id", in.TransferID)
	if err != nil {
		return err
	}
	for field, code := range map[string]string{"seller_otp": in.SellerOTP, "buyer_otp": in.BuyerOTP} {
		if code != "" {
			if err := checkOTP(field, code); err != nil {
				return err
			}
		}
	}
	t, err := s.Transfers.ConfirmTransfer(r.Context(), caller(r).UserID, id, in.SellerOTP, in.BuyerOTP)
	if err != nil {
		return err
	}
	out := map[string]any{
		"transfer_id": id, "seat_id": t.SeatID, "status": t.Status,
		"seller_otp_verified": t.SellerOTPVerified, "buyer_otp_verified": t.BuyerOTPVerified,
	}
	switch {
	case t.Pending:
		out["status"], out["message"] = "PENDING", "The transfer is under way. Look at it for its outcome."
	case t.Status == clients.TransferCompleted:
		out["new_owner_user_id"], out["credits_transferred"] = t.BuyerUserID, t.CreditsAmount
	default:
		out["message"] = "Thank you. The other party's one-time password is still to come."
	}
	return web.Answer(w, status(t.Pending), out)
}

func (s *Server) disputeTransfer(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		TransferID string `json:"transfer_id"`
		Reason     string `json:"reason"`
	}
	if err := web.Decode(r, &in); err != nil {
		return err
	}
	id, err := web.UUID("transfer_id", in.TransferID)
	if err != nil {
		return err
	}
	reason, err := web.Text("reason", strings.Join(strings.Fields(in.Reason), " "), 500) // line breaks become blanks
	if err != nil {
		return err
	}
	t, err := s.Transfers.RaiseDispute(r.Context(), caller(r).UserID, id, reason)
	if err != nil {
		return err
	}
	return web.Answer(w, status(t.Pending), map[string]any{"transfer_id": id, "status": t.Status})
}

func (s *Server) withdrawDispute(w http.ResponseWriter, r *http.Request) error {
	return endDispute(w, r, s.Transfers.WithdrawDispute)
}

func (s *Server) rejectDispute(w http.ResponseWriter, r *http.Request) error {
	return endDispute(w, r, s.Transfers.RejectDispute)
}

func endDispute(w http.ResponseWriter, r *http.Request, end func(ctx context.Context, by, transfer uuid.UUID) (transfer.Outcome, error)) error {
	var in struct {
		TransferID string `json:"transfer_id"`
	}
	if err := web.Decode(r, &in); err != nil {
		return err
	}
	id, err := web.UUID("transfer_id", in.TransferID)
	if err != nil {
		return err
	}
	t, err := end(r.Context(), caller(r).UserID, id)
	if err != nil {
		return err
	}
	return web.Answer(w, status(t.Pending), map[string]any{"transfer_id": id, "status": t.Status})
}

func (s *Server) reverseTransfer(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		TransferID string `json:"transfer_id"`
		CoverShort bool   `json:"cover_short"`
	}
	if err := web.Decode(r, &in); err != nil {
		return err
	}
	id, err := web.UUID("transfer_id", in.TransferID)
	if err != nil {
		return err
	}
	t, err := s.Transfers.ReverseTransfer(r.Context(), caller(r).UserID, caller(r).IsAdmin(), id, in.CoverShort)
	if err != nil {
		return err
	}
	out := map[string]any{"transfer_id": id, "status": t.Status}
	if !t.Pending {
		out["restored_owner_user_id"], out["credits_returned"] = t.SellerUserID, t.CreditsAmount
	}
	return web.Answer(w, status(t.Pending), out)
}

func (s *Server) listTransfers(w http.ResponseWriter, r *http.Request) error {
	page, err := web.ReadPage(r)
	if err != nil {
		return err
	}
	list, total, err := s.Transfers.TransfersOf(r.Context(), caller(r).UserID, page)
	if err != nil {
		return err
	}
	if list == nil {
		list = []clients.Transfer{}
	}
	return web.List(w, list, page, total)
}

func (s *Server) getTransfer(w http.ResponseWriter, r *http.Request) error {
	id, err := web.PathUUID(r, "transfer_id")
	if err != nil {
		return err
	}
	t, err := s.Transfers.TransferOf(r.Context(), caller(r).UserID, caller(r).IsAdmin(), id)
	if err != nil {
		return err
	}
	return web.OK(w, t)
}
