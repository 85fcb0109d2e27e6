// Command order-service serves the ledger of orders and transfers on REST, from its own database.
package main

import (
	"context"

	"golang.org/x/sync/errgroup"

	"ticketremaster/order-service/httpapi"
	"ticketremaster/order-service/postgres"
	"ticketremaster/platform/config"
	"ticketremaster/platform/database"
	"ticketremaster/platform/run"
	"ticketremaster/platform/web"
)

const defaultAddr = ":5001"

type settings struct {
	config.Common
	database.Config
	HTTPAddr string        `env:"HTTP_ADDR" envDefault:":5001"`
	Password config.Secret `env:"ORDER_DB_PASS,required,notEmpty"`
	Token    config.Secret `env:"ORDER_TOKEN,required,notEmpty"`
	// TokenBefore is accepted too, while the secret is being changed.
	TokenBefore config.Secret `env:"ORDER_TOKEN_PREVIOUS"`
}

func main() { run.Main("order-service", defaultAddr, start) }

func start(ctx context.Context) error {
	c, err := config.Load[settings]()
	if err != nil {
		return err
	}
	pool, err := database.Open(ctx, c.DSN(c.Password), postgres.Migrations)
	if err != nil {
		return err
	}
	defer pool.Close()
	handler := httpapi.New(postgres.New(pool), c.Token.Reveal(), c.TokenBefore.Reveal())
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return web.Serve(ctx, c.HTTPAddr, handler) })
	group.Go(func() error { return web.ServeDebug(ctx, c.DebugAddr) })
	return group.Wait()
}
