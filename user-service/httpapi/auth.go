package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"

	"ticketremaster/platform/fault"
	"ticketremaster/platform/token"
	"ticketremaster/platform/web"
	user "ticketremaster/user-service"
	"ticketremaster/user-service/account"
)

// answerAuth answers with data in the envelope and repeats its keys at the top level
// (docs/clients.md#across-all-endpoints).
func answerAuth(w http.ResponseWriter, status int, data map[string]any) error {
	body := maps.Clone(data)
	body["success"], body["data"] = true, data
	var b bytes.Buffer
	if err := json.NewEncoder(&b).Encode(body); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Length", strconv.Itoa(b.Len()))
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // the client is gone
	return nil
}

func answerLogin(w http.ResponseWriter, l account.Login) error {
	return answerAuth(w, http.StatusOK, map[string]any{
		"access_token": l.Access, "refresh_token": l.Refresh, "token_type": "Bearer",
		"expires_in": int(l.ExpiresIn.Seconds()), "user": toJSON(l.User),
	})
}

// together joins the errors of several fields into one VALIDATION_ERROR; nil if there are none.
func together(problems ...error) error {
	fields, first := map[string]string{}, ""
	for _, err := range problems {
		if err == nil {
			continue
		}
		var e *fault.Error
		if !errors.As(err, &e) || e.Fields == nil {
			return err
		}
		maps.Copy(fields, e.Fields)
		if first == "" {
			first = e.Message
		}
	}
	if first == "" {
		return nil
	}
	e := fault.New(fault.Invalid, fault.CodeValidation, "%s", first)
	e.Fields = fields
	return e
}

func (a *API) register(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Email    string `json:"email"`
		Phone    string `json:"phone"`
		Password string `json:"password"`
	}
	if err := web.Decode(r, &in); err != nil {
		return err
	}
	email, errEmail := user.ParseEmail(in.Email)
	phone, errPhone := user.ParsePhone(in.Phone)
	if err := together(errEmail, errPhone, user.CheckPassword("password", in.Password)); err != nil {
		return err
	}
	id, err := a.Accounts.Register(r.Context(), email, phone, in.Password)
	if err != nil {
		return err
	}
	return answerAuth(w, http.StatusCreated, map[string]any{"user_id": id, "status": "PENDING_VERIFICATION"})
}

func (a *API) verifyRegistration(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		UserID string `json:"user_id"`
		Code   string `json:"otp_code"`
	}
	if err := web.Decode(r, &in); err != nil {
		return err
	}
	id, err := web.UUID("user_id", in.UserID)
	if err := together(err, user.CheckCode(in.Code)); err != nil {
		return err
	}
	login, err := a.Accounts.VerifyRegistration(r.Context(), id, in.Code)
	if err != nil {
		return err
	}
	return answerLogin(w, login)
}

func (a *API) resendOTP(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		UserID string `json:"user_id"`
	}
	if err := web.Decode(r, &in); err != nil {
		return err
	}
	id, err := web.UUID("user_id", in.UserID)
	if err != nil {
		return err
	}
	if err := a.Accounts.ResendRegistration(r.Context(), id); err != nil {
		return err
	}
	return web.OK(w, map[string]string{"message": "a new code is on its way"})
}

func (a *API) login(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Email    string `json:"email"`
		Password string `json:"password"`
	}
	if err := web.Decode(r, &in); err != nil {
		return err
	}
	if in.Email == "" || in.Password == "" {
		return together(required("email", in.Email), required("password", in.Password))
	}
	email, err := user.ParseEmail(in.Email)
	if err != nil { // a malformed address is treated as an unknown one
		email = strings.ToLower(strings.TrimSpace(printable(in.Email)))
	}
	login, err := a.Accounts.LogIn(r.Context(), email, in.Password)
	if err != nil {
		return err
	}
	return answerLogin(w, login)
}

// printable drops what PostgreSQL's text cannot hold.
func printable(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, ""), "\x00", "")
}

func required(field, value string) error {
	if value == "" {
		return fault.Field(field, "is required")
	}
	return nil
}

// refresh takes the refresh token as bearer; the body is ignored.
func (a *API) refresh(w http.ResponseWriter, r *http.Request) error {
	access, expiresIn, err := a.Accounts.Refresh(r.Context(), web.Bearer(r))
	if err != nil {
		return err
	}
	return answerAuth(w, http.StatusOK, map[string]any{
		"access_token": access, "token_type": "Bearer", "expires_in": int(expiresIn / time.Second),
	})
}

func (a *API) logout(w http.ResponseWriter, r *http.Request) error {
	if err := a.Accounts.LogOut(r.Context(), token.From(r.Context()).SessionID); err != nil {
		return err
	}
	return web.OK(w, map[string]string{"message": "logged out"})
}

func (a *API) changePassword(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Old string `json:"old_password"`
		New string `json:"new_password"`
	}
	if err := web.Decode(r, &in); err != nil {
		return err
	}
	if err := together(required("old_password", in.Old), user.CheckPassword("new_password", in.New)); err != nil {
		return err
	}
	login, err := a.Accounts.ChangePassword(r.Context(), token.From(r.Context()).UserID, in.Old, in.New)
	if err != nil {
		return err
	}
	return answerLogin(w, login)
}

func (a *API) requestReset(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Email string `json:"email"`
	}
	if err := web.Decode(r, &in); err != nil {
		return err
	}
	email, err := user.ParseEmail(in.Email)
	if err != nil {
		return err
	}
	if err := a.Accounts.RequestReset(r.Context(), email); err != nil {
		return err
	}
	return web.OK(w, map[string]string{"message": "if there is an account with this address, a code is on its way to its phone"})
}

func (a *API) resetPassword(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Email string `json:"email"`
		Code  string `json:"otp_code"`
		New   string `json:"new_password"`
	}
	if err := web.Decode(r, &in); err != nil {
		return err
	}
	email, err := user.ParseEmail(in.Email)
	if err := together(err, user.CheckCode(in.Code), user.CheckPassword("new_password", in.New)); err != nil {
		return err
	}
	if err := a.Accounts.ResetPassword(r.Context(), email, in.Code, in.New); err != nil {
		return err
	}
	return web.OK(w, map[string]string{"message": "the password is changed, please log in"})
}
