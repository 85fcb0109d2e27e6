// Package testservers starts the PostgreSQL servers and RabbitMQ brokers that tests need: in containers, where a Docker
// engine answers that has the images postgres:16 and rabbitmq:3-management (nothing is ever pulled), else as programs
// of this machine. They and their data go when the program that started them ends, however it ends.
package testservers

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"ticketremaster/stack/native"
)

// Kinds of servers.
const (
	Postgres = "postgres"
	Dumpable = "dumpable" // a PostgreSQL that comes with the pg_dump that dump uses: this machine's, where it has one
	RabbitMQ = "rabbitmq"
)

// Address is where a server is; it stays through Stop and Start.
type Address struct {
	URL   string `json:"url"`             // of its database, or of its vhost "/", as superuser
	Admin string `json:"admin,omitempty"` // of RabbitMQ's management API, with user and password
	From  string `json:"from"`            // what the server is, for a person
}

// Server is one that can be taken away and brought back; durable data survives that.
type Server struct {
	Address
	controls
}

// controls are what native servers and containers have in common.
type controls interface {
	Start(context.Context) error
	Stop(context.Context) error // in order, closing its connections
	Kill() error                // as a crash would
}

// Start starts a server of that kind and returns once it answers.
func Start(ctx context.Context, kind string) (*Server, error) {
	switch kind {
	case Postgres:
		if dockerWith(ctx, postgresImage) {
			return inContainer(ctx, startPostgresContainer, "PostgreSQL in a container, "+postgresImage)
		}
		return nativePostgres(ctx)
	case Dumpable:
		if _, err := native.PostgresBin(); err != nil && dockerWith(ctx, postgresImage) {
			return inContainer(ctx, startPostgresContainer, "PostgreSQL in a container, "+postgresImage)
		}
		return nativePostgres(ctx)
	case RabbitMQ:
		if dockerWith(ctx, rabbitImage) {
			return inContainer(ctx, startRabbitContainer, "RabbitMQ in a container, "+rabbitImage)
		}
		if _, err := native.RabbitMQServer(); err != nil {
			return nil, err
		}
		dir, err := native.PassingDir()
		if err != nil {
			return nil, err
		}
		r := &native.RabbitMQ{Dir: dir, User: "test", Password: uuid.NewString()}
		if err := r.Start(ctx); err != nil {
			return nil, err
		}
		return &Server{Address{URL: r.URL(), Admin: r.ManagementURL(), From: "RabbitMQ of this machine, in " + dir}, r}, nil
	}
	return nil, fmt.Errorf("no servers of kind %q", kind)
}

func nativePostgres(ctx context.Context) (*Server, error) {
	if _, err := native.PostgresBin(); err != nil {
		return nil, err
	}
	dir, err := native.PassingDir()
	if err != nil {
		return nil, err
	}
	p := &native.Postgres{Dir: dir, User: "postgres", Password: uuid.NewString(), Database: "postgres", Unsafe: true}
	if err := p.Start(ctx); err != nil {
		return nil, err
	}
	return &Server{Address{URL: p.URL(), From: "PostgreSQL of this machine, in " + dir}, p}, nil
}

func inContainer(ctx context.Context, start func(context.Context, *container) error, from string) (*Server, error) {
	c := &container{start: start}
	if err := c.Start(ctx); err != nil {
		return nil, err
	}
	c.From = from
	return &Server{c.Address, c}, nil
}
