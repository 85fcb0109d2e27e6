package account

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"ticketremaster/platform/fault"
	user "ticketremaster/user-service"
	"ticketremaster/user-service/otp"
	"ticketremaster/user-service/postgres"
)

// prove requires an SMS code in addition to the password: without a code it sends one to phone and returns
// OTP_REQUIRED.
func (s *Service) prove(ctx context.Context, id uuid.UUID, purpose, phone, code, message string) error {
	if code == "" {
		if _, err := s.OTP.Send(ctx, otp.Request{UserID: id, Purpose: purpose, Phone: phone, Message: message}); err != nil {
			return err
		}
		return user.ErrOTPRequired
	}
	c, err := s.OTP.Verify(ctx, postgres.Entry{UserID: id, Purpose: purpose, Code: code})
	if err == nil && c.Phone != phone {
		return fault.Field("phone", "the code was sent to another number")
	}
	return err
}

// ChangeContact sets a new e-mail address or phone ("" leaves it). It needs the password and a code, which goes to the
// new phone if there is one, so that nobody can enter another person's phone. FORBIDDEN, OTP_REQUIRED,
// EMAIL_ALREADY_EXISTS.
func (s *Service) ChangeContact(ctx context.Context, id uuid.UUID, email, phone, password, code string) (user.User, error) {
	c, err := s.checked(ctx, id, password)
	if err != nil {
		return user.User{}, err
	}
	if email == "" {
		email = c.Email
	}
	if phone == "" {
		phone = c.Phone
	}
	if email == c.Email && phone == c.Phone {
		return c.User, nil
	}
	if email != c.Email {
		if _, err := s.Store.Credentials(ctx, uuid.Nil, email); !errors.Is(err, user.ErrNotFound) {
			if err == nil {
				err = user.ErrEmailTaken
			}
			return user.User{}, err
		}
	}
	if err := s.prove(ctx, id, user.ForProfile, phone, code, "TicketRemaster: your code to change your contact details"); err != nil {
		return user.User{}, err
	}
	return s.Store.SetContact(ctx, id, email, phone, s.OneAccountPerPhone)
}

// Enrollment is a new authenticator secret, to be shown once.
type Enrollment struct{ Secret, Address string }

// Enroll makes a secret for an authenticator app. It needs the password and an SMS code (OTP_REQUIRED sends one), and
// is in force after Activate.
func (s *Service) Enroll(ctx context.Context, id uuid.UUID, password, code string) (Enrollment, error) {
	c, err := s.checked(ctx, id, password)
	if err != nil {
		return Enrollment{}, err
	}
	if err := s.prove(ctx, id, user.ForTOTP, c.Phone, code, "TicketRemaster: your code to set up an authenticator app"); err != nil {
		return Enrollment{}, err
	}
	sealed, secret, address, err := s.Vault.Enroll(id, c.Email)
	if err != nil {
		return Enrollment{}, err
	}
	return Enrollment{secret, address}, s.Store.Enroll(ctx, id, sealed)
}

// Activate enables the app with its first valid code. OTP_INVALID; VALIDATION_ERROR if none was enrolled.
func (s *Service) Activate(ctx context.Context, id uuid.UUID, code string) error {
	if err := user.CheckCode(code); err != nil {
		return err
	}
	c, err := s.Store.Credentials(ctx, id, "")
	if err != nil {
		return err
	}
	if c.Pending == "" {
		return fault.Field("otp_code", "no authenticator app waits to be activated")
	}
	step, ok, err := s.Vault.Step(id, c.Pending, code, time.Now())
	if err != nil {
		return err
	}
	if ok {
		ok, err = s.Store.Activate(ctx, id, c.Pending, step)
	}
	if err == nil && !ok {
		err = user.ErrOTPInvalid
	}
	return err
}

// Disenroll removes the app. It needs the password and an SMS code (OTP_REQUIRED sends one): having only the phone is
// not enough.
func (s *Service) Disenroll(ctx context.Context, id uuid.UUID, password, code string) error {
	c, err := s.checked(ctx, id, password)
	if err != nil {
		return err
	}
	if err := s.prove(ctx, id, user.ForTOTP, c.Phone, code, "TicketRemaster: your code to remove your authenticator app"); err != nil {
		return err
	}
	return s.Store.Disenroll(ctx, id)
}
