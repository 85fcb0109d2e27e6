package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/jackc/pgx/v5"
	amqp "github.com/rabbitmq/amqp091-go"
)

// Operator is what only the operator of a system can do. Native and Compose implement it.
type Operator interface {
	// Restart restarts services in parallel and returns once they are ready. Each env, NAME=value, overrides a variable
	// until the next restart. A service that was started with overrides is not restarted when it dies.
	Restart(ctx context.Context, services []string, env ...string) error
	// Running reports whether a service's process is there.
	Running(ctx context.Context, service string) (bool, error)
	// Database connects to a database: seats_db, users_db, orders_db, events_db or sagas_db. The demo only reads.
	Database(ctx context.Context, name string) (*pgx.Conn, error)
	// Broker connects to RabbitMQ.
	Broker(ctx context.Context) (*amqp.Connection, error)
	// Audit prints each invariant with its count of offenders; any is an error.
	Audit(ctx context.Context, out io.Writer) error
	// Commands are what a person can run after the demo.
	Commands() string
}

// stores reads databases and broker directly, over connections that it keeps until close.
type stores struct {
	at     Operator
	conns  map[string]*pgx.Conn
	broker *amqp.Connection
}

func (s *stores) close() {
	for _, conn := range s.conns {
		_ = conn.Close(context.Background())
	}
	if s.broker != nil {
		_ = s.broker.Close()
	}
}

// read scans the one row of a query.
func (s *stores) read(ctx context.Context, database, query string, args []any, into ...any) error {
	conn := s.conns[database]
	if conn == nil {
		var err error
		if conn, err = s.at.Database(ctx, database); err != nil {
			return err
		}
		s.conns[database] = conn
	}
	if err := conn.QueryRow(ctx, query, args...).Scan(into...); err != nil {
		return fmt.Errorf("%s: %w", database, err)
	}
	return nil
}

// waiting is how many messages a queue has ready.
func (s *stores) waiting(ctx context.Context, queue string) (int, error) {
	if s.broker == nil {
		var err error
		if s.broker, err = s.at.Broker(ctx); err != nil {
			return 0, err
		}
	}
	channel, err := s.broker.Channel()
	if err != nil {
		return 0, err
	}
	defer channel.Close()
	q, err := channel.QueueDeclarePassive(queue, true, false, false, false, nil)
	var refused *amqp.Error
	if errors.As(err, &refused) && refused.Code == amqp.NotFound { // a service that has just started makes it in a moment
		return 0, nil
	}
	return q.Messages, err
}

// seatIs requires a seat's status and shows its row; without database access, its entry in the public seat map.
func (p *demo) seatIs(s seat, want string) {
	if p.Operator == nil {
		p.until(3*time.Second, fmt.Sprintf("%s is %s", s, want), func() bool { return p.publicStatus(s) == want })
		p.out.left("GET /events/{id}", "seat %s is %s", s, want)
		return
	}
	var status, holder, owner, price string
	var left float64
	var pinned bool
	p.must(p.stores.read(p.ctx, "seats_db", `
		SELECT status::text, coalesce(held_by_user_id::text, ''), coalesce(owner_user_id::text, ''), coalesce(price_paid::text, ''),
		       coalesce(extract(epoch FROM held_until - now()), 0)::float8, pin_id IS NOT NULL
		FROM seats WHERE seat_id = $1`, []any{s.ID}, &status, &holder, &owner, &price, &left, &pinned))
	p.expect(status == want, "seat %s is %s, want %s", s, status, want)
	text := status
	switch {
	case holder != "":
		text += fmt.Sprintf(", held_by_user_id %s, held_until in %.0f s", p.nameOf(holder), left)
		if pinned {
			text += ", pinned by its payment"
		}
	case owner != "":
		text += fmt.Sprintf(", owner_user_id %s, price_paid %s", p.nameOf(owner), price)
	default:
		text += ", held_by_user_id null"
	}
	p.out.left("seats_db", "seat %s %s", s, text)
}

func (p *demo) publicStatus(s seat) string {
	var whole struct {
		Seats []seat `json:"seats"`
	}
	p.get(nil, "/events/"+p.event.ID, &whole)
	for _, one := range whole.Seats {
		if one.ID == s.ID {
			return one.Status
		}
	}
	return ""
}

// queued shows how many hold messages wait in a queue, which must be at least the one just sent.
func (p *demo) queued(queue string) {
	if p.Operator == nil {
		return
	}
	var n int
	p.until(3*time.Second, "the hold message is in "+queue, func() bool {
		var err error
		n, err = p.stores.waiting(p.ctx, queue)
		p.must(err)
		return n > 0
	})
	p.out.left("RabbitMQ", "%s holds %s", queue, messages(n))
}

func messages(n int) string {
	if n == 1 {
		return "1 message"
	}
	return fmt.Sprintf("%d messages", n)
}
