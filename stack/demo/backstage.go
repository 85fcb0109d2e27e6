package demo

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	amqp "github.com/rabbitmq/amqp091-go"

	"ticketremaster/stack"
)

// backstage is what only the operator of a system can look at: its databases and its broker, read-only.
type backstage struct {
	stack *stack.Stack
	conns map[string]*pgx.Conn
}

func openBackstage(s *stack.Stack) *backstage { return &backstage{s, map[string]*pgx.Conn{}} }

func (b *backstage) close() {
	for _, conn := range b.conns {
		_ = conn.Close(context.Background())
	}
}

// read scans the one row of a query.
func (b *backstage) read(ctx context.Context, database, query string, args []any, into ...any) error {
	conn := b.conns[database]
	if conn == nil {
		var err error
		if conn, err = pgx.Connect(ctx, b.stack.DSN(database)); err != nil {
			return err
		}
		b.conns[database] = conn
	}
	if err := conn.QueryRow(ctx, query, args...).Scan(into...); err != nil {
		return fmt.Errorf("%s: %w", database, err)
	}
	return nil
}

// waiting is how many messages a queue has ready.
func (b *backstage) waiting(queue string) (int, error) {
	conn, err := amqp.Dial(b.stack.AMQPURL())
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	channel, err := conn.Channel()
	if err != nil {
		return 0, err
	}
	q, err := channel.QueueDeclarePassive(queue, true, false, false, false, nil)
	return q.Messages, err
}

// seatIs insists on a seat's status and shows its row; elsewhere, what the public seat map says of it.
func (p *production) seatIs(s seat, want string) {
	if p.backstage == nil {
		p.until(3*time.Second, fmt.Sprintf("%s is %s", s, want), func() bool { return p.publicStatus(s) == want })
		p.board.left("GET /events/{id}", "seat %s is %s", s, want)
		return
	}
	var status, holder, owner, price string
	var left float64
	var pinned bool
	p.must(p.backstage.read(p.ctx, "seats_db", `
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
	p.board.left("seats_db", "seat %s %s", s, text)
}

func (p *production) publicStatus(s seat) string {
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

// queued shows how many hold messages wait in a queue; at least the one just sent must.
func (p *production) queued(queue string) {
	if p.backstage == nil {
		return
	}
	var n int
	p.until(3*time.Second, "the hold message is in "+queue, func() bool {
		var err error
		n, err = p.backstage.waiting(queue)
		p.must(err)
		return n > 0
	})
	p.board.left("RabbitMQ", "%s holds %s", queue, messages(n))
}

func messages(n int) string {
	if n == 1 {
		return "1 message"
	}
	return fmt.Sprintf("%d messages", n)
}
