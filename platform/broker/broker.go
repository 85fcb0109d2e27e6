// Package broker publishes to RabbitMQ and consumes from it, across lost connections and restarts. Publishing never
// waits for the broker; a message that cannot be handled is parked, not lost.
package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"ticketremaster/platform/config"
)

// Config says where the broker is (docs/internal-api.md#environment).
type Config struct {
	Host     string        `env:"RABBITMQ_HOST"`
	Port     uint16        `env:"RABBITMQ_PORT" envDefault:"5672"`
	Hosts    string        `env:"RABBITMQ_HOSTS"` // host:port,host:port: the nodes of a cluster, instead of Host and Port
	User     string        `env:"RABBITMQ_USER,required,notEmpty"`
	Password config.Secret `env:"RABBITMQ_PASS,required,notEmpty"`
	VHost    string        `env:"RABBITMQ_VHOST" envDefault:"/"`
}

// Validate reports what is wrong with the addresses.
func (c *Config) Validate() error {
	if c.Host == "" && c.Hosts == "" {
		return errors.New(`required environment variable "RABBITMQ_HOST" is not set, nor is RABBITMQ_HOSTS`)
	}
	for _, address := range c.addresses() {
		host, port, err := net.SplitHostPort(address)
		if n, notNumber := strconv.ParseUint(port, 10, 16); err != nil || host == "" || notNumber != nil || n == 0 {
			return fmt.Errorf("RABBITMQ_HOSTS must be host:port, with commas between several; %q is none", address)
		}
	}
	return nil
}

func (c Config) addresses() []string {
	if c.Hosts == "" {
		return []string{net.JoinHostPort(c.Host, strconv.Itoa(int(c.Port)))}
	}
	return strings.Split(c.Hosts, ",")
}

// URL returns the broker's address, with user and password in it: of each node, with spaces between, where there are
// several. A publisher or consumer connects to one, and to the next when that one is gone.
func (c Config) URL() string {
	var all []string
	for _, address := range c.addresses() {
		u := url.URL{
			Scheme: "amqp", User: url.UserPassword(c.User, c.Password.Reveal()),
			Host: address, Path: "/" + c.VHost, RawPath: "/" + url.PathEscape(c.VHost),
		}
		all = append(all, u.String())
	}
	return strings.Join(all, " ")
}

// line is a channel with its socket.
type line struct {
	*amqp.Channel
	socket *socket
}

// socket is a connection whose writes can be buffered and sent as one.
type socket struct {
	net.Conn
	mu        sync.Mutex
	gathering bool
	gathered  []byte
}

// mostGathered is the most bytes that are buffered; beyond that they are sent at once.
const mostGathered = 64 << 10

// Write buffers p while gathering; flush then returns the error of sending it.
func (s *socket) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.gathering {
		return s.Conn.Write(p)
	}
	s.gathered = append(s.gathered, p...)
	if len(s.gathered) < mostGathered {
		return len(p), nil
	}
	return len(p), s.send()
}

// gather buffers what is written until flush.
func (s *socket) gather() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gathering = true
}

// flush sends what was buffered, in one write.
func (s *socket) flush() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gathering = false
	return s.send()
}

func (s *socket) send() error {
	if len(s.gathered) == 0 {
		return nil
	}
	_, err := s.Conn.Write(s.gathered)
	s.gathered = s.gathered[:0]
	return err
}

// stayConnected calls session with a fresh channel and the topology declared, again and again until ctx ends: a session
// ends when its channel or connection does. A failure is logged once, until a session succeeds.
func stayConnected(ctx context.Context, urls, role string, topology Topology, session func(context.Context, line) error) {
	watch(topology)
	connectedRoles.WithLabelValues(role).Set(0)
	failing := false
	for try := 0; ctx.Err() == nil; try++ {
		start := time.Now()
		err := connect(ctx, urls, role, topology, func(ctx context.Context, ch line) error {
			if failing {
				slog.Info("the broker is back", "role", role)
			}
			failing = false
			return session(ctx, ch)
		})
		if ctx.Err() != nil {
			return
		}
		if time.Since(start) > 10*time.Second {
			try = 0
		}
		if !failing {
			slog.Warn("no connection to the broker; trying again", "role", role, "error", err)
			failing = true
		}
		wait := min(100*time.Millisecond<<min(try, 6), 3*time.Second)
		select {
		case <-ctx.Done():
		case <-time.After(wait/2 + rand.N(wait/2)):
		}
	}
}

// connect runs a session over a new connection, to the first of the addresses in urls that answers, from a random one on
// so that the nodes share the connections.
func connect(ctx context.Context, urls, role string, topology Topology, session func(context.Context, line) error) error {
	addresses := strings.Split(urls, " ")
	first := rand.N(len(addresses))
	var conn *amqp.Connection
	var s *socket
	var err error
	for i := range addresses {
		if conn, s, err = dial(addresses[(first+i)%len(addresses)], role); err == nil {
			break
		}
	}
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := topology.declare(conn); err != nil {
		return err
	}
	ch, err := conn.Channel()
	if err != nil {
		return err
	}
	defer stands(conn, role)()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	// A buffer of one and a reader: an undrained NotifyClose can deadlock the library.
	closed := ch.NotifyClose(make(chan *amqp.Error, 1))
	go func() {
		if e, ok := <-closed; ok {
			cancel(e)
		} else {
			cancel(amqp.ErrClosed)
		}
	}()
	if err := session(ctx, line{ch, s}); err != nil {
		return err
	}
	return context.Cause(ctx)
}

func dial(url, role string) (conn *amqp.Connection, s *socket, err error) {
	conn, err = amqp.DialConfig(url, amqp.Config{
		Heartbeat: 10 * time.Second, Properties: amqp.Table{"connection_name": role},
		Dial: func(network, addr string) (net.Conn, error) {
			conn, err := amqp.DefaultDial(2*time.Second)(network, addr)
			if err != nil {
				return nil, err
			}
			s = &socket{Conn: conn}
			return s, nil
		},
	})
	return conn, s, err
}
