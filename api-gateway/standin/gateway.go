package standin

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
)

const (
	correlationHeader = "X-Correlation-ID"
	correlationKey    = "X-Correlation-Id" // as net/http keys it
)

// Gateway is the door that a kong.yml describes. It is made once and changes
// no more; requests share only the rate limits' counters.
type Gateway struct {
	routes routes
	global policy // for what no route takes, should the file have no catch-all
	now    clock
}

// New builds the gateway of a rendered kong.yml. The error names the first
// thing in it that is not known here.
func New(kongYML []byte) (*Gateway, error) { return build(kongYML, time.Now) }

func build(kongYML []byte, now clock) (*Gateway, error) {
	d, err := parse(kongYML)
	if err != nil {
		return nil, err
	}
	issuers, apiKeys, err := d.credentials()
	if err != nil {
		return nil, err
	}
	b := builder{newVerifier(issuers, now), apiKeys, now}
	g := &Gateway{now: now}
	if g.global, err = b.apply(policy{}, d.Plugins); err != nil {
		return nil, fmt.Errorf("global: %w", err)
	}
	if g.global.envelopes == nil || g.global.cors == nil || !g.global.transform {
		return nil, errors.New("global: want post-function, cors and request-transformer: without them no route could be served as Kong would")
	}
	proxies := map[target]*proxy{}
	for _, s := range d.Services {
		p, err := b.apply(g.global, s.Plugins)
		if err != nil {
			return nil, fmt.Errorf("service %s: %w", s.Name, err)
		}
		to, _ := s.target() // checked by parse
		if proxies[to] == nil {
			proxies[to] = newProxy(to, g.fail)
		}
		if err := g.addRoutes(b, p, s.Routes, proxies[to]); err != nil {
			return nil, fmt.Errorf("service %s: %w", s.Name, err)
		}
	}
	return g, g.addRoutes(b, g.global, d.Routes, nil)
}

func (g *Gateway) addRoutes(b builder, base policy, routes []route, to *proxy) error {
	for _, r := range routes {
		p, err := b.apply(base, r.Plugins)
		if err == nil && to == nil && p.terminate == 0 {
			err = errors.New("has neither a service nor request-termination")
		}
		if err == nil && len(r.Paths) == 0 {
			err = errors.New("needs paths")
		}
		d := &door{name: r.Name, methods: r.Methods, policy: p, proxy: to}
		for _, path := range r.Paths {
			if err == nil {
				err = g.routes.add(path, d)
			}
		}
		if err != nil {
			return fmt.Errorf("route %s: %w", r.Name, err)
		}
	}
	return nil
}

// ServeHTTP takes a request through the plugins in the order in which Kong runs
// them: correlation-id, cors, jwt, key-auth, size, rate, transformer.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d, path := g.routes.find(r.Method, normalize(r.URL.EscapedPath()))
	p := &g.global
	if d != nil {
		p = &d.policy
	}
	h := w.Header()
	if p.correlation {
		correlate(h, r)
	}
	if p.cors.preflight(h, r) {
		w.WriteHeader(http.StatusOK)
		return
	}
	p.cors.decorate(h, r)
	if d != nil {
		if !d.crowd.enter(g.now()) {
			h["Retry-After"] = []string{"1"}
			g.fail(w, http.StatusTooManyRequests)
			return
		}
		defer d.crowd.leave()
	}
	if p.jwt != nil {
		if err := p.jwt.verify(r.Header); err != nil {
			g.refuse(w, err)
			return
		}
	}
	if p.apiKeys != nil && !p.apiKeys.admit(r.Header) {
		g.fail(w, http.StatusUnauthorized)
		return
	}
	if p.maxBody > 0 {
		if status := limitBody(r, p.maxBody); status != 0 {
			g.fail(w, status)
			return
		}
	}
	if p.limit != nil && !p.limit.take(clientIP(r), h) {
		g.fail(w, http.StatusTooManyRequests)
		return
	}
	if d == nil {
		g.fail(w, http.StatusNotFound)
		return
	}
	for _, name := range p.remove {
		delete(r.Header, name)
	}
	if p.terminate != 0 {
		g.fail(w, p.terminate)
		return
	}
	r.URL.Path, r.URL.RawPath = path, "" // routes match nothing that would need escaping
	d.proxy.reverse.ServeHTTP(w, r)
}

// correlate keeps the client's correlation id or makes one, for the service and the answer.
func correlate(h http.Header, r *http.Request) {
	ids := r.Header[correlationKey]
	if len(ids) == 0 || ids[0] == "" {
		ids = []string{uuid.NewString()}
	}
	ids = ids[:1]
	r.Header[correlationKey] = ids
	h[correlationKey] = ids
}

// limitBody returns 0 if r's body has at most max bytes, else the status to
// refuse it with. A body of unknown length is read whole, as Kong does.
func limitBody(r *http.Request, max int64) int {
	if r.ContentLength < 0 {
		body, err := io.ReadAll(io.LimitReader(r.Body, max+1))
		if err != nil {
			return http.StatusBadRequest
		}
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	}
	if r.ContentLength <= max {
		return 0
	}
	if strings.EqualFold(strings.TrimSpace(r.Header.Get("Expect")), "100-continue") {
		return http.StatusExpectationFailed
	}
	return http.StatusRequestEntityTooLarge
}

// fail answers with the gateway's own error for status.
func (g *Gateway) fail(w http.ResponseWriter, status int) {
	write(w, status, g.global.envelopes.body(status))
}

// refuse answers 401 for a token that was not taken.
func (g *Gateway) refuse(w http.ResponseWriter, err error) {
	if errors.Is(err, errExpired) {
		write(w, http.StatusUnauthorized, g.global.envelopes.expired)
		return
	}
	g.fail(w, http.StatusUnauthorized)
}

func write(w http.ResponseWriter, status int, body []byte) {
	h := w.Header()
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	w.Write(body)
}
