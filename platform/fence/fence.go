// Package fence carries a saga's fencing token from the saga's driver to every service that executes a step
// (docs/adr/saga-log.md). Each claim of a saga has a greater epoch than the one before, so a driver that lost its saga
// without noticing has a smaller one and is refused (STALE_DRIVER). Package call sends the token as an HTTP header and
// package rpc as gRPC metadata; package database refuses the stale one.
package fence

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"ticketremaster/platform/fault"
)

// Header is the HTTP header; gRPC metadata uses it in lower case. Its value is a Token's text.
const Header = "X-Fencing-Token"

// ErrStale refuses a step because a later driver of its saga has been here. It says nothing about the step itself: the
// driver stops and touches nothing more.
var ErrStale = fault.New(fault.Conflict, "STALE_DRIVER", "This operation is driven by another process now")

// Token names one claim of one saga.
type Token struct {
	Saga  uuid.UUID
	Epoch int64 // 1 for who began the saga; each later claim has a greater one
}

// String returns the token as it is sent: the saga's id, a slash and the epoch.
func (t Token) String() string { return t.Saga.String() + "/" + strconv.FormatInt(t.Epoch, 10) }

// Parse reads a token's text.
func Parse(s string) (Token, error) {
	saga, epoch, _ := strings.Cut(s, "/")
	id, err := uuid.Parse(saga)
	n, errEpoch := strconv.ParseInt(epoch, 10, 64)
	t := Token{id, n}
	if err != nil || errEpoch != nil || n < 1 || t.String() != strings.ToLower(s) {
		return Token{}, fault.New(fault.Invalid, fault.CodeValidation, "%s must be a UUID, a slash and a positive number", Header)
	}
	return t, nil
}

type key struct{}

// With returns a context that carries the token.
func With(ctx context.Context, t Token) context.Context { return context.WithValue(ctx, key{}, t) }

// Receive returns a context that carries the token that a call came with; an empty text means a call without one, which
// is not fenced.
func Receive(ctx context.Context, s string) (context.Context, error) {
	if s == "" {
		return ctx, nil
	}
	t, err := Parse(s)
	if err != nil {
		return ctx, fmt.Errorf("reading the fencing token: %w", err)
	}
	return With(ctx, t), nil
}

// From returns the token that ctx carries; false if there is none.
func From(ctx context.Context) (Token, bool) {
	t, ok := ctx.Value(key{}).(Token)
	return t, ok
}
