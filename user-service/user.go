// Package user is the user service: accounts and sessions, one-time passwords, and the credits. The rules are here; the
// technologies around them in the packages below.
package user

import (
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"golang.org/x/net/idna"

	"ticketremaster/platform/fault"
	"ticketremaster/platform/money"
	"ticketremaster/platform/token"
)

// User is a person with an account.
type User struct {
	ID       uuid.UUID
	Email    string // lower case, an international domain in its ASCII form (xn--…)
	Phone    string // E.164
	Balance  money.Cents
	Role     string // one of package token's
	Flagged  bool   // high risk: a purchase needs an OTP
	Verified bool   // the phone is confirmed as theirs
	Created  time.Time
}

// Credentials are what a password or a code is checked against. They never leave the service.
type Credentials struct {
	User
	PasswordHash string
	PhoneLost    bool   // another account has confirmed the number since
	Secret       string // sealed TOTP secret in force; "" without an authenticator app
	Pending      string // sealed TOTP secret that waits for its first valid code
}

// Refusals. Their codes are in docs/clients.md#accounts-and-credits.
var (
	ErrNotFound    = fault.New(fault.NotFound, fault.CodeUserNotFound, "There is no such user")
	ErrEmailTaken  = fault.New(fault.Conflict, "EMAIL_ALREADY_EXISTS", "An account with this e-mail address exists already")
	ErrCredentials = fault.New(fault.Unauthenticated, fault.CodeUnauthorized, "E-mail address or password is wrong")
	ErrUnverified  = fault.New(fault.Forbidden, "UNVERIFIED_ACCOUNT", "Please confirm your phone number with the code that we sent you")
	ErrSession     = fault.New(fault.Unauthenticated, fault.CodeUnauthorized, "Please log in again")
)

// Limits of a password. bcrypt reads 72 bytes: what is longer is refused, never truncated.
const (
	minPassword = 8  // characters
	maxPassword = 72 // bytes
	maxEmail    = 255
)

var (
	emailForm = regexp.MustCompile(`^[a-z0-9.!#$%&'*+/=?^_{|}~-]{1,64}@[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)+$`)
	phoneForm = regexp.MustCompile(`^\+[1-9][0-9]{7,14}$`)
	phoneSkip = strings.NewReplacer(" ", "", "-", "", "(", "", ")", "")
)

// ParseEmail returns the address in the form in which addresses are kept and compared: lower case, an international
// domain in its ASCII form, so that no letter that looks like another passes for it.
func ParseEmail(s string) (string, error) {
	s = strings.ToLower(strings.TrimSpace(s))
	if s == "" {
		return "", fault.Field("email", "is required")
	}
	if at := strings.LastIndexByte(s, '@'); at >= 0 && len(s) <= 4*maxEmail {
		if domain, err := idna.Lookup.ToASCII(s[at+1:]); err == nil {
			s = s[:at+1] + domain
		}
	}
	if len(s) > maxEmail || !emailForm.MatchString(s) {
		return "", fault.Field("email", "must be an e-mail address such as ada@example.com")
	}
	return s, nil
}

// ParsePhone returns the number in E.164; blanks, hyphens and parentheses are dropped.
func ParsePhone(s string) (string, error) {
	if s == "" {
		return "", fault.Field("phone", "is required")
	}
	if s = phoneSkip.Replace(s); !phoneForm.MatchString(s) {
		return "", fault.Field("phone", "must be a number with country code such as +6591234567")
	}
	return s, nil
}

// CheckPassword says what is wrong with a new password given in that field of the input.
func CheckPassword(field, s string) error {
	switch {
	case s == "":
		return fault.Field(field, "is required")
	case !utf8.ValidString(s) || strings.ContainsRune(s, 0):
		return fault.Field(field, "must be text")
	case utf8.RuneCountInString(s) < minPassword:
		return fault.Field(field, "must have at least %d characters", minPassword)
	case len(s) > maxPassword:
		return fault.Field(field, "must have at most %d bytes (letters with accents count as two or more)", maxPassword)
	}
	return nil
}

// CheckRole says what is wrong with a role.
func CheckRole(s string) error {
	switch s {
	case token.Customer, token.Staff, token.Admin:
		return nil
	}
	return fault.Field("role", "must be customer, staff or admin")
}
