// Command audit counts offenders against every invariant over the five databases, and exits 1 if there are any. It is
// the one program that reads all of them, under compose from a container that is in each database's network:
//
//	docker compose run --rm audit
//
// SEATS_DB_URL, USERS_DB_URL, ORDERS_DB_URL, EVENTS_DB_URL and SAGAS_DB_URL are the connection strings. AUDIT_GRACE is
// how long what is on its way may take (15s).
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"ticketremaster/platform/config"
	"ticketremaster/platform/service"
	"ticketremaster/stack/audit"
)

type settings struct {
	Seats  config.Secret `env:"SEATS_DB_URL,required,notEmpty"`
	Users  config.Secret `env:"USERS_DB_URL,required,notEmpty"`
	Orders config.Secret `env:"ORDERS_DB_URL,required,notEmpty"`
	Events config.Secret `env:"EVENTS_DB_URL,required,notEmpty"`
	Sagas  config.Secret `env:"SAGAS_DB_URL,required,notEmpty"`
	Grace  time.Duration `env:"AUDIT_GRACE"`
}

func main() { service.Main("audit", "", start) }

func start(ctx context.Context, s settings) error {
	offenders, err := audit.Run(ctx, map[string]string{
		"seats_db": s.Seats.Reveal(), "users_db": s.Users.Reveal(), "orders_db": s.Orders.Reveal(),
		"events_db": s.Events.Reveal(), "sagas_db": s.Sagas.Reveal(),
	}, s.Grace, os.Stdout)
	if err == nil && offenders > 0 {
		err = fmt.Errorf("%d offenders", offenders)
	}
	return err
}
