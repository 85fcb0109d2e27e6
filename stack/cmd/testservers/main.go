// Command testservers runs a command with one PostgreSQL server and one RabbitMQ
// broker that all its tests share, and stops them when it is done:
//
//	testservers go test ./...
//
// It installs the servers first where they are missing.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"ticketremaster/platform/native"
	"ticketremaster/platform/testenv"
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
		return 2, errors.New("usage: testservers COMMAND [ARGUMENT...]")
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	// Also where containers serve the integration tests: the end-to-end tests boot the native stack. They run
	// the documents' examples, too, which use curl and jq.
	if err := native.Install(ctx, os.Stderr, "curl", "jq"); err != nil {
		return 1, err
	}
	environment, err := testenv.Start()
	if err != nil {
		return 1, err
	}
	cmd := exec.CommandContext(ctx, os.Args[1], os.Args[2:]...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.Env = append(os.Environ(), environment...)
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
