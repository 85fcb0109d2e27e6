// Command inventory-service owns seats: it serves gRPC and frees abandoned holds.
package main

import (
	"context"
	"errors"
	"net"
	"time"

	"ticketremaster/platform/broker"
	"ticketremaster/platform/config"
	"ticketremaster/platform/database"
	"ticketremaster/platform/metrics"
	"ticketremaster/platform/service"
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

func main() { service.Main("inventory-service", ":50052", start) }

func start(ctx context.Context, s settings) error {
	store, err := postgres.Open(ctx, s.Database.DSN(s.DBPass))
	if err != nil {
		return err
	}
	defer store.Close()
	metrics.Show("seats_db", store.Figures)
	listener, err := net.Listen("tcp", s.GRPCAddr)
	if err != nil {
		return err
	}
	api := grpcapi.New(store, s.Token.Reveal(), s.TokenBefore.Reveal())
	return service.Run(ctx, s.Common,
		service.Servers{
			func(ctx context.Context) error { return api.Serve(ctx, listener, s.DrainPause) },
			web.Server(s.HTTPAddr, web.NewRouter(store.Ping), s.DrainPause),
		},
		service.Workers{
			release.Consumer(s.Broker.URL(), store).Run,
			func(ctx context.Context) { release.Sweep(ctx, store, s.SweepInterval, s.SweepGrace) },
		})
}
