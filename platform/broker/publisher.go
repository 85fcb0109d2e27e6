package broker

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	amqp "github.com/rabbitmq/amqp091-go"

	"ticketremaster/platform/correlation"
)

// Message is one persistent message.
type Message struct {
	Exchange, Key string
	Body          []byte
	correlationID string
	tries         int
}

// Publisher sends messages off the request's path: mandatory, persistent, confirmed asynchronously, and sent again over
// a new connection if the old one broke before the confirm. What is unsent when the process dies is lost, so senders
// need a sweep.
type Publisher struct {
	url, role string
	topology  Topology
	queue     chan Message
	unsettled atomic.Int64
	lost      atomic.Int64

	unsettledShown            prometheus.Gauge // the same, for operators
	confirmedShown, lostShown prometheus.Counter
}

const (
	backlog     = 10_000 // messages that wait while the broker is down
	inFlight    = 512    // messages sent and not yet confirmed
	maxTries    = 5
	confirmWait = 10 * time.Second
	// batchPause is the pause after a batch. Messages that arrive during it are sent as one packet, which halves the
	// cost on both sides. It is short compared with the minutes that messages wait in a queue.
	batchPause = 25 * time.Millisecond
)

// NewPublisher makes a publisher; role names it in the broker's list of connections. On each new connection it declares
// what is missing of the topology.
func NewPublisher(url, role string, topology Topology) *Publisher {
	return &Publisher{url: url, role: role, topology: topology, queue: make(chan Message, backlog),
		unsettledShown: unsettledMessages.WithLabelValues(role), confirmedShown: confirmedMessages.WithLabelValues(role), lostShown: lostMessages.WithLabelValues(role)}
}

// Publish queues m and returns at once; false means that the backlog is full and m is dropped.
func (p *Publisher) Publish(ctx context.Context, m Message) bool {
	m.correlationID = correlation.ID(ctx)
	p.count(1)
	select {
	case p.queue <- m:
		return true
	default:
		p.drop(m, "the backlog is full")
		return false
	}
}

// Unsettled is the number of messages published and not yet confirmed by the broker.
func (p *Publisher) Unsettled() int64 { return p.unsettled.Load() }

// Lost is the number of messages that were given up.
func (p *Publisher) Lost() int64 { return p.lost.Load() }

func (p *Publisher) count(more int64) {
	p.unsettled.Add(more)
	p.unsettledShown.Add(float64(more))
}

func (p *Publisher) lose() {
	p.lost.Add(1)
	p.lostShown.Inc()
}

func (p *Publisher) drop(m Message, why string) {
	p.count(-1)
	p.lose()
	slog.Error("message given up; a sweep has to do its work", "exchange", m.Exchange, "key", m.Key, "why", why, "correlation_id", m.correlationID)
}

// Run sends until ctx ends, and then what was handed over until that moment, if the broker can be reached.
func (p *Publisher) Run(ctx context.Context) {
	stayConnected(ctx, p.url, p.role, p.topology, p.session)
}

type sent struct {
	message Message
	confirm *amqp.DeferredConfirmation
}

func (p *Publisher) session(ctx context.Context, ch line) error {
	if err := ch.Confirm(false); err != nil {
		return err
	}
	returned := ch.NotifyReturn(make(chan amqp.Return, inFlight))
	go func() {
		for r := range returned { // confirmed all the same: without mandatory nobody would know
			p.lose()
			slog.Error("message came back unroutable; a sweep has to do its work", "exchange", r.Exchange, "key", r.RoutingKey, "correlation_id", r.Headers[correlation.Header])
		}
	}()
	unbroken := context.WithoutCancel(ctx) // what was sent is waited for when ctx ends; a lost connection settles it, too
	flight := make(chan sent, inFlight)
	settled := make(chan struct{})
	go func() {
		defer close(settled)
		for s := range flight {
			p.settle(unbroken, s)
		}
	}()
	defer func() { close(flight); <-settled }()
	for {
		select {
		case <-ctx.Done():
			return p.sendRest(unbroken, ch, flight)
		case m := <-p.queue:
			if err := p.sendBatch(unbroken, ch, m, flight); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(batchPause):
		}
	}
}

// sendRest sends what still waits when the program ends.
func (p *Publisher) sendRest(ctx context.Context, ch line, flight chan<- sent) error {
	select {
	case m := <-p.queue:
		return p.sendBatch(ctx, ch, m, flight)
	default:
		return nil
	}
}

// sendBatch sends m and all messages that wait, in one write to the network.
func (p *Publisher) sendBatch(ctx context.Context, ch line, m Message, flight chan<- sent) error {
	ch.socket.gather()
	err := p.writeBatch(ctx, ch, m, flight)
	return errors.Join(err, ch.socket.flush())
}

func (p *Publisher) writeBatch(ctx context.Context, ch line, m Message, flight chan<- sent) error {
	for {
		confirm, err := ch.PublishWithDeferredConfirmWithContext(ctx, m.Exchange, m.Key, true, false, amqp.Publishing{
			DeliveryMode: amqp.Persistent, ContentType: "application/json", Body: m.Body,
			// Not as AMQP's own property, which takes 255 bytes: a longer id would break the connection, again and
			// again.
			Headers: amqp.Table{correlation.Header: m.correlationID}, Timestamp: time.Now(),
		})
		if err != nil {
			p.again(m)
			return err
		}
		select {
		case flight <- sent{m, confirm}:
		default: // the limit in flight is reached: flush, so that confirms can come
			if err := ch.socket.flush(); err != nil {
				p.again(m)
				return err
			}
			flight <- sent{m, confirm}
			ch.socket.gather()
		}
		select {
		case m = <-p.queue:
		default:
			return nil
		}
	}
}

// settle waits for the confirm of one message; confirms come roughly in the order of sending.
func (p *Publisher) settle(ctx context.Context, s sent) {
	wait, cancel := context.WithTimeout(ctx, confirmWait)
	defer cancel()
	if acked, err := s.confirm.WaitContext(wait); err == nil && acked {
		p.count(-1)
		p.confirmedShown.Inc()
		return
	}
	p.again(s.message)
}

func (p *Publisher) again(m Message) {
	if m.tries++; m.tries >= maxTries {
		p.drop(m, "refused too often")
		return
	}
	select {
	case p.queue <- m:
	default:
		p.drop(m, "the backlog is full")
	}
}
