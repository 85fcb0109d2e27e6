// Package correlation carries one request's id through HTTP, gRPC metadata, AMQP headers and every
// log line.
package correlation

import (
	"context"
	"log/slog"
	"os"

	"github.com/google/uuid"
)

// Header is the HTTP header and AMQP header; gRPC metadata uses it in lower case.
const Header = "X-Correlation-ID"

type key struct{}

// With gives a context that carries id; an empty or oversized one (over 128 bytes) is replaced by a new one.
func With(ctx context.Context, id string) context.Context {
	if id == "" || len(id) > 128 {
		id = New()
	}
	return context.WithValue(ctx, key{}, id)
}

// New makes a correlation id.
func New() string { return uuid.NewString() }

// ID gives the id that ctx carries, "" if none.
func ID(ctx context.Context) string {
	id, _ := ctx.Value(key{}).(string)
	return id
}

// SetupLog makes the process log JSON lines on standard error, each with service and correlation id.
// level is debug, info, warn or error; anything else is info.
func SetupLog(service, level string) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		l = slog.LevelInfo
	}
	h := slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: l})
	slog.SetDefault(slog.New(handler{h}).With("service", service))
}

// handler adds the context's correlation id to each record.
type handler struct{ slog.Handler }

func (h handler) Handle(ctx context.Context, r slog.Record) error {
	if id := ID(ctx); id != "" {
		r.AddAttrs(slog.String("correlation_id", id))
	}
	return h.Handler.Handle(ctx, r)
}

func (h handler) WithAttrs(a []slog.Attr) slog.Handler { return handler{h.Handler.WithAttrs(a)} }
func (h handler) WithGroup(n string) slog.Handler      { return handler{h.Handler.WithGroup(n)} }
