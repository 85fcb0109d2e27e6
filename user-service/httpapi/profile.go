package httpapi

import (
	"net/http"

	"ticketremaster/platform/token"
	"ticketremaster/platform/web"
	user "ticketremaster/user-service"
)

// profile answers one's own account; an admin may read any.
func (a *API) profile(w http.ResponseWriter, r *http.Request) error {
	id, err := web.PathUUID(r, "id")
	if err != nil {
		return err
	}
	if !token.From(r.Context()).IsAdmin() {
		if err := own(r.Context(), id); err != nil {
			return err
		}
	}
	u, err := a.Store.User(r.Context(), id)
	if err != nil {
		return err
	}
	return web.OK(w, toJSON(u))
}

func (a *API) changeProfile(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Email    string `json:"email"`
		Phone    string `json:"phone"`
		Password string `json:"password"`
		Code     string `json:"otp_code"`
	}
	id, err := web.PathUUID(r, "id")
	if err != nil {
		return err
	}
	if err := own(r.Context(), id); err != nil {
		return err
	}
	if err := web.Decode(r, &in); err != nil {
		return err
	}
	var email, phone string
	var errEmail, errPhone error
	if in.Email != "" {
		email, errEmail = user.ParseEmail(in.Email)
	}
	if in.Phone != "" {
		phone, errPhone = user.ParsePhone(in.Phone)
	}
	if err := together(errEmail, errPhone, required("password", in.Password), optionalCode(in.Code)); err != nil {
		return err
	}
	u, err := a.Accounts.ChangeContact(r.Context(), id, email, phone, in.Password, in.Code)
	if err != nil {
		return err
	}
	return web.OK(w, toJSON(u))
}

func optionalCode(code string) error {
	if code == "" {
		return nil
	}
	return user.CheckCode(code)
}

// proof is what enrolling and removing an authenticator app need.
type proof struct {
	Password string `json:"password"`
	Code     string `json:"otp_code"`
}

func readProof(r *http.Request) (p proof, err error) {
	if err := web.Decode(r, &p); err != nil {
		return p, err
	}
	return p, together(required("password", p.Password), optionalCode(p.Code))
}

func (a *API) enroll(w http.ResponseWriter, r *http.Request) error {
	p, err := readProof(r)
	if err != nil {
		return err
	}
	e, err := a.Accounts.Enroll(r.Context(), token.From(r.Context()).UserID, p.Password, p.Code)
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	return web.OK(w, map[string]string{"secret": e.Secret, "otpauth_url": e.Address})
}

func (a *API) activate(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Code string `json:"otp_code"`
	}
	if err := web.Decode(r, &in); err != nil {
		return err
	}
	if err := a.Accounts.Activate(r.Context(), token.From(r.Context()).UserID, in.Code); err != nil {
		return err
	}
	return web.OK(w, map[string]bool{"active": true})
}

func (a *API) disenroll(w http.ResponseWriter, r *http.Request) error {
	p, err := readProof(r)
	if err != nil {
		return err
	}
	if err := a.Accounts.Disenroll(r.Context(), token.From(r.Context()).UserID, p.Password, p.Code); err != nil {
		return err
	}
	return web.OK(w, map[string]bool{"active": false})
}
