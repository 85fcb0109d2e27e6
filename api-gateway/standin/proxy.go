package standin

import (
	"bytes"
	"errors"
	"iter"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"ticketremaster/platform/idle"
)

const (
	idleFor    = 60 * time.Second // as Kong; services keep idle connections longer (platform/web), or a POST could meet a closed one
	mostToOne  = 1 << 14          // connections to one service: more than a gateway has clients
	readBuffer = 32 << 10         // bytes of a service's header, and what is read and written at once
)

// proxy passes requests to one replica of a service over connections that stay open.
type proxy struct {
	host   string
	client fasthttp.HostClient
	down   atomic.Bool // by its probes
}

func newProxy(host string, to target) *proxy {
	dialer := net.Dialer{Timeout: to.connect, KeepAlive: 30 * time.Second}
	p := &proxy{host: host}
	p.client = fasthttp.HostClient{
		Addr: host,
		Dial: func(addr string) (net.Conn, error) {
			conn, err := dialer.Dial("tcp", addr)
			if err != nil {
				return nil, err
			}
			return &serviceConn{TCPConn: conn.(*net.TCPConn), wait: to.read}, nil
		},
		// A connection that its service closed while it was idle received nothing of the request: the next one is
		// tried, or a new one.
		MaxIdemponentCallAttempts: mostToOne,
		RetryIfErr:                func(_ *fasthttp.Request, _ int, err error) (bool, bool) { return false, errors.Is(err, errIdleClosed) },
		MaxConns:                  mostToOne,
		MaxIdleConnDuration:       idleFor,
		WriteTimeout:              to.read,
		StreamResponseBody:        true, // what a client does not read waits at the service, not here
		ReadBufferSize:            readBuffer,
		WriteBufferSize:           readBuffer,
		NoDefaultUserAgentHeader:  true,
		DisablePathNormalizing:    true,
	}
	return p
}

// pass calls the replica with a forwarded request and leaves its answer in ctx.
func (p *proxy) pass(ctx *fasthttp.RequestCtx, path, query string) error {
	ctx.Request.Header.SetHost(p.host)
	ctx.Request.SetRequestURI(path)
	ctx.Request.URI().SetQueryString(query)
	if err := p.client.Do(&ctx.Request, &ctx.Response); err != nil {
		slog.Warn("no answer from service", "service", p.host, "path", path, "status", upstreamStatus(err), "error", err)
		return err
	}
	drop(&ctx.Response.Header, notTheServices)
	return nil
}

// forward gives a client's request the headers that its service sees.
func forward(ctx *fasthttp.RequestCtx, correlation []byte) {
	h := &ctx.Request.Header
	h.Del(correlationHeader) // the client may have sent several
	setIfAny(h, correlationHeader, correlation)
	dropHops(h)
	ip := []byte(clientIP(ctx))
	h.SetBytesV("X-Forwarded-For", bytes.Join(append(h.PeekAll("X-Forwarded-For"), ip), []byte(", "))) // appended, as Kong does, so that the last is true
	h.SetBytesV("X-Forwarded-Host", h.Host())
	h.Set("X-Forwarded-Proto", "http")
	h.SetBytesV("X-Real-IP", ip)
	h.SetProtocol("HTTP/1.1")
}

// dropHops removes what concerns only the client's connection, and what the client says does so.
func dropHops(h *fasthttp.RequestHeader) {
	for _, value := range h.PeekAll("Connection") {
		for name := range strings.SplitSeq(string(value), ",") {
			h.Del(strings.TrimSpace(name))
		}
	}
	drop(h, ofOneHop)
}

// hopByHop are headers of one connection that are not passed on (RFC 9110, 7.6.1).
var hopByHop = []string{"Connection", "Expect", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Connection", "Te", "Trailer", "Upgrade"}

var ofOneHop = headerSet(hopByHop...)

// notTheServices are set by the gateway alone; a service's own would stand beside them.
var notTheServices = headerSet(append(hopByHop, correlationHeader,
	"Access-Control-Allow-Origin", "Access-Control-Allow-Credentials", "Access-Control-Expose-Headers",
	"X-Ratelimit-Limit-Minute", "X-Ratelimit-Remaining-Minute", "Ratelimit-Limit", "Ratelimit-Remaining", "Ratelimit-Reset")...)

// headerSet holds the names as they stand in a parsed header.
func headerSet(names ...string) map[string]bool {
	set := map[string]bool{}
	for _, name := range names {
		set[http.CanonicalHeaderKey(name)] = true
	}
	return set
}

// drop removes those of h's headers that are in the set.
func drop(h interface {
	All() iter.Seq2[[]byte, []byte]
	Del(name string)
}, set map[string]bool) {
	var found []string
	for name := range h.All() {
		if set[string(name)] {
			found = append(found, string(name))
		}
	}
	for _, name := range found {
		h.Del(name)
	}
}

// upstreamStatus is the status that Kong gives for a failed attempt.
func upstreamStatus(err error) int {
	var unknownHost *net.DNSError
	var timeout interface{ Timeout() bool }
	switch {
	case errors.As(err, &unknownHost):
		return http.StatusServiceUnavailable
	case errors.As(err, &timeout) && timeout.Timeout():
		return http.StatusGatewayTimeout
	default:
		return http.StatusBadGateway
	}
}

// serviceConn is a connection to a service that detects, before a request is written to it, that the service closed it.
type serviceConn struct {
	*net.TCPConn
	wait     time.Duration // between two reads, as Kong's read_timeout
	answered bool          // since it was written to
}

var errIdleClosed = errors.New("the service closed this idle connection")

func (c *serviceConn) Read(p []byte) (int, error) {
	c.answered = true
	c.SetReadDeadline(time.Now().Add(c.wait))
	return c.TCPConn.Read(p)
}

func (c *serviceConn) Write(p []byte) (int, error) {
	if c.answered {
		c.answered = false
		if idle.Closed(c.TCPConn) {
			return 0, errIdleClosed
		}
	}
	return c.TCPConn.Write(p)
}
