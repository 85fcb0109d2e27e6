package web

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"sync/atomic"
	"time"
)

// stopLimit bounds how long requests in flight may take once a server is to end.
const stopLimit = 10 * time.Second

// Server is Serve for package service.
func Server(addr string, handler http.Handler, pause time.Duration) func(context.Context) error {
	return func(ctx context.Context) error { return Serve(ctx, addr, handler, pause) }
}

// Serve answers on addr until ctx ends. Then it drains: for pause it continues to answer, but GET /health is 503 and
// connections end with their next answer, so that whoever sends requests turns to another replica; after that it takes
// no more connections, and lets requests in flight finish for up to ten seconds.
func Serve(ctx context.Context, addr string, handler http.Handler, pause time.Duration) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	return ServeOn(ctx, l, handler, pause)
}

// ServeOn is Serve on a listener that is open already.
func ServeOn(ctx context.Context, l net.Listener, handler http.Handler, pause time.Duration) error {
	d := &draining{next: handler}
	s := &http.Server{
		Handler:           d,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          slog.NewLogLogger(slog.Default().Handler(), slog.LevelDebug),
	}
	slog.Info("listening", "addr", l.Addr().String())
	failed := make(chan error, 1)
	go func() { failed <- s.Serve(l) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	d.on.Store(true)
	select {
	case err := <-failed:
		return err
	case <-time.After(pause):
	}
	grace, cancel := context.WithTimeout(context.Background(), stopLimit)
	defer cancel()
	if err := s.Shutdown(grace); !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return s.Close()
}

// draining passes requests on; once it is on, the service is not ready and connections are not kept.
type draining struct {
	on   atomic.Bool
	next http.Handler
}

func (d *draining) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !d.on.Load() {
		d.next.ServeHTTP(w, r)
		return
	}
	w.Header().Set("Connection", "close")
	if r.URL.Path == "/health" {
		_ = write(w, http.StatusServiceUnavailable, Envelope{ErrorCode: "DRAINING", Message: "This service is about to end"})
		return
	}
	d.next.ServeHTTP(w, r)
}

// ServeDebug serves pprof on addr until ctx ends. It has no authentication: use a loopback
// address.
func ServeDebug(ctx context.Context, addr string) error {
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return Serve(ctx, addr, mux, 0)
}
