package account

import (
	"context"
	"errors"
	"log/slog"

	"github.com/google/uuid"

	"ticketremaster/platform/fault"
	user "ticketremaster/user-service"
	"ticketremaster/user-service/otp"
)

// errWrongPassword is not 401: the caller is logged in, and the web app would refresh its token and try again.
var errWrongPassword = fault.New(fault.Forbidden, fault.CodeForbidden, "The password is wrong")

// checked returns the caller's credentials if the password is theirs; FORBIDDEN otherwise.
func (s *Service) checked(ctx context.Context, id uuid.UUID, password string) (user.Credentials, error) {
	c, err := s.Store.Credentials(ctx, id, "")
	if err != nil {
		return c, err
	}
	ok, err := s.Hasher.Matches(ctx, c.PasswordHash, password)
	if err == nil && !ok {
		err = errWrongPassword
	}
	return c, err
}

// ChangePassword ends every session of the user and begins a new one. FORBIDDEN if the old password is wrong.
func (s *Service) ChangePassword(ctx context.Context, id uuid.UUID, old, password string) (Login, error) {
	c, err := s.checked(ctx, id, old)
	if err != nil {
		return Login{}, err
	}
	if err := s.setPassword(ctx, &c, password); err != nil {
		return Login{}, err
	}
	return s.open(ctx, c)
}

func (s *Service) setPassword(ctx context.Context, c *user.Credentials, password string) error {
	hash, err := s.Hasher.Hash(ctx, password)
	if err != nil {
		return err
	}
	sessions, err := s.Store.SetPassword(ctx, c.ID, hash, s.lastAccess())
	s.revoked(sessions...)
	c.PasswordHash = hash
	return err
}

// RequestReset has a code sent to the address's owner, if it has one. The answer is the same in either case and takes
// the same time: the work is done after it. RATE_LIMITED when too many are under way.
func (s *Service) RequestReset(ctx context.Context, email string) error {
	started := s.Background(func(ctx context.Context) {
		c, err := s.Store.Credentials(ctx, uuid.Nil, email)
		if err == nil {
			_, err = s.OTP.Send(ctx, otp.Request{UserID: c.ID, Purpose: user.ForPasswordReset, IfNonePending: true,
				Message: "TicketRemaster: your code to set a new password"})
		}
		if err != nil && !errors.Is(err, user.ErrNotFound) {
			slog.WarnContext(ctx, "no code for a password reset was sent", "error", err)
		}
	})
	if !started {
		return user.ErrOTPTooOften
	}
	return nil
}

// ResetPassword sets a new password by a code. BAD_REQUEST for a wrong code, none pending and an unknown address alike.
func (s *Service) ResetPassword(ctx context.Context, email, code, password string) error {
	if err := user.CheckCode(code); err != nil {
		return err
	}
	c, err := s.Store.Credentials(ctx, uuid.Nil, email)
	if errors.Is(err, user.ErrNotFound) {
		return errBadRequest("The code is wrong or has expired")
	}
	if err != nil {
		return err
	}
	if _, err := s.OTP.Verify(ctx, c.ID, user.ForPasswordReset, nil, code); err != nil {
		return publicOTP(err)
	}
	return s.setPassword(ctx, &c, password)
}
