// Package payments sells credits through Stripe: it makes PaymentIntents, and reads what Stripe tells of them in signed
// events. Card details never come near it.
package payments

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/paymentintent"

	"ticketremaster/platform/fault"
	"ticketremaster/platform/money"
	user "ticketremaster/user-service"
	"ticketremaster/user-service/postgres"
)

// deadline bounds a call of Stripe's API, its one retry included.
const deadline = 5 * time.Second

// topUpKey is the metadata of a PaymentIntent that names our top-up.
const topUpKey = "topup_id"

// Config is how Stripe is reached, and what may be bought.
type Config struct {
	Key           string // STRIPE_SECRET_KEY
	WebhookSecret string
	APIURL        string      // instead of Stripe's own, for the sandbox and tests; "" otherwise
	Min, Max      money.Cents // of one top-up
	PerHour       int         // that one user may begin and not pay
}

// Service sells credits.
type Service struct {
	store   *postgres.Store
	config  Config
	intents paymentintent.Client
}

// New makes the service with a Stripe backend of its own: nothing of stripe-go's global state is used.
func New(store *postgres.Store, c Config) *Service {
	b := &stripe.BackendConfig{
		HTTPClient:        &http.Client{Timeout: deadline},
		MaxNetworkRetries: stripe.Int64(1),
		LeveledLogger:     &stripe.LeveledLogger{Level: stripe.LevelNull},
		EnableTelemetry:   stripe.Bool(false),
	}
	if c.APIURL != "" {
		b.URL = stripe.String(c.APIURL)
	}
	return &Service{store, c, paymentintent.Client{B: stripe.GetBackendWithConfig(stripe.APIBackend, b), Key: c.Key}}
}

// Started is a top-up that the client can now pay for.
type Started struct {
	TopUpID      uuid.UUID
	ClientSecret string // for Stripe.js
	Amount       money.Cents
}

// Start makes a PaymentIntent over amount. The top-up's id is its idempotency key and recorded first, so that a lost
// answer makes no second one; a client's own key ("": none) leads a repeat to the same top-up. VALIDATION_ERROR outside
// the limits; RATE_LIMITED while too many are begun and not paid; SERVICE_UNAVAILABLE when Stripe does not answer: it
// can be tried again.
func (s *Service) Start(ctx context.Context, userID uuid.UUID, amount money.Cents, clientKey string) (Started, error) {
	if amount < s.config.Min || amount > s.config.Max {
		return Started{}, fault.Field("amount", "must be from %s to %s", s.config.Min, s.config.Max)
	}
	id, err := uuid.NewV7()
	if err != nil {
		return Started{}, err
	}
	t, err := s.store.BeginTopUp(ctx, id, userID, amount, clientKey, s.config.PerHour)
	if err != nil {
		return Started{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	pi, err := s.intent(ctx, t)
	if err != nil {
		return Started{}, faulty(ctx, err)
	}
	if t.Intent == "" {
		if err := s.store.SetIntent(ctx, t.ID, pi.ID); err != nil {
			return Started{}, err
		}
	}
	return Started{t.ID, pi.ClientSecret, t.Amount}, nil
}

func (s *Service) intent(ctx context.Context, t user.TopUp) (*stripe.PaymentIntent, error) {
	params := &stripe.PaymentIntentParams{}
	params.Context = ctx
	if t.Intent != "" {
		return s.intents.Get(t.Intent, params)
	}
	params.Amount = stripe.Int64(int64(t.Amount))
	params.Currency = stripe.String(user.Currency)
	params.AutomaticPaymentMethods = &stripe.PaymentIntentAutomaticPaymentMethodsParams{Enabled: stripe.Bool(true)}
	params.SetIdempotencyKey("topup-" + t.ID.String())
	params.AddMetadata(topUpKey, t.ID.String())
	params.AddMetadata("user_id", t.UserID.String())
	return s.intents.New(params)
}

// faulty returns an error of stripe-go as a fault. What the client can do is the same for all: try again. A refusal of
// our key or request is our error and is logged.
func faulty(ctx context.Context, err error) error {
	var e *stripe.Error
	if errors.As(err, &e) && e.HTTPStatusCode < 500 && e.HTTPStatusCode != http.StatusTooManyRequests {
		slog.ErrorContext(ctx, "Stripe refuses our request", "status", e.HTTPStatusCode, "type", string(e.Type), "code", string(e.Code), "request", e.RequestID)
		return fault.Unreachable("the payment service", fmt.Errorf("stripe refused: status %d", e.HTTPStatusCode))
	}
	return fault.Unreachable("the payment service", err)
}
