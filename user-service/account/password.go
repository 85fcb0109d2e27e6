package account

import (
	"context"
	"errors"
	"log/slog"

	"github.com/google/uuid"

	"ticketremaster/platform/fault"
	user "ticketremaster/user-service"
	"ticketremaster/user-service/otp"
	"ticketremaster/user-service/postgres"
)

// errWrongPassword is not 401: the caller is logged in, and the web app would refresh its token and try again.
var errWrongPassword = fault.New(fault.Forbidden, fault.CodeForbidden, "The password is wrong")

// checked returns the caller's credentials if the password is theirs; FORBIDDEN otherwise, RATE_LIMITED after too many.
func (s *Service) checked(ctx context.Context, id uuid.UUID, password string) (user.Credentials, error) {
	c, err := s.Store.Credentials(ctx, id, "")
	if err != nil {
		return c, err
	}
	ok, err := s.try(ctx, c.Email, c, password)
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
	asking := ctx
	started := s.Background(func(ctx context.Context) {
		ctx = user.KeepOrigin(ctx, asking)
		kind := user.Asked
		c, err := s.Store.Credentials(ctx, uuid.Nil, email)
		if err == nil {
			var known bool
			if known, err = s.Store.Knows(ctx, c.ID, user.Origin(ctx)); known {
				kind = user.Known
			}
		}
		if err == nil {
			_, err = s.OTP.Send(ctx, otp.Request{UserID: c.ID, Purpose: user.ForPasswordReset, IfNonePending: true, Kind: kind,
				Message: "TicketRemaster: your code to set a new password. If you did not ask for one, ignore it."})
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

// errReset is all that is said of a reset that fails: who asks may be anyone, and learns neither of the account nor of
// its codes.
var errReset = errBadRequest("The code is wrong or has expired")

// ResetPassword sets a new password by a code. BAD_REQUEST for a wrong code, none pending, too many wrong ones and an
// unknown address alike, after the same time. Wrong codes from a network that the account does not know are counted
// apart from its owner's.
func (s *Service) ResetPassword(ctx context.Context, email, code, password string) error {
	if err := user.CheckCode(code); err != nil {
		return err
	}
	c, err := s.Store.Credentials(ctx, uuid.Nil, email)
	switch {
	case errors.Is(err, user.ErrNotFound):
		return alike(errors.Join(s.OTP.Pretend(ctx, code), errReset))
	case err != nil:
		return err
	}
	origin := user.Origin(ctx)
	entry := postgres.Entry{UserID: c.ID, Purpose: user.ForPasswordReset, Code: code}
	if known, err := s.Store.Knows(ctx, c.ID, origin); err != nil {
		return err
	} else if !known {
		entry.By = "network " + origin
	}
	if _, err := s.OTP.Verify(ctx, entry); err != nil {
		return alike(err)
	}
	return s.setPassword(ctx, &c, password)
}

func alike(err error) error {
	if fault.From(err).Kind == fault.Unavailable {
		return err
	}
	return errReset.Because(err)
}
