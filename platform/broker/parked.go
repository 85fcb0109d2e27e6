package broker

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	amqp "github.com/rabbitmq/amqp091-go"

	"ticketremaster/platform/correlation"
	"ticketremaster/platform/fault"
)

// Parked is a message that a Consumer parked.
type Parked struct {
	ID            uuid.UUID
	Queue         string // that it was consumed from; "": unknown
	Because       string // the last try's error
	CorrelationID string
	ParkedAt      time.Time
	Body          []byte
}

// The headers of a parked message.
const (
	parkedFrom    = "x-parked-from"
	parkedBecause = "x-parked-because"
)

// publishing is the message as it waits in the queue for parked messages.
func (p Parked) publishing(contentType string) amqp.Publishing {
	return amqp.Publishing{
		DeliveryMode: amqp.Persistent, ContentType: contentType, Body: p.Body, MessageId: p.ID.String(), Timestamp: p.ParkedAt,
		Headers: amqp.Table{correlation.Header: p.CorrelationID, parkedFrom: p.Queue, parkedBecause: p.Because},
	}
}

// parkedOf reads a delivery of that queue. A message without an id, of an older version or put there by hand, gets one.
func parkedOf(d amqp.Delivery) Parked {
	text := func(name string) string { s, _ := d.Headers[name].(string); return s }
	p := Parked{Queue: text(parkedFrom), Because: text(parkedBecause), CorrelationID: text(correlation.Header), ParkedAt: d.Timestamp, Body: d.Body}
	var err error
	if p.ID, err = uuid.Parse(d.MessageId); err != nil {
		p.ID = uuid.Must(uuid.NewV7())
	}
	if p.ParkedAt.IsZero() {
		p.ParkedAt = time.Now()
	}
	return p
}

// Collector takes parked messages out of their queue to where people look after them.
type Collector struct {
	URL, Role, Queue string
	// Keep keeps one; the same may come again. After an error it stays in the queue and comes a second later.
	Keep func(context.Context, Parked) error
}

// Run collects until ctx ends.
func (c Collector) Run(ctx context.Context) {
	stayConnected(ctx, c.URL, c.Role, Topology{Queues: []Queue{{Name: c.Queue}}}, c.session)
}

func (c Collector) session(ctx context.Context, ch line) error {
	if err := ch.Qos(1, 0, false); err != nil {
		return err
	}
	deliveries, err := ch.ConsumeWithContext(ctx, c.Queue, "", false, false, false, false, nil)
	if err != nil {
		return err
	}
	for d := range deliveries {
		keep, cancel := context.WithTimeout(context.WithoutCancel(ctx), handleLimit)
		err := c.Keep(keep, parkedOf(d))
		cancel()
		if err == nil {
			_ = d.Ack(false) // if this is lost, the same one comes again
			continue
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
		_ = d.Nack(false, true)
	}
	return nil
}

// ErrNoQueue says that the broker has no queue of that name any more.
var ErrNoQueue = errors.New("the broker has no such queue")

// Resend puts messages back into the queues that they were parked from, and returns once the broker has confirmed all
// of them: ErrNoQueue, or that the broker is not available. After an error some of them may have been sent.
func Resend(ctx context.Context, url, role string, messages []Parked) error {
	err := connect(ctx, url, role, Topology{}, func(ctx context.Context, ch line) error {
		if err := ch.Confirm(false); err != nil {
			return err
		}
		returned := ch.NotifyReturn(make(chan amqp.Return, len(messages)))
		for _, m := range messages {
			confirm, err := ch.PublishWithDeferredConfirmWithContext(ctx, "", m.Queue, true, false, amqp.Publishing{
				DeliveryMode: amqp.Persistent, ContentType: "application/json", Body: m.Body, Timestamp: time.Now(),
				Headers: amqp.Table{correlation.Header: m.CorrelationID},
			})
			if err != nil {
				return err
			}
			if acked, err := confirm.WaitContext(ctx); err != nil || !acked {
				return errors.Join(err, errors.New("the broker did not take the message"))
			}
		}
		if len(returned) > 0 { // what cannot be routed comes back before its confirm
			return ErrNoQueue
		}
		return errSent
	})
	switch {
	case errors.Is(err, errSent):
		return nil
	case errors.Is(err, ErrNoQueue):
		return err
	default:
		return fault.Unreachable("the broker", err)
	}
}

// errSent ends the session of Resend.
var errSent = errors.New("sent")
