package main

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"ticketremaster/platform/config"
	"ticketremaster/platform/database"
	"ticketremaster/platform/money"
)

// settings is the environment of the service; docs/accounts.md and docs/money.md say what the limits are for.
type settings struct {
	config.Common
	database.Config
	HTTPAddr   string        `env:"HTTP_ADDR" envDefault:":5000"`
	DBPassword config.Secret `env:"USER_DB_PASS,required,notEmpty"`
	Token      config.Secret `env:"USER_TOKEN,required,notEmpty"`
	// TokenBefore is accepted too, while the secret is being changed.
	TokenBefore config.Secret `env:"USER_TOKEN_PREVIOUS"`

	JWTSecret  config.Secret `env:"JWT_SECRET,required,notEmpty"`
	JWTIssuer  string        `env:"JWT_ISSUER" envDefault:"ticketremaster"`
	AccessTTL  time.Duration `env:"ACCESS_TTL" envDefault:"15m"`
	RefreshTTL time.Duration `env:"REFRESH_TTL" envDefault:"168h"`
	BcryptCost int           `env:"BCRYPT_COST" envDefault:"12"`

	SMUURL          string        `env:"SMU_API_URL,required,notEmpty"`
	SMUKey          config.Secret `env:"SMU_API_KEY,required,notEmpty"`
	TOTPKey         config.Key32  `env:"TOTP_ENCRYPTION_KEY,required,notEmpty"`
	OTPTTL          time.Duration `env:"OTP_TTL" envDefault:"5m"`
	OTPSendsPerHour int           `env:"OTP_SENDS_PER_HOUR" envDefault:"20"`
	OTPPairPerHour  int           `env:"OTP_PAIR_SENDS_PER_HOUR" envDefault:"10"`
	OTPWrongPerDay  int           `env:"OTP_WRONG_PER_DAY" envDefault:"10"`
	SMSPerOrigin    int           `env:"SMS_PER_ADDRESS_PER_HOUR" envDefault:"200"`
	SMSPerMinute    int           `env:"SMS_PER_MINUTE" envDefault:"600"`
	SMSCountries    countries     `env:"SMS_COUNTRIES"`
	RegistrationTTL time.Duration `env:"REGISTRATION_TTL" envDefault:"24h"`

	StripeKey     config.Secret `env:"STRIPE_SECRET_KEY,required,notEmpty"`
	WebhookSecret config.Secret `env:"STRIPE_WEBHOOK_SECRET,required,notEmpty"`
	StripeURL     string        `env:"STRIPE_API_URL"` // instead of Stripe's own: the sandbox
	TopUpMin      amount        `env:"TOPUP_MIN" envDefault:"1"`
	TopUpMax      amount        `env:"TOPUP_MAX" envDefault:"10000"`
	TopUpsPerHour int           `env:"TOPUPS_PER_HOUR" envDefault:"10"`
}

// amount is money in the environment: 12.50.
type amount money.Cents

// UnmarshalText reads the amount.
func (a *amount) UnmarshalText(b []byte) error {
	c, err := money.Parse(string(b))
	*a = amount(c)
	return err
}

// countries are calling codes in the environment: +65,+60, with or without the plus.
type countries []int

// UnmarshalText reads the list; what is empty is none.
func (c *countries) UnmarshalText(b []byte) error {
	for code := range strings.FieldsFuncSeq(string(b), func(r rune) bool { return r == ',' || r == ' ' }) {
		n, err := strconv.Atoi(strings.TrimPrefix(code, "+"))
		if err != nil || n < 1 || n > 999 {
			return fmt.Errorf("%q is not a country's calling code such as +65", code)
		}
		*c = append(*c, n)
	}
	return nil
}

// Validate names everything else that is wrong.
func (s *settings) Validate() error {
	var problems []error
	wrong := func(bad bool, format string, args ...any) {
		if bad {
			problems = append(problems, fmt.Errorf(format, args...))
		}
	}
	wrong(len(s.JWTSecret) < 32, "JWT_SECRET must have at least 32 characters")
	wrong(s.BcryptCost < 4 || s.BcryptCost > 15, "BCRYPT_COST must be from 4 to 15")
	wrong(s.AppEnv == "production" && s.BcryptCost < 10, "BCRYPT_COST must be at least 10 in production")
	wrong(s.AccessTTL < time.Second || s.AccessTTL > time.Hour, "ACCESS_TTL must be from 1s to 1h")
	wrong(s.RefreshTTL < time.Minute || s.RefreshTTL > 7*24*time.Hour, "REFRESH_TTL must be from 1m to 168h")
	wrong(s.OTPTTL < time.Second || s.OTPTTL > time.Hour, "OTP_TTL must be from 1s to 1h")
	wrong(s.OTPSendsPerHour < 1, "OTP_SENDS_PER_HOUR must be at least 1")
	wrong(s.OTPPairPerHour < 1, "OTP_PAIR_SENDS_PER_HOUR must be at least 1")
	wrong(s.OTPWrongPerDay < 1, "OTP_WRONG_PER_DAY must be at least 1")
	wrong(s.SMSPerOrigin < 1, "SMS_PER_ADDRESS_PER_HOUR must be at least 1")
	wrong(s.SMSPerMinute < 1, "SMS_PER_MINUTE must be at least 1")
	wrong(s.RegistrationTTL < 15*time.Minute, "REGISTRATION_TTL must be at least 15m")
	wrong(s.TopUpsPerHour < 1, "TOPUPS_PER_HOUR must be at least 1")
	wrong(s.TopUpMin < 50, "TOPUP_MIN must be at least 0.50, Stripe's own minimum")
	wrong(s.TopUpMax < s.TopUpMin || s.TopUpMax > 999_999_99, "TOPUP_MAX must be from TOPUP_MIN to 999999.99")
	wrong(!isHTTP(s.SMUURL), "SMU_API_URL must be an http(s) address")
	wrong(s.StripeURL != "" && !isHTTP(s.StripeURL), "STRIPE_API_URL must be an http(s) address")
	wrong(s.StripeURL != "" && strings.HasPrefix(s.StripeKey.Reveal(), "sk_live_"), "STRIPE_API_URL is set and STRIPE_SECRET_KEY is a live key, which goes to Stripe alone")
	return errors.Join(problems...)
}

func isHTTP(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
}
