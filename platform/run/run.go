// Package run is the common part of every service's main: one context that ends on SIGINT or SIGTERM, JSON logs, a
// clear message and exit status 1 when starting fails, and the health check that a container without a shell runs by
// calling the binary itself.
package run

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"ticketremaster/platform/correlation"
)

// Main runs a service until its context ends. healthAddr is the HTTP address that `<binary> health` asks when the
// environment's HTTP_ADDR is not set.
func Main(service, healthAddr string, start func(ctx context.Context) error) {
	if len(os.Args) > 1 && os.Args[1] == "health" {
		os.Exit(health(healthAddr))
	}
	correlation.SetupLog(service, os.Getenv("LOG_LEVEL"))
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := start(ctx); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", service, err)
		os.Exit(1)
	}
}

// health asks the service on this machine and gives an exit status.
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
