// Command user-service serves accounts, one-time passwords and credits.
//
//	user-service                                serves
//	user-service health                         asks a running one on this machine
//	user-service create-admin EMAIL PHONE       makes an administrator; the password of a new one is ADMIN_PASSWORD, or a line on standard input
//	user-service grant EMAIL AMOUNT OPERATION   gives credits from the platform, once per operation id (a UUID)
package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"time"

	"ticketremaster/platform/database"
	"ticketremaster/platform/metrics"
	"ticketremaster/platform/service"
	"ticketremaster/platform/web"
	"ticketremaster/user-service/postgres"
)

func main() { service.Main("user-service", ":5000", start) }

func start(ctx context.Context, s settings) error {
	pool, err := database.Open(ctx, s.DSN(s.DBPassword), postgres.Migrations())
	if err != nil {
		return err
	}
	defer pool.Close()
	store := postgres.New(pool)
	metrics.Show("users_db", store.Figures)
	wired, err := assemble(s, store)
	if err != nil {
		return err
	}
	defer wired.background.wait()
	switch args := os.Args[1:]; {
	case len(args) == 0:
		l, err := net.Listen("tcp", s.HTTPAddr)
		if err != nil {
			return err
		}
		return wired.serve(ctx, s, l)
	case args[0] == "create-admin" && len(args) == 3:
		return wired.createAdmin(ctx, args[1], args[2])
	case args[0] == "grant" && len(args) == 4:
		return wired.grant(ctx, args[1], args[2], args[3])
	}
	return fmt.Errorf("usage: user-service [health | create-admin EMAIL PHONE | grant EMAIL AMOUNT OPERATION]")
}

// serve answers until ctx ends. Sessions that were revoked before the start are known before the first request.
func (p *parts) serve(ctx context.Context, s settings, l net.Listener) error {
	if err := p.revoked.CatchUp(ctx, p.store.Revocations); err != nil {
		return err
	}
	return service.Run(ctx, s.Common,
		service.Servers{func(ctx context.Context) error { return web.ServeOn(ctx, l, p.api.Handler(), s.DrainPause) }},
		service.Workers{
			func(ctx context.Context) { p.revoked.Follow(ctx, 500*time.Millisecond, p.store.Revocations) },
			func(ctx context.Context) { p.sweep(ctx, time.Minute, s.RegistrationTTL) },
		})
}
