// Package httpapi serves the user service over HTTP: the calls of people through the gateway, Stripe's webhook, and the
// calls of other services with this service's own secret (docs/internal-api.md).
package httpapi

import (
	"context"
	"net"
	"net/http"

	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"

	"ticketremaster/platform/fault"
	"ticketremaster/platform/money"
	"ticketremaster/platform/token"
	"ticketremaster/platform/web"
	user "ticketremaster/user-service"
	"ticketremaster/user-service/account"
	"ticketremaster/user-service/otp"
	"ticketremaster/user-service/payments"
	"ticketremaster/user-service/postgres"
)

// API holds what the handlers need. All fields are set.
type API struct {
	Store    *postgres.Store
	Accounts *account.Service
	OTP      *otp.Service
	Payments *payments.Service
	Keys     token.Keys
	Tokens   []string // the secrets that services bear: the current one, and the previous one while it is being changed
}

// Handler returns all routes of the service.
func (a *API) Handler() http.Handler {
	r := web.NewRouter(a.Store.Health)
	handle := func(r chi.Router, method, path string, h web.Handler) { r.Method(method, path, h) }

	r.Group(func(r chi.Router) { // anyone
		r.Use(noteOrigin)
		handle(r, "POST", "/auth/register", a.register)
		handle(r, "POST", "/auth/verify-registration", a.verifyRegistration)
		handle(r, "POST", "/auth/resend-otp", a.resendOTP)
		handle(r, "POST", "/auth/login", a.login)
		handle(r, "POST", "/auth/refresh", a.refresh)
		handle(r, "POST", "/auth/password/reset-request", a.requestReset)
		handle(r, "POST", "/auth/password/reset", a.resetPassword)
		handle(r, "POST", "/webhooks/stripe", a.stripeEvent)
	})

	r.Group(func(r chi.Router) { // people
		r.Use(noteOrigin, a.Keys.Require)
		handle(r, "POST", "/auth/logout", a.logout)
		handle(r, "POST", "/auth/password/change", a.changePassword)
		handle(r, "POST", "/auth/totp/enroll", a.enroll)
		handle(r, "POST", "/auth/totp/activate", a.activate)
		handle(r, "POST", "/auth/totp/remove", a.disenroll)
		handle(r, "GET", "/users/{id}", a.profile)
		handle(r, "PATCH", "/users/{id}", a.changeProfile)
		handle(r, "GET", "/credits/balance", a.balance)
		handle(r, "GET", "/credits/transactions", a.transactions)
		handle(r, "POST", "/credits/topup", a.topUp)
		handle(r, "GET", "/credits/topups/{id}", a.topUpStatus)
	})

	r.Group(func(r chi.Router) { // services
		r.Use(web.RequireService(a.Tokens...))
		handle(r, "GET", "/users/{id}/risk", a.risk)
		handle(r, "POST", "/users/risks", a.risks)
		handle(r, "POST", "/users/lookup", a.lookup)
		handle(r, "GET", "/internal/users", a.listUsers)
		handle(r, "PATCH", "/internal/users/{id}", a.setStanding)
		handle(r, "GET", "/internal/revocations", a.revocations)
		handle(r, "GET", "/internal/debts", a.debts)
		handle(r, "GET", "/internal/payers", a.payers)
		handle(r, "GET", "/internal/payments", a.listPayments)
		handle(r, "POST", "/internal/payments/{id}/resolve", a.resolvePayment)
		handle(r, "POST", "/credits/deduct", a.take(a.Store.Deduct))
		handle(r, "POST", "/credits/return", a.undo(a.Store.Return))
		handle(r, "POST", "/credits/escrow", a.take(a.Store.Escrow))
		handle(r, "POST", "/credits/escrow/return", a.undo(a.Store.ReturnEscrow))
		handle(r, "POST", "/credits/escrow/release", a.releaseEscrow)
		handle(r, "POST", "/credits/refunds", a.refundTickets)
		handle(r, "POST", "/credits/freeze", a.freeze)
		handle(r, "POST", "/credits/unfreeze", a.undo(a.Store.Unfreeze))
		handle(r, "POST", "/credits/freeze/escrow", a.freezeToEscrow)
		handle(r, "POST", "/credits/freeze/escrow/return", a.undo(a.Store.ReturnEscrow))
		handle(r, "POST", "/otp/send", a.sendOTP)
		handle(r, "POST", "/otp/verify", a.verifyOTP)
		handle(r, "POST", "/otp/cancel", a.cancelOTP)
	})
	return r
}

// noteOrigin notes where a request came from (user.Origin). The gateway sets X-Real-IP itself, whatever a client sends,
// and nobody else reaches this service; what comes without one comes from who asks.
func noteOrigin(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		address := r.Header.Get("X-Real-IP")
		if address == "" {
			address, _, _ = net.SplitHostPort(r.RemoteAddr)
		}
		next.ServeHTTP(w, r.WithContext(user.WithOrigin(r.Context(), address)))
	})
}

// userJSON is a user on the wire. is_flagged and flagged are the same: different clients read different names
// (docs/clients.md#accounts-and-credits).
type userJSON struct {
	ID       uuid.UUID   `json:"user_id"`
	Email    string      `json:"email"`
	Phone    string      `json:"phone"`
	Balance  money.Cents `json:"credit_balance"`
	Role     string      `json:"role"`
	IsAdmin  bool        `json:"is_admin"`
	Flagged  bool        `json:"is_flagged"`
	Flagged2 bool        `json:"flagged"`
	Verified bool        `json:"is_verified"`
	Created  string      `json:"created_at"`
}

func toJSON(u user.User) userJSON {
	return userJSON{u.ID, u.Email, u.Phone, u.Balance, u.Role, u.Role == token.Admin, u.Flagged, u.Flagged, u.Verified, stamp(u.Created)}
}

func allToJSON(list []user.User) []userJSON {
	out := make([]userJSON, len(list))
	for i, u := range list {
		out[i] = toJSON(u)
	}
	return out
}

// optionalID reads a UUID that may be left out.
func optionalID(field string, value *string) (*uuid.UUID, error) {
	if value == nil || *value == "" {
		return nil, nil
	}
	id, err := web.UUID(field, *value)
	return &id, err
}

// own returns the id in the path if it is the caller's.
func own(ctx context.Context, id uuid.UUID) error {
	if token.From(ctx).UserID != id {
		return fault.New(fault.Forbidden, fault.CodeForbidden, "This is someone else's account")
	}
	return nil
}
