package main

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"ticketremaster/platform/money"
	"ticketremaster/platform/token"
	user "ticketremaster/user-service"
	"ticketremaster/user-service/account"
	"ticketremaster/user-service/httpapi"
	"ticketremaster/user-service/otp"
	"ticketremaster/user-service/payments"
	"ticketremaster/user-service/postgres"
	"ticketremaster/user-service/smu"
)

// parts is all parts, wired.
type parts struct {
	store      *postgres.Store
	accounts   *account.Service
	revoked    *token.Revocations
	api        *httpapi.API
	background *background
}

func assemble(s settings, store *postgres.Store) (*parts, error) {
	hasher, err := user.NewHasher(s.BcryptCost)
	if err != nil {
		return nil, err
	}
	vault, err := user.NewVault(s.TOTPKey)
	if err != nil {
		return nil, err
	}
	revoked := &token.Revocations{}
	keys := token.Keys{Secret: []byte(s.JWTSecret.Reveal()), Issuer: s.JWTIssuer, Revocations: revoked}
	codes := otp.New(store, smu.New(s.SMUURL, s.SMUKey.Reveal()), vault, user.OTPLimits{
		TTL: s.OTPTTL, SendsPerHour: s.OTPSendsPerHour, PairPerHour: s.OTPPairPerHour, WrongPerDay: s.OTPWrongPerDay,
		PerOrigin: s.SMSPerOrigin, PerMinute: s.SMSPerMinute,
	}, user.Numbers{Countries: s.SMSCountries})
	bg := &background{slots: make(chan struct{}, 32)}
	accounts := &account.Service{
		Store: store, OTP: codes, Hasher: hasher, Vault: vault, Keys: keys, Revoked: revoked,
		AccessTTL: s.AccessTTL, RefreshTTL: s.RefreshTTL, Background: bg.run,
		OneAccountPerPhone: s.AppEnv == "production",
	}
	api := &httpapi.API{
		Store: store, Accounts: accounts, OTP: codes, Keys: keys, Tokens: []string{s.Token.Reveal(), s.TokenBefore.Reveal()},
		Payments: payments.New(store, payments.Config{
			Key: s.StripeKey.Reveal(), WebhookSecret: s.WebhookSecret.Reveal(), APIURL: s.StripeURL,
			Min: money.Cents(s.TopUpMin), Max: money.Cents(s.TopUpMax), PerHour: s.TopUpsPerHour,
		}),
	}
	return &parts{store, accounts, revoked, api, bg}, nil
}

// sweep removes what is over, every interval, until ctx ends.
func (p *parts) sweep(ctx context.Context, every, registrationLife time.Duration) {
	for {
		more, err := p.store.Sweep(ctx, registrationLife)
		if err != nil && ctx.Err() == nil {
			slog.WarnContext(ctx, "what is over could not be removed; it is tried again", "error", err)
		}
		wait := every
		if more {
			wait = every / 60
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
	}
}

// background runs a bounded number of tasks that no answer waits for.
type background struct {
	slots chan struct{}
	wg    sync.WaitGroup
}

func (b *background) run(work func(context.Context)) bool {
	select {
	case b.slots <- struct{}{}:
	default:
		return false
	}
	b.wg.Go(func() {
		defer func() { <-b.slots }()
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		work(ctx)
	})
	return true
}

func (b *background) wait() { b.wg.Wait() }
