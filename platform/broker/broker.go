// Package broker publishes to RabbitMQ and consumes from it, through lost connections and restarts:
// publishing never waits for the broker, and a message that cannot be handled is parked, not lost.
package broker

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"net/url"
	"strconv"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"ticketremaster/platform/config"
)

// Config says where the broker is; the names are the reference's.
type Config struct {
	Host     string        `env:"RABBITMQ_HOST,required,notEmpty"`
	Port     int           `env:"RABBITMQ_PORT" envDefault:"5672"`
	User     string        `env:"RABBITMQ_USER,required,notEmpty"`
	Password config.Secret `env:"RABBITMQ_PASS,required,notEmpty"`
	VHost    string        `env:"RABBITMQ_VHOST" envDefault:"/"`
}

// URL gives the broker's address with user and password in it.
func (c Config) URL() string {
	u := url.URL{
		Scheme: "amqp", User: url.UserPassword(c.User, c.Password.Reveal()),
		Host: c.Host + ":" + strconv.Itoa(c.Port), Path: "/" + c.VHost, RawPath: "/" + url.PathEscape(c.VHost),
	}
	return u.String()
}

// stayConnected calls session with a fresh channel, again and again until ctx ends: a session ends when its
// channel or connection does. Failures are told once, until it works again.
func stayConnected(ctx context.Context, url, role string, session func(context.Context, *amqp.Channel) error) {
	failing := false
	for try := 0; ctx.Err() == nil; try++ {
		start := time.Now()
		err := connect(ctx, url, role, func(ctx context.Context, ch *amqp.Channel) error {
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

func connect(ctx context.Context, url, role string, session func(context.Context, *amqp.Channel) error) error {
	conn, err := amqp.DialConfig(url, amqp.Config{
		Heartbeat: 10 * time.Second, Dial: amqp.DefaultDial(2 * time.Second),
		Properties: amqp.Table{"connection_name": role},
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
	if err := session(ctx, ch); err != nil {
		return err
	}
	return context.Cause(ctx)
}
