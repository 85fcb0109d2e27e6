package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	amqp "github.com/rabbitmq/amqp091-go"
)

// Compose is the Operator of the containers of docker-compose.yml, by the docker command. COMPOSE_PROJECT_NAME and
// COMPOSE_FILE choose project and files, as usual.
type Compose struct{}

// databases maps a database to its container.
var databases = map[string]string{"seats_db": "seats-db", "users_db": "users-db", "orders_db": "orders-db", "events_db": "events-db", "sagas_db": "sagas-db"}

// Restart replaces the containers by ones with other settings. They are passed as one more Compose file, so that
// neither .env nor docker-compose.yml changes, and the next `docker compose up` restores the containers.
func (c Compose) Restart(ctx context.Context, services []string, env ...string) error {
	args, override := []string{"compose"}, []byte(nil)
	if len(env) > 0 {
		environment := map[string]string{}
		for _, one := range env {
			name, value, _ := strings.Cut(one, "=")
			environment[name] = value
		}
		changed := map[string]any{}
		for _, service := range services {
			// Not process 1: the kernel does not let it kill itself with kill -9.
			changed[service] = map[string]any{"restart": "no", "init": true, "environment": environment}
		}
		var err error
		if override, err = json.Marshal(map[string]any{"services": changed}); err != nil {
			return err
		}
		files := os.Getenv("COMPOSE_FILE")
		if files == "" {
			files = "docker-compose.yml"
		}
		for file := range strings.SplitSeq(files, string(os.PathListSeparator)) {
			args = append(args, "-f", file)
		}
		args = append(args, "-f", "-")
	}
	args = append(args, "up", "--detach", "--no-deps", "--no-build", "--wait", "--wait-timeout", "60")
	if _, err := docker(ctx, override, append(args, services...)...); err != nil {
		return err
	}
	return c.found(ctx)
}

// found waits until the gateway finds the orchestrator. Kong's workers, each for itself, remember an address for some
// seconds (KONG_DNS_VALID_TTL), and the container may have a new one; so the request is repeated, over a new connection
// each time.
func (c Compose) found(ctx context.Context) error {
	const enough, limit = 20, 30 * time.Second
	gateway, err := c.Address(ctx, "api-gateway", 8000)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	asking := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for inARow := 0; inARow < enough; {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+gateway+"/health", nil)
		if err != nil {
			return err
		}
		answer, err := asking.Do(request)
		if err == nil {
			answer.Body.Close()
		}
		if err == nil && answer.StatusCode == http.StatusOK {
			inARow++
			continue
		}
		inARow = 0
		select {
		case <-ctx.Done():
			return fmt.Errorf("the gateway does not find the orchestrator again: %w", ctx.Err())
		case <-time.After(200 * time.Millisecond):
		}
	}
	return nil
}

func (Compose) Running(ctx context.Context, service string) (bool, error) {
	id, err := docker(ctx, nil, "compose", "ps", "-q", "--status", "running", service)
	return id != "", err
}

func (c Compose) Database(ctx context.Context, name string) (*pgx.Conn, error) {
	env, err := c.Environment(ctx, databases[name])
	if err != nil {
		return nil, err
	}
	u := url.URL{Scheme: "postgres", User: url.UserPassword(env["POSTGRES_USER"], env["POSTGRES_PASSWORD"]), Host: databases[name],
		Path: "/" + env["POSTGRES_DB"], RawQuery: "sslmode=disable"}
	config, err := pgx.ParseConfig(u.String())
	if err != nil {
		return nil, err
	}
	config.LookupFunc = func(_ context.Context, host string) ([]string, error) { return []string{host}, nil }
	config.DialFunc = func(context.Context, string, string) (net.Conn, error) { return dialInside(databases[name], 5432) }
	return pgx.ConnectConfig(ctx, config)
}

func (c Compose) Broker(ctx context.Context) (*amqp.Connection, error) {
	env, err := c.Environment(ctx, "rabbitmq")
	if err != nil {
		return nil, err
	}
	u := url.URL{Scheme: "amqp", User: url.UserPassword(env["RABBITMQ_USER"], env["RABBITMQ_PASS"]), Host: "rabbitmq", Path: "/"}
	return amqp.DialConfig(u.String(), amqp.Config{Dial: func(string, string) (net.Conn, error) { return dialInside("rabbitmq", 5672) }})
}

