// Package token makes and reads the access tokens (JWT, HS256) that name a caller, and knows which sessions are
// revoked. Kong checks signature and exp; every service that acts for a user checks again here, so that a request that
// bypassed the gateway is unauthenticated.
package token

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"

	"ticketremaster/platform/fault"
	"ticketremaster/platform/web"
)

// Roles of a user.
const (
	Customer = "customer"
	Staff    = "staff"
	Admin    = "admin"
)

// Caller is who a request acts for.
type Caller struct {
	UserID    uuid.UUID
	PersonID  uuid.UUID // the same for all accounts of one person: what is limited per person is counted under it
	Role      string
	SessionID uuid.UUID
	ExpiresAt time.Time
}

// IsAdmin reports whether the caller is an administrator.
func (c Caller) IsAdmin() bool { return c.Role == Admin }

// IsStaff reports whether the caller may work at the gate: staff or admin.
func (c Caller) IsStaff() bool { return c.Role == Staff || c.Role == Admin }

// Keys signs and verifies access tokens.
type Keys struct {
	Secret []byte
	Issuer string // Kong finds the key by it
	// Revocations knows which sessions are revoked; nil: none is.
	Revocations *Revocations
}

type claims struct {
	Role    string `json:"role"`
	Session string `json:"sid"`
	Person  string `json:"pid,omitempty"` // none: the user
	Type    string `json:"typ"`
	jwt.RegisteredClaims
}

const accessType = "access"

// Sign makes an access token for c that is valid until c.ExpiresAt.
func (k Keys) Sign(c Caller) (string, error) {
	return jwt.NewWithClaims(jwt.SigningMethodHS256, claims{
		Role: c.Role, Session: c.SessionID.String(), Person: person(c), Type: accessType,
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer: k.Issuer, Subject: c.UserID.String(),
			IssuedAt: jwt.NewNumericDate(time.Now()), ExpiresAt: jwt.NewNumericDate(c.ExpiresAt),
		},
	}).SignedString(k.Secret)
}

func person(c Caller) string {
	if c.PersonID == uuid.Nil || c.PersonID == c.UserID {
		return ""
	}
	return c.PersonID.String()
}

var errLogIn = fault.New(fault.Unauthenticated, fault.CodeUnauthorized, "Please log in")

// Verify reads an access token: UNAUTHORIZED unless it is ours and its session lives, TOKEN_EXPIRED when its time is
// over, ErrUnjudged when it is not known whether its session lives.
func (k Keys) Verify(tokenString string) (Caller, error) {
	var c claims
	_, err := jwt.ParseWithClaims(tokenString, &c, func(*jwt.Token) (any, error) { return k.Secret, nil },
		jwt.WithValidMethods([]string{"HS256"}), jwt.WithIssuer(k.Issuer), jwt.WithExpirationRequired())
	if errors.Is(err, jwt.ErrTokenExpired) {
		return Caller{}, fault.New(fault.Unauthenticated, fault.CodeTokenExpired, "Your session has timed out, please log in again")
	}
	user, errUser := uuid.Parse(c.Subject)
	session, errSession := uuid.Parse(c.Session)
	if err != nil || errUser != nil || errSession != nil || c.Type != accessType {
		return Caller{}, errLogIn
	}
	if k.Revocations != nil {
		if err := k.Revocations.Check(session); err != nil {
			return Caller{}, err
		}
	}
	personID := user
	if c.Person != "" {
		if personID, err = uuid.Parse(c.Person); err != nil {
			return Caller{}, errLogIn
		}
	}
	return Caller{UserID: user, PersonID: personID, Role: c.Role, SessionID: session, ExpiresAt: c.ExpiresAt.Time}, nil
}

type callerKey struct{}

// Require accepts only requests with a valid access token; From returns their caller.
func (k Keys) Require(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		caller, err := k.Verify(web.Bearer(r))
		if err != nil {
			web.Fail(r.Context(), w, err)
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), callerKey{}, caller)))
	})
}

// From returns the caller that Require found; without Require, the zero Caller.
func From(ctx context.Context) Caller {
	c, _ := ctx.Value(callerKey{}).(Caller)
	return c
}

// Allow accepts only callers for whom may is true; others get 403. It must come after Require.
func Allow(may func(Caller) bool) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !may(From(r.Context())) {
				web.Fail(r.Context(), w, fault.New(fault.Forbidden, fault.CodeForbidden, "You are not allowed to do this"))
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}
