// Command audit counts offenders against every invariant over the five databases, and exits 1 if there are any. It is
// the one program that reads all of them, under compose from a container that is in each database's network:
//
//	docker compose run --rm audit
//
//	audit [--since 1h] [--progress FILE] [-o json]   looks once
//	audit watch                                      looks every minute at what changed, and serves /metrics
//	audit grant                                      makes the role that may read what the audit reads, and no more
//
// SEATS_DB_URL, USERS_DB_URL, ORDERS_DB_URL, EVENTS_DB_URL and SAGAS_DB_URL are the connection strings. AUDIT_GRACE is
// how long what is on its way may take (15s). docs/runbook.md#the-audit says more.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"time"

	"ticketremaster/platform/config"
	"ticketremaster/platform/service"
	"ticketremaster/stack/audit"
)

type settings struct {
	Seats    config.Secret `env:"SEATS_DB_URL,required,notEmpty"`
	Users    config.Secret `env:"USERS_DB_URL,required,notEmpty"`
	Orders   config.Secret `env:"ORDERS_DB_URL,required,notEmpty"`
	Events   config.Secret `env:"EVENTS_DB_URL,required,notEmpty"`
	Sagas    config.Secret `env:"SAGAS_DB_URL,required,notEmpty"`
	Grace    time.Duration `env:"AUDIT_GRACE"`
	HTTPAddr string        `env:"HTTP_ADDR" envDefault:":5010"`
	Interval time.Duration `env:"AUDIT_INTERVAL" envDefault:"1m"`
	Whole    time.Duration `env:"AUDIT_WHOLE_EVERY" envDefault:"24h"`
	RolePass config.Secret `env:"AUDIT_DB_PASS"`
}

func (s *settings) Validate() error {
	if s.Interval < time.Second || s.Whole < s.Interval {
		return errors.New("AUDIT_INTERVAL must be at least 1s, and AUDIT_WHOLE_EVERY not shorter")
	}
	return nil
}

func main() { service.Main("audit", ":5010", start) }

func start(ctx context.Context, s settings) error {
	dsns := map[string]string{
		"seats_db": s.Seats.Reveal(), "users_db": s.Users.Reveal(), "orders_db": s.Orders.Reveal(),
		"events_db": s.Events.Reveal(), "sagas_db": s.Sagas.Reveal(),
	}
	flags := flag.NewFlagSet("audit", flag.ContinueOnError)
	since := flags.Duration("since", 0, "look only at what changed in this time")
	progress := flags.String("progress", "", "a file; an audit that is interrupted goes on from what it says")
	format := flags.String("o", "text", "text or json")
	command, args := "", os.Args[1:]
	if len(args) > 0 && args[0][0] != '-' {
		command, args = args[0], args[1:]
	}
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 || *format != "text" && *format != "json" || *since < 0 || *since > 0 && *progress != "" {
		return errors.New("usage: audit [--since 1h | --progress FILE] [-o text|json], audit watch, audit grant")
	}
	switch command {
	case "":
	case "watch":
		w := audit.NewWatch(dsns, audit.Options{Grace: s.Grace}, s.Interval, s.Whole)
		return w.Serve(ctx, s.HTTPAddr)
	case "grant":
		return audit.Grant(ctx, dsns, s.RolePass.Reveal())
	default:
		return fmt.Errorf("there is no command %s", command)
	}
	options := audit.Options{Grace: s.Grace, Progress: *progress, Waiting: audit.Tell(os.Stderr)}
	if *since > 0 {
		options.Since = time.Now().Add(-*since)
	}
	report, err := audit.Audit(ctx, dsns, options)
	if err != nil {
		return err
	}
	if *format == "json" {
		err = json.NewEncoder(os.Stdout).Encode(report)
	} else {
		report.Print(os.Stdout)
	}
	if n := report.Offenders(); err == nil && n > 0 {
		err = fmt.Errorf("%d offenders", n)
	}
	return err
}
