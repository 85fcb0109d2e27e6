// Package conformance tests what every gateway must do. The cases run against the gateway at GATEWAY_URL if that is set
// (the whole stack, with Kong or its stand-in), otherwise against one that the test starts with the real kong.yml and
// two upstreams that echo their requests: the stand-in or, with GATEWAY=kong, an installed Kong 3.6.
//
// Against GATEWAY_URL only status, envelope and headers are checked; with the echoes also what reached which service.
package conformance

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"

	"ticketremaster/api-gateway/standin"
	"ticketremaster/platform/kong"
	"ticketremaster/platform/render"
)

const (
	origin     = "http://localhost:5173" // among the default origins
	testSecret = "a-secret-of-the-tests-0123456789ab"
)

// gateway is the gateway under test.
type gateway struct {
	url    string
	echoes bool // its services echo: what they got can be asserted
	secret string
}

// generous are limits for tests of something else.
var generous = map[string]string{"RATE_LIMIT": "100000", "RATE_LIMIT_LOGIN": "100000", "RATE_LIMIT_OTP": "100000"}

// shared is the gateway that all tests use which need no settings of their own.
var shared gateway

func TestMain(m *testing.M) {
	if at := os.Getenv("GATEWAY_URL"); at != "" {
		shared = gateway{strings.TrimSuffix(at, "/"), false, os.Getenv("JWT_SECRET")}
		if shared.secret == "" {
			fmt.Fprintln(os.Stderr, "GATEWAY_URL is set, but not JWT_SECRET: the suite signs tokens with the stack's secret")
			os.Exit(1)
		}
		os.Exit(m.Run())
	}
	var stop func()
	var err error
	if shared, stop, err = start(generous, nil); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	status := m.Run()
	stop()
	os.Exit(status)
}

// own starts a gateway with these settings. change may edit the rendered file.
func own(t *testing.T, env map[string]string, change func(kongYML string) string) gateway {
	t.Helper()
	g, stop, err := start(env, change)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return g
}

func start(env map[string]string, change func(string) string) (gateway, func(), error) {
	users, orchestrator := httptest.NewServer(echo("user")), httptest.NewServer(echo("orchestrator"))
	settings := map[string]string{"USER_SERVICE_URL": users.URL, "ORCHESTRATOR_URL": orchestrator.URL, "JWT_SECRET": testSecret}
	for name, value := range env {
		settings[name] = value
	}
	template, err := os.ReadFile("../kong.yml")
	if err != nil {
		return gateway{}, nil, err
	}
	result, err := render.Render(template, func(name string) (string, bool) { v, ok := settings[name]; return v, ok })
	if err != nil {
		return gateway{}, nil, err
	}
	text := string(result.Text)
	if change != nil {
		text = change(text)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return gateway{}, nil, err
	}
	serve := serveStandin
	if os.Getenv("GATEWAY") == "kong" {
		serve = serveKong
	}
	end, err := serve(l, text)
	if err != nil {
		return gateway{}, nil, err
	}
	stop := func() {
		if err := end(); err != nil {
			fmt.Fprintln(os.Stderr, "gateway:", err)
		}
		users.Close()
		orchestrator.Close()
	}
	return gateway{"http://" + l.Addr().String(), true, testSecret}, stop, nil
}

// serveStandin serves kongYML on l by the stand-in until end is called.
func serveStandin(l net.Listener, kongYML string) (end func() error, err error) {
	gateway, err := standin.New([]byte(kongYML))
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- gateway.Serve(ctx, l) }()
	return func() error { cancel(); return <-done }, nil
}

// serveKong serves kongYML at l's address by a Kong until end is called, which must succeed by SIGTERM.
func serveKong(l net.Listener, kongYML string) (end func() error, err error) {
	if found, _ := kong.Find(); found == "" {
		return nil, errors.New("GATEWAY=kong, and no Kong 3.6 is on the PATH")
	}
	l.Close()
	dir, err := os.MkdirTemp("", "kong")
	if err != nil {
		return nil, err
	}
	source, err := filepath.Abs("..")
	if err != nil {
		return nil, err
	}
	declaration := filepath.Join(dir, "kong.yml")
	if err := os.WriteFile(declaration, []byte(kongYML), 0o600); err != nil {
		return nil, err
	}
	server := kong.Server{Conf: filepath.Join(source, "kong.conf"), Prefix: filepath.Join(dir, "prefix"), Env: []string{
		"KONG_DECLARATIVE_CONFIG=" + declaration, "KONG_PROXY_LISTEN=" + l.Addr().String(),
		"KONG_NGINX_HTTP_INCLUDE=" + filepath.Join(source, "crowd.conf"), "KONG_NGINX_WORKER_PROCESSES=2",
	}}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := server.Prepare(ctx); err != nil {
		return nil, err
	}
	command := server.Command()
	process := exec.Command(command[0], command[1:]...)
	process.Env = server.Environment()
	var said bytes.Buffer
	process.Stderr = &said
	if err := process.Start(); err != nil {
		return nil, err
	}
	end = func() error {
		process.Process.Signal(syscall.SIGTERM)
		late := time.AfterFunc(10*time.Second, func() { process.Process.Kill() })
		err := process.Wait()
		if !late.Stop() || err != nil {
			return fmt.Errorf("SIGTERM did not end Kong: %w: %s", err, said.String())
		}
		return os.RemoveAll(dir)
	}
	for {
		asked, cancel := context.WithTimeout(ctx, time.Second)
		request, _ := http.NewRequestWithContext(asked, http.MethodGet, "http://"+l.Addr().String(), nil)
		answer, err := client.Do(request)
		cancel()
		if err == nil {
			return end, answer.Body.Close()
		}
		if ctx.Err() != nil {
			return nil, fmt.Errorf("Kong does not answer: %w: %w", err, end())
		}
		time.Sleep(50 * time.Millisecond) // between two tries
	}
}

