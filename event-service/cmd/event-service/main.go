// Command event-service serves the catalogue of venues and events on REST, from its own database.
package main

import (
	"context"
	"errors"

	"golang.org/x/sync/errgroup"

	event "ticketremaster/event-service"
	"ticketremaster/event-service/httpapi"
	"ticketremaster/event-service/postgres"
	"ticketremaster/platform/config"
	"ticketremaster/platform/database"
	"ticketremaster/platform/run"
	"ticketremaster/platform/web"
)

const defaultAddr = ":5002"

type settings struct {
	config.Common
	database.Config
	HTTPAddr string        `env:"HTTP_ADDR" envDefault:":5002"`
	Password config.Secret `env:"EVENT_DB_PASS,required,notEmpty"`
	Token    config.Secret `env:"EVENT_TOKEN,required,notEmpty"`
	// TokenBefore is accepted too, while the secret is being changed.
	TokenBefore config.Secret `env:"EVENT_TOKEN_PREVIOUS"`
	Zone        string        `env:"VENUE_TIMEZONE" envDefault:"Asia/Singapore"` // of venues for which nobody says one
}

// Validate checks what the tags cannot say.
func (s *settings) Validate() error {
	if _, err := event.Zone("VENUE_TIMEZONE", s.Zone); err != nil {
		return errors.New("VENUE_TIMEZONE must be an IANA time zone such as Asia/Singapore")
	}
	return nil
}

func main() { run.Main("event-service", defaultAddr, start) }

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
	handler := httpapi.New(postgres.Store{Pool: pool, Zone: c.Zone}, c.Token.Reveal(), c.TokenBefore.Reveal())
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return web.Serve(ctx, c.HTTPAddr, handler) })
	group.Go(func() error { return web.ServeDebug(ctx, c.DebugAddr) })
	return group.Wait()
}
