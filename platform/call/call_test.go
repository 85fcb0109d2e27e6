package call_test

import (
	"context"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"

	"ticketremaster/platform/call"
	"ticketremaster/platform/correlation"
	"ticketremaster/platform/fault"
	"ticketremaster/platform/fence"
	"ticketremaster/platform/metrics/metricstest"
	"ticketremaster/platform/web"
)

// The client returns a service's error as the same fault, whatever its kind.
func TestAFaultSurvivesTheWire(t *testing.T) {
	var sent error
	var id, secret string
	var token fence.Token
	s := httptest.NewServer(web.Handler(func(w http.ResponseWriter, r *http.Request) error {
		id, secret = r.Header.Get(correlation.Header), web.Bearer(r)
		token, _ = fence.Parse(r.Header.Get(fence.Header))
		return sent
	}))
	defer s.Close()
	c := call.Client{Name: "the service", BaseURL: s.URL, Token: "its secret"}
	mine := fence.Token{Saga: uuid.New(), Epoch: 3}
	refused := metricstest.Value(t, "calls_total", "callee=service", "outcome=refused")
	for kind := fault.Internal; kind <= fault.Unavailable; kind++ {
		sent = fault.New(kind, "SOME_CODE", "words for a person").With("status", "SOLD")
		got := fault.From(c.Do(fence.With(correlation.With(t.Context(), "an-id"), mine), http.MethodPost, "/", map[string]int{"a": 1}, nil))
		if got.Kind != kind || got.Code != "SOME_CODE" || got.Message != "words for a person" || got.Details["status"] != "SOLD" {
			t.Errorf("kind %d came as %+v", kind, got)
		}
	}
	if more := metricstest.Value(t, "calls_total", "callee=service", "outcome=refused") - refused; more != float64(fault.Unavailable-fault.Internal-1) {
		t.Errorf("%v refusals were counted", more) // neither the first kind, our own error, nor the last is one
	}
	if id != "an-id" || secret != "its secret" || token != mine {
		t.Errorf("correlation id %q, secret %q, fencing token %s", id, secret, token)
	}
}

func TestNoAnswerIsUnknownNeverARefusal(t *testing.T) {
	hang := make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hang }))
	defer slow.Close()
	defer close(hang)
	html := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(502); _, _ = w.Write([]byte("<html>")) }))
	defer html.Close()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	for name, url := range map[string]string{"hangs": slow.URL, "is not ours": html.URL, "is down": "http://" + closed.Addr().String()} {
		c := call.Client{Name: "the service", BaseURL: url, Timeout: 300 * time.Millisecond}
		start := time.Now()
		err := c.Do(t.Context(), http.MethodGet, "/", nil, nil)
		if !fault.Unknown(err) || fault.Code(err) != fault.CodeUnavailable {
			t.Errorf("a service that %s: %v", name, err)
		}
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("a service that %s: %s", name, took)
		}
	}
}

// Only a decision of the callee's own rules is an answer. An error of its router, of its check of the secret, or of
// something on the way is not.
func TestWhatTheRulesDidNotDecideIsNoRefusal(t *testing.T) {
	router := web.NewRouter(func(context.Context) error { return nil })
	router.Group(func(r chi.Router) {
		r.Use(web.RequireService("its secret", "its previous secret", ""))
		r.Method(http.MethodPost, "/known", web.Handler(func(w http.ResponseWriter, r *http.Request) error {
			return fault.New(fault.Conflict, "SEAT_SOLD", "the seat is sold")
		}))
	})
	for name, answer := range map[string]string{
		"/gateway": `{"message":"no Route matched with those values"}`, "/empty": `{}`, "/not-ours": `{"success":false,"message":"?"}`,
	} {
		router.Post(name, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusNotFound)
			_, _ = w.Write([]byte(answer))
		})
	}
	s := httptest.NewServer(router)
	defer s.Close()
	for _, c := range []struct{ method, path, secret, code string }{
		{http.MethodPost, "/known", "its secret", "SEAT_SOLD"},
		{http.MethodPost, "/known", "its previous secret", "SEAT_SOLD"},
		{http.MethodPost, "/known", "another secret", fault.CodeUnavailable},
		{http.MethodPost, "/known", "", fault.CodeUnavailable},
		{http.MethodPost, "/unknown", "its secret", fault.CodeUnavailable},
		{http.MethodPut, "/known", "its secret", fault.CodeUnavailable},
		{http.MethodPost, "/gateway", "its secret", fault.CodeUnavailable},
		{http.MethodPost, "/empty", "its secret", fault.CodeUnavailable},
		{http.MethodPost, "/not-ours", "its secret", fault.CodeUnavailable},
	} {
		client := call.Client{Name: "the service", BaseURL: s.URL, Token: c.secret}
		if err := client.Do(t.Context(), c.method, c.path, nil, nil); fault.Code(err) != c.code {
			t.Errorf("%s %s with %q: %v, want %s", c.method, c.path, c.secret, err, c.code)
		}
	}
}

