// Package fault is the one error type between services and towards clients. The domain says what went wrong (a Kind, a
// code that clients tell apart, a sentence for a person). Package web renders it for HTTP and package rpc for gRPC,
// each from one table; packages call and rpc read it back.
package fault

import (
	"errors"
	"fmt"
	"maps"
	"time"
	"unicode"
	"unicode/utf8"
)

// Kind classifies a fault by what its caller can do about it.
type Kind int

// The kinds. Internal is the zero value: an error that nobody classified.
const (
	Internal        Kind = iota // our bug or broken state; the caller cannot correct it
	Invalid                     // the input is malformed
	Unauthenticated             // the caller is unknown
	PaymentRequired             // insufficient credits
	Forbidden                   // the caller may not do this
	NotFound                    // no such thing, or none that the caller may see
	Conflict                    // the state does not allow it, or another request was faster
	Gone                        // it was possible once; its time is over
	TooLarge                    // the input exceeds a limit of size
	ProofRequired               // a one-time password must be given first
	TooMany                     // a limit of rate or number; may be tried again later
	Unavailable                 // a dependency is down or slow; the outcome may be unknown
)

// Codes that every service uses. A code that belongs to one flow is declared beside the flow.
const (
	CodeInternal     = "INTERNAL_ERROR"
	CodeValidation   = "VALIDATION_ERROR"
	CodeInvalidUUID  = "INVALID_UUID"
	CodeTokenExpired = "TOKEN_EXPIRED"
	CodeForbidden    = "FORBIDDEN"
	CodeTooLarge     = "PAYLOAD_TOO_LARGE"
	CodeRateLimited  = "RATE_LIMITED"
	CodeUnavailable  = "SERVICE_UNAVAILABLE"

	// These say that a call did not reach what it was meant for. Between services none of them is a rule's answer: what
	// is missing there has a code of its own (USER_NOT_FOUND).
	CodeUnauthorized     = "UNAUTHORIZED"       // the caller's token or secret
	CodeNotFound         = "NOT_FOUND"          // the router knows no such address
	CodeMethodNotAllowed = "METHOD_NOT_ALLOWED" // likewise
)

// Answered reports whether code is what a called service's own rules decided. Anything else (its secret did not fit,
// its router knew no such call, something on the way answered in its place) says nothing about the call's outcome.
func Answered(code string) bool {
	switch code {
	case "", CodeUnauthorized, CodeNotFound, CodeMethodNotAllowed:
		return false
	}
	return true
}

// Error is a fault. Clients tell faults apart by Code; Message is shown to the end user as it is.
type Error struct {
	Kind    Kind
	Code    string
	Message string
	// Fields holds what is wrong with each field of the input, by the name the client used.
	Fields map[string]string
	// Details are values that a caller acts on (a transfer's state, an order's id).
	Details map[string]string
	// RetryAfter, if not zero, says when trying again makes sense.
	RetryAfter time.Duration
	cause      error
}

// New makes a fault; message and args are as in fmt.Sprintf.
func New(kind Kind, code, message string, args ...any) *Error {
	if len(args) > 0 {
		message = fmt.Sprintf(message, args...)
	}
	return &Error{Kind: kind, Code: code, Message: message}
}

// Field makes a VALIDATION_ERROR that names one field of the input.
func Field(name, message string, args ...any) *Error {
	e := New(Invalid, CodeValidation, message, args...)
	e.Message = name + ": " + e.Message
	e.Fields = map[string]string{name: e.Message}
	return e
}

// Unreachable makes a SERVICE_UNAVAILABLE for a dependency, by its plain name as it stands in a sentence ("the order
// service"). cause goes to the log only.
func Unreachable(dependency string, cause error) *Error {
	first, size := utf8.DecodeRuneInString(dependency)
	e := New(Unavailable, CodeUnavailable, "%c%s is not available right now, please try again shortly", unicode.ToUpper(first), dependency[size:])
	e.cause = cause
	return e
}

// Because returns a copy of e with the error that led to it, for the log.
func (e *Error) Because(cause error) *Error {
	c := *e
	c.cause = cause
	return &c
}

// With returns a copy of e that carries one more detail.
func (e *Error) With(key, value string) *Error {
	c := *e
	c.Details = maps.Clone(e.Details)
	if c.Details == nil {
		c.Details = map[string]string{}
	}
	c.Details[key] = value
	return &c
}

func (e *Error) Error() string {
	s := e.Code + ": " + e.Message
	if e.cause != nil {
		s += ": " + e.cause.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.cause }

// Is reports whether target is a fault of the same code, so that errors.Is(err, ErrSeatTaken) works
// across a wire.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code
}

// From returns err's fault; an error that holds none is Internal, its text kept from clients.
func From(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return &Error{Kind: Internal, Code: CodeInternal, Message: "Something went wrong on our side", cause: err}
}

// Code returns the code of err's fault, "" for nil.
func Code(err error) string {
	if err == nil {
		return ""
	}
	return From(err).Code
}

// Unknown reports whether err leaves open that the operation happened: it must be repeated under the same id, never
// assumed. Every other fault is a definite refusal.
func Unknown(err error) bool {
	if err == nil {
		return false
	}
	k := From(err).Kind
	return k == Unavailable || k == Internal
}
