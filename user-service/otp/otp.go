// Package otp asks users for one-time passwords, by SMS through SMU or from their authenticator app, and checks what
// they answer.
package otp

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"ticketremaster/platform/fault"
	user "ticketremaster/user-service"
	"ticketremaster/user-service/postgres"
	"ticketremaster/user-service/smu"
)

// Service sends and checks codes.
type Service struct {
	store   *postgres.Store
	smu     *smu.Client
	vault   *user.Vault
	limits  user.OTPLimits
	numbers user.Numbers
}

// New makes the service.
func New(store *postgres.Store, client *smu.Client, vault *user.Vault, limits user.OTPLimits, numbers user.Numbers) *Service {
	return &Service{store, client, vault, limits, numbers}
}

// Request asks a user for a code.
type Request struct {
	UserID        uuid.UUID
	Purpose       string
	Reference     *uuid.UUID
	Counterparty  *uuid.UUID   // who started it, if not the user: a transfer's other party
	Message       string       // what the SMS says the code is for (user.SMSText); SMU adds the code
	IfNonePending bool         // a live code for the same is enough
	Phone         string       // where to, "" for the user's own
	Kind          user.SMSKind // of who asks, where it cannot be told from the rest: a password reset
}

// Sent says how the code reaches its owner.
type Sent struct {
	Method         string
	Expires        time.Time
	AlreadyPending bool
}

// Send begins a challenge, which voids the user's former one. USER_NOT_FOUND; UNVERIFIED_ACCOUNT for anything but a
// registration of an account whose phone nobody has confirmed; OTP_BUSY, RATE_LIMITED; VALIDATION_ERROR for a number to
// which no codes are sent; SERVICE_UNAVAILABLE when SMU cannot be reached: then the former one still stands.
func (s *Service) Send(ctx context.Context, r Request) (Sent, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return Sent{}, err
	}
	u, err := s.store.Credentials(ctx, r.UserID, "")
	if err != nil {
		return Sent{}, err
	}
	c := user.Challenge{
		ID: id, UserID: r.UserID, Purpose: r.Purpose, Reference: r.Reference, Counterparty: r.Counterparty,
		Method: user.MethodFor(r.Purpose, u.Secret != ""), Phone: u.Phone, Kind: user.Own,
	}
	if r.Phone != "" {
		c.Phone = r.Phone
	}
	switch {
	case r.Purpose == user.ForRegistration, c.Phone != u.Phone:
		c.Kind = user.Claim
	case !u.Verified:
		return Sent{}, user.ErrUnverified
	case r.Counterparty != nil:
		c.Kind = user.Asked
	case r.Kind != "":
		c.Kind = r.Kind
	}
	if c.Method == user.BySMS {
		if err := s.numbers.Check(c.Phone); err != nil {
			return Sent{}, err
		}
	}
	c, pending, err := s.store.BeginChallenge(ctx, c, s.limits, r.IfNonePending)
	if err == user.ErrSMSFlood {
		slog.ErrorContext(ctx, "ALARM: so many codes are being sent that further ones are refused", "kind", c.Kind, "limit_per_minute", s.limits.PerMinute)
	}
	if err != nil || pending || c.Method == user.ByTOTP {
		return Sent{c.Method, c.Expires, pending}, err
	}
	sending := s.smu.Send(ctx, c.Phone, user.SMSText(r.Message))
	outcome := postgres.Sent
	switch {
	case errors.Is(sending, smu.ErrNotSent):
		outcome = postgres.Unsent
	case sending != nil:
		outcome = postgres.SentPerhaps
	}
	// Even if the caller is gone: the state must follow what happened at SMU.
	finish, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	expires, err := s.store.FinishSending(finish, c, outcome, s.limits.TTL)
	if sending != nil {
		if err != nil {
			slog.WarnContext(ctx, "a code that was not sent is left to expire", "error", err)
		}
		return Sent{}, sending
	}
	return Sent{Method: c.Method, Expires: expires}, err
}

// judging bounds how long a code may wait to be judged, other codes of its challenge included.
const judging = smu.Deadline + 150*time.Millisecond

// Verify judges a code for the user's live challenge, which must be of that purpose and reference where they are given.
// OTP_INVALID, OTP_EXPIRED, OTP_MAX_RETRIES, RATE_LIMITED if only the owner may still enter it, VALIDATION_ERROR if
// none is pending, SERVICE_UNAVAILABLE: then it was no try. A try is taken first, then SMU is asked, then the answer is
// recorded: nothing is locked and no connection held while SMU thinks.
func (s *Service) Verify(ctx context.Context, e postgres.Entry) (user.Challenge, error) {
	if err := user.CheckCode(e.Code); err != nil {
		return user.Challenge{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, judging)
	defer cancel()
	t, err := s.take(ctx, e)
	if err != nil || t.Judged {
		if e.Purpose == user.ForPasswordReset && err != nil {
			err = errors.Join(s.Pretend(ctx, e.Code), err)
		}
		return t.Challenge, err
	}
	verdict, step, judgeErr := s.judge(ctx, t, e.Code)
	// Even if the caller has gone: what happened at SMU has happened.
	settle, done := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer done()
	if err := s.store.SettleTry(settle, t, e.By, verdict, step, s.limits); err != nil || judgeErr == nil {
		return t.Challenge, err
	}
	return t.Challenge, judgeErr
}

// take waits its turn: codes of one challenge are judged one after the other, and identical ones once.
func (s *Service) take(ctx context.Context, e postgres.Entry) (postgres.Try, error) {
	for wait := 10 * time.Millisecond; ; wait = min(2*wait, 100*time.Millisecond) {
		t, err := s.store.TakeTry(ctx, e, s.limits)
		if !errors.Is(err, postgres.ErrJudging) {
			return t, err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return t, fault.Unreachable("the SMS service", err)
		}
	}
}

// judge returns a verdict for SettleTry: "" and why not, if nobody can say.
func (s *Service) judge(ctx context.Context, t postgres.Try, code string) (verdict string, step int64, err error) {
	if t.Method == user.BySMS {
		verdict, err = s.smu.Verify(ctx, t.Phone, code)
		return verdict, 0, err
	}
	if t.Secret == "" {
		return "INVALID", 0, nil // the app was removed meanwhile
	}
	step, ok, err := s.vault.Step(t.UserID, t.Secret, code, time.Now())
	switch {
	case err != nil:
		return "", 0, err
	case !ok:
		return "INVALID", 0, nil
	}
	return "OK", step, nil
}

// nobodysPhone has a calling code that is given to no country.
const nobodysPhone = "+99900000000"

// Pretend asks SMU about a code as Verify does, of a number that nobody has: for an account that is not there, so that
// its answer takes as long as one that is. SERVICE_UNAVAILABLE where Verify's would be.
func (s *Service) Pretend(ctx context.Context, code string) error {
	_, err := s.smu.Verify(ctx, nobodysPhone, code)
	return err
}

// Cancel voids a live challenge.
func (s *Service) Cancel(ctx context.Context, userID uuid.UUID, purpose string, reference *uuid.UUID) error {
	return s.store.CancelChallenge(ctx, userID, purpose, reference)
}
