// Command orchestrator-service runs the sagas behind the public API. docs/internal-api.md lists its environment.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"ticketremaster/orchestrator-service/catalogue"
	"ticketremaster/orchestrator-service/clients"
	"ticketremaster/orchestrator-service/gate"
	"ticketremaster/orchestrator-service/hold"
	"ticketremaster/orchestrator-service/httpapi"
	"ticketremaster/orchestrator-service/marketplace"
	"ticketremaster/orchestrator-service/messages"
	"ticketremaster/orchestrator-service/postgres"
	"ticketremaster/orchestrator-service/purchase"
	"ticketremaster/orchestrator-service/qr"
	"ticketremaster/orchestrator-service/refund"
	"ticketremaster/orchestrator-service/saga"
	"ticketremaster/orchestrator-service/seatmap"
	"ticketremaster/orchestrator-service/sweep"
	"ticketremaster/orchestrator-service/tickets"
	"ticketremaster/orchestrator-service/transfer"
	"ticketremaster/platform/broker"
	"ticketremaster/platform/call"
	"ticketremaster/platform/config"
	"ticketremaster/platform/database"
	"ticketremaster/platform/metrics"
	"ticketremaster/platform/rpc"
	"ticketremaster/platform/service"
	"ticketremaster/platform/token"
	"ticketremaster/platform/web"
	inventoryv1 "ticketremaster/proto/inventory/v1"
)

type settings struct {
	config.Common
	Database         database.Config
	DatabasePassword config.Secret `env:"SAGA_DB_PASS,required,notEmpty"`
	Broker           broker.Config
	HTTPAddr         string        `env:"HTTP_ADDR" envDefault:":5003"`
	JWTSecret        config.Secret `env:"JWT_SECRET,required,notEmpty"`
	JWTIssuer        string        `env:"JWT_ISSUER" envDefault:"ticketremaster"`
	InventoryURL     string        `env:"INVENTORY_SERVICE_URL,required,notEmpty"`
	UserURL          string        `env:"USER_SERVICE_URL,required,notEmpty"`
	OrderURL         string        `env:"ORDER_SERVICE_URL,required,notEmpty"`
	EventURL         string        `env:"EVENT_SERVICE_URL,required,notEmpty"`
	InventoryToken   config.Secret `env:"INVENTORY_TOKEN,required,notEmpty"`
	UserToken        config.Secret `env:"USER_TOKEN,required,notEmpty"`
	OrderToken       config.Secret `env:"ORDER_TOKEN,required,notEmpty"`
	EventToken       config.Secret `env:"EVENT_TOKEN,required,notEmpty"`
	QRKey            config.Key32  `env:"QR_ENCRYPTION_KEY,required,notEmpty"`
	QRPreviousKey    *config.Key32 `env:"QR_PREVIOUS_KEY"`
	HoldTTL          time.Duration `env:"HOLD_TTL" envDefault:"5m"`
	MaxHolds         int           `env:"MAX_HOLDS" envDefault:"10"`
	HoldPause        time.Duration `env:"HOLD_PAUSE" envDefault:"30s"`
	MaxInFlight      int           `env:"MAX_IN_FLIGHT" envDefault:"96"`
	TransferTTL      time.Duration `env:"TRANSFER_TTL" envDefault:"15m"`
	SaleFeePercent   int           `env:"MARKETPLACE_FEE_PERCENT" envDefault:"0"`
	ApproveWithin    time.Duration `env:"MARKETPLACE_APPROVE_WITHIN" envDefault:"24h"`
	SweepInterval    time.Duration `env:"SWEEP_INTERVAL" envDefault:"2s"`
	SweepGrace       time.Duration `env:"SWEEP_GRACE" envDefault:"5s"`
	ClockSkew        time.Duration `env:"CLOCK_SKEW" envDefault:"3s"`
	DoorsOpenBefore  time.Duration `env:"DOORS_OPEN_BEFORE" envDefault:"0"`
	AcceptDecrypted  bool          `env:"VERIFY_ACCEPT_DECRYPTED" envDefault:"false"`
	CrashAt          string        `env:"SAGA_CRASH_AT"` // tests of recovery: kill -9 at this instant
}

// Validate checks what the tags cannot say.
func (s *settings) Validate() error {
	var problems []error
	check := func(ok bool, text string) {
		if !ok {
			problems = append(problems, errors.New(text))
		}
	}
	check(s.HoldTTL >= time.Second && s.HoldTTL <= time.Hour && s.HoldTTL%time.Millisecond == 0, "HOLD_TTL must be from 1s to 1h, in whole milliseconds")
	check(s.MaxHolds >= 1 && s.MaxHolds <= 100, "MAX_HOLDS must be from 1 to 100")
	check(s.HoldPause >= 0 && s.HoldPause <= time.Hour, "HOLD_PAUSE must be from 0s to 1h")
	check(s.MaxInFlight >= 1 && s.MaxInFlight <= 10_000, "MAX_IN_FLIGHT must be from 1 to 10000")
	check(s.TransferTTL >= time.Second && s.TransferTTL <= 24*time.Hour, "TRANSFER_TTL must be from 1s to 24h")
	check(s.SaleFeePercent >= 0 && s.SaleFeePercent <= 50, "MARKETPLACE_FEE_PERCENT must be from 0 to 50")
	check(s.ApproveWithin >= time.Second && s.ApproveWithin <= 7*24*time.Hour, "MARKETPLACE_APPROVE_WITHIN must be from 1s to 168h")
	check(s.SweepInterval >= 50*time.Millisecond, "SWEEP_INTERVAL must be at least 50ms")
	check(s.ClockSkew >= 0 && s.ClockSkew <= 30*time.Second, "CLOCK_SKEW must be from 0s to 30s")
	check(s.DoorsOpenBefore >= 0 && s.DoorsOpenBefore <= 7*24*time.Hour, "DOORS_OPEN_BEFORE must be from 0s to 168h")
	check(len(s.JWTSecret) >= 32 || s.JWTSecret == "", "JWT_SECRET must be at least 32 characters")
	check(s.CrashAt == "" || s.AppEnv != "production", "SAGA_CRASH_AT is for tests: not in production")
	return errors.Join(problems...)
}

