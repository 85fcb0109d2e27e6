// Command gate simulates a device at a gate: it gets an event's list, decides scans without network, and uploads what
// it decided.
//
//	gate sync -gateway http://127.0.0.1:8000 -event ID -hall HALL-1 -device north
//	gate scan [-out] [CODE …]         without codes it reads lines, as a scanner types them
//	gate undo -seat A12 -reason TEXT
//	gate upload
//
// GATE_TOKEN is the access token of a member of staff. -state names the file that holds the list and the decisions;
// whoever has it can make offline codes of that event, so it is readable by its owner alone.
package main

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/google/uuid"

	"ticketremaster/orchestrator-service/gate/device"
	"ticketremaster/orchestrator-service/gate/rules"
	"ticketremaster/platform/call"
	"ticketremaster/platform/fault"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "gate:", err)
		os.Exit(1)
	}
}

var errUsage = errors.New("usage: gate sync|scan|undo|upload [-state FILE] …; gate COMMAND -h says more")

func run(ctx context.Context, args []string, in io.Reader, out io.Writer) error {
	if len(args) == 0 {
		return errUsage
	}
	flags := flag.NewFlagSet("gate "+args[0], flag.ContinueOnError)
	file := flags.String("state", "gate.json", "the file of the device's list and decisions")
	commands := map[string]func() error{}
	gateway := flags.String("gateway", "http://127.0.0.1:8000", "sync: the gateway's address")
	event := flags.String("event", "", "sync: the event's id")
	hall := flags.String("hall", "", "sync: the hall where the device stands")
	name := flags.String("device", "", "sync: the device's name")
	leaves := flags.Bool("out", false, "scan: the bearers leave")
	seat := flags.String("seat", "", "undo: the seat's id, or its place such as A12")
	reason := flags.String("reason", "", "undo: why")
	commands["sync"] = func() error { return sync(ctx, out, *file, *gateway, *event, *hall, *name) }
	commands["scan"] = func() error { return scan(in, out, *file, *leaves, flags.Args()) }
	commands["undo"] = func() error { return undo(out, *file, *seat, *reason) }
	commands["upload"] = func() error { return upload(ctx, out, *file) }
	command, ok := commands[args[0]]
	if !ok {
		return errUsage
	}
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	return command()
}

func api(gateway string) *call.Client {
	return &call.Client{Name: "the gateway", BaseURL: gateway, Token: os.Getenv("GATE_TOKEN"), Timeout: 15 * time.Second}
}

// sync gets the event's list and checks its signature. The key is the one of the first time, unless the service has a
// new one.
func sync(ctx context.Context, out io.Writer, file, gateway, event, hall, name string) error {
	s, err := load(file)
	if errors.Is(err, os.ErrNotExist) {
		s, err = &state{}, nil
	}
	if err != nil {
		return err
	}
	for _, f := range []struct{ to, from *string }{{&s.Gateway, &gateway}, {&s.Event, &event}, {&s.Hall, &hall}, {&s.Device, &name}} {
		if *f.from != "" {
			*f.to = *f.from
		}
	}
	if s.Event == "" || s.Device == "" {
		return errors.New("-event and -device are needed the first time")
	}
	client := api(s.Gateway)
	var keys struct {
		Keys map[string]string `json:"keys"`
	}
	var signed struct {
		Manifest  string `json:"manifest"`
		KeyID     string `json:"key_id"`
		Signature []byte `json:"signature"`
	}
	if err := client.Do(ctx, "GET", "/gate/keys", nil, &keys); err != nil {
		return err
	}
	if err := client.Do(ctx, "GET", "/gate/"+s.Event+"/manifest", nil, &signed); err != nil {
		return err
	}
	key, err := base64.StdEncoding.DecodeString(keys.Keys[signed.KeyID])
	if err != nil {
		return err
	}
	m, err := device.Read([]byte(signed.Manifest), signed.Signature, ed25519.PublicKey(key))
	if err != nil {
		return err
	}
	d := s.device()
	d.Sync(m)
	s.Manifest, s.Signature, s.Key, s.Log = signed.Manifest, signed.Signature, key, d.Log
	fmt.Fprintf(out, "%d tickets of %s, as of %s; %d decisions to upload\n", len(m.Tickets), m.Event.Name, m.MadeAt.Format(time.RFC3339), len(d.Pending()))
	return s.save(file)
}

func scan(in io.Reader, out io.Writer, file string, leaves bool, codes []string) error {
	s, d, err := open(file)
	if err != nil {
		return err
	}
	direction := rules.In
	if leaves {
		direction = rules.Out
	}
	decide := func(code string) error {
		v, t, err := d.Scan(code, direction, time.Now())
		if err != nil {
			fmt.Fprintf(out, "%-11s%s\n", "-", fault.From(err).Message)
			return nil
		}
		place := ""
		if v.Result == rules.Success {
			place = fmt.Sprintf(", seat %s%d", t.Row, t.Number)
		}
		fmt.Fprintf(out, "%-11s%s%s\n", v.Result, v.Message, place)
		s.Log = d.Log
		return s.save(file) // before the next: a device may be switched off at any time
	}
	if len(codes) > 0 {
		for _, code := range codes {
			if err := decide(code); err != nil {
				return err
			}
		}
		return nil
	}
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		if strings.TrimSpace(lines.Text()) == "" {
			continue
		}
		if err := decide(lines.Text()); err != nil {
			return err
		}
	}
	return lines.Err()
}

func undo(out io.Writer, file, place, reason string) error {
	s, d, err := open(file)
	if err != nil {
		return err
	}
	if reason == "" {
		return errors.New("-reason is needed")
	}
	seat, err := uuid.Parse(place)
	for _, t := range d.Manifest.Tickets {
		if err != nil && strings.EqualFold(fmt.Sprint(t.Row, t.Number), place) {
			seat, err = t.Seat, nil
		}
	}
	if err != nil {
		return fmt.Errorf("the list has no seat %q", place)
	}
	if err := d.Undo(seat, reason, time.Now()); err != nil {
		return errors.New(fault.From(err).Message)
	}
	fmt.Fprintln(out, "undone")
	s.Log = d.Log
	return s.save(file)
}

// portion is how many decisions one call uploads.
const portion = 100

func upload(ctx context.Context, out io.Writer, file string) error {
	s, d, err := open(file)
	if err != nil {
		return err
	}
	counts := map[string]int{}
	for pending := d.Pending(); len(pending) > 0; {
		n := min(portion, len(pending))
		var answer struct {
			Scans []struct {
				ScanID  uuid.UUID `json:"scan_id"`
				Outcome string    `json:"outcome"`
				Message string    `json:"message"`
			} `json:"scans"`
		}
		err := api(s.Gateway).Do(ctx, "POST", "/gate/"+s.Event+"/scans", map[string]any{"scans": pending[:n]}, &answer)
		if err != nil {
			return err
		}
		taken := map[uuid.UUID]bool{}
		for _, u := range answer.Scans {
			counts[u.Outcome]++
			taken[u.ScanID] = u.Outcome != "WAITING"
			if u.Message != "" {
				fmt.Fprintf(out, "%-9s%s: %s\n", u.Outcome, u.ScanID, u.Message)
			}
		}
		d.Taken(taken)
		s.Log = d.Log
		if err := s.save(file); err != nil {
			return err
		}
		pending = pending[n:]
	}
	fmt.Fprintf(out, "%d merged, %d in conflict, %d refused, %d waiting\n", counts["MERGED"], counts["CONFLICT"], counts["REFUSED"], counts["WAITING"])
	return nil
}
