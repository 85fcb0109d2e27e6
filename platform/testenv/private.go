package testenv

import (
	"context"
	"testing"
)

// Server is a server that belongs to one test, which may take it away and bring it
// back. Its address and its durable data survive that. It goes when the test ends.
type Server struct {
	// URL of its database, or of its vhost "/", as superuser.
	URL string

	server controls
	t      testing.TB
}

// controls are what native servers and containers have in common.
type controls interface {
	Start(context.Context) error
	Stop(context.Context) error
	Kill() error
}

// PrivatePostgres starts a PostgreSQL server for this test alone, with an empty database.
func PrivatePostgres(t testing.TB) *Server {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	if dockerWith(ctx, postgresImage) {
		c := &container{start: startPostgresContainer}
		s := private(t, c)
		s.URL = c.url
		return s
	}
	p, err := nativePostgres()
	if err != nil {
		t.Fatalf("testenv: this test needs PostgreSQL: %v", err)
	}
	s := private(t, p)
	s.URL = p.URL()
	return s
}

// PrivateRabbitMQ starts a RabbitMQ broker for this test alone, with an empty vhost "/".
func PrivateRabbitMQ(t testing.TB) *Server {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	if dockerWith(ctx, rabbitImage) {
		c := &container{start: startRabbitContainer}
		s := private(t, c)
		s.URL = c.url
		return s
	}
	r, err := nativeRabbitMQ()
	if err != nil {
		t.Fatalf("testenv: this test needs RabbitMQ: %v", err)
	}
	s := private(t, r)
	s.URL = r.URL()
	return s
}

func private(t testing.TB, server controls) *Server {
	t.Helper()
	s := &Server{server: server, t: t}
	t.Cleanup(func() {
		if err := server.Kill(); err != nil {
			t.Errorf("testenv: %v", err)
		}
	})
	s.Start()
	return s
}

// Start brings the server back and returns once it answers.
func (s *Server) Start() { s.t.Helper(); s.do(s.server.Start) }

// Stop shuts the server down in order, closing its connections.
func (s *Server) Stop() { s.t.Helper(); s.do(s.server.Stop) }

// Kill ends the server as a crash would.
func (s *Server) Kill() {
	s.t.Helper()
	s.do(func(context.Context) error { return s.server.Kill() })
}

func (s *Server) do(action func(context.Context) error) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	if err := action(ctx); err != nil {
		s.t.Fatalf("testenv: %v", err)
	}
}
