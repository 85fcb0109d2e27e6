package user

import (
	"crypto/sha256"
	"regexp"
	"time"

	"github.com/google/uuid"

	"ticketremaster/platform/fault"
)

// Purposes of a one-time password.
const (
	ForRegistration  = "registration"
	ForLogin         = "login"
	ForPasswordReset = "password_reset"
	ForTOTP          = "totp"    // enrol or remove an authenticator app
	ForProfile       = "profile" // change phone or e-mail address
	ForPurchase      = "purchase"
	ForTransfer      = "transfer"
)

// How a code reaches its owner.
const (
	BySMS  = "sms"
	ByTOTP = "totp" // by the authenticator app: nothing is sent
)

// MaxTries is how many wrong codes end a challenge.
const MaxTries = 3

// RepeatWindow is how long an identical code gets the same answer and is not a new try: the web app repeats a request
// after any 401 (docs/clients.md#across-all-endpoints).
const RepeatWindow = 10 * time.Second

// What refuses a code.
var (
	ErrOTPInvalid    = fault.New(fault.Unauthenticated, "OTP_INVALID", "The code is wrong")
	ErrOTPExpired    = fault.New(fault.Gone, fault.CodeOTPExpired, "The code has expired, please ask for a new one")
	ErrOTPMaxRetries = fault.New(fault.TooMany, fault.CodeOTPMaxRetries, "Too many wrong codes")
	ErrOTPNone       = fault.Field("otp_code", "no code is pending, please ask for one")
	ErrOTPBusy       = fault.New(fault.Conflict, "OTP_BUSY", "The other party is confirming something else right now, please try again in a few minutes")
	ErrOTPRequired   = fault.New(fault.ProofRequired, fault.CodeOTPRequired, "Please enter the code that we sent to your phone")
	ErrOTPTooOften   = fault.New(fault.TooMany, fault.CodeRateLimited, "Too many codes were sent, please try again later")
	ErrOTPSending    = &fault.Error{Kind: fault.TooMany, Code: fault.CodeRateLimited, RetryAfter: time.Second,
		Message: "a code is being sent right now, please wait a moment"}
)

// Challenge asks a user for one code, for one purpose and reference. A user has one live challenge at most.
type Challenge struct {
	ID           uuid.UUID
	UserID       uuid.UUID
	Purpose      string
	Reference    *uuid.UUID // order or transfer
	Counterparty *uuid.UUID // who started a transfer that this user is to confirm
	Method       string
	Phone        string
	State        string
	Tries        int
	Expires      time.Time
	Expired      bool   // by the database's clock
	Repeat       []byte // AnswerKey of the code answered last, if that was less than RepeatWindow ago
	Answer       string // to that code
}

// MayVoid reports whether c may take the place of a live challenge for that purpose. A challenge that the user asked
// for may; one that someone else caused, a counterparty or whoever typed an e-mail address, replaces only its own kind.
func (c Challenge) MayVoid(live string) bool {
	switch {
	case c.Counterparty != nil:
		return live == ForTransfer
	case c.Purpose == ForPasswordReset:
		return live == ForPasswordReset
	}
	return true
}

// OTPLimits bound sending and guessing.
type OTPLimits struct {
	TTL          time.Duration // of a code
	SendsPerHour int           // to one user
	PairPerHour  int           // to one user because of one other
	WrongPerDay  int           // wrong codes of one owner for one purpose, over all challenges
}

var codeForm = regexp.MustCompile(`^[0-9]{4,8}$`)

// CheckCode says what is wrong with the form of a code. A malformed code does not count as a try.
func CheckCode(code string) error {
	if code == "" {
		return fault.Field("otp_code", "is required")
	}
	if !codeForm.MatchString(code) {
		return fault.Field("otp_code", "must be the digits of the code")
	}
	return nil
}

// AnswerKey identifies a code within its challenge without storing it.
func AnswerKey(challenge uuid.UUID, code string) []byte {
	sum := sha256.Sum256(append(challenge[:], code...))
	return sum[:]
}

// CheckPurpose says what is wrong with a purpose and its reference.
func CheckPurpose(purpose string, reference *uuid.UUID) error {
	switch purpose {
	case ForRegistration, ForLogin, ForPasswordReset, ForTOTP, ForProfile:
		return nil
	case ForPurchase, ForTransfer:
		if reference == nil {
			return fault.Field("reference_id", "is required")
		}
		return nil
	}
	return fault.Field("purpose", "must be one of registration, login, password_reset, totp, purchase, transfer")
}

// MethodFor returns how a code for purpose reaches a user with or without an authenticator app. What enrols or removes the app, and what
// shows that a phone is someone's, goes by SMS always.
func MethodFor(purpose string, enrolled bool) string {
	switch purpose {
	case ForRegistration, ForTOTP, ForProfile:
		return BySMS
	}
	if enrolled {
		return ByTOTP
	}
	return BySMS
}
