// Command ticketctl is the operator's terminal: what needs a person, and what to do about it
// (docs/runbook.md#ticketctl).
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/term"

	"ticketremaster/stack/ticketctl"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	stdin := int(os.Stdin.Fd())
	console := ticketctl.Console{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Getenv: os.Getenv, Terminal: term.IsTerminal(stdin),
		Hidden: func() (string, error) {
			text, err := term.ReadPassword(stdin)
			fmt.Fprintln(os.Stderr)
			return string(text), err
		}}
	if err := ticketctl.New(console).ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "ticketctl:", err)
		os.Exit(1)
	}
}
