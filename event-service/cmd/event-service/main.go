// Command event-service serves the catalogue of venues and events on REST, from its own database.
package main

import (
	"context"
	"errors"

	event "ticketremaster/event-service"
	"ticketremaster/event-service/httpapi"
	"ticketremaster/event-service/postgres"
	"ticketremaster/platform/config"
	"ticketremaster/platform/database"
	"ticketremaster/platform/service"
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

func main() { service.Main("event-service", defaultAddr, start) }

func start(ctx context.Context, s settings) error {
	pool, err := database.Open(ctx, s.DSN(s.Password), postgres.Migrations)
	if err != nil {
		return err
	}
	defer pool.Close()
	database.Show("events_db", pool)
	api := httpapi.New(postgres.Store{Pool: pool, Zone: s.Zone}, s.Token.Reveal(), s.TokenBefore.Reveal())
	return service.Run(ctx, s.Common, service.Servers{web.Server(s.HTTPAddr, api, s.DrainPause)}, nil)
}
