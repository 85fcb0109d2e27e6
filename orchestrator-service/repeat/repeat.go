// Package repeat makes requests of administrators safe to repeat: the same Idempotency-Key, or without one the same
// body within half a minute, such as a double click sends, is the same operation.
package repeat

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"ticketremaster/platform/fault"
)

// How long a request is remembered.
const (
	keyLife    = 24 * time.Hour   // by its key
	doubleLife = 30 * time.Second // by its body alone
)

// ErrKeyReused refuses a key that came with another body before.
var ErrKeyReused = fault.New(fault.Conflict, "IDEMPOTENCY_KEY_REUSED", "This Idempotency-Key came with another request before")

// Store remembers requests.
type Store interface {
	Claim(ctx context.Context, admin uuid.UUID, key string, fingerprint []byte, proposed uuid.UUID, window time.Duration) (operation uuid.UUID, first []byte, err error)
	Forget(ctx context.Context, admin uuid.UUID, key string, operation uuid.UUID) error
}

// Request is what an administrator asks for. What is the kind of request and its subject.
type Request struct {
	Admin uuid.UUID
	What  string // "create-event", "add-rows of …"
	Key   string // the Idempotency-Key; may be empty
	Body  []byte // normalised: independent of the order of its fields
}

// Do runs do under the id of the request's operation: a new one, or that of the request that this one repeats. A
// refused request is forgotten, so that a corrected one may use the key again.
func Do[T any](ctx context.Context, s Store, r Request, do func(operation uuid.UUID) (T, error)) (T, error) {
	var none T
	fingerprint, window, key := sha256.Sum256(r.Body), keyLife, r.What+" key "+r.Key
	if r.Key == "" {
		window, key = doubleLife, r.What+" body "+hex.EncodeToString(fingerprint[:])
	}
	operation, first, err := s.Claim(ctx, r.Admin, key, fingerprint[:], uuid.Must(uuid.NewV7()), window)
	switch {
	case err != nil:
		return none, err
	case !bytes.Equal(first, fingerprint[:]):
		return none, ErrKeyReused
	}
	done, err := do(operation)
	if err != nil && !fault.Unknown(err) {
		if err := s.Forget(context.WithoutCancel(ctx), r.Admin, key, operation); err != nil {
			slog.WarnContext(ctx, "a refused request is remembered until its time is over", "operation", operation, "error", err)
		}
	}
	return done, err
}
