package standin

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/valyala/fasthttp"
)

// Serve answers on l until ctx ends, then lets requests in flight finish for
// up to ten seconds.
func (g *Gateway) Serve(ctx context.Context, l net.Listener) error {
	server := &fasthttp.Server{
		Handler:                      g.serve,
		ErrorHandler:                 g.malformed,
		ReadTimeout:                  30 * time.Second,
		IdleTimeout:                  75 * time.Second,
		ReadBufferSize:               headerBytes,
		StreamRequestBody:            true, // readBody bounds it
		DisablePreParseMultipartForm: true,
		NoDefaultServerHeader:        true,
		NoDefaultContentType:         true,
		CloseOnShutdown:              true,
		Logger:                       quiet{},
	}
	for _, b := range g.balancers {
		b.watch(ctx)
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(bounded(l)) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := server.ShutdownWithContext(grace); !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}

// headerBytes bounds a request's line and header. There is one such buffer per connection.
const headerBytes = 16 << 10

// malformed answers a malformed request.
func (g *Gateway) malformed(ctx *fasthttp.RequestCtx, err error) {
	var tooLarge *fasthttp.ErrSmallBuffer
	if errors.As(err, &tooLarge) {
		g.fail(ctx, http.StatusRequestHeaderFieldsTooLarge)
		return
	}
	g.fail(ctx, http.StatusBadRequest)
}

// quiet logs clients that hang up during an answer at debug level only.
type quiet struct{}

func (quiet) Printf(format string, args ...any) { slog.Debug("gateway: "+format, "args", args) }
