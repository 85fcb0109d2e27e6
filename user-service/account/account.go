// Package account has the flows around an account: registration, login and logout, password, phone and authenticator
// app.
package account

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"time"

	"github.com/google/uuid"

	"ticketremaster/platform/fault"
	"ticketremaster/platform/token"
	user "ticketremaster/user-service"
	"ticketremaster/user-service/otp"
	"ticketremaster/user-service/postgres"
)

// Service holds what the flows need. All fields are set.
type Service struct {
	Store      *postgres.Store
	OTP        *otp.Service
	Hasher     *user.Hasher
	Vault      *user.Vault
	Keys       token.Keys
	Revoked    *token.Revocations
	AccessTTL  time.Duration // of an access token
	RefreshTTL time.Duration // of a session, seven days at most
	// OneAccountPerPhone has who confirms a number take it over from the account that had it.
	OneAccountPerPhone bool
	// Background runs work that no answer waits for; shutdown waits for it. false: too much is running.
	Background func(func(context.Context)) bool
}

// Login is a new session.
type Login struct {
	Access    string
	Refresh   string // opaque; only its hash is stored
	ExpiresIn time.Duration
	User      user.User
}

// registrationLife is how long an unverified account reserves its e-mail address.
const registrationLife = 15 * time.Minute

// Register makes an unverified account and sends the code that verifies it. Registering the same again before the code
// was entered returns the same account and sends a new code; after a quarter of an hour anyone may register the
// address. EMAIL_ALREADY_EXISTS; SERVICE_UNAVAILABLE when no code could be sent: then there is no account.
func (s *Service) Register(ctx context.Context, email, phone, password string) (uuid.UUID, error) {
	hash, err := s.Hasher.Hash(ctx, password)
	if err != nil {
		return uuid.Nil, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return uuid.Nil, err
	}
	u := user.User{ID: id, Email: email, Phone: phone, Role: token.Customer}
	err = s.Store.Create(ctx, u, hash)
	if errors.Is(err, user.ErrEmailTaken) {
		if again, err := s.sameRegistration(ctx, email, phone, password); again != uuid.Nil || err != nil {
			return again, err
		}
		taken, err := s.Store.Replace(ctx, u, hash, registrationLife)
		if err != nil {
			return uuid.Nil, err
		}
		if !taken {
			return uuid.Nil, user.ErrEmailTaken
		}
	} else if err != nil {
		return uuid.Nil, err
	}
	if err := s.sendRegistration(ctx, id); err != nil {
		forget, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		return uuid.Nil, errors.Join(err, s.Store.Forget(forget, id))
	}
	return id, nil
}

// sameRegistration returns the unverified account with this address, phone and password, and sends a code; Nil if there
// is none.
func (s *Service) sameRegistration(ctx context.Context, email, phone, password string) (uuid.UUID, error) {
	c, err := s.Store.Credentials(ctx, uuid.Nil, email)
	if errors.Is(err, user.ErrNotFound) || err == nil && (c.Verified || c.Phone != phone) {
		return uuid.Nil, nil
	}
	if err != nil {
		return uuid.Nil, err
	}
	same, err := s.Hasher.Matches(ctx, c.PasswordHash, password)
	if err != nil || !same {
		return uuid.Nil, err
	}
	return c.ID, s.sendRegistration(ctx, c.ID)
}

func (s *Service) sendRegistration(ctx context.Context, id uuid.UUID) error {
	_, err := s.OTP.Send(ctx, otp.Request{UserID: id, Purpose: user.ForRegistration, IfNonePending: true,
		Message: registrationMessage})
	return err
}

const registrationMessage = "TicketRemaster: your code to register an account with this phone number. If you did not ask for one, ignore it."

// ResendRegistration sends a new code to an account that waits for one. USER_NOT_FOUND; BAD_REQUEST for one that is
// verified already, or that lost its number to another account: who has the number now could enter it with that code,
// so the next one takes a password (LogIn).
func (s *Service) ResendRegistration(ctx context.Context, id uuid.UUID) error {
	c, err := s.Store.Credentials(ctx, id, "")
	if err != nil {
		return err
	}
	switch {
	case c.Verified:
		return errBadRequest("This account is confirmed already")
	case c.PhoneLost:
		return errBadRequest("Please log in to get a code")
	}
	_, err = s.OTP.Send(ctx, otp.Request{UserID: id, Purpose: user.ForRegistration, Message: registrationMessage})
	return err
}

// VerifyRegistration confirms the phone and logs in. NOT_FOUND; BAD_REQUEST for a wrong code or none pending, which is
// not 401 because nobody is logged in.
func (s *Service) VerifyRegistration(ctx context.Context, id uuid.UUID, code string) (Login, error) {
	c, err := s.Store.Credentials(ctx, id, "")
	if errors.Is(err, user.ErrNotFound) {
		return Login{}, fault.New(fault.NotFound, fault.CodeNotFound, "There is no such account")
	}
	if err != nil {
		return Login{}, err
	}
	if _, err := s.OTP.Verify(ctx, postgres.Entry{UserID: id, Purpose: user.ForRegistration, Code: code}); err != nil {
		return Login{}, publicOTP(err)
	}
	if err := s.Store.MarkVerified(ctx, id, s.OneAccountPerPhone); err != nil {
		return Login{}, err
	}
	c.Verified = true
	return s.open(ctx, c)
}

