package web_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"

	"ticketremaster/platform/fault"
	"ticketremaster/platform/metrics/metricstest"
	"ticketremaster/platform/web"
)

// A request is counted under its route's pattern: whatever clients ask for, the series are as many as the routes.
func TestRequestsAreCountedByRoute(t *testing.T) {
	r := web.NewRouter(func(context.Context) error { return nil })
	r.Group(func(r chi.Router) {
		r.Method(http.MethodPost, "/counted/{id}", web.Handler(func(_ http.ResponseWriter, r *http.Request) error {
			switch chi.URLParam(r, "id") {
			case "crowded":
				return fault.New(fault.TooMany, fault.CodeRateLimited, "Too many")
			case "down":
				return fault.New(fault.Unavailable, fault.CodeUnavailable, "Away")
			case "panic":
				panic("a fault of ours")
			}
			return fault.New(fault.NotFound, fault.CodeNotFound, "None")
		}))
	})
	r.Method(http.MethodGet, "/counted", web.Handler(func(http.ResponseWriter, *http.Request) error { return nil }))
	s := httptest.NewServer(r)
	t.Cleanup(s.Close)
	const requests, seconds = "http_requests_total", "http_request_duration_seconds"
	unmatched := metricstest.Value(t, requests, "route=none", "code=4xx")
	for _, request := range []string{
		"POST /counted/1", "POST /counted/2", "POST /counted/crowded", "POST /counted/down", "POST /counted/panic",
		"GET /counted", "HEAD /counted", "GET /counted/3", "BREW /counted", "GET /nowhere/4", "GET /",
	} {
		method, path, _ := strings.Cut(request, " ")
		get(t, method, s.URL+path, "")
	}
	for _, c := range []struct {
		code   string
		labels []string
		want   float64
	}{
		{"4xx", []string{"method=POST", "route=/counted/{id}"}, 2},
		{"429", []string{"method=POST", "route=/counted/{id}"}, 1},
		{"503", []string{"method=POST", "route=/counted/{id}"}, 1},
		{"5xx", []string{"method=POST", "route=/counted/{id}"}, 1},
		{"2xx", []string{"method=GET", "route=/counted"}, 2},
		{"4xx", []string{"method=none", "route=none"}, unmatched + 4},
	} {
		if got := metricstest.Value(t, requests, append(c.labels, "code="+c.code)...); got != c.want {
			t.Errorf("%s %v: %v, not %v", c.code, c.labels, got, c.want)
		}
	}
	if n := metricstest.Value(t, seconds, "route=/counted/{id}"); n != 5 {
		t.Errorf("%v durations", n)
	}
	for _, label := range []string{"route", "method"} {
		for _, value := range metricstest.Labels(t, requests, label) {
			if strings.ContainsAny(value, "1234") || slices.Contains([]string{"BREW", "HEAD"}, value) {
				t.Errorf("a client chose the %s %q", label, value)
			}
		}
	}
}

// The page is what Prometheus reads, exemplars with it, and the routes that every service has are bounded.
func TestMetricsPage(t *testing.T) {
	r := web.NewRouter(func(context.Context) error {
		time.Sleep(30 * time.Millisecond) // slow enough for an exemplar
		return nil
	})
	s := httptest.NewServer(r)
	t.Cleanup(s.Close)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+"/health", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-Correlation-ID", "the-exemplar")
	if _, err := http.DefaultClient.Do(request); err != nil {
		t.Fatal(err)
	}
	request.URL.Path = "/metrics"
	request.Header.Set("Accept", "application/openmetrics-text; version=1.0.0")
	res, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`ticketremaster_build_info{`, `go_goroutines `, `process_open_fds `, `# {correlation_id="the-exemplar"}`,
		`ticketremaster_http_requests_total{code="2xx",method="GET",route="/health"} `, "# EOF",
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("%s is not in\n%s", want, text)
		}
	}
	metricstest.Bounded(t, r, 0)
}

func BenchmarkRouter(b *testing.B) {
	r := web.NewRouter(func(context.Context) error { return nil })
	r.Method(http.MethodGet, "/counted/{id}", web.Handler(func(w http.ResponseWriter, _ *http.Request) error { return web.OK(w, 1) }))
	request := httptest.NewRequest(http.MethodGet, "/counted/1", nil)
	b.ReportAllocs()
	for b.Loop() {
		r.ServeHTTP(httptest.NewRecorder(), request)
	}
}
