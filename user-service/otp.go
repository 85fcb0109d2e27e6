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
	ErrOTPBusy       = fault.New(fault.Conflict, "OTP_BUSY", "Something else is being confirmed by this phone right now, please try again in a few minutes")
	ErrOTPRequired   = fault.New(fault.ProofRequired, fault.CodeOTPRequired, "Please enter the code that we sent to your phone")
	ErrOTPTooOften   = fault.New(fault.TooMany, fault.CodeRateLimited, "Too many codes were sent, please try again later")
	ErrSMSFlood      = fault.New(fault.TooMany, fault.CodeRateLimited, "Too many codes were sent, please try again later") // in all: an operator must look
	ErrOTPOwnerOnly  = fault.New(fault.TooMany, fault.CodeRateLimited, "This code can only be entered by its owner now")
	ErrOTPSending    = &fault.Error{Kind: fault.TooMany, Code: fault.CodeRateLimited, RetryAfter: time.Second,
		Message: "A code is being sent right now, please wait a moment"}
)

// Challenge asks a user for one code, for one purpose and reference. A user has one live challenge at most, and so has
// a phone number over all accounts.
type Challenge struct {
	ID           uuid.UUID
	UserID       uuid.UUID
	Purpose      string
	Reference    *uuid.UUID // order or transfer
	Counterparty *uuid.UUID // who started a transfer that this user is to confirm
	Method       string
	Phone        string
	Kind         SMSKind
	State        string
	Expires      time.Time
}

// MayVoid reports whether c may take the place of a live challenge of the same user. What the user asked for may; what
// someone else asked for, a counterparty or whoever typed an e-mail address, takes nothing away but its own.
func (c Challenge) MayVoid(live Challenge) bool {
	switch {
	case c.Counterparty != nil:
		return live.Purpose == ForTransfer && live.Counterparty != nil && *live.Counterparty == *c.Counterparty
	case c.Purpose == ForPasswordReset:
		return live.Purpose == ForPasswordReset
	}
	return true
}

// GivesWay reports whether a live challenge may be voided by another account's that goes to the same phone: one by
// which someone only claims the number. Nobody's purchase, transfer or reset gives way to a stranger's.
func (c Challenge) GivesWay() bool { return c.Kind == Claim }

// OTPLimits bound sending and guessing.
type OTPLimits struct {
	TTL          time.Duration // of a code
	SendsPerHour int           // to one phone number, over all accounts; and by one user
	PairPerHour  int           // to one user because of one other
	WrongPerDay  int           // wrong codes of one owner for one purpose, over all challenges; each who enters them apart
	PerOrigin    int           // sent in an hour because of one network
	PerMinute    int           // sent in all
}

// Bounds of what strangers may try in all, so that many of them guess no more than this.
const (
	strangersPerCode = 3 * MaxTries // wrong codes of one challenge
	strangersPerDay  = 3            // times WrongPerDay
	resetsPerDay     = 3            // times WrongPerDay, where the owner has logged in from
)

// Wrong counts wrong codes of one owner and purpose. Mine are those of who enters one now.
type Wrong struct {
	Mine, MineOfDay           int
	Strangers, StrangersOfDay int // all but the owner
}

// Over says that whoever enters a code, the owner or not, has had all tries: of this challenge, or of the day.
func (l OTPLimits) Over(purpose string, owner bool, w Wrong) error {
	perDay := l.WrongPerDay
	if owner && purpose == ForPasswordReset {
		perDay *= resetsPerDay // a stranger may sit in the same network
	}
	switch {
	case w.Mine >= MaxTries || w.MineOfDay >= perDay:
		return ErrOTPMaxRetries
	case !owner && (w.Strangers >= strangersPerCode || w.StrangersOfDay >= strangersPerDay*l.WrongPerDay):
		return ErrOTPOwnerOnly
	}
	return nil
}

// EndsBy reports whether too many wrong codes end the challenge for everyone: the owner's do, and those of a transfer's
// other party. Strangers who try to reset a password end nothing but their own tries.
func (c Challenge) EndsBy(owner bool) bool { return owner || c.Purpose == ForTransfer }

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

// MethodFor returns how a code for purpose reaches a user with or without an authenticator app. What enrols or removes
// the app, and what shows that a phone is someone's, goes by SMS always.
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
