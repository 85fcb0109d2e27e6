package testservers

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	dockercontainer "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/testcontainers/testcontainers-go"
	tclog "github.com/testcontainers/testcontainers-go/log"

	"ticketremaster/stack/native"
)

const (
	postgresImage = "postgres:16"
	rabbitImage   = "rabbitmq:3-management"
)

// dockerWith tells whether a Docker engine answers (DOCKER_HOST, else the usual
// socket) and has the image. It never pulls.
func dockerWith(ctx context.Context, image string) bool {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	engine, err := client.New(client.FromEnv)
	if err != nil {
		return false
	}
	defer engine.Close()
	_, err = engine.ImageInspect(ctx, image)
	return err == nil
}

// container is a server in a container. Its ports on the host are fixed, so that
// its address survives a restart. A container is removed when this program ends.
type container struct {
	Address
	start func(context.Context, *container) error
	ready func(context.Context) error
	inner *testcontainers.DockerContainer
}

// Start makes the container, or starts it again, and returns once the server answers.
func (c *container) Start(ctx context.Context) error {
	if c.inner == nil {
		if err := c.start(ctx, c); err != nil {
			return err
		}
	} else if err := c.inner.Start(ctx); err != nil {
		return err
	}
	for {
		err := c.ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the container does not answer: %w", err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Stop sends SIGTERM and waits.
func (c *container) Stop(ctx context.Context) error {
	grace := 20 * time.Second
	return c.inner.Stop(ctx, &grace)
}

// Kill sends SIGKILL.
func (c *container) Kill() error {
	if c.inner == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	engine, err := client.New(client.FromEnv)
	if err != nil {
		return err
	}
	defer engine.Close()
	state, err := c.inner.State(ctx)
	if err != nil || !state.Running {
		return err
	}
	if _, err := engine.ContainerKill(ctx, c.inner.GetContainerID(), client.ContainerKillOptions{Signal: "KILL"}); err != nil {
		return err
	}
	for state.Running {
		if state, err = c.inner.State(ctx); err != nil {
			return err
		}
	}
	return nil
}

// run makes and starts the container, and returns where its ports are on the host.
// Arguments go to the image's entry point.
func (c *container) run(ctx context.Context, image string, arguments []string, env map[string]string, ports ...string) (addresses []string, err error) {
	// Testcontainers' reaper is an image of its own, and nothing is pulled here; what
	// it does is done below. Whoever wants it sets the variable to false.
	if _, ok := os.LookupEnv("TESTCONTAINERS_RYUK_DISABLED"); !ok {
		if err := os.Setenv("TESTCONTAINERS_RYUK_DISABLED", "true"); err != nil {
			return nil, err
		}
	}
	quiet := log.New(io.Discard, "", 0)
	tclog.SetDefault(quiet)
	bindings := network.PortMap{}
	var hostPorts []string
	for _, port := range ports {
		hostPort := strconv.Itoa(native.FreePort())
		hostPorts = append(hostPorts, hostPort)
		bindings[network.MustParsePort(port)] = []network.PortBinding{{HostIP: netip.MustParseAddr("127.0.0.1"), HostPort: hostPort}}
	}
	c.inner, err = testcontainers.Run(ctx, image,
		testcontainers.WithLogger(quiet),
		testcontainers.WithCmd(arguments...),
		testcontainers.WithEnv(env),
		testcontainers.WithExposedPorts(ports...),
		testcontainers.WithHostConfigModifier(func(host *dockercontainer.HostConfig) { host.PortBindings = bindings }),
	)
	if c.inner != nil {
		// Where testcontainers' own reaper runs, this finds nothing left to do.
		if err := native.Afterwards("docker rm -fv " + c.inner.GetContainerID() + " >/dev/null 2>&1"); err != nil {
			return nil, err
		}
	}
	if err != nil {
		return nil, err
	}
	for _, port := range hostPorts {
		addresses = append(addresses, "127.0.0.1:"+port)
	}
	return addresses, nil
}

func startPostgresContainer(ctx context.Context, c *container) error {
	password := uuid.NewString()
	// As the native servers for tests: they survive a kill, not a loss of power, and are faster for it.
	arguments := []string{"postgres", "-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off", "-c", "max_connections=200"}
	addresses, err := c.run(ctx, postgresImage, arguments, map[string]string{"POSTGRES_PASSWORD": password}, "5432/tcp")
	if err != nil {
		return err
	}
	c.URL = fmt.Sprintf("postgres://postgres:%s@%s/postgres?sslmode=disable", password, addresses[0])
	c.ready = func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		conn, err := pgx.Connect(ctx, c.URL)
		if err != nil {
			return err
		}
		return conn.Close(ctx)
	}
	return nil
}

func startRabbitContainer(ctx context.Context, c *container) error {
	user := url.UserPassword("test", uuid.NewString())
	password, _ := user.Password()
	addresses, err := c.run(ctx, rabbitImage, nil, map[string]string{"RABBITMQ_DEFAULT_USER": "test", "RABBITMQ_DEFAULT_PASS": password}, "5672/tcp", "15672/tcp")
	if err != nil {
		return err
	}
	c.URL = (&url.URL{Scheme: "amqp", User: user, Host: addresses[0], Path: "/"}).String()
	c.Admin = (&url.URL{Scheme: "http", User: user, Host: addresses[1], Path: "/"}).String()
	c.ready = func(ctx context.Context) error {
		conn, err := amqp.DialConfig(c.URL, amqp.Config{Dial: amqp.DefaultDial(5 * time.Second)})
		if err != nil {
			return err
		}
		if err := conn.Close(); err != nil {
			return err
		}
		response, err := http.Get(c.Admin + "api/overview")
		if err != nil {
			return err
		}
		response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("the management API: %s", response.Status)
		}
		return nil
	}
	return nil
}
