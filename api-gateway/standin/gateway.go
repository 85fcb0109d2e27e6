package standin

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/google/uuid"
	"github.com/valyala/fasthttp"
)

const correlationHeader = "X-Correlation-Id" // as written in a parsed header

// Gateway is the gateway that a kong.yml describes. It is immutable; requests share only the rate limits'
// counters and what is known of the services' replicas.
type Gateway struct {
	routes    routes
	balancers []*balancer
	global    policy // for requests that no route matches, if the file has no catch-all
	now       clock
}

// New builds the gateway of a rendered kong.yml. The error names the first construct that is not supported.
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
	if g.global.envelopes == nil || g.global.cors == nil || !g.global.transform || g.global.maxBody == 0 {
		return nil, errors.New("global: want pre-function, cors, request-transformer and request-size-limiting: without them no route could be served as Kong would")
	}
	balancers := map[target]*balancer{}
	for _, s := range d.Services {
		p, err := b.apply(g.global, s.Plugins)
		if err != nil {
			return nil, fmt.Errorf("service %s: %w", s.Name, err)
		}
		to, _ := d.target(s) // checked by parse
		if balancers[to] == nil {
			balancers[to] = newBalancer(d.upstream(to.upstream), to)
			g.balancers = append(g.balancers, balancers[to])
		}
		if err := g.addRoutes(b, p, s.Routes, balancers[to]); err != nil {
			return nil, fmt.Errorf("service %s: %w", s.Name, err)
		}
	}
	return g, g.addRoutes(b, g.global, d.Routes, nil)
}

func (g *Gateway) addRoutes(b builder, base policy, routes []route, to *balancer) error {
	for _, r := range routes {
		p, err := b.apply(base, r.Plugins)
		if err == nil && to == nil && p.terminate == 0 {
			err = errors.New("has neither a service nor request-termination")
		}
		if err == nil && len(r.Paths) == 0 {
			err = errors.New("needs paths")
		}
		if err == nil && r.ResponseBuffering != nil && *r.ResponseBuffering {
			err = errors.New("response_buffering is false or left out")
		}
		e := &endpoint{name: r.Name, methods: r.Methods, policy: p, service: to, streams: r.ResponseBuffering != nil}
		for _, path := range r.Paths {
			if err == nil {
				err = g.routes.add(path, e)
			}
		}
		if err != nil {
			return fmt.Errorf("route %s: %w", r.Name, err)
		}
	}
	return nil
}

// marks are the headers that the gateway adds to an answer, a service's or its own.
type marks struct {
	correlation []byte
	origin      []byte // the request's, if it is listed
	rate        *rate  // what remains of the limit
	retryAfter  []byte
}

// serve handles a request. A panic costs one request and not the process.
func (g *Gateway) serve(ctx *fasthttp.RequestCtx) {
	defer func() {
		if fault := recover(); fault != nil {
			slog.Error("a fault of the gateway's own", "fault", fault, "stack", string(debug.Stack()))
			g.fail(ctx, http.StatusInternalServerError)
		}
	}()
	raw, query := split(string(ctx.Request.Header.RequestURI()))
	e, path := g.routes.find(string(ctx.Method()), normalize(raw))
	p := &g.global
	if e != nil {
		p = &e.policy
	}
	var m marks
	if p.correlation {
		m.correlation = correlate(&ctx.Request.Header)
	}
	m.origin = p.cors.allowed(ctx.Request.Header.Peek("Origin"))
	if isPreflight(ctx) {
		p.cors.preflight(&ctx.Response.Header)
		p.cors.allow(&ctx.Response.Header, m.origin)
		setIfAny(&ctx.Response.Header, correlationHeader, m.correlation)
		return
	}
	g.answer(ctx, e, p, path, query, &m)
	h := &ctx.Response.Header
	p.cors.decorate(h)
	p.cors.allow(h, m.origin)
	setIfAny(h, correlationHeader, m.correlation)
	setIfAny(h, "Retry-After", m.retryAfter)
	m.rate.tell(h)
}