// A request that could not be sent as a call is our own error, which a repeat does not correct.
func TestACallThatCannotBeSentIsInternal(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	defer s.Close()
	for name, c := range map[string]call.Client{
		"a secret with a line break": {BaseURL: s.URL, Token: "a\nb"}, "no address": {BaseURL: "http://a b"},
	} {
		if err := c.Do(t.Context(), http.MethodPost, "/", nil, nil); fault.From(err).Kind != fault.Internal {
			t.Errorf("%s: %v", name, err)
		}
	}
	c := call.Client{BaseURL: s.URL}
	if err := c.Do(t.Context(), http.MethodPost, "/", map[string]any{"n": math.NaN()}, nil); fault.From(err).Kind != fault.Internal {
		t.Errorf("a body that is no JSON: %v", err)
	}
}

// A call whose connection breaks is repeated within the deadline: every call is idempotent.
func TestABrokenConnectionIsTriedAgain(t *testing.T) {
	var tries atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if tries.Add(1) < 3 {
			conn, _, _ := w.(http.Hijacker).Hijack()
			conn.Close()
			return
		}
		_ = web.OK(w, map[string]string{"said": "yes"})
	}))
	defer s.Close()
	c := call.Client{Name: "the service", BaseURL: s.URL}
	var out struct{ Said string }
	if err := c.Do(t.Context(), http.MethodPost, "/", struct{}{}, &out); err != nil || out.Said != "yes" {
		t.Errorf("%+v, %v after %d tries", out, err, tries.Load())
	}
}

func TestRequestsAreReadStrictly(t *testing.T) {
	for body, field := range map[string]string{
		``: "", `[]`: "", `null x`: "", `{"a":1}{"b":2}`: "", `{"id":5}`: "id", `{"id":{"x":1}}`: "id", "\x00": "",
	} {
		r := httptest.NewRequest(http.MethodPost, "/", nil).WithContext(context.Background())
		r.Body = http.NoBody
		if body != "" {
			r = httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
		}
		var in struct {
			ID string `json:"id"`
		}
		err := web.Decode(r, &in)
		if e := fault.From(err); err == nil || e.Kind != fault.Invalid || field != "" && e.Fields[field] == "" {
			t.Errorf("%q: %v %v", body, err, e.Fields)
		}
	}
	big := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(`{"id":"`+string(make([]byte, web.MaxBody))+`"}`))
	if err := web.Decode(big, &struct{}{}); fault.From(err).Kind != fault.TooLarge {
		t.Errorf("a large body: %v", err)
	}
	for in, code := range map[string]string{"": fault.CodeValidation, "A-1": fault.CodeInvalidUUID, uuid.Nil.String(): fault.CodeInvalidUUID, "{" + uuid.NewString() + "}": fault.CodeInvalidUUID, uuid.NewString(): ""} {
		if _, err := web.UUID("seat_id", in); fault.Code(err) != code {
			t.Errorf("%q: %v", in, err)
		}
	}
}
