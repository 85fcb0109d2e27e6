package httpapi

import (
	"net/http"
	"strconv"

	"github.com/google/uuid"

	"ticketremaster/platform/fault"
	"ticketremaster/platform/web"
	user "ticketremaster/user-service"
	"ticketremaster/user-service/postgres"
)

// maxLookup is how many users one lookup names.
const maxLookup = 200

func (a *API) risk(w http.ResponseWriter, r *http.Request) error {
	id, err := web.PathUUID(r, "id")
	if err != nil {
		return err
	}
	asked := r.URL.Query().Get("reference_id")
	order, err := optionalID("reference_id", &asked)
	if err != nil {
		return err
	}
	list, err := a.Store.Risks(r.Context(), []uuid.UUID{id}, []*uuid.UUID{order})
	if err != nil {
		return err
	}
	if !list[0].Known {
		return user.ErrNotFound
	}
	return web.OK(w, riskJSON(list[0]))
}

// risks answers for several users at once, in the order asked; an unknown one's place is null.
func (a *API) risks(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Asked []struct {
			UserID      string  `json:"user_id"`
			ReferenceID *string `json:"reference_id"`
		} `json:"asked"`
	}
	if err := web.Decode(r, &in); err != nil {
		return err
	}
	if len(in.Asked) == 0 || len(in.Asked) > maxLookup {
		return fault.Field("asked", "must be 1 to %d users", maxLookup)
	}
	users, orders := make([]uuid.UUID, len(in.Asked)), make([]*uuid.UUID, len(in.Asked))
	for i, asked := range in.Asked {
		var err error
		if users[i], err = web.UUID("user_id", asked.UserID); err != nil {
			return err
		}
		if orders[i], err = optionalID("reference_id", asked.ReferenceID); err != nil {
			return err
		}
	}
	list, err := a.Store.Risks(r.Context(), users, orders)
	if err != nil {
		return err
	}
	risks := make([]any, len(list))
	for i, risk := range list {
		if risk.Known {
			risks[i] = riskJSON(risk)
		}
	}
	return web.OK(w, risks)
}

func riskJSON(r postgres.Risk) any {
	return struct {
		UserID      uuid.UUID `json:"user_id"`
		PersonID    uuid.UUID `json:"person_id"`
		Flagged     bool      `json:"is_flagged"`
		Verified    bool      `json:"is_verified"`
		OTPVerified bool      `json:"otp_verified"`
		OTPPending  bool      `json:"otp_pending"`
	}{r.UserID, r.PersonID, r.Flagged, r.Verified, r.OTPVerified, r.OTPPending}
}

func (a *API) lookup(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		IDs    []string `json:"ids"`
		Emails []string `json:"emails"`
	}
	if err := web.Decode(r, &in); err != nil {
		return err
	}
	if len(in.IDs)+len(in.Emails) > maxLookup {
		return fault.Field("ids", "at most %d users at once", maxLookup)
	}
	ids, emails, asked := make([]uuid.UUID, 0, len(in.IDs)), make([]string, 0, len(in.Emails)), map[string]string{}
	for _, s := range in.IDs {
		id, err := web.UUID("ids", s)
		if err != nil {
			return err
		}
		ids = append(ids, id)
	}
	for _, s := range in.Emails {
		if e, err := user.ParseEmail(s); err == nil { // what is no address is no user's
			emails, asked[e] = append(emails, e), s
		}
	}
	list, err := a.Store.Lookup(r.Context(), ids, emails)
	if err != nil {
		return err
	}
	type found struct {
		userJSON
		Asked string `json:"asked_email,omitempty"`
	}
	out := make([]found, len(list))
	for i, u := range list {
		out[i] = found{toJSON(u), asked[u.Email]}
	}
	return web.OK(w, out)
}

func (a *API) listUsers(w http.ResponseWriter, r *http.Request) error {
	page, err := web.ReadPage(r)
	if err != nil {
		return err
	}
	list, total, err := a.Store.List(r.Context(), printable(r.URL.Query().Get("email")), page.Size, page.Offset())
	if err != nil {
		return err
	}
	return web.List(w, allToJSON(list), page, total)
}

func (a *API) setStanding(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Role    *string `json:"role"`
		Flagged *bool   `json:"is_flagged"`
	}
	id, err := web.PathUUID(r, "id")
	if err != nil {
		return err
	}
	if err := web.Decode(r, &in); err != nil {
		return err
	}
	if in.Role != nil {
		if err := user.CheckRole(*in.Role); err != nil {
			return err
		}
	}
	u, err := a.Accounts.SetStanding(r.Context(), id, in.Role, in.Flagged)
	if err != nil {
		return err
	}
	return web.OK(w, toJSON(u))
}

func (a *API) revocations(w http.ResponseWriter, r *http.Request) error {
	after := int64(0)
	if s := r.URL.Query().Get("after"); s != "" {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil || n < 0 {
			return fault.Field("after", "must be the number of a revocation")
		}
		after = n
	}
	list, err := a.Store.Revocations(r.Context(), after)
	if err != nil {
		return err
	}
	return web.OK(w, list)
}
