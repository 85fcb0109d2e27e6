package demo

import (
	"io"
	"net/http"
	"strconv"
	"time"
)

// rateLimitWaiter sends a request again when this address has used up the gateway's rate limit, as after two runs in
// one minute. A request that the limit refused was not forwarded.
type rateLimitWaiter struct {
	wait func(format string, args ...any) // called with the time to wait
}

func (r *rateLimitWaiter) RoundTrip(req *http.Request) (*http.Response, error) {
	for {
		res, err := http.DefaultTransport.RoundTrip(req)
		// RateLimit-Reset is the gateway's own; a service's 429 has none and is an answer.
		if err != nil || res.StatusCode != http.StatusTooManyRequests || res.Header.Get("RateLimit-Reset") == "" {
			return res, err
		}
		seconds, err := strconv.Atoi(res.Header.Get("Retry-After"))
		if err != nil || seconds > 60 || req.Body != nil && req.GetBody == nil {
			return res, nil
		}
		_, _ = io.Copy(io.Discard, res.Body)
		res.Body.Close()
		r.wait("the gateway's rate limit of %s a minute is used up: waiting %d s", res.Header.Get("RateLimit-Limit"), seconds)
		select {
		case <-req.Context().Done():
			return nil, req.Context().Err()
		case <-time.After(time.Duration(seconds) * time.Second):
		}
		if req.Body != nil {
			if req.Body, err = req.GetBody(); err != nil {
				return nil, err
			}
		}
	}
}
