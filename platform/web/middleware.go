package web

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"

	"ticketremaster/platform/correlation"
	"ticketremaster/platform/fault"
	"ticketremaster/platform/fence"
	"ticketremaster/platform/metrics"
)

// Handler answers a request or says what is wrong with it.
type Handler func(w http.ResponseWriter, r *http.Request) error

func (h Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := h(w, r); err != nil {
		Fail(r.Context(), w, err)
	}
}

// NewRouter returns a chi router with what every service needs: correlation id, access log, recovery from panics, and
// 404 and 405 in the envelope, HEAD wherever there is GET. health is asked by GET /health: an error makes it 503. GET
// /metrics is for Prometheus; the gateway has no route to it (docs/adr/metrics.md).
func NewRouter(health func(context.Context) error) *chi.Mux {
	r := chi.NewRouter()
	r.Use(correlate, observe, middleware.GetHead)
	r.NotFound(Handler(func(http.ResponseWriter, *http.Request) error {
		return fault.New(fault.NotFound, fault.CodeNotFound, "There is nothing at this address")
	}).ServeHTTP)
	r.MethodNotAllowed(func(w http.ResponseWriter, r *http.Request) {
		_ = write(w, http.StatusMethodNotAllowed, Envelope{ErrorCode: fault.CodeMethodNotAllowed, Message: r.Method + " is not possible here"})
	})
	r.Method(http.MethodGet, "/health", Handler(func(w http.ResponseWriter, r *http.Request) error {
		ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
		defer cancel()
		if err := health(ctx); err != nil {
			return fault.Unreachable("the service", err)
		}
		return OK(w, map[string]string{"status": "ok"})
	}))
	r.Method(http.MethodGet, "/metrics", metrics.Handler())
	return r
}

// correlate takes the request's correlation id, or makes one, and echoes it.
func correlate(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := correlation.With(r.Context(), r.Header.Get(correlation.Header))
		w.Header().Set(correlation.Header, correlation.ID(ctx))
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// RequireService accepts only callers with one of the callee's own secrets: the current one or, while it is being
// changed, the previous one. A user's JWT is never accepted. What only services may say is read here: the correlation
// ids of several requests, and the fencing token.
func RequireService(secrets ...string) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !OneOf(Bearer(r), secrets) {
				Fail(r.Context(), w, fault.New(fault.Unauthenticated, fault.CodeUnauthorized, "This address is for services"))
				return
			}
			ctx := r.Context()
			if id := r.Header.Get(correlation.Header); id != "" {
				ctx = correlation.WithJoined(ctx, id)
				w.Header().Set(correlation.Header, correlation.ID(ctx))
			}
			ctx, err := fence.Receive(ctx, r.Header.Get(fence.Header))
			if err != nil {
				Fail(ctx, w, err)
				return
			}
			next.ServeHTTP(w, r.WithContext(ctx))
		})
	}
}

// OneOf reports whether given is one of the secrets, in a time that does not tell how far it fits; an empty secret fits
// nothing.
func OneOf(given string, secrets []string) bool {
	fits := false
	for _, s := range secrets {
		fits = SameSecret(given, s) || fits
	}
	return fits
}

// SameSecret compares in constant time, whatever the lengths; an empty secret never matches.
func SameSecret(given, want string) bool {
	a, b := sha256.Sum256([]byte(given)), sha256.Sum256([]byte(want))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1 && want != ""
}

// Bearer returns the request's bearer token, "" if it has none.
func Bearer(r *http.Request) string {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}
