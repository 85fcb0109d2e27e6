// Package call calls another of our REST services in JSON, with its bearer secret, the correlation id, the fencing
// token and a deadline on every call, and reads faults back from the envelope.
package call

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"
	"unicode"

	"ticketremaster/platform/correlation"
	"ticketremaster/platform/fault"
	"ticketremaster/platform/fence"
	"ticketremaster/platform/metrics"
	"ticketremaster/platform/web"
)

// maxAnswer bounds what is read of an answer, in bytes.
const maxAnswer = 32 << 20

// Client calls one service. All calls must be idempotent under the ids they carry: after a broken connection a call is
// sent again within the deadline.
type Client struct {
	Name    string        // for messages: "the order service"
	BaseURL string        // http://order-service:5001; of several replicas a comma list
	Token   string        // the callee's own secret
	Timeout time.Duration // of a call whose context has no earlier deadline; 0: 2 s
	HTTP    *http.Client  // nil: a shared one with connections kept alive
}

var shared = &http.Client{Transport: &http.Transport{
	DialContext:         (&net.Dialer{Timeout: time.Second, KeepAlive: 30 * time.Second}).DialContext,
	MaxIdleConns:        512,
	MaxIdleConnsPerHost: 128,
	IdleConnTimeout:     90 * time.Second,
	WriteBufferSize:     8 << 10,
	ReadBufferSize:      8 << 10,
	DisableCompression:  true, // between services the network costs less than the processor
}}

// Do sends in (nil: no body) and decodes the envelope's data into out (nil: dropped). An error is a fault: what the
// callee's own rules decided, SERVICE_UNAVAILABLE when the outcome is unknown, or INTERNAL_ERROR when the call could
// not be made, which no repeat mends.
func (c *Client) Do(ctx context.Context, method, path string, in, out any) error {
	_, err := c.Page(ctx, method, path, in, out)
	return err
}

// Page is Do for a list; it also returns the pagination beside data.
func (c *Client) Page(ctx context.Context, method, path string, in, out any) (*web.Pagination, error) {
	start := time.Now()
	page, err := c.insist(ctx, method, path, in, out)
	metrics.Called(ctx, c.Name, time.Since(start), err)
	return page, err
}

// insist calls, again when the connection broke.
func (c *Client) insist(ctx context.Context, method, path string, in, out any) (*web.Pagination, error) {
	timeout := c.Timeout
	if timeout == 0 {
		timeout = 2 * time.Second
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return nil, err
		}
	}
	address := ""
	for try := 0; ; try++ {
		address = replica(c.BaseURL, address)
		began := time.Now()
		page, err := c.once(ctx, method, address+path, body, out)
		if err == nil {
			return page, nil
		}
		noteFailure(address, err, time.Since(began))
		if try == 2 || !connectionBroke(err) {
			return page, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(time.Duration(10+rand.IntN(40)) * time.Millisecond << try):
		}
	}
}

func (c *Client) once(ctx context.Context, method, url string, body []byte, out any) (*web.Pagination, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+c.Token)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if id := correlation.ID(ctx); id != "" {
		req.Header.Set(correlation.Header, id)
	}
	if t, fenced := fence.From(ctx); fenced {
		req.Header.Set(fence.Header, t.String())
	}
	for name, values := range req.Header {
		if strings.ContainsFunc(values[0], unicode.IsControl) {
			return nil, fmt.Errorf("%s %s: the header %s cannot be sent", method, url, name)
		}
	}
	client := c.HTTP
	if client == nil {
		client = shared
	}
	res, err := client.Do(req)
	if err != nil {
		return nil, fault.Unreachable(c.Name, err)
	}
	defer res.Body.Close()
	answer := struct {
		Success    bool              `json:"success"`
		Data       any               `json:"data"` // decoded into out at once
		Pagination *web.Pagination   `json:"pagination"`
		ErrorCode  string            `json:"error_code"`
		Message    string            `json:"message"`
		Errors     map[string]string `json:"errors"`
		Details    map[string]string `json:"details"`
	}{Data: out}
	raw, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return nil, fault.Unreachable(c.Name, err)
	}
	var mistyped *json.UnmarshalTypeError
	err = json.Unmarshal(raw, &answer)
	switch {
	case errors.As(err, &mistyped) && strings.HasPrefix(mistyped.Field, "data"):
		return nil, fmt.Errorf("%s %s: %w", method, url, err) // our own error
	case err != nil:
		return nil, fault.Unreachable(c.Name, fmt.Errorf("status %d, not our envelope: %w", res.StatusCode, err))
	}
	if !answer.Success {
		said := &fault.Error{
			Kind: web.KindOf(res.StatusCode), Code: answer.ErrorCode, Message: answer.Message,
			Fields: answer.Errors, Details: answer.Details,
		}
		if !fault.Answered(said.Code) {
			return nil, fault.Unreachable(c.Name, fmt.Errorf("%s %s was answered %d: %w", method, url, res.StatusCode, said))
		}
		return nil, said
	}
	return answer.Pagination, nil
}

// connectionBroke reports whether no answer came because of the connection, not of a timeout.
func connectionBroke(err error) bool {
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}