// heard is what a service got, as the echo reports it.
type heard struct {
	Upstream, Method, Path, Query, Host string
	Header                              http.Header
	Length                              int
}

// echo answers with the request it got, and with headers that only the gateway may set.
func echo(name string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("X-Correlation-ID", "the service's own")
		w.Header().Set("Access-Control-Allow-Origin", "*")
		json.NewEncoder(w).Encode(heard{name, r.Method, r.URL.EscapedPath(), r.URL.RawQuery, r.Host, r.Header, len(body)})
	})
}

// reply is an answer of the gateway or, through it, of a service.
type reply struct {
	status int
	header http.Header
	body   []byte
}

var client = &http.Client{
	Timeout:       20 * time.Second,
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// ask sends a request with the path exactly as given. headers are pairs of name and value.
func (g gateway) ask(t *testing.T, method, path string, body io.Reader, headers ...string) reply {
	t.Helper()
	u, err := url.Parse(g.url + path)
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequest(method, g.url, body)
	if err != nil {
		t.Fatal(err)
	}
	r.URL = u
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	res, err := client.Do(r)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return reply{res.StatusCode, res.Header, text}
}

// heard returns what the service got.
func (r reply) heard(t *testing.T) heard {
	t.Helper()
	var h heard
	if err := json.Unmarshal(r.body, &h); err != nil || h.Upstream == "" {
		t.Fatalf("not an echo: %d %s", r.status, r.body)
	}
	return h
}

// texts tell the gateway's own errors from those of a service with the same status.
var texts = map[int]string{
	400: "The request could not be understood.",
	401: "Please log in to go on.",
	404: "There is nothing at this address.",
	413: "The request is too large.",
	417: "The request is too large.",
	429: "Too many requests. Please wait a moment and try again.",
}

// byGateway reports whether r is the gateway's own error with status.
func (r reply) byGateway(status int) bool {
	return r.status == status && bytes.Contains(r.body, []byte(texts[status]))
}

// wantError checks for the gateway's own error, in the envelope.
func (r reply) wantError(t *testing.T, status int, code string) {
	t.Helper()
	var envelope struct {
		Success   *bool  `json:"success"`
		ErrorCode string `json:"error_code"`
		Message   string `json:"message"`
	}
	if r.status != status {
		t.Errorf("status %d, want %d: %s", r.status, status, r.body)
		return
	}
	if err := json.Unmarshal(r.body, &envelope); err != nil || envelope.Success == nil || *envelope.Success ||
		envelope.ErrorCode != code || envelope.Message == "" {
		t.Errorf("not the envelope of %s: %s", code, r.body)
	}
	if got := r.header.Get("Content-Type"); !strings.HasPrefix(got, "application/json") {
		t.Errorf("content type %q", got)
	}
	if len(r.header.Values("X-Correlation-ID")) != 1 {
		t.Errorf("correlation ids on the error: %q", r.header.Values("X-Correlation-ID"))
	}
}

// claims are those of a valid access token with changes; nil removes one.
func claims(change jwt.MapClaims) jwt.MapClaims {
	issuer := "ticketremaster"
	if v := os.Getenv("JWT_ISSUER"); v != "" {
		issuer = v
	}
	c := jwt.MapClaims{
		"iss": issuer, "sub": uuid.NewString(), "sid": uuid.NewString(), "role": "customer", "typ": "access",
		"iat": time.Now().Unix(), "exp": time.Now().Add(10 * time.Minute).Unix(),
	}
	for name, value := range change {
		c[name] = value
		if value == nil {
			delete(c, name)
		}
	}
	return c
}

func sign(t *testing.T, method jwt.SigningMethod, key any, change jwt.MapClaims) string {
	t.Helper()
	token, err := jwt.NewWithClaims(method, claims(change)).SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// bearer is a valid Authorization header for g.
func (g gateway) bearer(t *testing.T) string {
	t.Helper()
	return "Bearer " + sign(t, jwt.SigningMethodHS256, []byte(g.secret), nil)
}