func main() { service.Main("orchestrator-service", ":5003", start) }

func start(ctx context.Context, s settings) error {
	pool, err := database.Open(ctx, s.Database.DSN(s.DatabasePassword), postgres.Migrations())
	if err != nil {
		return err
	}
	defer pool.Close()
	conn, err := rpc.Dial("the inventory service", s.InventoryURL, s.InventoryToken.Reveal())
	if err != nil {
		return fmt.Errorf("INVENTORY_SERVICE_URL: %w", err)
	}
	defer conn.Close()
	codec, err := qr.NewCodec(s.QRKey, s.QRPreviousKey)
	if err != nil {
		return err
	}
	rest := func(name, url string, secret config.Secret) call.Client {
		return call.Client{Name: name, BaseURL: url, Token: secret.Reveal()}
	}
	inventory := inventoryv1.NewInventoryClient(conn)
	users := &clients.Users{Client: rest("the user service", s.UserURL, s.UserToken)}
	orders := &clients.Orders{Client: rest("the order service", s.OrderURL, s.OrderToken)}
	events := &clients.Events{Client: rest("the event service", s.EventURL, s.EventToken)}
	log := postgres.New(pool)
	sagas := saga.NewEngine(log, s.CrashAt)
	metrics.Show("sagas_db", sagas.Figures(log.Census), postgres.Messages{Pool: pool}.Figures)
	holds := hold.NewPublisher(s.Broker.URL(), s.HoldTTL)

	owned := &tickets.Flows{Inventory: inventory, Events: events, Transfers: orders, Sales: orders, QR: codec}
	purchases := &purchase.Flows{
		Settings:  purchase.Settings{HoldTTL: s.HoldTTL, MaxHolds: s.MaxHolds, HoldPause: s.HoldPause, SweepGrace: s.SweepGrace},
		Inventory: inventory, Users: users, Orders: orders, Events: events, Tickets: owned, Holds: holds,
	}
	transfers := &transfer.Flows{
		Settings:  transfer.Settings{TransferTTL: s.TransferTTL, SaleFeePercent: s.SaleFeePercent},
		Inventory: inventory, Users: users, Records: orders, Tickets: owned,
	}
	market := &marketplace.Flows{
		Settings: marketplace.Settings{ApproveWithin: s.ApproveWithin},
		Listings: orders, Users: users, Tickets: owned, Transfers: transfers,
	}
	onSale := &catalogue.Flows{Inventory: inventory, Events: events, Users: users, Requests: postgres.Requests{Pool: pool}}
	door := &gate.Flows{
		Settings:  gate.Settings{ClockSkew: s.ClockSkew, AcceptDecrypted: s.AcceptDecrypted, DoorsOpenBefore: s.DoorsOpenBefore},
		Inventory: inventory, Orders: orders, Events: events, Users: users, QR: codec, Unheard: postgres.Unheard{Pool: pool},
	}
	refunds := &refund.Flows{
		Inventory: inventory, Orders: orders, Users: users, Events: events, Transfers: transfers,
		Cancellations: postgres.Cancellations{Pool: pool}, Requests: postgres.Requests{Pool: pool},
	}
	parked := &messages.Flows{Store: postgres.Messages{Pool: pool}, BrokerURL: s.Broker.URL()}
	purchases.Register(sagas)
	refunds.Register(sagas)
	transfers.Register(sagas)
	market.Register(sagas)
	onSale.Register(sagas)

	revoked := &token.Revocations{}
	server := &httpapi.Server{
		Purchases: purchases, Transfers: transfers, Market: market, Gate: door, Catalogue: onSale, Refunds: refunds, SeatMaps: &seatmap.Maps{Catalogue: onSale}, Tickets: owned, Users: users, Sagas: sagas, Messages: parked,
		Keys:   token.Keys{Secret: []byte(s.JWTSecret.Reveal()), Issuer: s.JWTIssuer, Revocations: revoked},
		Health: func(ctx context.Context) error { return cmp.Or(revoked.Ready(ctx), pool.Ping(ctx)) }, InFlight: s.MaxInFlight,
	}
	return service.Run(ctx, s.Common,
		service.Servers{web.Server(s.HTTPAddr, server.Handler(), s.DrainPause)},
		service.Workers{
			holds.Run,
			hold.NewExpiryConsumer(s.Broker.URL(), purchases.ExpireHold).Run,
			func(ctx context.Context) {
				sweep.Run(ctx, s.SweepInterval, purchases.Sweep(), transfers.Sweep(), market.Sweep())
			},
			func(ctx context.Context) { sweep.Run(ctx, s.SweepInterval, refunds.Sweep) },         // by itself: it may take a while
			func(ctx context.Context) { sweep.Run(ctx, s.SweepInterval, purchases.ExtendHolds) }, // likewise: it must not be late
			parked.Collect,
			purchases.GiveBackLost,
			sagas.Recover,
			func(ctx context.Context) { revoked.Follow(ctx, 500*time.Millisecond, users.Revocations) },
		})
}
