// Package web serves JSON over HTTP in the system's envelope: {"success":true,"data":…} or
// {"success":false,"error_code":…,"message":…}. Handlers return errors; this package alone knows HTTP statuses.
package web

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"time"

	"ticketremaster/platform/fault"
)

// statuses is the one table from a fault's kind to an HTTP status; package call reads it backwards.
var statuses = map[fault.Kind]int{
	fault.Internal:        http.StatusInternalServerError,
	fault.Invalid:         http.StatusBadRequest,
	fault.Unauthenticated: http.StatusUnauthorized,
	fault.PaymentRequired: http.StatusPaymentRequired,
	fault.Forbidden:       http.StatusForbidden,
	fault.NotFound:        http.StatusNotFound,
	fault.Conflict:        http.StatusConflict,
	fault.Gone:            http.StatusGone,
	fault.TooLarge:        http.StatusRequestEntityTooLarge,
	fault.ProofRequired:   http.StatusPreconditionRequired,
	fault.TooMany:         http.StatusTooManyRequests,
	fault.Unavailable:     http.StatusServiceUnavailable,
}

// KindOf returns the kind of fault that an HTTP status stands for; an unknown status is Internal, or Unavailable for
// the gateway statuses 502 and 504.
func KindOf(status int) fault.Kind {
	for k, s := range statuses {
		if s == status {
			return k
		}
	}
	if status == http.StatusBadGateway || status == http.StatusGatewayTimeout {
		return fault.Unavailable
	}
	return fault.Internal
}

// Envelope is the form of every answer.
type Envelope struct {
	Success    bool              `json:"success"`
	Data       any               `json:"data,omitempty"`
	Pagination *Pagination       `json:"pagination,omitempty"`
	ErrorCode  string            `json:"error_code,omitempty"`
	Message    string            `json:"message,omitempty"`
	Errors     map[string]string `json:"errors,omitempty"`
	Details    map[string]string `json:"details,omitempty"`
}

// Pagination stands beside data in every list.
type Pagination struct {
	Page       int `json:"page"`
	PerPage    int `json:"per_page"`
	Total      int `json:"total"`
	TotalPages int `json:"total_pages"`
}

// OK answers 200 with data.
func OK(w http.ResponseWriter, data any) error { return Answer(w, http.StatusOK, data) }

// Answer answers status with data in the envelope.
func Answer(w http.ResponseWriter, status int, data any) error {
	return write(w, status, Envelope{Success: true, Data: data})
}

// List answers 200 with one page of a list and where it stands in the whole.
func List(w http.ResponseWriter, data any, page Page, total int) error {
	return write(w, http.StatusOK, Envelope{Success: true, Data: data, Pagination: &Pagination{
		Page: page.Number, PerPage: page.Size, Total: total, TotalPages: (total + page.Size - 1) / page.Size,
	}})
}

// Fail answers with err in the envelope. Internal faults are logged with their cause, which no client sees.
func Fail(ctx context.Context, w http.ResponseWriter, err error) {
	e := fault.From(err)
	switch e.Kind {
	case fault.Internal:
		slog.ErrorContext(ctx, "request failed", "error", err)
	case fault.Unavailable:
		slog.WarnContext(ctx, "dependency unavailable", "error", err)
	}
	wait := e.RetryAfter
	if wait == 0 && e.Kind == fault.Unavailable {
		wait = time.Second // dependencies usually recover within seconds
	}
	if wait > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
	}
	_ = write(w, statuses[e.Kind], Envelope{ErrorCode: e.Code, Message: e.Message, Errors: e.Fields, Details: e.Details})
}

// write encodes before it sends, so that a value that cannot be encoded is still a clean 500. A large answer is
// compressed for a client that takes it so.
func write(w http.ResponseWriter, status int, body any) error {
	var b bytes.Buffer
	if err := json.NewEncoder(&b).Encode(body); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	send(w, status, &b)
	return nil
}

// Document answers 200 with a text of that media type, which is no envelope. A large one is compressed for a client
// that takes it so.
func Document(w http.ResponseWriter, mediaType string, text []byte) error {
	w.Header().Set("Content-Type", mediaType)
	send(w, http.StatusOK, bytes.NewBuffer(text))
	return nil
}

func send(w http.ResponseWriter, status int, body *bytes.Buffer) {
	if body.Len() >= compressFrom {
		compress(w, body)
	}
	w.Header().Set("Content-Length", strconv.Itoa(body.Len()))
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes()) // the client is gone
}
