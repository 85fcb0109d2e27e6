package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	amqp "github.com/rabbitmq/amqp091-go"

	"ticketremaster/stack"
	"ticketremaster/stack/audit"
)

// Native is the Operator of the native stack.
type Native struct{ Stack *stack.Stack }

func (n Native) Restart(ctx context.Context, services []string, env ...string) error {
	errs := make([]error, len(services))
	var all sync.WaitGroup
	for i, name := range services {
		all.Go(func() { errs[i] = n.Stack.Restart(ctx, name, env...) })
	}
	all.Wait()
	return errors.Join(errs...)
}

func (n Native) Running(_ context.Context, service string) (bool, error) {
	_, runs := n.Stack.Running(service)
	return runs, nil
}

func (n Native) Database(ctx context.Context, name string) (*pgx.Conn, error) {
	return pgx.Connect(ctx, n.Stack.DSN(name))
}

func (n Native) Broker(context.Context) (*amqp.Connection, error) {
	return amqp.Dial(n.Stack.AMQPURL())
}

func (n Native) Audit(ctx context.Context, out io.Writer) error {
	databases, err := n.auditor(ctx)
	if err != nil {
		return err
	}
	offenders, err := audit.Run(ctx, databases, 0, out)
	if err == nil && offenders > 0 {
		err = fmt.Errorf("the audit found %d offenders", offenders)
	}
	return err
}

// Watch audits every minute and serves what it finds on addr, until ctx ends.
func (n Native) Watch(ctx context.Context, addr string) error {
	databases, err := n.auditor(ctx)
	if err != nil {
		return err
	}
	return audit.NewWatch(databases, audit.Options{}, time.Minute, 24*time.Hour).Serve(ctx, addr)
}

// auditor gives the connection strings of the role that may only read.
func (n Native) auditor(ctx context.Context) (map[string]string, error) {
	databases := map[string]string{}
	for _, name := range audit.Databases {
		databases[name] = n.Stack.DSN(name)
	}
	return audit.ReadOnly(ctx, databases)
}

func (n Native) Commands() string { return "make status · make logs · make audit · make down" }
