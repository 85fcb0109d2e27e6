// Command testservers starts servers for tests.
//
//	testservers COMMAND [ARGUMENT...]
//
// runs a command (go test ./...) with one PostgreSQL server and one RabbitMQ broker that all its tests share, and stops
// them when it is done. It installs the servers first where they are missing.
//
//	testservers
//
// serves one test program, which platform/testenv has started it for, until standard input ends.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"ticketremaster/stack/native"
	"ticketremaster/stack/testservers"
)

func main() {
	code, err := run()
	if err != nil {
		fmt.Fprintln(os.Stderr, "testservers:", err)
	}
	os.Exit(code)
}

func run() (int, error) {
	if len(os.Args) < 2 {
		return 0, testservers.Serve(context.Background(), os.Stdin, os.Stdout)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	// Also where containers serve the integration tests: the end-to-end tests boot the native stack. They run
	// the documents' examples, too, which use curl and jq, open our pages in Chromium, and compile a TypeScript client.
	if err := native.Install(ctx, os.Stderr, "curl", "jq", "chromium", "npm"); err != nil {
		return 1, err
	}
	postgres, err := testservers.Start(ctx, testservers.Postgres)
	if err != nil {
		return 1, fmt.Errorf("PostgreSQL for the tests: %w", err)
	}
	broker, err := testservers.Start(ctx, testservers.RabbitMQ)
	if err != nil {
		return 1, fmt.Errorf("RabbitMQ for the tests: %w", err)
	}
	fmt.Fprintf(os.Stderr, "testservers: %s\ntestservers: %s\n", postgres.From, broker.From)
	cmd := exec.CommandContext(ctx, os.Args[1], os.Args[2:]...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.Env = append(os.Environ(), "TEST_POSTGRES_URL="+postgres.URL, "TEST_AMQP_URL="+broker.URL, "TEST_AMQP_ADMIN_URL="+broker.Admin)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	err = cmd.Run()
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		return max(1, failed.ExitCode()), nil
	}
	if err != nil {
		return 1, err
	}
	return 0, nil
}
