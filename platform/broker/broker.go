// Package broker publishes to RabbitMQ and consumes from it, through lost connections and restarts:
// publishing never waits for the broker, and a message that cannot be handled is parked, not lost.
package broker

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/url"
	"strconv"
	"syscall"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"ticketremaster/platform/config"
)

// Config says where the broker is (docs/internal-api.md#environment).
type Config struct {
	Host     string        `env:"RABBITMQ_HOST,required,notEmpty"`
	Port     uint16        `env:"RABBITMQ_PORT" envDefault:"5672"`
	User     string        `env:"RABBITMQ_USER,required,notEmpty"`
	Password config.Secret `env:"RABBITMQ_PASS,required,notEmpty"`
	VHost    string        `env:"RABBITMQ_VHOST" envDefault:"/"`
}

// URL gives the broker's address with user and password in it.
func (c Config) URL() string {
	u := url.URL{
		Scheme: "amqp", User: url.UserPassword(c.User, c.Password.Reveal()),
		Host: c.Host + ":" + strconv.Itoa(int(c.Port)), Path: "/" + c.VHost, RawPath: "/" + url.PathEscape(c.VHost),
	}
	return u.String()
}

// line is a channel and the socket under it.
type line struct {
	*amqp.Channel
	socket net.Conn
}

// hold keeps what is written from being sent, but for full packets, until it is called with false, or for 200 ms at most. It is best
// effort: what cannot be held is sent at once.
func (l line) hold(on bool) {
	tcp, ok := l.socket.(*net.TCPConn)
	if !ok {
		return
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return
	}
	value := 0
	if on {
		value = 1
	}
	_ = raw.Control(func(fd uintptr) { _ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_CORK, value) })
}

// stayConnected calls session with a fresh channel, again and again until ctx ends: a session ends when its
// channel or connection does. Failures are told once, until it works again.
func stayConnected(ctx context.Context, url, role string, session func(context.Context, line) error) {
	failing := false
	for try := 0; ctx.Err() == nil; try++ {
		start := time.Now()
		err := connect(ctx, url, role, func(ctx context.Context, ch line) error {
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

func connect(ctx context.Context, url, role string, session func(context.Context, line) error) error {
	var socket net.Conn
	conn, err := amqp.DialConfig(url, amqp.Config{
		Heartbeat: 10 * time.Second, Properties: amqp.Table{"connection_name": role},
		Dial: func(network, addr string) (_ net.Conn, err error) {
			socket, err = amqp.DefaultDial(2*time.Second)(network, addr)
			return socket, err
		},
	})
	if err != nil {
		return err
	}
	defer conn.Close()
	ch, err := conn.Channel()
	if err != nil {
		return err
	}
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
	if err := session(ctx, line{ch, socket}); err != nil {
		return err
	}
	return context.Cause(ctx)
}
