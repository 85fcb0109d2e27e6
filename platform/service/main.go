// Package service is the common part of every program of the system: Main reads its settings and runs it until SIGINT
// or SIGTERM; Run starts and ends its servers and workers in order.
package service

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"ticketremaster/platform/config"
	"ticketremaster/platform/correlation"
)

// Main runs a program under one context that ends on SIGINT or SIGTERM; a second signal ends it at once. Its settings
// come from the environment; if they are wrong, or start fails, the error is printed and the exit status is 1. Logs are
// JSON lines on standard error. With the argument health the program checks the one that runs on this machine, for
// containers without a shell: GET /health at HTTP_ADDR, or at healthAddr if that is not set.
func Main[Settings any](name, healthAddr string, start func(ctx context.Context, s Settings) error) {
	if len(os.Args) > 1 && os.Args[1] == "health" {
		os.Exit(health(healthAddr))
	}
	correlation.SetupLog(name, os.Getenv("LOG_LEVEL"))
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	settings, err := config.Load[Settings]()
	if err == nil {
		err = start(ctx, settings)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		os.Exit(1)
	}
}

// health checks the service on this machine and returns an exit status.
func health(addr string) int {
	if a := os.Getenv("HTTP_ADDR"); a != "" {
		addr = a
	}
	_, port, err := net.SplitHostPort(addr)
	if err == nil {
		client := http.Client{Timeout: 3 * time.Second}
		var res *http.Response
		if res, err = client.Get("http://127.0.0.1:" + port + "/health"); err == nil {
			res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return 0
			}
			err = fmt.Errorf("status %d", res.StatusCode)
		}
	}
	fmt.Fprintln(os.Stderr, "not healthy:", err)
	return 1
}
