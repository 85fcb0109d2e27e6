// Package smu calls the SMU Notification API, which sends one-time passwords by SMS and checks them. A code is bound to
// a phone and nothing else: its purpose is kept by us.
package smu

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/sony/gobreaker/v2"

	"ticketremaster/platform/correlation"
	"ticketremaster/platform/fault"
)

// Limits of a call.
const (
	Deadline    = 800 * time.Millisecond // so that our caller gets an answer within a second
	maxAnswer   = 64 << 10               // bytes
	breakAfter  = 5                      // failures in a row, then calls are refused at once …
	breakFor    = 3 * time.Second        // … for this long
	maxInFlight = 32
)

// ErrNotSent means that a code was certainly not sent: SMU was not reached, or refused.
var ErrNotSent = errors.New("smu: not sent")

// Client calls SMU. It is safe for use by many goroutines.
type Client struct {
	baseURL, key string
	http         *http.Client
	breaker      *gobreaker.CircuitBreaker[answer]
	inFlight     chan struct{}
}

type answer struct {
	Success bool   `json:"success"`
	Error   string `json:"error"`
	status  int
}

// New makes a client of the API at baseURL.
func New(baseURL, key string) *Client {
	return &Client{
		baseURL: strings.TrimRight(baseURL, "/"), key: key,
		http: &http.Client{Transport: &http.Transport{
			DialContext:         (&net.Dialer{Timeout: 300 * time.Millisecond}).DialContext,
			MaxIdleConnsPerHost: maxInFlight,
			IdleConnTimeout:     time.Minute,
		}},
		breaker: gobreaker.NewCircuitBreaker[answer](gobreaker.Settings{
			Name: "smu", Timeout: breakFor,
			ReadyToTrip: func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= breakAfter },
			// A cancelled call says nothing about SMU.
			IsExcluded: func(err error) bool { return errors.Is(err, context.Canceled) },
		}),
		inFlight: make(chan struct{}, maxInFlight),
	}
}

// Send has SMU send message with a new code to phone (E.164). An error is SERVICE_UNAVAILABLE; it wraps ErrNotSent
// where that is certain.
func (c *Client) Send(ctx context.Context, phone, message string) error {
	ctx, cancel := context.WithTimeout(ctx, Deadline)
	defer cancel()
	body := map[string]string{"phone_number": phone, "message": message}
	a, err := c.call(ctx, "/sendOTP", body)
	if notReached(err) { // no code was sent: a retry is safe
		a, err = c.call(ctx, "/sendOTP", body)
	}
	switch {
	case err != nil && (notReached(err) || refusedByUs(err)):
		return unavailable(fmt.Errorf("%w: %w", ErrNotSent, err))
	case err != nil:
		return unavailable(err)
	case !a.Success:
		return unavailable(fmt.Errorf("%w: status %d, %q", ErrNotSent, a.status, a.Error))
	}
	return nil
}

// Verify asks whether code is the one sent last to phone: "OK", "INVALID" or "EXPIRED" (or none). An error,
// SERVICE_UNAVAILABLE, leaves it open. It is not retried: SMU may have used up the code already.
func (c *Client) Verify(ctx context.Context, phone, code string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, Deadline)
	defer cancel()
	a, err := c.call(ctx, "/verifyOTP", map[string]string{"phone_number": phone, "otp_code": code})
	switch {
	case err != nil:
		return "", unavailable(err)
	case a.Success:
		return "OK", nil
	case a.status == http.StatusBadRequest && a.Error == "expired":
		return "EXPIRED", nil
	case a.status == http.StatusBadRequest:
		return "INVALID", nil
	}
	return "", unavailable(fmt.Errorf("status %d, %q", a.status, a.Error))
}

func (c *Client) call(ctx context.Context, path string, body map[string]string) (answer, error) {
	select {
	case c.inFlight <- struct{}{}:
		defer func() { <-c.inFlight }()
	case <-ctx.Done():
		return answer{}, fmt.Errorf("%w: %w", gobreaker.ErrTooManyRequests, ctx.Err())
	}
	return c.breaker.Execute(func() (answer, error) { return c.post(ctx, path, body) })
}

func (c *Client) post(ctx context.Context, path string, body map[string]string) (a answer, err error) {
	b, err := json.Marshal(body)
	if err != nil {
		return a, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.baseURL+path, bytes.NewReader(b))
	if err != nil {
		return a, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-API-Key", c.key)
	if id := correlation.ID(ctx); id != "" {
		req.Header.Set(correlation.Header, id)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return a, err
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return a, err
	}
	a.status = res.StatusCode
	if res.StatusCode >= 500 {
		return a, fmt.Errorf("status %d", res.StatusCode)
	}
	if err := json.Unmarshal(raw, &a); err != nil {
		return a, fmt.Errorf("status %d, not JSON: %w", res.StatusCode, err)
	}
	return a, nil
}

// notReached reports whether no connection was made, so that SMU received nothing.
func notReached(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// refusedByUs reports whether the breaker or the limit kept the call from being made.
func refusedByUs(err error) bool {
	return errors.Is(err, gobreaker.ErrOpenState) || errors.Is(err, gobreaker.ErrTooManyRequests)
}

func unavailable(err error) error { return fault.Unreachable("the SMS service", err) }
