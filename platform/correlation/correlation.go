// Package correlation carries a request's id through HTTP headers, gRPC metadata, AMQP headers and every log line.
package correlation

import (
	"context"
	"log/slog"
	"os"
	"strings"

	"github.com/google/uuid"
)

// Header is the HTTP header and AMQP header; gRPC metadata uses it in lower case.
const Header = "X-Correlation-ID"

type key struct{}

// Limits of an id, in bytes.
const (
	longest       = 128  // of one request's
	longestJoined = 1024 // of several requests' (Join)
)

// With returns a context that carries id if it is 1 to 128 visible ASCII characters, and a new one otherwise. Whatever
// comes from outside the system, or was kept by it, passes here: an id that gRPC, AMQP or a log cannot carry would make
// every call fail before it is sent.
func With(ctx context.Context, id string) context.Context {
	if !visible(id, longest) {
		id = New()
	}
	return context.WithValue(ctx, key{}, id)
}

// WithJoined is With for calls between our services, which may be made for several requests at once: the id may have
// 1,024 characters.
func WithJoined(ctx context.Context, id string) context.Context {
	if !visible(id, longestJoined) {
		id = New()
	}
	return context.WithValue(ctx, key{}, id)
}

func visible(id string, most int) bool {
	return id != "" && len(id) <= most && !strings.ContainsFunc(id, func(c rune) bool { return c < '!' || c > '~' })
}

// Join returns a context for work that is done for several requests at once: it carries their ids, separated by commas,
// so that the log lines of each can be found. Ids beyond the longest are left out.
func Join(requests []context.Context) context.Context {
	var joined []byte
	for _, r := range requests {
		if id := ID(r); id != "" && len(joined)+1+len(id) <= longestJoined {
			if len(joined) > 0 {
				joined = append(joined, ',')
			}
			joined = append(joined, id...)
		}
	}
	return WithJoined(context.Background(), string(joined))
}

// New makes a correlation id.
func New() string { return uuid.NewString() }

// ID returns the id that ctx carries, "" if none.
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
