// Package saga runs flows that span services so that each ends fully done or fully undone, whatever process dies in
// between (docs/adr/saga-log.md).
//
// A saga is a table: a list of steps, each with its action and its compensation. Every step is idempotent under the
// saga's id. The saga is logged before its first step (one commit); after that nothing is logged until it turns back or
// ends, because running it again from the top changes nothing that is done already. Three rules apply:
//
//   - A step whose outcome is unknown (time-out, lost connection) is tried again, never assumed.
//   - A definite refusal turns the saga back: that is written down, then the refused step and all before it
//     are undone, last first, each until it succeeds.
//   - A step without Undo is a pivot: once it is done, the saga can only go forward. A refusal after a
//     pivot, or a refused Undo, parks the saga: visible, alarmed, never dropped.
//
// The process that runs a saga holds a lease on it. When it dies the lease ends, and any replica takes the saga up.
// Each claim of a saga has a greater epoch than the last; every write to the log and every call of a step carries it,
// and is refused once there is a greater one. So a driver that was stopped for longer than its lease does no harm: it
// is refused and touches nothing.
//
// A saga that makes no progress is tried less and less often and finally parked: after ten rounds that failed for
// another reason than an outage, or after six hours of outage. A person can resume it (Resume) or turn it back
// (Compensate).
package saga

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/google/uuid"

	"ticketremaster/platform/fault"
)

// Step is one line of a saga's table. T is the saga's state: the input and the results of its steps.
type Step[T any] struct {
	Name string
	Do   func(ctx context.Context, s *T) error
	Undo func(ctx context.Context, s *T) error // nil: a pivot
}

// Nothing is the Undo of a step that needs no compensation.
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

// Live reports whether a saga with this status is still running.
func (s Status) Live() bool { return s == Running || s == Compensating }

// Record is a saga as it is logged.
type Record struct {
	ID            uuid.UUID
	Kind          string // names the table of steps
	Subject       string // what it is about: at most one live or done saga per kind and subject
	Status        Status
	State         json.RawMessage
	Turned        int          // index of the step that was refused, when Status is not RUNNING or DONE
	Refusal       *fault.Error // why it turned back or was parked
	Trail         []Entry      // what was done, for people
	CorrelationID string
	CreatedAt     time.Time
	UpdatedAt     time.Time

	// The claim under which this record may be written: Begin's is epoch 1, each Claim's and each reopening's is one
	// more.
	Owner uuid.UUID
	Epoch int64

	// Its progress, for deciding how to go on.
	Reached      int       // steps done (or undone, on the way back) at the most, as drivers have reported
	Rounds       int       // rounds without progress that failed for another reason than an outage
	StalledSince time.Time // when the first round without progress ended; zero: it has made progress since
	Unreported   bool      // a driver ended without a report: more than Reached may have been done
	ParkedFrom   Status    // RUNNING or COMPENSATING, when Status is PARKED
}

// Entry is one line of a saga's trail.
type Entry struct {
	Step string    `json:"step"`
	What string    `json:"what"` // of a step: done, undone, refused; of the saga: parked, resumed, compensated
	At   time.Time `json:"at"`
	MS   int64     `json:"ms"`
	Note string    `json:"note,omitempty"` // the refusal's code; of what a person decided, who it was
}

// step reports whether the entry tells of a step, and not of the saga as a whole.
func (e Entry) step() bool { return e.What == "done" || e.What == "undone" || e.What == "refused" }

// Log keeps sagas. Lease times are by the log's own clock. Turn, End, Renew and Rest apply to the claim that r.Owner
// and r.Epoch name; once there is a later one they change nothing and return ErrLost. After an error of kind
// Unavailable the outcome is unknown; a repeat is safe.
type Log interface {
	// Begin records a new saga under a lease of epoch 1. ErrLive or ErrDone, with detail "saga_id", if its subject has
	// one already: that may be this one, from a try whose outcome was unknown. An error that wraps ErrNotSent wrote
	// nothing.
	Begin(ctx context.Context, r *Record, lease time.Duration) error
	// Turn records that the saga turns back, and why, from the step at r.Turned.
	Turn(ctx context.Context, r *Record) error
	// End records how the saga ended: DONE, UNDONE or PARKED.
	End(ctx context.Context, r *Record) error
	// Claim leases live sagas whose lease is over to owner, each under its next epoch: at most limit of them, the
	// longest overdue first. Half of the places are for sagas that are not stalled, so that stalled ones never starve
	// them.
	Claim(ctx context.Context, owner uuid.UUID, lease time.Duration, limit int) ([]*Record, error)
	// Renew extends the lease.
	Renew(ctx context.Context, r *Record, lease time.Duration) error
	// Rest ends the lease and records r's progress, so that the saga is claimed again after the pause.
	Rest(ctx context.Context, r *Record, pause time.Duration) error
	// Reopen continues a parked saga in r.Status, RUNNING or COMPENSATING, under its next epoch, at once; r is as Get
	// gave it, changed in Status, Turned, Refusal and Trail. ErrNotParked if it is not parked any more.
	Reopen(ctx context.Context, r *Record) error
	// Get reads a saga; fault NOT_FOUND.
	Get(ctx context.Context, id uuid.UUID) (*Record, error)
	// Latest reads the newest saga of a subject; nil if there is none.
	Latest(ctx context.Context, kind, subject string) (*Record, error)
	// List reads sagas of one status, newest first, and how many there are in all.
	List(ctx context.Context, status Status, limit, offset int) ([]*Record, int, error)
}

// Errors of the log.
var (
	// ErrLive and ErrDone: Begin's subject has a saga that is not undone.
	ErrLive = fault.New(fault.Conflict, "SAGA_LIVE", "This is under way already")
	ErrDone = fault.New(fault.Conflict, "SAGA_DONE", "This is done already")
	// ErrLost: the saga is driven under a later claim.
	ErrLost = fault.New(fault.Conflict, "SAGA_LOST", "Another process drives this saga now")
	// ErrNotParked: only a parked saga can be reopened.
	ErrNotParked = fault.New(fault.Conflict, "SAGA_NOT_PARKED", "This saga is not parked")
	// ErrNotSent marks an error of the log that came before anything left this process.
	ErrNotSent = errors.New("nothing was sent")
)

type refusalKey struct{}

// Refusal returns, for an Undo, why the saga turned back.
func Refusal(ctx context.Context) *fault.Error {
	e, _ := ctx.Value(refusalKey{}).(*fault.Error)
	if e == nil {
		e = fault.From(nil)
	}
	return e
}