// publicOTP returns the answer for a wrong code to a caller without a session.
func publicOTP(err error) error {
	switch fault.Code(err) {
	case user.ErrOTPInvalid.Code, user.ErrOTPExpired.Code:
		return errBadRequest("The code is wrong or has expired")
	case fault.CodeValidation:
		if errors.Is(err, user.ErrOTPNone) && fault.From(err).Message == user.ErrOTPNone.Message {
			return errBadRequest("The code is wrong or has expired")
		}
	}
	return err
}

func errBadRequest(message string) *fault.Error {
	return fault.New(fault.Invalid, "BAD_REQUEST", message)
}

// LogIn checks a password and begins a session. An unknown address and a wrong password get the same answer in the same
// time; too many wrong ones are RATE_LIMITED for a while (user.SlowedBy), of an unknown address too. An account that is
// not verified gives UNVERIFIED_ACCOUNT (details: user_id), with a code pending.
func (s *Service) LogIn(ctx context.Context, email, password string) (Login, error) {
	c, err := s.Store.Credentials(ctx, uuid.Nil, email)
	if err != nil && !errors.Is(err, user.ErrNotFound) {
		return Login{}, err
	}
	ok, err := s.try(ctx, email, c, password)
	if err != nil {
		return Login{}, err
	}
	if !ok {
		return Login{}, user.ErrCredentials
	}
	if !c.Verified {
		if err := s.sendRegistration(ctx, c.ID); fault.From(err).Kind == fault.Unavailable && err != nil {
			return Login{}, err
		}
		return Login{}, user.ErrUnverified.With("user_id", c.ID.String())
	}
	return s.open(ctx, c)
}

// try checks a password, the zero Credentials' being none. RATE_LIMITED if it comes before its time: then nothing was
// checked.
func (s *Service) try(ctx context.Context, email string, c user.Credentials, password string) (ok bool, err error) {
	origin := user.Origin(ctx)
	known, err := s.Store.Knows(ctx, c.ID, origin)
	if err != nil {
		return false, err
	}
	slowed := user.SlowedBy(email, origin, known)
	wait, err := s.Store.TryPassword(ctx, slowed)
	if err != nil {
		return false, err
	}
	if wait > 0 {
		return false, user.ErrSlowed(wait)
	}
	if ok, err = s.Hasher.Matches(ctx, c.PasswordHash, password); ok || err != nil { // not checked is no try
		err = errors.Join(err, s.Store.PasswordWasRight(context.WithoutCancel(ctx), slowed))
	}
	return ok, err
}

// open begins a session for a user whose password or code was correct. The account knows the network from then on.
func (s *Service) open(ctx context.Context, c user.Credentials) (Login, error) {
	if origin := user.Origin(ctx); origin != "" {
		if err := s.Store.Know(ctx, c.ID, origin); err != nil {
			return Login{}, err
		}
	}
	session, err := uuid.NewV7()
	if err != nil {
		return Login{}, err
	}
	secret := make([]byte, 32)
	rand.Read(secret)
	refresh := base64.RawURLEncoding.EncodeToString(secret)
	var person uuid.UUID
	c.Role, person, err = s.Store.OpenSession(ctx, session, c.ID, c.PasswordHash, refreshHash(refresh), s.RefreshTTL)
	if err != nil {
		return Login{}, err
	}
	access, err := s.sign(token.Caller{UserID: c.ID, PersonID: person, Role: c.Role, SessionID: session})
	return Login{access, refresh, s.AccessTTL, c.User}, err
}

func (s *Service) sign(c token.Caller) (string, error) {
	c.ExpiresAt = time.Now().Add(s.AccessTTL)
	return s.Keys.Sign(c)
}

func refreshHash(refresh string) []byte {
	sum := sha256.Sum256([]byte(refresh))
	return sum[:]
}

// Refresh returns a new access token for a refresh token, which stays valid. UNAUTHORIZED once its session has ended.
func (s *Service) Refresh(ctx context.Context, refresh string) (access string, expiresIn time.Duration, err error) {
	if len(refresh) != 43 { // of 32 bytes
		return "", 0, user.ErrSession
	}
	c, err := s.Store.SessionOf(ctx, refreshHash(refresh))
	if err != nil {
		return "", 0, err
	}
	access, err = s.sign(c)
	return access, s.AccessTTL, err
}

// LogOut ends a session: its refresh token at once, its access tokens as soon as the services have read the revocation.
func (s *Service) LogOut(ctx context.Context, session uuid.UUID) error {
	if err := s.Store.CloseSession(ctx, session, s.lastAccess()); err != nil {
		return err
	}
	s.revoked(session)
	return nil
}

// SetStanding changes a user's role and flag, where not nil; a new value ends the user's sessions. USER_NOT_FOUND.
func (s *Service) SetStanding(ctx context.Context, id uuid.UUID, role *string, flagged *bool) (user.User, error) {
	u, sessions, err := s.Store.SetStanding(ctx, id, role, flagged, s.lastAccess())
	s.revoked(sessions...)
	return u, err
}

// lastAccess is the time by which every access token signed before now has expired.
func (s *Service) lastAccess() time.Time { return time.Now().Add(s.AccessTTL + time.Minute) }

// revoked makes this process refuse the sessions at once; other processes learn of it from the feed.
func (s *Service) revoked(sessions ...uuid.UUID) {
	for _, id := range sessions {
		s.Revoked.Add(time.Now(), token.Revocation{SessionID: id, Until: s.lastAccess()})
	}
}
