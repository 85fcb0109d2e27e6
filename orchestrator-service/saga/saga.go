// Package saga runs flows that span services so that each ends fully done or fully undone, whatever
// dies in between.
//
// A saga is its table: a list of steps, each with what it does and what undoes it. Every step is
// idempotent under the saga's id. The saga is written down before its first step (one commit); after that
// nothing is written until it ends, because running it again from the top changes nothing that is
// done already. Three rules decide everything:
//
//   - A step whose outcome is unknown (time-out, lost connection) is tried again, never assumed.
//   - A definite refusal turns the saga back: that is written down, then the refused step and all before it
//     are undone, last first, each until it succeeds.
//   - A step without Undo is a pivot: once it is done, the saga can only go forward. A refusal after a
//     pivot, or a refused Undo, parks the saga: visible, alarmed, never dropped.
//
// The process that runs a saga holds a lease on it. When it dies the lease ends, and any replica goes on.
package saga

import (
	"context"
	"encoding/json"
	"time"

	"github.com/google/uuid"

	"ticketremaster/platform/fault"
)

// Step is one line of a saga's table. T is the saga's state: what the steps need and what they learn.
type Step[T any] struct {
	Name string
	Do   func(ctx context.Context, s *T) error
	Undo func(ctx context.Context, s *T) error // nil: a pivot
}

// Nothing is the Undo of a step that leaves nothing behind.
func Nothing[T any](context.Context, *T) error { return nil }

// Status of a saga.
type Status string

// A saga is live while RUNNING or COMPENSATING. PARKED waits for a person.
const (
	Running      Status = "RUNNING"
	Compensating Status = "COMPENSATING"
	Done         Status = "DONE"
	Undone       Status = "UNDONE"
	Parked       Status = "PARKED"
)

// Record is a saga as it is written down.
type Record struct {
	ID            uuid.UUID
	Kind          string // names the table of steps
	Subject       string // what it is about: at most one live or done saga per kind and subject
	Status        Status
	State         json.RawMessage
	Turned        int          // index of the step that was refused, when Status is not RUNNING or DONE
	Refusal       *fault.Error // why it turned back or was parked
	Trail         []Entry      // what was done, for a person
	CorrelationID string
	CreatedAt     time.Time
	UpdatedAt     time.Time
	takenUp       bool // from a process that left it
}

// Entry is one line of a saga's trail.
type Entry struct {
	Step string    `json:"step"`
	What string    `json:"what"` // done, undone, refused
	At   time.Time `json:"at"`
	MS   int64     `json:"ms"`
	Note string    `json:"note,omitempty"`
}

// Log is where sagas are written down. Lease times are the log's own clock's.
type Log interface {
	// Begin writes a new saga down under a lease; ErrLive or ErrDone if its subject has one already.
	Begin(ctx context.Context, r *Record, owner uuid.UUID, lease time.Duration) error
	// Turn writes down that the saga goes back, and why, from the step at r.Turned.
	Turn(ctx context.Context, r *Record) error
	// End writes down how the saga ended: DONE, UNDONE or PARKED.
	End(ctx context.Context, r *Record) error
	// Claim leases live sagas whose lease is over, at most limit of them.
	Claim(ctx context.Context, owner uuid.UUID, lease time.Duration, limit int) ([]*Record, error)
	// Renew extends the owner's lease; false if it is lost.
	Renew(ctx context.Context, id, owner uuid.UUID, lease time.Duration) (bool, error)
	// Rest gives the lease back, so that the saga is claimed again after the pause.
	Rest(ctx context.Context, id, owner uuid.UUID, pause time.Duration) error
	// Get reads a saga; fault NOT_FOUND.
	Get(ctx context.Context, id uuid.UUID) (*Record, error)
	// Latest reads the newest saga of a subject; nil if there is none.
	Latest(ctx context.Context, kind, subject string) (*Record, error)
}

// What Begin answers when the subject has a saga that is not undone.
var (
	ErrLive = fault.New(fault.Conflict, "SAGA_LIVE", "this is under way already")
	ErrDone = fault.New(fault.Conflict, "SAGA_DONE", "this is done already")
)

type refusalKey struct{}

// Refusal gives an Undo the reason why the saga turned back.
func Refusal(ctx context.Context) *fault.Error {
	e, _ := ctx.Value(refusalKey{}).(*fault.Error)
	if e == nil {
		e = fault.From(nil)
	}
	return e
}
