package standin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"testing"
)

// Kong answers 503 for a name that does not resolve, 504 for what came too late, and 502 for the rest.
func TestUpstreamStatus(t *testing.T) {
	for _, c := range []struct {
		err  error
		want int
	}{
		{&net.DNSError{Err: "no such host", Name: "user-service", IsNotFound: true}, http.StatusServiceUnavailable},
		{&net.OpError{Op: "dial", Err: &net.DNSError{IsTimeout: true}}, http.StatusServiceUnavailable},
		{&url.Error{Op: "Post", Err: context.DeadlineExceeded}, http.StatusGatewayTimeout},
		{fmt.Errorf("reading: %w", &net.OpError{Op: "read", Err: errors.New("connection reset by peer")}), http.StatusBadGateway},
		{errors.New("EOF"), http.StatusBadGateway},
	} {
		if got := upstreamStatus(c.err); got != c.want {
			t.Errorf("%v: %d, want %d", c.err, got, c.want)
		}
	}
}