// answer runs the plugins in the order in which Kong runs them — pre-function, jwt, key-auth, size, rate, transformer —
// and asks the service. A request counts as in flight only once it has been received whole: half-sent ones block
// nobody.
func (g *Gateway) answer(ctx *fasthttp.RequestCtx, e *endpoint, p *policy, path, query string, m *marks) {
	r := &ctx.Request
	if !unambiguous(&r.Header) {
		g.fail(ctx, http.StatusBadRequest)
		return
	}
	if status := readBody(r, p.maxBody); status != 0 {
		g.fail(ctx, status)
		return
	}
	if e != nil && !e.streams {
		if !e.crowd.enter(g.now()) {
			m.retryAfter = []byte("1")
			g.fail(ctx, http.StatusTooManyRequests)
			return
		}
		defer e.crowd.leave()
	}
	if p.jwt != nil {
		if err := p.jwt.verify(r.Header.PeekAll("Authorization")); err != nil {
			g.refuse(ctx, err)
			return
		}
	}
	if p.apiKeys != nil && !p.apiKeys.admit(&r.Header) {
		g.fail(ctx, http.StatusUnauthorized)
		return
	}
	if p.limit != nil {
		if m.rate = p.limit.take(p.limit.of(ctx)); !m.rate.allowed {
			m.retryAfter = m.rate.reset
			g.fail(ctx, http.StatusTooManyRequests)
			return
		}
	}
	switch {
	case e == nil:
		g.fail(ctx, http.StatusNotFound)
		return
	case p.terminate != 0:
		g.fail(ctx, p.terminate)
		return
	}
	drop(&r.Header, p.remove)
	if status := e.service.pass(ctx, path, query, m.correlation); status != 0 {
		g.fail(ctx, status)
		return
	}
	ctx.Response.ImmediateHeaderFlush = e.streams
}

// correlate keeps the client's correlation id, if it sent one that gRPC and logs can carry, or makes one, for the
// service and the answer.
func correlate(h *fasthttp.RequestHeader) []byte {
	ids := h.PeekAll(correlationHeader)
	if len(ids) != 1 || len(ids[0]) < 1 || len(ids[0]) > 128 || bytes.ContainsFunc(ids[0], func(c rune) bool { return c < 0x21 || c > 0x7e }) {
		return []byte(uuid.NewString())
	}
	return bytes.Clone(ids[0])
}

// unambiguous reports whether every proxy reads h as one request: a length that Connection names would be dropped by
// the next one, and what the body holds taken for a request. It has 100 fields at most, as Kong reads.
func unambiguous(h *fasthttp.RequestHeader) bool {
	for _, value := range h.PeekAll("Connection") {
		value = bytes.ToLower(value)
		if bytes.Contains(value, []byte("content-length")) || bytes.Contains(value, []byte("transfer-encoding")) {
			return false
		}
	}
	return h.Len() <= 100
}

// readBody reads r's body whole, as Kong does, and returns 0 if it has at most
// max bytes, else the status to refuse it with.
func readBody(r *fasthttp.Request, max int64) int {
	stream, length := r.BodyStream(), int64(r.Header.ContentLength()) // below 0: unknown
	if stream == nil {
		return 0
	}
	body, err := io.ReadAll(io.LimitReader(stream, max+1))
	switch {
	case err != nil || length > int64(len(body)) && length <= max:
		return http.StatusBadRequest // it was not sent whole: the client's fault, not the service's
	case int64(len(body)) <= max:
		r.SetBodyRaw(body)
		return 0
	}
	io.CopyN(io.Discard, stream, lingerFor) // a client that is cut off while sending does not see the answer
	if len(r.Header.Peek("Expect")) > 0 {
		return http.StatusExpectationFailed
	}
	return http.StatusRequestEntityTooLarge
}

// lingerFor bounds what is read of a refused body, in bytes.
const lingerFor = 8 << 20

// fail answers with the gateway's own error for status.
func (g *Gateway) fail(ctx *fasthttp.RequestCtx, status int) {
	write(ctx, status, g.global.envelopes.body(status))
}

// refuse answers 401 for a token that was not accepted.
func (g *Gateway) refuse(ctx *fasthttp.RequestCtx, err error) {
	if errors.Is(err, errExpired) {
		write(ctx, http.StatusUnauthorized, g.global.envelopes.expired)
		return
	}
	g.fail(ctx, http.StatusUnauthorized)
}

func write(ctx *fasthttp.RequestCtx, status int, body []byte) {
	ctx.Response.Reset()
	ctx.Response.SetStatusCode(status)
	ctx.Response.Header.SetContentType("application/json; charset=utf-8")
	ctx.Response.SetBodyRaw(body)
}

func setIfAny(h interface{ SetBytesV(string, []byte) }, name string, value []byte) {
	if len(value) > 0 {
		h.SetBytesV(name, value)
	}
}

func clientIP(ctx *fasthttp.RequestCtx) string {
	if addr, ok := ctx.RemoteAddr().(*net.TCPAddr); ok {
		return addr.IP.String()
	}
	return ctx.RemoteAddr().String()
}
