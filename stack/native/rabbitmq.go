package native

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// RabbitMQ is one broker on 127.0.0.1: a node of its own with its own port mapper
// (epmd), cookie, plugins and data, apart from a broker of the system's. Of the
// plugins only the management API is on, which tells what is in the queues.
// Fill in the fields, then Start.
type RabbitMQ struct {
	Name           string // for messages; default "rabbitmq"
	Dir            string // everything of it is in here
	Port           int    // AMQP; 0: a free one, chosen at the first Start and kept
	ManagementPort int    // HTTP; 0 likewise
	User           string
	Password       string

	// Definitions is a file to import at start. It must then name User among its
	// users: with definitions to import, the broker makes no user by itself.
	Definitions string
	// Config holds further lines of rabbitmq.conf. What it says of ports and definitions is overruled.
	Config string
	// Detached: see Process.
	Detached bool
	LogFile  string // default Dir/log

	broker, epmd *Process
}

// Start brings the broker up and returns once User can connect. One that runs is left alone.
func (r *RabbitMQ) Start(ctx context.Context) error {
	if err := r.prepare(); err != nil {
		return err
	}
	if _, ok := r.broker.Running(); !ok {
		if err := r.configure(); err != nil {
			return fmt.Errorf("%s: %w", r.Name, err)
		}
		if err := r.startEpmd(ctx); err != nil {
			return err
		}
		if err := r.broker.Start(); err != nil {
			return err
		}
	}
	return r.broker.Await(ctx, r.ping)
}

// Stop shuts the broker down.
func (r *RabbitMQ) Stop(ctx context.Context) error {
	if err := r.prepare(); err != nil {
		return err
	}
	if err := r.broker.Stop(ctx); err != nil {
		return err
	}
	return r.epmd.Kill() // it keeps nothing
}

// Kill ends the broker as a crash would; a Start recovers what was durable.
func (r *RabbitMQ) Kill() error {
	if err := r.prepare(); err != nil {
		return err
	}
	if err := r.broker.Kill(); err != nil {
		return err
	}
	return r.epmd.Kill()
}

// Running tells whether the broker's process is there.
func (r *RabbitMQ) Running() (pid int, ok bool) {
	if r.prepare() != nil {
		return 0, false
	}
	return r.broker.Running()
}

// URL is the AMQP address of the vhost "/".
func (r *RabbitMQ) URL() string { return r.address("amqp", r.Port).String() }

// ManagementURL is the address of the management API, with user and password.
func (r *RabbitMQ) ManagementURL() string { return r.address("http", r.ManagementPort).String() }

func (r *RabbitMQ) address(scheme string, port int) *url.URL {
	return &url.URL{Scheme: scheme, User: url.UserPassword(r.User, r.Password), Host: "127.0.0.1:" + strconv.Itoa(port), Path: "/"}
}

// prepare fills in the defaults and the commands.
func (r *RabbitMQ) prepare() error {
	if r.broker != nil {
		return nil
	}
	server, err := RabbitMQServer()
	if err != nil {
		return err
	}
	epmd, err := exec.LookPath("epmd")
	if err != nil {
		return fmt.Errorf("epmd, a part of Erlang, is not on the PATH: %s", InstallCommand("rabbitmq-server"))
	}
	if r.Dir, err = filepath.Abs(r.Dir); err != nil {
		return err
	}
	if r.Name == "" {
		r.Name = "rabbitmq"
	}
	if r.LogFile == "" {
		r.LogFile = filepath.Join(r.Dir, "log")
	}
	for _, port := range []*int{&r.Port, &r.ManagementPort} {
		if *port == 0 {
			*port = FreePort()
		}
	}
	env := []string{
		"PATH=" + os.Getenv("PATH"), "LANG=C.UTF-8",
		"HOME=" + filepath.Join(r.Dir, "home"), // of Erlang's cookie
		"RABBITMQ_NODENAME=ticketremaster@localhost",
		"RABBITMQ_MNESIA_BASE=" + filepath.Join(r.Dir, "data"),
		"RABBITMQ_LOG_BASE=" + filepath.Join(r.Dir, "logs"),
		"RABBITMQ_LOGS=-", // standard output, which is LogFile
		"RABBITMQ_PID_FILE=" + filepath.Join(r.Dir, "erlang.pid"),
		"RABBITMQ_CONF_ENV_FILE=" + filepath.Join(r.Dir, "env.conf"),
		"RABBITMQ_CONFIG_FILE=" + filepath.Join(r.Dir, "rabbitmq.conf"),
		"RABBITMQ_ENABLED_PLUGINS_FILE=" + filepath.Join(r.Dir, "enabled_plugins"),
		// With this the script becomes the broker, instead of waiting for it as its parent.
		"RABBITMQ_ALLOW_INPUT=true",
		"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=-kernel inet_dist_use_interface {127,0,0,1}",
	}
	r.broker = &Process{Name: r.Name, Command: []string{server, "-noinput"}, Env: env, Dir: "/", Detached: r.Detached,
		PidFile: filepath.Join(r.Dir, "pid"), LogFile: r.LogFile}
	r.epmd = &Process{Name: r.Name + "'s epmd", Command: []string{epmd}, Dir: "/", Detached: r.Detached,
		PidFile: filepath.Join(r.Dir, "epmd.pid"), LogFile: filepath.Join(r.Dir, "epmd.log")}
	return nil
}

