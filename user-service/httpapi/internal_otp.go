package httpapi

import (
	"net/http"
	"unicode/utf8"

	"github.com/google/uuid"

	"ticketremaster/platform/fault"
	"ticketremaster/platform/web"
	user "ticketremaster/user-service"
	"ticketremaster/user-service/otp"
	"ticketremaster/user-service/postgres"
)

// maxMessage is the longest text of an SMS, in characters.
const maxMessage = 320

type otpCall struct {
	UserID        string  `json:"user_id"`
	Purpose       string  `json:"purpose"`
	Reference     *string `json:"reference_id"`
	Counterparty  *string `json:"counterparty_id"`
	Message       string  `json:"message"`
	IfNonePending bool    `json:"if_none_pending"`
	Code          string  `json:"otp_code"`
	By            *string `json:"by_user_id"` // who entered the code, if not the user
}

func readOTP(r *http.Request) (in otpCall, userID uuid.UUID, reference *uuid.UUID, err error) {
	if err = web.Decode(r, &in); err != nil {
		return
	}
	if userID, err = web.UUID("user_id", in.UserID); err != nil {
		return
	}
	reference, err = optionalID("reference_id", in.Reference)
	return
}

func (a *API) sendOTP(w http.ResponseWriter, r *http.Request) error {
	in, userID, reference, err := readOTP(r)
	if err != nil {
		return err
	}
	counterparty, err := optionalID("counterparty_id", in.Counterparty)
	if err := first(err, user.CheckPurpose(in.Purpose, reference), required("message", in.Message)); err != nil {
		return err
	}
	if utf8.RuneCountInString(in.Message) > maxMessage {
		return fault.Field("message", "must have at most %d characters", maxMessage)
	}
	sent, err := a.OTP.Send(r.Context(), otp.Request{
		UserID: userID, Purpose: in.Purpose, Reference: reference, Counterparty: counterparty,
		Message: in.Message, IfNonePending: in.IfNonePending,
	})
	if err != nil {
		return err
	}
	return web.OK(w, map[string]any{"method": sent.Method, "expires_at": stamp(sent.Expires), "already_pending": sent.AlreadyPending})
}

func (a *API) verifyOTP(w http.ResponseWriter, r *http.Request) error {
	in, userID, reference, err := readOTP(r)
	if err != nil {
		return err
	}
	if in.Purpose != "" {
		if err := user.CheckPurpose(in.Purpose, &userID); err != nil { // the reference may be left out
			return err
		}
	}
	by, err := optionalID("by_user_id", in.By)
	if err != nil {
		return err
	}
	entry := postgres.Entry{UserID: userID, Purpose: in.Purpose, Reference: reference, Code: in.Code}
	if by != nil && *by != userID {
		entry.By = "user " + by.String()
	}
	c, err := a.OTP.Verify(r.Context(), entry)
	if err != nil {
		return err
	}
	return web.OK(w, map[string]any{"purpose": c.Purpose, "reference_id": c.Reference})
}

func (a *API) cancelOTP(w http.ResponseWriter, r *http.Request) error {
	in, userID, reference, err := readOTP(r)
	if err != nil {
		return err
	}
	if err := user.CheckPurpose(in.Purpose, reference); err != nil {
		return err
	}
	if err := a.OTP.Cancel(r.Context(), userID, in.Purpose, reference); err != nil {
		return err
	}
	return web.OK(w, map[string]bool{"cancelled": true})
}
