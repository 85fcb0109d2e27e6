// Package messages keeps the broker's messages that failed again and again until a person has decided about each: it is
// replayed, or dropped (docs/runbook.md#parked-messages).
package messages

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"ticketremaster/platform/broker"
	"ticketremaster/platform/fault"
)

// Status is what was decided about a message.
type Status string

// The statuses. Only Parked is ever left.
const (
	Parked   Status = "PARKED"
	Replayed Status = "REPLAYED"
	Dropped  Status = "DROPPED"
)

// Message is a parked message, and what was decided.
type Message struct {
	broker.Parked
	Status    Status
	DecidedBy uuid.NullUUID // an administrator
	Reason    string
	DecidedAt time.Time
}

// ErrNotParked refuses a second decision.
var ErrNotParked = fault.New(fault.Conflict, "MESSAGE_NOT_PARKED", "It was decided about that message already")

var (
	errUnknown = fault.New(fault.NotFound, fault.CodeNotFound, "There is no such message")
	errNoQueue = fault.New(fault.Conflict, "QUEUE_NOT_FOUND", "A message came from a queue that is not there any more")
)

// Most is how many messages one decision may be about.
const Most = 100

// Store keeps messages.
type Store interface {
	// Keep adds a message, unless it is there.
	Keep(ctx context.Context, m broker.Parked) error
	// List reads messages of one status, newest first, and how many there are in all.
	List(ctx context.Context, status Status, limit, offset int) ([]Message, int, error)
	// Decide locks the messages with these ids, calls act with what it has of them, and records the decision if act
	// returns no error.
	Decide(ctx context.Context, ids []uuid.UUID, to Status, by uuid.UUID, reason string, act func([]Message) error) error
}

// Flows decides about parked messages.
type Flows struct {
	Store
	BrokerURL string
}

// Collect takes messages out of the broker's queue for them, until ctx ends.
func (f *Flows) Collect(ctx context.Context) {
	broker.Collector{URL: f.BrokerURL, Role: "orchestrator collects parked messages", Queue: "parked.queue", Keep: f.Keep}.Run(ctx)
}

// decideWithin bounds a decision, whose messages are locked while the broker confirms them.
const decideWithin = 5 * time.Second

// Replay puts messages back into their queues. All or none is recorded: NOT_FOUND, ErrNotParked, or that the broker is
// not available. If a message was sent and that is not recorded, another replay sends it twice, which its consumers
// take.
func (f *Flows) Replay(ctx context.Context, ids []uuid.UUID, by uuid.UUID, reason string) error {
	return f.decide(ctx, ids, Replayed, by, reason, func(ctx context.Context, all []broker.Parked) error {
		err := broker.Resend(ctx, f.BrokerURL, "orchestrator replays", all)
		if errors.Is(err, broker.ErrNoQueue) {
			return errNoQueue.Because(err)
		}
		return err
	})
}

// Drop decides that messages are of no use. All or none: NOT_FOUND, or ErrNotParked.
func (f *Flows) Drop(ctx context.Context, ids []uuid.UUID, by uuid.UUID, reason string) error {
	return f.decide(ctx, ids, Dropped, by, reason, func(context.Context, []broker.Parked) error { return nil })
}

func (f *Flows) decide(ctx context.Context, ids []uuid.UUID, to Status, by uuid.UUID, reason string, act func(context.Context, []broker.Parked) error) error {
	ctx, cancel := context.WithTimeout(ctx, decideWithin)
	defer cancel()
	err := f.Decide(ctx, ids, to, by, reason, func(found []Message) error {
		all := make([]broker.Parked, len(found))
		for i, m := range found {
			if m.Status != Parked {
				return ErrNotParked.With("message_id", m.ID.String()).With("status", string(m.Status))
			}
			all[i] = m.Parked
		}
		if len(found) < len(ids) {
			return errUnknown
		}
		return act(ctx, all)
	})
	if err == nil {
		slog.InfoContext(ctx, "parked messages decided", "status", to, "messages", ids, "by", by)
	}
	return err
}
