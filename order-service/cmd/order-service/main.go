// Command order-service serves the ledger of orders and transfers on REST, from its own database.
package main

import (
	"context"

	"ticketremaster/order-service/httpapi"
	"ticketremaster/order-service/postgres"
	"ticketremaster/platform/config"
	"ticketremaster/platform/database"
	"ticketremaster/platform/service"
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

func main() { service.Main("order-service", defaultAddr, start) }

func start(ctx context.Context, s settings) error {
	pool, err := database.Open(ctx, s.DSN(s.Password), postgres.Migrations)
	if err != nil {
		return err
	}
	defer pool.Close()
	database.Show("orders_db", pool)
	api := httpapi.New(postgres.New(pool), s.Token.Reveal(), s.TokenBefore.Reveal())
	return service.Run(ctx, s.Common, service.Servers{web.Server(s.HTTPAddr, api, s.DrainPause)}, nil)
}