// Audit runs the audit's container, which is in the networks of all databases.
func (Compose) Audit(ctx context.Context, out io.Writer) error {
	if _, err := docker(ctx, nil, "compose", "build", "--quiet", "audit"); err != nil { // `run --build` tells on standard output how
		return err
	}
	if _, err := docker(ctx, nil, "compose", "run", "--rm", "-T", "audit-grant"); err != nil {
		return err
	}
	return run(dockerCommand(ctx, "compose", "run", "--rm", "-T", "audit"), out)
}

func (Compose) Commands() string {
	return "docker compose ps · docker compose logs · make audit-docker · make down"
}

// Address is the host:port at which a service's port is published.
func (Compose) Address(ctx context.Context, service string, port int) (string, error) {
	published, err := docker(ctx, nil, "compose", "port", service, strconv.Itoa(port))
	if err != nil {
		return "", err
	}
	_, at, err := net.SplitHostPort(published)
	return "127.0.0.1:" + at, err
}

// Environment returns the variables of a service's container, its secrets too.
func (Compose) Environment(ctx context.Context, service string) (map[string]string, error) {
	id, err := docker(ctx, nil, "compose", "ps", "-q", service)
	if err == nil && id == "" {
		err = fmt.Errorf("%s does not run", service)
	}
	if err != nil {
		return nil, err
	}
	text, err := docker(ctx, nil, "inspect", "-f", "{{json .Config.Env}}", id)
	if err != nil {
		return nil, err
	}
	var lines []string
	if err := json.Unmarshal([]byte(text), &lines); err != nil {
		return nil, err
	}
	env := map[string]string{}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, "=")
		env[name] = value
	}
	return env, nil
}

// Exec runs a command in a service's container; env has names and values of variables for it.
func (Compose) Exec(ctx context.Context, service string, env []string, command ...string) error {
	args := []string{"compose", "exec", "-T"}
	for _, one := range env {
		args = append(args, "-e", one)
	}
	_, err := docker(ctx, nil, append(append(args, service), command...)...)
	return err
}

// docker runs the docker command and returns its output without the final newline.
func docker(ctx context.Context, in []byte, args ...string) (string, error) {
	var out bytes.Buffer
	cmd := dockerCommand(ctx, args...)
	cmd.Stdin = bytes.NewReader(in)
	err := run(cmd, &out)
	return strings.TrimSpace(out.String()), err
}

// dockerCommand runs in a process group of its own, so that the system is restored even if the demo is interrupted at
// the keyboard.
func dockerCommand(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "docker", args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd
}

func run(cmd *exec.Cmd, out io.Writer) error {
	var problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = out, &problems
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err, bytes.TrimSpace(problems.Bytes()))
	}
	return nil
}

// wire is a connection to a port inside a container. Databases and broker are not published; but their images have
// bash, which copies between the port and its standard streams, and `docker compose exec` connects these to us.
type wire struct {
	net.Conn
	carrier *exec.Cmd
}

func dialInside(service string, port int) (net.Conn, error) {
	syscall.ForkLock.RLock() // no child started in the meantime inherits the ends
	ends, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(ends[0])
		syscall.CloseOnExec(ends[1])
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, err
	}
	ours, theirs := os.NewFile(uintptr(ends[0]), "our end"), os.NewFile(uintptr(ends[1]), "docker's end")
	defer ours.Close() // FileConn makes a copy
	defer theirs.Close()
	conn, err := net.FileConn(ours)
	if err != nil {
		return nil, err
	}
	copying := fmt.Sprintf("exec 3<>/dev/tcp/127.0.0.1/%d && { cat <&3 & cat >&3; kill $!; }", port)
	// Without a context: it runs until it is closed.
	carrier := dockerCommand(context.Background(), "compose", "exec", "-T", service, "bash", "-c", copying)
	carrier.Stdin, carrier.Stdout = theirs, theirs
	if err := carrier.Start(); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return &wire{conn, carrier}, nil
}

// Close ends the copying too: its input ends.
func (w *wire) Close() error {
	err := w.Conn.Close()
	_ = w.carrier.Process.Kill()
	_ = w.carrier.Wait() // its status says that it was killed
	return err
}
