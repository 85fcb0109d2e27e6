package web

import (
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/prometheus/client_golang/prometheus"

	"ticketremaster/platform/metrics"
)

var (
	inFlight = metrics.New.NewGauge(prometheus.GaugeOpts{Namespace: metrics.Namespace, Name: "http_requests_in_flight",
		Help: "Requests that are being answered."})
	requests = metrics.New.NewCounterVec(prometheus.CounterOpts{Namespace: metrics.Namespace, Name: "http_requests_total",
		Help: "Requests answered, by route and by the class of the status: 2xx, 3xx, 4xx, 5xx, and 429 and 503 by themselves."},
		[]string{"method", "route", "code"})
	requestSeconds = metrics.New.NewHistogramVec(prometheus.HistogramOpts{Namespace: metrics.Namespace, Name: "http_request_duration_seconds",
		Help: "How long requests took, by route.", Buckets: metrics.Buckets}, []string{"method", "route"})
)

// observe logs and counts each request and turns a panic into a 500.
func observe(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start, ww := time.Now(), &answer{middleware.NewWrapResponseWriter(w, r.ProtoMajor), AcceptsGzip(r)}
		inFlight.Inc()
		defer func() {
			inFlight.Dec()
			if p := recover(); p != nil {
				if p == http.ErrAbortHandler {
					panic(p)
				}
				Fail(r.Context(), ww, fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
			}
			level := slog.LevelDebug // one line per request is for debugging; server errors are always logged
			if ww.Status() >= 500 {
				level = slog.LevelWarn
			}
			took := time.Since(start)
			count(r, ww.Status(), took)
			slog.Log(r.Context(), level, "request", "method", r.Method, "path", r.URL.Path, "status", ww.Status(), "ms", took.Milliseconds())
		}()
		next.ServeHTTP(ww, r)
	})
}

// count counts a request under the pattern of its route. What no route takes is one route, whatever its path and method.
func count(r *http.Request, status int, took time.Duration) {
	method, route := r.Method, ""
	if c := chi.RouteContext(r.Context()); c != nil {
		route = c.RoutePattern()
	}
	switch {
	case route == "" || status == http.StatusMethodNotAllowed:
		method, route = "none", "none"
	case method == http.MethodHead:
		method = http.MethodGet
	}
	requests.WithLabelValues(method, route, class(status)).Inc()
	metrics.Observe(r.Context(), requestSeconds.WithLabelValues(method, route), took)
}

// class is the label of a status: few values, which tell apart what operators do different things about.
func class(status int) string {
	switch status {
	case 0: // nothing was written, which Go sends as 200
		status = http.StatusOK
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return strconv.Itoa(status)
	}
	return strconv.Itoa(status/100) + "xx"
}
