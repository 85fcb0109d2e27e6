// Command stack runs TicketRemaster natively under .run/ of the repository:
//
//	stack up              install what is missing, build, start, wait until all is ready
//	stack down            stop what up started
//	stack status          which parts run, and where
//	stack logs [PART]     follow the log of a part, or of all
//	stack env             addresses and secrets as NAME=value, for a shell's eval
//	stack restart PART [NAME=value...]
//	stack stop PART
//	stack kill PART       with SIGKILL
//	stack clean           stop all and remove .run/ with the data
//	stack demo            up, then play the scenarios; GATEWAY_URL names a system that runs elsewhere
//	stack demo docker     play it against the containers of docker compose that run
//	stack audit           count offenders against every invariant
//	stack audit watch     do it every minute, and serve the metrics on 127.0.0.1:5010
//
// Ports: PORT (8000) is the gateway's; see package stack for the others.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"

	"ticketremaster/stack"
	"ticketremaster/stack/demo"
	"ticketremaster/stack/native"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "stack:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	command := ""
	if len(args) > 0 {
		command, args = args[0], args[1:]
	}
	if command == "demo" {
		return play(ctx, args, out)
	}
	options := stack.Options{Progress: out}
	if command == "up" {
		if err := native.Install(ctx, out); err != nil {
			return err
		}
		options.Only = args
		s, err := stack.Boot(ctx, options)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "\nTicketRemaster listens on %s; codes and payments of the sandbox are on %s\n", s.URL(), s.SandboxURL())
		return nil
	}
	s, err := stack.Open(options)
	if err != nil {
		return err
	}
	switch command {
	case "down":
		return s.Close()
	case "clean":
		return s.Remove()
	case "audit":
		if len(args) > 0 && args[0] == "watch" {
			return demo.Native{Stack: s}.Watch(ctx, "127.0.0.1:5010")
		}
		return demo.Native{Stack: s}.Audit(ctx, out)
	case "status":
		return status(s, out)
	case "logs":
		return logs(ctx, s, args, out)
	case "env":
		fmt.Fprintln(out, strings.Join(s.Environment(), "\n"))
		return nil
	case "restart", "stop", "kill":
		if len(args) == 0 {
			return fmt.Errorf("%s what? One of %s", command, strings.Join(s.Parts(), ", "))
		}
		switch command {
		case "restart":
			return s.Restart(ctx, args[0], args[1:]...)
		case "stop":
			return s.Stop(ctx, args[0])
		}
		return s.Kill(args[0])
	}
	return errors.New("usage: stack up|down|status|logs|env|restart|stop|kill|clean|demo|audit")
}

// status prints a line per part, and fails when one of them does not run.
func status(s *stack.Stack, out io.Writer) error {
	missing := 0
	for _, part := range s.Status() {
		if part.Pid == 0 {
			missing++
			fmt.Fprintf(out, "%-21s -\n", part.Name)
			continue
		}
		fmt.Fprintf(out, "%-21s %-21s pid %d\n", part.Name, part.Address, part.Pid)
	}
	if missing > 0 {
		return fmt.Errorf("%d of %d parts do not run", missing, len(s.Parts()))
	}
	return nil
}

// logs follows log files until it is interrupted.
func logs(ctx context.Context, s *stack.Stack, names []string, out io.Writer) error {
	if len(names) == 0 {
		names = s.Parts()
	}
	files := []string{"-n", "20", "-F"}
	for _, name := range names {
		file, err := s.LogFile(name)
		if err != nil {
			return err
		}
		if _, err := os.Stat(file); err == nil {
			files = append(files, file)
		}
	}
	if len(files) == 3 {
		return errors.New("there are no logs yet")
	}
	cmd := exec.CommandContext(ctx, "tail", files...)
	cmd.Stdout, cmd.Stderr = out, os.Stderr
	if err := cmd.Run(); err != nil && ctx.Err() == nil {
		return err
	}
	return nil
}
