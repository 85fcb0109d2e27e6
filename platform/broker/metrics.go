package broker

import (
	"context"
	"slices"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	amqp "github.com/rabbitmq/amqp091-go"

	"ticketremaster/platform/metrics"
)

var (
	connectedRoles = metrics.New.NewGaugeVec(prometheus.GaugeOpts{Namespace: metrics.Namespace, Name: "broker_connected",
		Help: "1 while this role (a publisher or a consumer) is connected to the broker, 0 while it is not."}, []string{"role"})
	unsettledMessages = metrics.New.NewGaugeVec(prometheus.GaugeOpts{Namespace: metrics.Namespace, Name: "broker_unsettled_messages",
		Help: "Messages published and not yet confirmed by the broker."}, []string{"role"})
	confirmedMessages = metrics.New.NewCounterVec(prometheus.CounterOpts{Namespace: metrics.Namespace, Name: "broker_confirmed_messages_total",
		Help: "Messages published and confirmed by the broker."}, []string{"role"})
	lostMessages = metrics.New.NewCounterVec(prometheus.CounterOpts{Namespace: metrics.Namespace, Name: "broker_lost_messages_total",
		Help: "Messages given up, or returned as unroutable; a sweep does their work."}, []string{"role"})
	consumedMessages = metrics.New.NewCounterVec(prometheus.CounterOpts{Namespace: metrics.Namespace, Name: "broker_consumed_messages_total",
		Help: "Messages taken from a queue, which are dead letters in seat.release.queue and order.expiry.queue, by result: handled, requeued (a service was away), parked."},
		[]string{"queue", "result"})
	queueMessages = metrics.Desc("broker_queue_messages", "Messages that wait in a queue, as the broker says.", "queue")
)

// Results of a message.
const (
	handled  = "handled"
	requeued = "requeued"
	parked   = "parked"
)

// watched is what is asked for the lengths of this process's queues.
var watched struct {
	register sync.Once
	mu       sync.Mutex
	lines    []*amqp.Connection // those that stand
	queues   []string
}

// watch has the lengths of the topology's queues shown, by any connection of this process that stands.
func watch(topology Topology) {
	watched.register.Do(func() { metrics.Show("rabbitmq", lengths) })
	watched.mu.Lock()
	defer watched.mu.Unlock()
	for _, q := range topology.Queues {
		if !slices.Contains(watched.queues, q.Name) {
			watched.queues = append(watched.queues, q.Name)
		}
	}
}

// stands notes a connection until the returned function is called.
func stands(conn *amqp.Connection, role string) (ended func()) {
	connectedRoles.WithLabelValues(role).Set(1)
	watched.mu.Lock()
	defer watched.mu.Unlock()
	watched.lines = append(watched.lines, conn)
	return func() {
		connectedRoles.WithLabelValues(role).Set(0)
		watched.mu.Lock()
		defer watched.mu.Unlock()
		watched.lines = slices.DeleteFunc(watched.lines, func(c *amqp.Connection) bool { return c == conn })
	}
}

// lengths asks the broker how many messages wait. A queue that is missing closes the channel it is asked on, so each has its own.
func lengths(ctx context.Context) (values []prometheus.Metric, err error) {
	watched.mu.Lock()
	queues := slices.Clone(watched.queues)
	var conn *amqp.Connection
	if len(watched.lines) > 0 {
		conn = watched.lines[0]
	}
	watched.mu.Unlock()
	if conn == nil {
		return nil, amqp.ErrClosed
	}
	for _, name := range queues {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		err := withChannel(conn, func(ch *amqp.Channel) error {
			q, err := ch.QueueDeclarePassive(name, true, false, false, false, nil)
			values = append(values, metrics.Gauge(queueMessages, float64(q.Messages), name))
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return values, nil
}
