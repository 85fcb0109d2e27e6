// Package clients has the orchestrator's clients of the other services. Inventory's is the generated gRPC client; those
// of the three REST services are here, one method per call of docs/internal-api.md. Errors are faults: the callee's
// own, or SERVICE_UNAVAILABLE when the outcome is unknown.
package clients

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/google/uuid"

	"ticketremaster/platform/call"
	"ticketremaster/platform/fault"
	"ticketremaster/platform/gather"
	"ticketremaster/platform/money"
	"ticketremaster/platform/token"
	"ticketremaster/platform/web"
)

// Users is the user service.
type Users struct {
	call.Client
	risks   gather.Group[riskQuery, *Risk] // nil: there is no such user
	people  gather.Group[uuid.UUID, *User] // nil: likewise
	debtors debtors
}

// User is an account as other services may see it.
type User struct {
	UserID        uuid.UUID   `json:"user_id"`
	Email         string      `json:"email"`
	AskedEmail    string      `json:"asked_email,omitempty"` // as a lookup wrote it: an international domain can be written in several ways
	Phone         string      `json:"phone"`
	CreditBalance money.Cents `json:"credit_balance"`
	Role          string      `json:"role"`
	IsAdmin       bool        `json:"is_admin"`
	IsFlagged     bool        `json:"is_flagged"`
	Flagged       bool        `json:"flagged"`
	IsVerified    bool        `json:"is_verified"`
	CreatedAt     time.Time   `json:"created_at"`
}

// Risk says whether a user must confirm purchases by one-time password, and whether that was done for one order.
type Risk struct {
	PersonID    uuid.UUID `json:"person_id"` // shared by all accounts of a person
	IsFlagged   bool      `json:"is_flagged"`
	IsVerified  bool      `json:"is_verified"`
	OTPVerified bool      `json:"otp_verified"`
	OTPPending  bool      `json:"otp_pending"`
}

type riskQuery struct {
	UserID      uuid.UUID `json:"user_id"`
	ReferenceID uuid.UUID `json:"reference_id"`
}

// Risk reads a user's risk for an order; USER_NOT_FOUND. Concurrent calls are coalesced into one.
func (u *Users) Risk(ctx context.Context, user, order uuid.UUID) (Risk, error) {
	r, err := u.risks.Do(ctx, riskQuery{user, order}, func(ctx context.Context, asked []riskQuery) (risks []*Risk, err error) {
		err = u.Do(ctx, http.MethodPost, "/users/risks", struct {
			Asked []riskQuery `json:"asked"`
		}{asked}, &risks)
		if err == nil && len(risks) != len(asked) {
			err = fmt.Errorf("%d risks were answered by %d", len(asked), len(risks))
		}
		return risks, err
	})
	return found(r, late(u.Client, ctx, err))
}

// found returns a coalesced call's result, or USER_NOT_FOUND.
func found[T any](one *T, err error) (T, error) {
	if err == nil && one == nil {
		err = ErrUserNotFound
	}
	if err != nil {
		return *new(T), err
	}
	return *one, nil
}

// late is the error of a caller whose deadline passed before the answer to a coalesced call: its outcome is unknown.
func late(c call.Client, ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return fault.Unreachable(c.Name, err)
	}
	return err
}

// User reads one user; USER_NOT_FOUND. Concurrent calls are coalesced into one.
func (u *Users) User(ctx context.Context, id uuid.UUID) (User, error) {
	user, err := u.people.Do(ctx, id, func(ctx context.Context, ids []uuid.UUID) ([]*User, error) {
		known, err := u.Lookup(ctx, ids, nil)
		if err != nil {
			return nil, err
		}
		byID := make(map[uuid.UUID]*User, len(known))
		for i := range known {
			byID[known[i].UserID] = &known[i]
		}
		users := make([]*User, len(ids))
		for i, id := range ids {
			users[i] = byID[id]
		}
		return users, nil
	})
	return found(user, late(u.Client, ctx, err))
}

// Lookup finds users by id and e-mail address, at most 200 at once; unknown ones are left out.
func (u *Users) Lookup(ctx context.Context, ids []uuid.UUID, emails []string) (users []User, err error) {
	err = u.Do(ctx, http.MethodPost, "/users/lookup", map[string]any{"ids": ids, "emails": emails}, &users)
	return users, err
}

// List returns a page of users for an administrator, those whose e-mail address contains email if it is not empty.
func (u *Users) List(ctx context.Context, page web.Page, email string) (users []User, total int, err error) {
	q := pageQuery(page)
	if email != "" {
		q.Set("email", email)
	}
	p, err := u.Page(ctx, http.MethodGet, "/internal/users?"+q.Encode(), nil, &users)
	return users, totalOf(p), err
}

// Change sets a user's role and flag; nil leaves them.
func (u *Users) Change(ctx context.Context, id uuid.UUID, role *string, flagged *bool) (user User, err error) {
	body := map[string]any{}
	if role != nil {
		body["role"] = *role
	}
	if flagged != nil {
		body["is_flagged"] = *flagged
	}
	err = u.Do(ctx, http.MethodPatch, "/internal/users/"+id.String(), body, &user)
	return user, err
}

