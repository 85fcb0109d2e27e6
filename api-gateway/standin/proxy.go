package standin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"sync"
	"time"
)

const (
	idlePerService = 1024             // connections kept to one service, as many as Kong's two workers keep
	idleFor        = 60 * time.Second // as Kong; services keep idle connections longer (platform/web), or a POST could meet a closed one
	copyBuffer     = 128 << 10        // bytes, so that a large seat map takes few reads and writes
	bodyBuffer     = 256 << 10        // bytes of a request; kong.yml allows no more
)

// proxy passes requests to one target over connections that stay open. A
// request goes out once: what fails is answered, not tried again.
type proxy struct{ reverse *httputil.ReverseProxy }

func newProxy(to target, fail func(w http.ResponseWriter, status int)) *proxy {
	dialer := net.Dialer{Timeout: to.connect, KeepAlive: 30 * time.Second}
	transport := &http.Transport{
		DialContext:           dialer.DialContext,
		TLSHandshakeTimeout:   to.connect,
		ResponseHeaderTimeout: to.read,
		MaxIdleConns:          0, // bounded per host
		MaxIdleConnsPerHost:   idlePerService,
		IdleConnTimeout:       idleFor,
		DisableCompression:    true, // the client's Accept-Encoding passes as it is
		WriteBufferSize:       32 << 10,
		ReadBufferSize:        32 << 10,
	}
	return &proxy{&httputil.ReverseProxy{
		Transport:  buffering{transport},
		BufferPool: buffers,
		ErrorLog:   log.New(quiet{}, "", 0),
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = to.scheme, to.host, ""
			r.Out.Header["X-Forwarded-For"] = r.In.Header["X-Forwarded-For"] // Kong appends to what came
			r.SetXForwarded()
			r.Out.Header["X-Real-Ip"] = []string{clientIP(r.In)}
			// Set again, or a request could have it dropped by naming it in Connection.
			if id := r.In.Header[correlationKey]; id != nil {
				r.Out.Header[correlationKey] = id
			}
		},
		ModifyResponse: func(r *http.Response) error {
			for _, name := range gatewayHeaders {
				delete(r.Header, name)
			}
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			if r.Context().Err() != nil && errors.Is(r.Context().Err(), context.Canceled) {
				return // the client is gone
			}
			status := upstreamStatus(err)
			if status >= http.StatusInternalServerError {
				slog.Warn("no answer from service", "service", to.host, "path", r.URL.Path, "status", status, "error", err)
			}
			fail(w, status)
		},
	}}
}

// errBodyCut is the client's fault, not the service's.
var errBodyCut = errors.New("the request's body did not come whole")

// buffering reads a request's body before it asks the service, as Kong does: header and body then go out, and come in, as
// one.
type buffering struct{ http.RoundTripper }

func (b buffering) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil && r.ContentLength > 0 && r.ContentLength <= bodyBuffer {
		body := make([]byte, r.ContentLength)
		if _, err := io.ReadFull(r.Body, body); err != nil {
			return nil, fmt.Errorf("%w: %w", errBodyCut, err)
		}
		whole := *r
		whole.Body = io.NopCloser(bytes.NewReader(body))
		r = &whole
	}
	return b.RoundTripper.RoundTrip(r)
}

// gatewayHeaders are set by the gateway alone; a service's own would stand beside them.
var gatewayHeaders = []string{
	correlationKey, "Access-Control-Allow-Origin", "Access-Control-Allow-Credentials", "Access-Control-Expose-Headers",
	"X-Ratelimit-Limit-Minute", "X-Ratelimit-Remaining-Minute", "Ratelimit-Limit", "Ratelimit-Remaining", "Ratelimit-Reset",
}

// upstreamStatus is the status that Kong gives for a failed attempt; 400 where the client is at fault.
func upstreamStatus(err error) int {
	var unknownHost *net.DNSError
	var timeout net.Error
	switch {
	case errors.Is(err, errBodyCut):
		return http.StatusBadRequest
	case errors.As(err, &unknownHost):
		return http.StatusServiceUnavailable
	case errors.As(err, &timeout) && timeout.Timeout():
		return http.StatusGatewayTimeout
	default:
		return http.StatusBadGateway
	}
}

func clientIP(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// quiet keeps a client that hangs up in the middle of an answer at debug level.
type quiet struct{}

func (quiet) Write(line []byte) (int, error) {
	slog.Debug(string(line))
	return len(line), nil
}

type bufferPool struct{ pool sync.Pool }

var buffers = &bufferPool{sync.Pool{New: func() any { return new([copyBuffer]byte) }}}

func (b *bufferPool) Get() []byte { return b.pool.Get().(*[copyBuffer]byte)[:] }

func (b *bufferPool) Put(buffer []byte) { b.pool.Put((*[copyBuffer]byte)(buffer)) }
