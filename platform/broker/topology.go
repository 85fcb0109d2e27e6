package broker

import (
	"errors"

	amqp "github.com/rabbitmq/amqp091-go"
)

// Topology is the exchanges and queues that a publisher or consumer needs. What exists is used as it is: its arguments
// (a quorum queue, an alternate exchange, a length limit) are decided where it was declared, usually in the broker's
// definitions. Only what is missing is declared.
type Topology struct {
	Exchanges []string // direct and durable
	Queues    []Queue
}

// Queue is a durable queue.
type Queue struct {
	Name     string
	Args     amqp.Table // used if the queue is missing
	Exchange string     // bound to it by Key; "": only to the default exchange
	Key      string
}

func (t Topology) declare(conn *amqp.Connection) error {
	for _, name := range t.Exchanges {
		err := declare(conn,
			func(ch *amqp.Channel) error {
				return ch.ExchangeDeclarePassive(name, amqp.ExchangeDirect, true, false, false, false, nil)
			},
			func(ch *amqp.Channel) error {
				return ch.ExchangeDeclare(name, amqp.ExchangeDirect, true, false, false, false, nil)
			})
		if err != nil {
			return err
		}
	}
	for _, q := range t.Queues {
		err := declare(conn,
			func(ch *amqp.Channel) error {
				_, err := ch.QueueDeclarePassive(q.Name, true, false, false, false, nil)
				return err
			},
			func(ch *amqp.Channel) error {
				_, err := ch.QueueDeclare(q.Name, true, false, false, false, q.Args)
				return err
			})
		if err != nil {
			return err
		}
		if q.Exchange == "" {
			continue
		}
		if err := withChannel(conn, func(ch *amqp.Channel) error { return ch.QueueBind(q.Name, q.Key, q.Exchange, false, nil) }); err != nil {
			return err
		}
	}
	return nil
}

// declare declares something unless look finds it. Each uses a channel of its own, because a refusal closes it.
func declare(conn *amqp.Connection, look, create func(*amqp.Channel) error) error {
	err := withChannel(conn, look)
	var refused *amqp.Error
	if errors.As(err, &refused) && refused.Code == amqp.NotFound {
		return withChannel(conn, create)
	}
	return err
}

func withChannel(conn *amqp.Connection, use func(*amqp.Channel) error) error {
	ch, err := conn.Channel()
	if err != nil {
		return err
	}
	defer ch.Close()
	return use(ch)
}