// startEpmd starts the port mapper on a free port, before the broker, which would
// else start one on the system's port that outlives it.
func (r *RabbitMQ) startEpmd(ctx context.Context) error {
	if err := r.epmd.Kill(); err != nil {
		return err
	}
	port := strconv.Itoa(FreePort())
	env := []string{"ERL_EPMD_PORT=" + port, "ERL_EPMD_ADDRESS=127.0.0.1"}
	r.epmd.Command, r.epmd.Env = r.epmd.Command[:1], append(env, "PATH="+os.Getenv("PATH"))
	kept := r.broker.Env[:0]
	for _, variable := range r.broker.Env {
		if !strings.HasPrefix(variable, "ERL_EPMD_") && !strings.HasPrefix(variable, "RABBITMQ_DIST_PORT=") {
			kept = append(kept, variable)
		}
	}
	r.broker.Env = append(append(kept, env...), "RABBITMQ_DIST_PORT="+strconv.Itoa(FreePort()))
	if err := r.epmd.Start(); err != nil {
		return err
	}
	return r.epmd.Await(ctx, func(context.Context) error {
		cmd := exec.Command(r.epmd.Command[0], "-names")
		cmd.Env = r.epmd.Env
		return cmd.Run()
	})
}

// configure writes the broker's files. They are written at every start, so that
// they follow the fields.
func (r *RabbitMQ) configure() error {
	for _, dir := range []string{"home", "data", "logs"} {
		if err := os.MkdirAll(filepath.Join(r.Dir, dir), 0o700); err != nil {
			return err
		}
	}
	var conf strings.Builder
	for line := range strings.Lines(r.Config) {
		key, _, _ := strings.Cut(strings.TrimSpace(line), "=")
		if key = strings.TrimSpace(key); key == "load_definitions" || strings.HasPrefix(key, "listeners.") || strings.HasPrefix(key, "management.tcp.") {
			continue
		}
		conf.WriteString(line)
	}
	fmt.Fprintf(&conf, "\nlisteners.tcp.1 = 127.0.0.1:%d\nmanagement.tcp.ip = 127.0.0.1\nmanagement.tcp.port = %d\n", r.Port, r.ManagementPort)
	if r.Definitions != "" {
		path, err := filepath.Abs(r.Definitions)
		if err != nil {
			return err
		}
		fmt.Fprintf(&conf, "load_definitions = %s\n", path)
	} else {
		fmt.Fprintf(&conf, "default_user = %s\ndefault_pass = %s\n", r.User, r.Password)
	}
	for name, text := range map[string]string{
		"rabbitmq.conf":   conf.String(),
		"enabled_plugins": "[rabbitmq_management].\n",
		"env.conf":        "", // instead of the system's
	} {
		if err := os.WriteFile(filepath.Join(r.Dir, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

func (r *RabbitMQ) ping(ctx context.Context) error {
	// amqp091 prints nothing and its Dial has a time-out of its own.
	conn, err := amqp.DialConfig(r.URL(), amqp.Config{Dial: amqp.DefaultDial(5 * time.Second)})
	if err != nil {
		return err
	}
	return conn.Close()
}

// RabbitMQServer returns the path of the server's start script. Debian's wrapper
// of the same name on the PATH switches user and folder, so that it will not do.
func RabbitMQServer() (string, error) {
	candidates := []string{"/usr/lib/rabbitmq/bin/rabbitmq-server"}
	if path, err := exec.LookPath("rabbitmq-server"); err == nil {
		if path, err := filepath.EvalSymlinks(path); err == nil && filepath.Dir(path) != "/usr/sbin" {
			candidates = append(candidates, path)
		}
	}
	for _, path := range candidates {
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("no RabbitMQ on this machine: %s", InstallCommand("rabbitmq-server"))
}
