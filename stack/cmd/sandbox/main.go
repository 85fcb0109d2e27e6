// Command sandbox stands in for SMU's Notification API and for Stripe's side of a
// top-up. See package sandbox for its endpoints and its environment.
package main

import (
	"context"
	"log/slog"
	"os"

	"ticketremaster/platform/service"
	"ticketremaster/platform/web"
	"ticketremaster/stack/sandbox"
)

func main() {
	addr := os.Getenv("SANDBOX_ADDR")
	if addr == "" {
		addr = ":8025"
	}
	service.Main("sandbox", addr, start)
}

func start(ctx context.Context, c sandbox.Config) error {
	slog.Warn("the sandbox stands in for SMU and Stripe; never in production", "addr", c.Listen())
	return web.Serve(ctx, c.Listen(), sandbox.New(ctx, c).Handler(), 0)
}
