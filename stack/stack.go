package stack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"ticketremaster/stack/native"
)

// partLimit bounds the start of one part. A cold cluster takes a few seconds.
const partLimit = 90 * time.Second

// Options say what kind of stack to boot. The zero value is the one of `make demo`: under .run/ of the repository, on
// the default ports, outliving this process.
type Options struct {
	Root string // the repository; default: found upward from the working directory
	// Dir holds all of the stack's files; default Root/.run, or a temporary folder for a private one.
	Dir string
	// Private stacks use free ports throughout and end with this process.
	Private bool
	// Unsafe trades the databases' durability for speed; for tests.
	Unsafe bool
	// Replicas is how many of each service a private stack has; 0: what the environment's REPLICAS says, else one.
	// Another stack has one of each: the next command, which is to stop it, would not know of more.
	Replicas int
	// Env overrides variables of all services.
	Env map[string]string
	// Elsewhere has the addresses, host:port with commas between, of databases that this stack uses instead of starting
	// its own, by the part's name (seats-db). Their users and passwords are the stack's.
	Elsewhere map[string]string
	// Bin is a folder with binaries built before; by default they are built.
	Bin string
	// Only names the parts to start, with what they need; default all.
	Only []string
	// Progress gets a line per step; default none.
	Progress io.Writer
}

// Stack is a native stack, running or not.
type Stack struct {
	options   Options
	dir       string // of what is ours
	data      string // of what PostgreSQL's user must reach
	why       string // data is not in dir; empty if it is
	started   time.Time
	secrets   map[string]string
	ports     map[string]int
	parts     map[string]part // by name
	instances []*instance

	mu sync.Mutex // of progress
}

// Open finds the stack of the options' folder, without starting anything.
func Open(options Options) (*Stack, error) {
	root, err := findRoot(options.Root)
	if err != nil {
		return nil, err
	}
	options.Root = root
	s := &Stack{options: options, started: time.Now(), parts: map[string]part{}}
	switch {
	case options.Dir != "":
		s.dir, err = filepath.Abs(options.Dir)
	case options.Private:
		s.dir, err = native.PassingDir()
	default:
		s.dir = filepath.Join(root, ".run")
	}
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return nil, err
	}
	if s.data, s.why, err = native.Place(s.dir); err != nil {
		return nil, err
	}
	if err := errors.Join(s.loadSecrets(), s.loadPorts()); err != nil {
		return nil, err
	}
	switch {
	case !options.Private:
		s.options.Replicas = 1
	case options.Replicas == 0:
		if s.options.Replicas, err = replicas(); err != nil {
			return nil, err
		}
	}
	for _, p := range parts {
		s.parts[p.name] = p
		if options.Elsewhere[p.name] == "" {
			s.instances = append(s.instances, s.instancesOf(p)...)
		}
	}
	return s, nil
}

// Boot starts the parts that do not run. Servers that run are kept; services are restarted with binaries built from the
// present source. It returns once all parts are ready. When a part fails, a private stack is closed; another one is
// left as it is.
func Boot(ctx context.Context, options Options) (*Stack, error) {
	s, err := Open(options)
	if err != nil {
		return nil, err
	}
	if err := s.up(ctx); err != nil {
		if options.Private {
			err = errors.Join(err, s.Close())
		}
		return nil, err
	}
	return s, nil
}

func (s *Stack) up(ctx context.Context) error {
	wanted, err := s.wanted()
	if err != nil {
		return err
	}
	unlock, err := s.lock()
	if err != nil {
		return err
	}
	defer unlock()
	if s.why != "" {
		s.say("%s", s.why)
	}
	if err := s.choosePorts(wanted); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()

	ready := map[string]chan struct{}{"build": make(chan struct{})}
	for _, i := range wanted {
		ready[i.name] = make(chan struct{})
	}
	failures := make(chan error, len(wanted)+1)
	run := func(name string, needs []string, action func() error) {
		for _, need := range needs {
			select {
			case <-ready[need]:
			case <-ctx.Done():
				failures <- nil
				return
			}
		}
		err := action()
		if err == nil {
			close(ready[name])
		} else {
			cancel() // the others need not go on
		}
		failures <- err
	}
	go run("build", nil, func() error { return s.build(ctx, wanted) })
	for _, i := range wanted {
		var needs []string
		for _, need := range wanted {
			if slices.Contains(i.part.needs, need.part.name) {
				needs = append(needs, need.name)
			}
		}
		if i.part.binary != "" {
			needs = append(needs, "build")
		}
		go run(i.name, needs, func() error {
			if i.part.binary != "" { // one that runs is of an earlier build
				if err := i.stop(ctx); err != nil {
					return err
				}
			}
			return i.start(ctx, nil)
		})
	}
	// The first failure is the cause, those after it are its consequences.
	var first error
	for range len(wanted) + 1 {
		if err := <-failures; err != nil && first == nil {
			first = err
		}
	}
	return first
}

// wanted are the instances of Options.Only with what they need, or all.
func (s *Stack) wanted() ([]*instance, error) {
	if len(s.options.Only) == 0 {
		return slices.Clone(s.instances), nil
	}
	var wanted []*instance
	var add func(name string) error
	add = func(name string) error {
		all, err := s.named(name)
		if err != nil {
			return err
		}
		for _, i := range all {
			for _, need := range i.part.needs {
				if s.options.Elsewhere[need] != "" {
					continue
				}
				if err := add(need); err != nil {
					return err
				}
			}
			if !slices.Contains(wanted, i) {
				wanted = append(wanted, i)
			}
		}
		return nil
	}
	for _, name := range s.options.Only {
		if err := add(name); err != nil {
			return nil, err
		}
	}
	return wanted, nil
}

