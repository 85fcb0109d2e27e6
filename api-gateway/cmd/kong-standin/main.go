// Command kong-standin is the development stand-in for Kong 3.6. It reads the same kong.yml, and takes Kong's
// environment and command line, so that a container image of it can replace kong:3.6:
//
//	kong-standin [start|docker-start]   serve
//	kong-standin health                 exit 0 if it serves
//	kong-standin config parse FILE      exit 0 if FILE is a kong.yml it can serve
//	kong-standin version
//
// KONG_DECLARATIVE_CONFIG names the rendered kong.yml. It listens on
// GATEWAY_ADDR, else on the first plain address of KONG_PROXY_LISTEN, else on
// 127.0.0.1:8000.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"time"

	"ticketremaster/api-gateway/standin"
)

func main() {
	args := os.Args[1:]
	if len(args) > 0 && args[0] == "kong" { // as the argument of Kong's docker-entrypoint.sh
		args = args[1:]
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGQUIT)
	defer stop()
	if err := run(ctx, args); err != nil {
		fmt.Fprintln(os.Stderr, "kong-standin:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	switch {
	case len(args) == 0, slices.Equal(args, []string{"start"}), slices.Equal(args, []string{"docker-start"}):
		return serve(ctx)
	case slices.Equal(args, []string{"health"}):
		return health()
	case slices.Equal(args, []string{"version"}):
		fmt.Println("TicketRemaster's development stand-in for Kong 3.6")
		return nil
	case len(args) == 3 && args[0] == "config" && args[1] == "parse":
		_, err := load(args[2])
		return err
	default:
		return fmt.Errorf("unknown command: %s", strings.Join(args, " "))
	}
}

func serve(ctx context.Context) error {
	var level slog.Level // info, unless LOG_LEVEL says another
	_ = level.UnmarshalText([]byte(os.Getenv("LOG_LEVEL")))
	slog.SetDefault(slog.New(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: level})).With("service", "kong-standin"))
	for _, name := range []string{"KONG_TRUSTED_IPS", "KONG_REAL_IP_HEADER"} {
		if os.Getenv(name) != "" {
			return fmt.Errorf("%s is not known here: behind another proxy, run Kong", name)
		}
	}
	if database := os.Getenv("KONG_DATABASE"); database != "" && database != "off" {
		return errors.New("KONG_DATABASE must be off")
	}
	if prefix := os.Getenv("KONG_PREFIX"); prefix != "" { // Kong writes into it at every start, and does not start where it cannot
		if err := os.MkdirAll(prefix, 0o755); err != nil {
			return fmt.Errorf("KONG_PREFIX: %w", err)
		}
	}
	path := os.Getenv("KONG_DECLARATIVE_CONFIG")
	if path == "" {
		return errors.New("KONG_DECLARATIVE_CONFIG is missing: it names the rendered kong.yml")
	}
	gateway, err := load(path)
	if err != nil {
		return err
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400) // the heap is a few MB: collecting it less often allows a sixth more requests
	}
	l, err := net.Listen("tcp", listenAddr())
	if err != nil {
		return err
	}
	slog.Warn("DEVELOPMENT STAND-IN FOR KONG, reading kong.yml: not Kong, not for production", "file", path, "addr", l.Addr().String())
	return gateway.Serve(ctx, l)
}

func load(path string) (*standin.Gateway, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	gateway, err := standin.New(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return gateway, nil
}

// listenAddr reads the address from the environment. Kong's value is a comma
// list, each an address and its options: "0.0.0.0:8000 reuseport, 0.0.0.0:8443 http2 ssl".
func listenAddr() string {
	if addr := os.Getenv("GATEWAY_ADDR"); addr != "" {
		return addr
	}
	for entry := range strings.SplitSeq(os.Getenv("KONG_PROXY_LISTEN"), ",") {
		if words := strings.Fields(entry); len(words) > 0 && !slices.Contains(words, "ssl") {
			return words[0]
		}
	}
	return "127.0.0.1:8000"
}

// health requests a path that the gateway does not have: any answer will do.
func health() error {
	_, port, err := net.SplitHostPort(listenAddr())
	if err != nil {
		return err
	}
	client := http.Client{Timeout: 3 * time.Second}
	answer, err := client.Head("http://127.0.0.1:" + port + "/")
	if err != nil {
		return err
	}
	return answer.Body.Close()
}