// Payments lists a page of payments of which Stripe said something that did not fit, newest first, as the user service
// writes them; state is anomaly or resolved.
func (u *Users) Payments(ctx context.Context, state string, page web.Page) (payments json.RawMessage, total int, err error) {
	q := pageQuery(page)
	if state != "" {
		q.Set("state", state)
	}
	p, err := u.Page(ctx, http.MethodGet, "/internal/payments?"+q.Encode(), nil, &payments)
	return payments, totalOf(p), err
}

// ResolvePayment settles what did not fit about a payment, by an administrator's decision.
func (u *Users) ResolvePayment(ctx context.Context, intent string, admin uuid.UUID, reason string) (payment json.RawMessage, err error) {
	err = u.Do(ctx, http.MethodPost, "/internal/payments/"+url.PathEscape(intent)+"/resolve", map[string]any{"by_user_id": admin, "reason": reason}, &payment)
	return payment, err
}

// Revocations returns the sessions revoked after a sequence number.
func (u *Users) Revocations(ctx context.Context, after int64) (news []token.Revocation, err error) {
	err = u.Do(ctx, http.MethodGet, "/internal/revocations?after="+strconv.FormatInt(after, 10), nil, &news)
	return news, err
}

// Booking is one movement of credits, named by the operation that causes it.
type Booking struct {
	OperationID uuid.UUID   `json:"operation_id"`
	UserID      uuid.UUID   `json:"user_id,omitzero"`
	Amount      money.Cents `json:"amount,omitzero"`
	ReferenceID uuid.UUID   `json:"reference_id,omitzero"` // order or transfer
	DisputeID   uuid.UUID   `json:"dispute_id,omitzero"`
	CoverShort  bool        `json:"cover_short,omitzero"`
	Fee         money.Cents `json:"fee,omitzero"` // of a sale, kept from what the seller gets
}

// Booked is the answer to a booking.
type Booked struct {
	CreditBalance money.Cents `json:"credit_balance"`
	Amount        money.Cents `json:"amount"`
}

// The paths of Book; docs/internal-api.md#user-service has what each does, undoes and refuses.
const (
	Deduct           = "/credits/deduct"
	Return           = "/credits/return"
	Escrow           = "/credits/escrow"
	EscrowReturn     = "/credits/escrow/return"
	EscrowRelease    = "/credits/escrow/release"
	Freeze           = "/credits/freeze"
	Unfreeze         = "/credits/unfreeze"
	FrozenIntoEscrow = "/credits/freeze/escrow"
	FrozenFromEscrow = "/credits/freeze/escrow/return"
)

// Purposes of a challenge.
const (
	PurposePurchase = "purchase" // its reference is the order
	PurposeTransfer = "transfer" // its reference is the transfer
)

// Book moves credits; path is one of the constants above.
func (u *Users) Book(ctx context.Context, path string, b Booking) (booked Booked, err error) {
	err = u.Do(ctx, http.MethodPost, path, b, &booked)
	return booked, err
}

// Challenge asks a user for a one-time password.
type Challenge struct {
	UserID         uuid.UUID `json:"user_id"`
	Purpose        string    `json:"purpose"`
	ReferenceID    uuid.UUID `json:"reference_id"`
	Message        string    `json:"message,omitempty"`
	CounterpartyID uuid.UUID `json:"counterparty_id,omitzero"`
	IfNonePending  bool      `json:"if_none_pending,omitempty"`
}

// SendOTP starts a challenge.
func (u *Users) SendOTP(ctx context.Context, c Challenge) error {
	return u.Do(ctx, http.MethodPost, "/otp/send", c, nil)
}

// CancelOTP voids a live challenge.
func (u *Users) CancelOTP(ctx context.Context, c Challenge) error {
	return u.Do(ctx, http.MethodPost, "/otp/cancel", c, nil)
}

// VerifyOTP answers a challenge of a user's with a code that by entered: wrong codes that others enter are not counted
// as the user's.
func (u *Users) VerifyOTP(ctx context.Context, user uuid.UUID, purpose string, reference uuid.UUID, code string, by uuid.UUID) error {
	return u.Do(ctx, http.MethodPost, "/otp/verify", map[string]any{
		"user_id": user, "purpose": purpose, "reference_id": reference, "otp_code": code, "by_user_id": by,
	}, nil)
}

// ErrUserNotFound is the answer to a call about an unknown user.
var ErrUserNotFound = fault.New(fault.NotFound, fault.CodeUserNotFound, "There is no such user")

func pageQuery(p web.Page) url.Values {
	return url.Values{"page": {strconv.Itoa(p.Number)}, "per_page": {strconv.Itoa(p.Size)}}
}

func totalOf(p *web.Pagination) int {
	if p == nil {
		return 0
	}
	return p.Total
}

// Payer is a user whose top-up is under way.
type Payer struct {
	UserID   uuid.UUID `json:"user_id"`
	PersonID uuid.UUID `json:"person_id"`
}

// MostPayers is how many payers the user service returns at once.
const MostPayers = 500

// Payers lists users whose top-up is under way: those whose id comes after this one, by their ids, MostPayers at most.
func (u *Users) Payers(ctx context.Context, after uuid.UUID) (payers []Payer, err error) {
	path := "/internal/payers"
	if after != uuid.Nil {
		path += "?after=" + after.String()
	}
	err = u.Do(ctx, http.MethodGet, path, nil, &payers)
	return payers, err
}
