// Package hold publishes a message for each hold and consumes those whose time is over
// (docs/architecture.md#the-broker).
package hold

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	amqp "github.com/rabbitmq/amqp091-go"

	"ticketremaster/platform/broker"
	"ticketremaster/platform/fault"
)

// The names of docs/architecture.md#the-broker; rabbitmq/definitions.json has them too.
const (
	holdExchange    = "seat.hold.exchange"
	holdQueue       = "seat.hold.queue"
	releaseExchange = "seat.release.exchange"
	expiryQueue     = "order.expiry.queue"
	parkedQueue     = "parked.queue"
	holdKey         = "hold"
	standardTTL     = 5 * time.Minute
)

// Held is a seat and its hold.
type Held struct {
	SeatID uuid.UUID `json:"seat_id"`
	HoldID uuid.UUID `json:"hold_id"`
}

// Message says that a seat, or the seats of a booking, are held, until when, and by which holds. A consumer of a former release
// reads the first alone; what it leaves is found by the sweeps.
type Message struct {
	Held
	UserID    uuid.UUID `json:"user_id"`
	HeldUntil time.Time `json:"held_until"`
	More      []Held    `json:"more,omitempty"` // the further seats of the booking
}

// Holds returns all holds of the message.
func (m Message) Holds() []Held { return append([]Held{m.Held}, m.More...) }

// Publisher publishes hold messages to the queue of their TTL.
type Publisher struct {
	*broker.Publisher
	key string
}

// NewPublisher makes a publisher for holds of that TTL. A queue expires from its head only, so every TTL has a queue of
// its own; the standard one is seat.hold.queue.
func NewPublisher(url string, ttl time.Duration) *Publisher {
	queue, key := holdQueue, holdKey
	args := amqp.Table{"x-message-ttl": int32(ttl.Milliseconds()), "x-dead-letter-exchange": releaseExchange}
	if ttl != standardTTL {
		suffix := fmt.Sprintf(".%d", ttl.Milliseconds())
		queue, key = holdQueue+suffix, holdKey+suffix
		args["x-dead-letter-routing-key"] = holdKey
	}
	topology := broker.Topology{
		Exchanges: []string{holdExchange, releaseExchange},
		Queues:    []broker.Queue{{Name: queue, Args: args, Exchange: holdExchange, Key: key}},
	}
	return &Publisher{broker.NewPublisher(url, "orchestrator publishes holds", topology), key}
}

// Publish queues the message and returns at once; the sweeps find what a crash loses.
func (p *Publisher) Publish(ctx context.Context, m Message) {
	body, err := json.Marshal(m)
	if err != nil {
		panic(err) // ids and a time
	}
	p.Publisher.Publish(ctx, broker.Message{Exchange: holdExchange, Key: p.key, Body: body})
}

// NewExpiryConsumer makes a consumer of holds whose time is over as far as their message knows.
func NewExpiryConsumer(url string, expire func(context.Context, Message) error) broker.Consumer {
	return broker.Consumer{
		URL: url, Role: "orchestrator consumes " + expiryQueue, Queue: expiryQueue, Parking: parkedQueue,
		Topology: broker.Topology{
			Exchanges: []string{releaseExchange},
			Queues:    []broker.Queue{{Name: expiryQueue, Exchange: releaseExchange, Key: holdKey}, {Name: parkedQueue}},
		},
		Handle: func(ctx context.Context, body []byte) error {
			var m Message
			err := json.Unmarshal(body, &m)
			if err != nil || slices.ContainsFunc(m.Holds(), func(h Held) bool { return h.SeatID == uuid.Nil || h.HoldID == uuid.Nil }) {
				return fault.New(fault.Invalid, fault.CodeValidation, "Not a hold message").Because(err)
			}
			return expire(ctx, m)
		},
	}
}
