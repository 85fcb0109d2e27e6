package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"time"

	"ticketremaster/platform/config"
)

// maxBody bounds a request's body, in bytes.
const maxBody = 64 << 10

// Config is the sandbox's environment.
type Config struct {
	AppEnv   string `env:"APP_ENV" envDefault:"development"`
	Port     int    `env:"SANDBOX_PORT" envDefault:"8025"`
	Addr     string `env:"SANDBOX_ADDR"`      // host:port; default 127.0.0.1 and Port
	FixedOTP string `env:"SANDBOX_FIXED_OTP"` // six digits: every code is this one

	SMUKey        config.Secret `env:"SMU_API_KEY,required,notEmpty"`
	StripeKey     config.Secret `env:"STRIPE_SECRET_KEY,required,notEmpty"`
	WebhookSecret config.Secret `env:"STRIPE_WEBHOOK_SECRET,required,notEmpty"`
	WebhookURL    string        `env:"WEBHOOK_URL,required,notEmpty"` // where Stripe's events go: the gateway's /webhooks/stripe
}

var sixDigits = regexp.MustCompile(`^[0-9]{6}$`)

// Validate refuses production and live keys.
func (c Config) Validate() error {
	var problems []error
	if c.AppEnv == "production" {
		problems = append(problems, errors.New("APP_ENV is production: the sandbox shows every code to anyone and gives away money, it never runs there"))
	}
	if !strings.HasPrefix(c.StripeKey.Reveal(), "sk_test_") {
		problems = append(problems, errors.New("STRIPE_SECRET_KEY does not begin with sk_test_: the sandbox takes no live key"))
	}
	if c.FixedOTP != "" && !sixDigits.MatchString(c.FixedOTP) {
		problems = append(problems, errors.New("SANDBOX_FIXED_OTP is not six digits"))
	}
	return errors.Join(problems...)
}

// Listen is the address to listen on.
func (c Config) Listen() string {
	if c.Addr != "" {
		return c.Addr
	}
	return fmt.Sprintf("127.0.0.1:%d", c.Port)
}

// Server is the sandbox. Its methods may be called concurrently.
type Server struct {
	config Config
	now    func() time.Time
	outage outage
	smu    smu
	stripe payments
}

// New makes a sandbox whose webhooks are sent until ctx ends.
func New(ctx context.Context, config Config) *Server {
	s := &Server{config: config, now: time.Now}
	s.smu.codes = map[string]code{}
	s.stripe = payments{ctx: ctx, intents: map[string]*intent{}, answers: map[string]answer{}}
	return s
}

// Handler serves both APIs, the pages and the controls.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) { reply(w, http.StatusOK, object{"status": "ok"}) })
	mux.HandleFunc("POST /control", s.control)

	mux.HandleFunc("POST /sendOTP", s.outage.guard("smu", s.smuOnly(s.sendOTP)))
	mux.HandleFunc("POST /verifyOTP", s.outage.guard("smu", s.smuOnly(s.verifyOTP)))
	mux.HandleFunc("GET /inbox", s.inbox)

	mux.HandleFunc("POST /v1/payment_intents", s.outage.guard("stripe", s.stripeOnly(s.createIntent)))
	mux.HandleFunc("GET /v1/payment_intents/{id}", s.outage.guard("stripe", s.stripeOnly(s.getIntent)))
	mux.HandleFunc("POST /pay/{id}", s.pay)
	mux.HandleFunc("POST /decline/{id}", s.decline)
	mux.HandleFunc("POST /refund/{id}", s.refund)
	mux.HandleFunc("POST /fail-refund/{id}", s.failRefund)
	mux.HandleFunc("POST /chargeback/{id}", s.chargeback)

	mux.HandleFunc("GET /{$}", s.inboxPage)
	mux.HandleFunc("GET /pay/{id}", s.payPage)
	return http.MaxBytesHandler(mux, maxBody)
}

type object = map[string]any

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(body) // the caller is gone if this fails
}

// outage is a simulated failure of SMU or Stripe. Each POST /control sets all of it.
type outage struct {
	mu    sync.Mutex
	state outageState
}

type outageState struct {
	Target   string `json:"target"`    // "smu", "stripe" or, empty, both
	Down     bool   `json:"down"`      // connections are cut without an answer
	FailNext int    `json:"fail_next"` // that many requests are answered 500
	DelayMS  int    `json:"delay_ms"`  // delay of every answer
}

func (s *Server) control(w http.ResponseWriter, r *http.Request) {
	var state outageState
	decoder := json.NewDecoder(r.Body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&state); err != nil || state.FailNext < 0 || state.DelayMS < 0 || state.DelayMS > 600_000 ||
		(state.Target != "" && state.Target != "smu" && state.Target != "stripe") {
		reply(w, http.StatusBadRequest, object{"success": false, "error": `want {"target":"smu"|"stripe"|"","down":bool,"fail_next":n,"delay_ms":n}`})
		return
	}
	s.outage.mu.Lock()
	s.outage.state = state
	s.outage.mu.Unlock()
	reply(w, http.StatusOK, object{"success": true})
}

// guard applies the outage to an endpoint of SMU or Stripe.
func (o *outage) guard(target string, next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		o.mu.Lock()
		state := o.state
		hit := state.Target == "" || state.Target == target
		fail := hit && !state.Down && state.FailNext > 0
		if fail {
			o.state.FailNext--
		}
		o.mu.Unlock()
		if !hit {
			next(w, r)
			return
		}
		if state.Down {
			panic(http.ErrAbortHandler) // cuts the connection
		}
		select {
		case <-time.After(time.Duration(state.DelayMS) * time.Millisecond):
		case <-r.Context().Done():
			return
		}
		if fail {
			reply(w, http.StatusInternalServerError, object{"success": false, "error": "outage"})
			return
		}
		next(w, r)
	}
}
