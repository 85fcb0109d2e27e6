package stack

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"ticketremaster/platform/render"
	"ticketremaster/stack/native"
)

// An instance is a part as a process. All parts have one; a service may have more (see Options.Replicas and
// Stack.Replica), which have ports of their own.
type instance struct {
	name   string
	part   part
	stack  *Stack
	number int // of the replica, from 1
}

// instancesOf makes the instances that Options asks for of a part.
func (s *Stack) instancesOf(p part) []*instance {
	if s.options.Replicas < 2 || !p.replicated() {
		return []*instance{{name: p.name, part: p, stack: s, number: 1}}
	}
	var all []*instance
	for n := range s.options.Replicas {
		all = append(all, &instance{name: fmt.Sprintf("%s-%d", p.name, n+1), part: p, stack: s, number: n + 1})
	}
	return all
}

// portName is the name under which the stack keeps one of the instance's ports.
func (i *instance) portName(name string) string {
	if i.number > 1 {
		return fmt.Sprintf("%s_%d", name, i.number)
	}
	return name
}

func (i *instance) port(name string) int { return i.stack.ports[i.portName(name)] }

func (i *instance) address(port string) string { return "127.0.0.1:" + strconv.Itoa(i.port(port)) }

// server is the common interface of native servers and our own programs.
type server interface {
	Start(context.Context) error
	Stop(context.Context) error
	Kill() error
	Running() (pid int, ok bool)
}

// server describes the instance's process as it is to be now.
func (i *instance) server(overrides []string) server {
	s, dir := i.stack, filepath.Join(i.stack.dir, i.name)
	log := i.logFile()
	switch {
	case i.part.database != nil:
		db := i.part.database
		return &native.Postgres{
			Name: i.name, Dir: filepath.Join(s.data, i.name), Seed: filepath.Join(s.data, "seed"), Port: i.port(i.part.ports[0]),
			User: db.user, Password: s.secrets[db.password], Database: db.name,
			Unsafe: s.options.Unsafe, Detached: !s.options.Private, LogFile: log,
			Settings: []string{"log_min_duration_statement=1000"},
		}
	case i.part.name == "rabbitmq":
		return &broker{stack: s, RabbitMQ: &native.RabbitMQ{
			Name: i.name, Dir: dir, Port: i.port("BROKER_PORT"), ManagementPort: i.port("BROKER_MANAGEMENT_PORT"),
			User: s.secrets["RABBITMQ_USER"], Password: s.secrets["RABBITMQ_PASS"],
			Definitions: filepath.Join(dir, "definitions.json"), Detached: !s.options.Private, LogFile: log,
		}}
	}
	return i.program(dir, log, overrides)
}

func (i *instance) logFile() string { return filepath.Join(i.stack.dir, "log", i.name+".log") }

func (i *instance) running() (pid int, ok bool) { return i.server(nil).Running() }

func (i *instance) start(ctx context.Context, overrides []string) error {
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, partLimit)
	defer cancel()
	server := i.server(overrides)
	pid, ran := server.Running()
	if err := server.Start(ctx); err != nil {
		return err
	}
	now, _ := server.Running()
	how := "ready"
	if ran && pid == now {
		how = "runs"
	}
	i.stack.say("%-21s %-5s  %s  (%.1fs)", i.name, how, i.address(i.part.ports[0]), time.Since(began).Seconds())
	return nil
}

func (i *instance) stop(ctx context.Context) error { return i.server(nil).Stop(ctx) }

// broker is the broker with the project's definitions, rendered at each start.
type broker struct {
	*native.RabbitMQ
	stack *Stack
}

func (b *broker) Start(ctx context.Context) error {
	source := filepath.Join(b.stack.options.Root, "rabbitmq")
	template, err := os.ReadFile(filepath.Join(source, "definitions.json"))
	if err != nil {
		return err
	}
	filled, err := render.Render(template, lookup(b.stack.secrets))
	if err != nil {
		return fmt.Errorf("rabbitmq/definitions.json: %w", err)
	}
	conf, err := os.ReadFile(filepath.Join(source, "rabbitmq.conf"))
	if err != nil {
		return err
	}
	b.Config = string(conf)
	if err := os.MkdirAll(b.Dir, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(b.Definitions, filled.Text, 0o600); err != nil {
		return err
	}
	return b.RabbitMQ.Start(ctx)
}

// program is one of our own binaries.
type program struct {
	native.Process
	ready string // URL
	// givesWay gives the program a lower CPU priority than the gateway, which must refuse and admit promptly under
	// overload.
	givesWay bool
	// prepare, if set, writes what the program reads before it starts.
	prepare func() error
}

func (i *instance) program(dir, log string, overrides []string) *program {
	s := i.stack
	p := &program{
		Process: native.Process{
			Name: i.name, Command: []string{filepath.Join(s.bin(), filepath.Base(i.part.binary))}, Env: i.environment(overrides), Dir: s.options.Root,
			PidFile: filepath.Join(s.dir, "pid", i.name), LogFile: log, Detached: !s.options.Private,
		},
		ready:    i.part.ready(s, i),
		givesWay: strings.HasSuffix(i.part.name, "-service"),
	}
	if i.part.name == "api-gateway" {
		asGateway(i, p, dir)
	}
	return p
}

// environment of one of our programs: its row in the table, its addresses, what our own environment passes on, and,
// with the highest priority, the overrides.
func (i *instance) environment(overrides []string) []string {
	s := i.stack
	env := merge(map[string]string{"PATH": os.Getenv("PATH"), "TZ": "UTC", "APP_ENV": "development"}, i.part.env(s))
	switch i.part.name {
	case "api-gateway":
		env["GATEWAY_ADDR"] = i.address("PORT")
	case "sandbox":
		env["SANDBOX_ADDR"] = i.address("SANDBOX_PORT")
	case "inventory-service":
		env["GRPC_ADDR"] = i.address("INVENTORY_GRPC_PORT")
		env["HTTP_ADDR"] = i.address("INVENTORY_HTTP_PORT")
	default:
		env["HTTP_ADDR"] = i.address(i.part.ports[0])
	}
	if !s.options.Private {
		for _, name := range passedOn {
			if value, ok := os.LookupEnv(name); ok {
				env[name] = value
			}
		}
	}
	if s.options.Private {
		// All requests of a test come from one address.
		maps.Copy(env, map[string]string{"RATE_LIMIT": "1000000", "RATE_LIMIT_LOGIN": "1000000", "RATE_LIMIT_OTP": "1000000",
			"RATE_LIMIT_GATE": "1000000", "SMS_PER_ADDRESS_PER_HOUR": "1000000", "SMS_PER_MINUTE": "1000000"})
	}
	maps.Copy(env, s.options.Env)
	for _, override := range overrides {
		name, value, _ := strings.Cut(override, "=")
		env[name] = value
	}
	lines := make([]string, 0, len(env))
	for name, value := range env {
		lines = append(lines, name+"="+value)
	}
	slices.Sort(lines)
	return lines
}

// Start starts the program and returns once its ready URL answers 200.
func (p *program) Start(ctx context.Context) error {
	if p.prepare != nil {
		if err := p.prepare(); err != nil {
			return fmt.Errorf("%s: %w", p.Name, err)
		}
	}
	if err := p.Process.Start(); err != nil {
		return err
	}
	var givenWay sync.WaitGroup
	if p.givesWay {
		givenWay.Go(p.Process.GiveWay)
		defer givenWay.Wait()
	}
	return p.Await(ctx, func(ctx context.Context) error { return native.Healthy(ctx, p.ready) })
}

func lookup(values map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		value, ok := values[name]
		return value, ok
	}
}
