package main

import (
	"context"
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

// service is all parts, wired.
type service struct {
	store      *postgres.Store
	accounts   *account.Service
	revoked    *token.Revocations
	api        *httpapi.API
	background *background
}

func assemble(s settings, store *postgres.Store) (*service, error) {
	hasher, err := user.NewHasher(s.BcryptCost)
	if err != nil {
		return nil, err
	}
	vault, err := user.NewVault(s.TOTPKey)
	if err != nil {
		return nil, err
	}
	revoked := &token.Revocations{}
	keys := token.Keys{Secret: []byte(s.JWTSecret.Reveal()), Issuer: s.JWTIssuer, Revoked: revoked.Revoked}
	codes := otp.New(store, smu.New(s.SMUURL, s.SMUKey.Reveal()), vault, user.OTPLimits{
		TTL: s.OTPTTL, SendsPerHour: s.OTPSendsPerHour, PairPerHour: s.OTPPairPerHour, WrongPerDay: s.OTPWrongPerDay,
	})
	bg := &background{slots: make(chan struct{}, 32)}
	accounts := &account.Service{
		Store: store, OTP: codes, Hasher: hasher, Vault: vault, Keys: keys, Revoked: revoked,
		AccessTTL: s.AccessTTL, RefreshTTL: s.RefreshTTL, Background: bg.run,
	}
	api := &httpapi.API{
		Store: store, Accounts: accounts, OTP: codes, Keys: keys, Tokens: []string{s.Token.Reveal(), s.TokenBefore.Reveal()},
		Payments: payments.New(store, payments.Config{
			Key: s.StripeKey.Reveal(), WebhookSecret: s.WebhookSecret.Reveal(), APIURL: s.StripeURL,
			Min: money.Cents(s.TopUpMin), Max: money.Cents(s.TopUpMax),
		}),
	}
	return &service{store, accounts, revoked, api, bg}, nil
}

// catchUp reads every revocation that is in force.
func (svc *service) catchUp(ctx context.Context) error {
	for after := int64(0); ; {
		list, err := svc.store.Revocations(ctx, after)
		if err != nil || len(list) == 0 {
			return err
		}
		svc.revoked.Add(time.Now(), list...)
		after = list[len(list)-1].Seq
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
