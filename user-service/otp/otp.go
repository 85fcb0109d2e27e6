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
	store     *postgres.Store
	smu       *smu.Client
	vault     *user.Vault
	limits    user.OTPLimits
	answering chan struct{} // one slot per answer being checked
}

// New makes the service. Checking an answer holds a database connection, also while SMU is asked: only a third of the
// connections may be used for that, so that a slow SMU leaves the rest for other work.
func New(store *postgres.Store, client *smu.Client, vault *user.Vault, limits user.OTPLimits) *Service {
	return &Service{store, client, vault, limits, make(chan struct{}, max(1, store.Connections()/3))}
}

// Request asks a user for a code.
type Request struct {
	UserID        uuid.UUID
	Purpose       string
	Reference     *uuid.UUID
	Counterparty  *uuid.UUID // who started it, if not the user: a transfer's other party
	Message       string     // the SMS, which names what is agreed to; SMU adds the code
	IfNonePending bool       // a live code for the same is enough
	Phone         string     // where to, "" for the user's own
}

// Sent says how the code reaches its owner.
type Sent struct {
	Method         string
	Expires        time.Time
	AlreadyPending bool
}

// Send begins a challenge, which voids the user's former one. USER_NOT_FOUND, OTP_BUSY, RATE_LIMITED; SERVICE_UNAVAILABLE
// when SMU cannot be reached: then the former one still stands.
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
		Method: user.MethodFor(r.Purpose, u.Secret != ""), Phone: u.Phone,
	}
	if r.Phone != "" {
		c.Phone = r.Phone
	}
	c, pending, err := s.store.BeginChallenge(ctx, c, s.limits, r.IfNonePending)
	if err != nil || pending || c.Method == user.ByTOTP {
		return Sent{c.Method, c.Expires, pending}, err
	}
	sending := s.smu.Send(ctx, c.Phone, r.Message)
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

// Verify judges a code for the user's live challenge, which must be of that purpose and reference where they are given.
// OTP_INVALID, OTP_EXPIRED, OTP_MAX_RETRIES, VALIDATION_ERROR if none is pending; SERVICE_UNAVAILABLE, which does not
// count as a try.
func (s *Service) Verify(ctx context.Context, userID uuid.UUID, purpose string, reference *uuid.UUID, code string) (user.Challenge, error) {
	if err := user.CheckCode(code); err != nil {
		return user.Challenge{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, smu.Deadline+150*time.Millisecond)
	defer cancel()
	select {
	case s.answering <- struct{}{}:
		defer func() { <-s.answering }()
	case <-ctx.Done():
		return user.Challenge{}, fault.Unreachable("the SMS service", errors.New("too many codes wait to be judged"))
	}
	var wanted *string
	if purpose != "" {
		wanted = &purpose
	}
	return s.store.Answer(ctx, userID, wanted, reference, code, s.limits.WrongPerDay,
		func(ctx context.Context, c user.Challenge, secret string) (answer string, step int64, err error) {
			if c.Method == user.BySMS {
				answer, err = s.smu.Verify(ctx, c.Phone, code)
				return answer, 0, err
			}
			if secret == "" {
				return "INVALID", 0, nil // the app was removed meanwhile
			}
			step, ok, err := s.vault.Step(c.UserID, secret, code, time.Now())
			if !ok {
				return "INVALID", 0, err
			}
			return "OK", step, err
		})
}

// Cancel voids a live challenge.
func (s *Service) Cancel(ctx context.Context, userID uuid.UUID, purpose string, reference *uuid.UUID) error {
	return s.store.CancelChallenge(ctx, userID, purpose, reference)
}
