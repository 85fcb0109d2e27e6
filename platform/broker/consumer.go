package broker

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"
	amqp "github.com/rabbitmq/amqp091-go"

	"ticketremaster/platform/correlation"
	"ticketremaster/platform/fault"
)

// handleLimit bounds one try of one message.
const handleLimit = 10 * time.Second

// Consumer handles the messages of one queue and acknowledges each of them.
type Consumer struct {
	URL, Role, Queue string
	// Topology is declared on each new connection as far as it is missing.
	Topology Topology
	// Parking is the queue for messages that failed Tries times.
	Parking string
	Tries   int // 0: 5
	Workers int // messages handled at once; 0: 8
	// Handle handles one message; it must be idempotent. After an error the message is tried again later; while the
	// error is SERVICE_UNAVAILABLE the message is not parked.
	Handle func(ctx context.Context, body []byte) error
}

// Run consumes until ctx ends.
func (c Consumer) Run(ctx context.Context) {
	if c.Tries == 0 {
		c.Tries = 5
	}
	if c.Workers == 0 {
		c.Workers = 8
	}
	for _, result := range []string{handled, requeued, parked} {
		consumedMessages.WithLabelValues(c.Queue, result) // 0 is a value, too
	}
	stayConnected(ctx, c.URL, c.Role, c.Topology, c.session)
}

func (c Consumer) session(ctx context.Context, ch line) error {
	if err := ch.Qos(c.Workers*2, 0, false); err != nil {
		return err
	}
	deliveries, err := ch.ConsumeWithContext(ctx, c.Queue, "", false, false, false, false, nil)
	if err != nil {
		return err
	}
	var workers sync.WaitGroup
	for range c.Workers {
		workers.Go(func() {
			for d := range deliveries {
				c.handle(ctx, ch.Channel, d)
			}
		})
	}
	workers.Wait()
	return nil
}

// handle tries a message Tries times, with growing pauses, and then parks it. A message that is being handled when the
// connection breaks is delivered again.
func (c Consumer) handle(ctx context.Context, ch *amqp.Channel, d amqp.Delivery) {
	id, _ := d.Headers[correlation.Header].(string)
	ctx = correlation.WithJoined(ctx, id) // a message may be sent for several requests
	var err error
	for try := range c.Tries {
		if ctx.Err() != nil {
			return
		}
		if err = c.handleOnce(ctx, d.Body); err == nil {
			c.count(handled)
			if err := d.Ack(false); err != nil {
				slog.WarnContext(ctx, "the acknowledgement was lost; the message will come again", "queue", c.Queue, "error", err)
			}
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(100 * time.Millisecond << min(try, 5)):
		}
	}
	if fault.From(err).Kind == fault.Unavailable { // not the message's fault: it waits in the queue
		c.count(requeued)
		_ = d.Nack(false, true)
		return
	}
	c.count(parked)
	slog.ErrorContext(ctx, "message parked", "queue", c.Queue, "parking", c.Parking, "error", err)
	park := Parked{ID: uuid.Must(uuid.NewV7()), Queue: c.Queue, Because: err.Error(), CorrelationID: id, ParkedAt: time.Now(), Body: d.Body}
	if err := ch.PublishWithContext(ctx, "", c.Parking, false, false, park.publishing(d.ContentType)); err == nil {
		_ = d.Ack(false) // if this is lost, the message is parked twice, which does no harm
	}
}

// handleOnce handles a message to its end, even if the program is to end meanwhile.
func (c Consumer) handleOnce(ctx context.Context, body []byte) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), handleLimit)
	defer cancel()
	return c.Handle(ctx, body)
}

func (c Consumer) count(result string) { consumedMessages.WithLabelValues(c.Queue, result).Inc() }
