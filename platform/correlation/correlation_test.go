package correlation_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"ticketremaster/platform/correlation"
	"ticketremaster/platform/web"
)

// usable says which ids are accepted; all others are replaced.
var usable = map[string]bool{
	"a": true, "5f0c3f0e-5d0c-4b0e-9f3c-2b1d6f1a0e11": true, "a,b;c=~!": true, strings.Repeat("x", 128): true,
	"": false, strings.Repeat("x", 129): false, "café": false, "a\tb": false, "a b": false, " a": false, "a\nb": false, "\x00": false,
	"\x7f": false, "\xff": false, "日本": false,
}

func TestOnlyAnIDThatEveryTransportCarriesIsTakenOver(t *testing.T) {
	for id, ok := range usable {
		got := correlation.ID(correlation.With(t.Context(), id))
		if (got == id) != ok || got == "" {
			t.Errorf("%q became %q", id, got)
		}
	}
}

// The longer ids of several requests are our own: accepted between services, never from outside.
func TestJoinedIDsAreForServices(t *testing.T) {
	var requests []context.Context
	for range 40 {
		requests = append(requests, correlation.With(t.Context(), ""))
	}
	requests = append(requests, t.Context()) // without an id
	joined := correlation.ID(correlation.Join(requests))
	if len(joined) > 1024 || len(joined) < 900 || !strings.HasPrefix(joined, correlation.ID(requests[0])+","+correlation.ID(requests[1])+",") {
		t.Errorf("joined to %d bytes: %s", len(joined), joined)
	}
	var seen string
	router := web.NewRouter(func(context.Context) error { return nil })
	look := func(_ http.ResponseWriter, r *http.Request) { seen = correlation.ID(r.Context()) }
	router.Get("/people", look)
	router.With(web.RequireService("its secret")).Get("/services", look)
	for path, taken := range map[string]bool{"/people": false, "/services": true} {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		r.Header.Set("Authorization", "Bearer its secret")
		r.Header.Set(correlation.Header, joined)
		w := httptest.NewRecorder()
		router.ServeHTTP(w, r)
		if (seen == joined) != taken || seen == "" || w.Header().Get(correlation.Header) != seen {
			t.Errorf("%s: %q, and %q in the answer", path, seen, w.Header().Get(correlation.Header))
		}
	}
	r := httptest.NewRequest(http.MethodGet, "/services", nil)
	r.Header.Set("Authorization", "Bearer its secret")
	r.Header.Set(correlation.Header, "café")
	router.ServeHTTP(httptest.NewRecorder(), r)
	if seen == "café" {
		t.Error("a service may pass on an id that gRPC cannot carry")
	}
}
