// Command inventory-service owns seats: it serves gRPC and frees abandoned holds.
package main

import (
	"context"
	"errors"
	"net"
	"time"

	"golang.org/x/sync/errgroup"

	"ticketremaster/platform/broker"
	"ticketremaster/platform/config"
	"ticketremaster/platform/database"
	"ticketremaster/platform/run"
	"ticketremaster/platform/web"

	"ticketremaster/inventory-service/grpcapi"
	"ticketremaster/inventory-service/postgres"
	"ticketremaster/inventory-service/release"
)

// settings are described in docs/internal-api.md.
type settings struct {
	config.Common
	GRPCAddr      string `env:"GRPC_ADDR" envDefault:":50051"`
	HTTPAddr      string `env:"HTTP_ADDR" envDefault:":50052"` // health only
	Database      database.Config
	DBPass        config.Secret `env:"INVENTORY_DB_PASS,required,notEmpty"`
	Token         config.Secret `env:"INVENTORY_TOKEN,required,notEmpty"`
	TokenBefore   config.Secret `env:"INVENTORY_TOKEN_PREVIOUS"` // accepted too, while the secret is being changed
	Broker        broker.Config
	SweepInterval time.Duration `env:"SWEEP_INTERVAL" envDefault:"2s"`
	SweepGrace    time.Duration `env:"SWEEP_GRACE" envDefault:"5s"`
}

// Validate checks the intervals.
func (s *settings) Validate() error {
	var problems []error
	if s.SweepInterval <= 0 {
		problems = append(problems, errors.New("SWEEP_INTERVAL must be more than 0"))
	}
	if s.SweepGrace < 0 {
		problems = append(problems, errors.New("SWEEP_GRACE must not be negative"))
	}
	return errors.Join(problems...)
}

func main() { run.Main("inventory-service", ":50052", start) }

func start(ctx context.Context) error {
	c, err := config.Load[settings]()
	if err != nil {
		return err
	}
	store, err := postgres.Open(ctx, c.Database.DSN(c.DBPass))
	if err != nil {
		return err
	}
	defer store.Close()
	listener, err := net.Listen("tcp", c.GRPCAddr)
	if err != nil {
		return err
	}
	all, ctx := errgroup.WithContext(ctx)
	all.Go(func() error {
		return grpcapi.Serve(ctx, listener, grpcapi.New(store, c.Token.Reveal(), c.TokenBefore.Reveal()))
	})
	all.Go(func() error { return web.Serve(ctx, c.HTTPAddr, web.NewRouter(store.Ping)) })
	all.Go(func() error { return web.ServeDebug(ctx, c.DebugAddr) })
	all.Go(func() error { release.Consumer(c.Broker.URL(), store).Run(ctx); return nil })
	all.Go(func() error { release.Sweep(ctx, store, c.SweepInterval, c.SweepGrace); return nil })
	return all.Wait()
}
