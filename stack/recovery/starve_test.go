package recovery

import (
	"context"
	"errors"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	amqp "github.com/rabbitmq/amqp091-go"
)

// whileLocked runs what under the lock that a query takes in a database: writers of the same rows wait, readers do not.
func whileLocked(t *testing.T, database, query, id string, what func()) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	conn, err := pgx.Connect(ctx, own.DSN(database))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	tx, err := conn.Begin(ctx)
	if err == nil {
		_, err = tx.Exec(ctx, query, id)
	}
	if err != nil {
		t.Fatal(err)
	}
	what()
	if err := tx.Rollback(ctx); err != nil {
		t.Error(err)
	}
}

// whileStopped runs what while a part is stopped (SIGSTOP): its connections stay open, and it does not answer.
func whileStopped(t *testing.T, part string, what func()) {
	t.Helper()
	pid, runs := own.Running(part)
	if !runs {
		t.Fatalf("%s does not run", part)
	}
	halt(t, pid)
	defer func() {
		if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
			t.Error(err)
		}
	}()
	what()
}

// whileDead runs what while a part is killed, and starts it again.
func whileDead(t *testing.T, part string, what func()) {
	t.Helper()
	kill(t, part)
	defer start(t, part)
	what()
}

// channel opens a channel to the broker.
func channel(t *testing.T) *amqp.Channel {
	t.Helper()
	conn, err := amqp.Dial(own.AMQPURL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := conn.Close(); err != nil && !errors.Is(err, amqp.ErrClosed) {
			t.Error(err)
		}
	})
	ch, err := conn.Channel()
	if err != nil {
		t.Fatal(err)
	}
	return ch
}

// waiting is the number of messages that are ready in a queue.
func waiting(t *testing.T, ch *amqp.Channel, queue string) int {
	t.Helper()
	q, err := ch.QueueDeclarePassive(queue, true, false, false, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	return q.Messages
}

// soon is the time within which a client is answered when something is down: the longest deadline of a call and a
// margin.
const soon = 6 * time.Second