// replicas reads REPLICAS.
func replicas() (int, error) {
	text := os.Getenv("REPLICAS")
	if text == "" {
		return 1, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > 5 {
		return 0, fmt.Errorf("REPLICAS=%q is not a number from 1 to 5", text)
	}
	return n, nil
}

// Close stops all parts: first the gateway, the databases last. The data of a stack in a temporary folder is deleted.
func (s *Stack) Close() error {
	unlock, err := s.lock()
	if err != nil {
		return err
	}
	defer unlock()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	passing := s.options.Private && s.options.Dir == ""
	var problems []error
	stop := func(which func(*instance) bool) {
		var all sync.WaitGroup
		var mu sync.Mutex
		for _, i := range s.instances {
			if which(i) {
				all.Go(func() {
					end := func() error { return i.stop(ctx) }
					if passing {
						end = i.server(nil).Kill
					}
					if err := end(); err != nil {
						mu.Lock()
						defer mu.Unlock()
						problems = append(problems, err)
					}
				})
			}
		}
		all.Wait()
	}
	stop(func(i *instance) bool { return i.part.name == "api-gateway" })
	stop(func(i *instance) bool { return i.part.binary != "" })
	stop(func(i *instance) bool { return i.part.binary == "" })
	if passing {
		problems = append(problems, os.RemoveAll(s.dir))
	}
	return errors.Join(problems...)
}

// Remove stops all parts and removes all of the stack's files, the data too.
func (s *Stack) Remove() error {
	if err := s.Close(); err != nil {
		return err
	}
	return errors.Join(os.RemoveAll(s.data), os.RemoveAll(s.dir))
}

// URL is the gateway's address, the only one that a client needs.
func (s *Stack) URL() string { return "http://" + s.address("PORT") }

// SandboxURL is the address of the sandbox, which stands in for SMU and Stripe.
func (s *Stack) SandboxURL() string { return "http://" + s.address("SANDBOX_PORT") }

// DSN is the superuser's connection string of a database: seats_db, users_db,
// orders_db, events_db or sagas_db. It panics when there is no such database.
func (s *Stack) DSN(name string) string {
	for _, p := range parts {
		if db := p.database; db != nil && db.name == name {
			u := url.URL{Scheme: "postgres", User: url.UserPassword(db.user, s.secrets[db.password]),
				Host: s.address(p.ports[0]), Path: "/" + db.name, RawQuery: "sslmode=disable"}
			if at := s.options.Elsewhere[p.name]; at != "" {
				u.Host, u.RawQuery = at, u.RawQuery+"&target_session_attrs=primary" // not read-write: the audit's connections are read-only
			}
			return u.String()
		}
	}
	panic("stack: there is no database " + name)
}

// AMQPURL is the broker's address.
func (s *Stack) AMQPURL() string { return s.brokerURL("amqp", "BROKER_PORT") }

// ManagementURL is the address of the broker's management API.
func (s *Stack) ManagementURL() string { return s.brokerURL("http", "BROKER_MANAGEMENT_PORT") }

func (s *Stack) brokerURL(scheme, port string) string {
	u := url.URL{Scheme: scheme, User: url.UserPassword(s.secrets["RABBITMQ_USER"], s.secrets["RABBITMQ_PASS"]), Host: s.address(port), Path: "/"}
	return u.String()
}

// Secret returns one of the stack's secrets by its variable's name, for tests that sign or call as a service does.
func (s *Stack) Secret(name string) string { return s.secrets[name] }

// Environment returns the stack's addresses and secrets as NAME=value, sorted: what
// another program needs to reach all of it.
func (s *Stack) Environment() []string {
	all := merge(s.secrets, map[string]string{"GATEWAY_URL": s.URL(), "SANDBOX_URL": s.SandboxURL(), "AMQP_URL": s.AMQPURL(), "AMQP_ADMIN_URL": s.ManagementURL()})
	for _, p := range parts {
		if p.database != nil {
			all[strings.ToUpper(p.database.name)+"_URL"] = s.DSN(p.database.name) // SEATS_DB_URL
		}
	}
	for name, port := range s.ports {
		all[name] = strconv.Itoa(port)
	}
	var lines []string
	for name, value := range all {
		lines = append(lines, name+"="+value)
	}
	slices.Sort(lines)
	return lines
}

// lock keeps two commands from working on one stack at the same time.
func (s *Stack) lock() (unlock func(), err error) {
	file, err := os.OpenFile(filepath.Join(s.dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		file.Close()
		return nil, fmt.Errorf("another command is at work on the stack in %s", s.dir)
	}
	return func() { file.Close() }, nil
}

func (s *Stack) address(port string) string { return "127.0.0.1:" + strconv.Itoa(s.ports[port]) }

// say prints a line of progress with the time since the start.
func (s *Stack) say(format string, args ...any) {
	if s.options.Progress == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(s.options.Progress, "%6.1fs  %s\n", time.Since(s.started).Seconds(), fmt.Sprintf(format, args...))
}

// findRoot returns the repository's root: the folder with go.work, from dir upward.
func findRoot(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	for from := dir; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.work")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("no go.work in %s or above: this is not run inside the repository", from)
		}
	}
}
