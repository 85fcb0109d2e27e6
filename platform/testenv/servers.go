package testenv

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// say tells on stderr where the servers come from.
func say(what string) { fmt.Fprintln(os.Stderr, "testenv: "+what) }

// request is what stack/cmd/testservers is asked for, and started what it says of a server; see package testservers
// there.
type (
	request struct {
		Do   string `json:"do"`
		Kind string `json:"kind,omitempty"`
		ID   int    `json:"id,omitempty"`
		URL  string `json:"url,omitempty"`
	}
	started struct {
		ID                     int
		URL, Admin, From, Text string
		Error                  string
	}
)

// starter is the program that starts servers for this one; its standard input's end is its own.
type starter struct {
	mu       sync.Mutex
	requests *json.Encoder
	answers  *json.Decoder
}

var theStarter = sync.OnceValues(func() (*starter, error) {
	root, err := repository()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command("go", "run", "./cmd/testservers")
	cmd.Dir, cmd.Stderr = filepath.Join(root, "stack"), os.Stderr
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=", "GOOS=", "GOARCH=")
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &starter{requests: json.NewEncoder(in), answers: json.NewDecoder(out)}, nil
})

// ask has the starter do something.
func ask(r request) (started, error) {
	s, err := theStarter()
	if err != nil {
		return started{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var answer started
	if err := s.requests.Encode(r); err != nil {
		return answer, err
	}
	if err := s.answers.Decode(&answer); err != nil {
		if errors.Is(err, io.EOF) {
			err = errors.New("go run ./cmd/testservers, in the repository's stack/, ended")
		}
		return answer, err
	}
	if answer.Error != "" {
		return answer, errors.New(answer.Error)
	}
	return answer, nil
}

// start starts a server for all of this test program.
func start(kind string) (started, error) {
	server, err := ask(request{Do: "new", Kind: kind})
	if err == nil {
		say(server.From)
	}
	return server, err
}

// repository finds the repository's root: the folder with go.work, from the test's upward.
func repository() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for from := dir; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.work")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("no go.work in %s or above: this test is not run inside the repository", from)
		}
	}
}

// Server is a server that belongs to one test, which may take it away and bring it
// back. Its address and its durable data survive that. It goes when the test ends.
type Server struct {
	// URL of its database, or of its vhost "/", as superuser.
	URL string

	id int
	t  testing.TB
}

// PrivatePostgres starts a PostgreSQL server for this test alone, with an empty database.
func PrivatePostgres(t testing.TB) *Server {
	t.Helper()
	return private(t, "postgres")
}

// PrivateRabbitMQ starts a RabbitMQ broker for this test alone, with an empty vhost "/".
func PrivateRabbitMQ(t testing.TB) *Server {
	t.Helper()
	return private(t, "rabbitmq")
}

func private(t testing.TB, kind string) *Server {
	t.Helper()
	server, err := ask(request{Do: "new", Kind: kind})
	if err != nil {
		t.Fatalf("testenv: this test needs a server, %s: %v", kind, err)
	}
	t.Cleanup(func() {
		if _, err := ask(request{Do: "kill", ID: server.ID}); err != nil {
			t.Errorf("testenv: %v", err)
		}
	})
	return &Server{server.URL, server.ID, t}
}

// Start brings the server back and returns once it answers.
func (s *Server) Start() { s.t.Helper(); s.do("start") }

// Stop shuts the server down in order, closing its connections.
func (s *Server) Stop() { s.t.Helper(); s.do("stop") }

// Kill ends the server as a crash would.
func (s *Server) Kill() { s.t.Helper(); s.do("kill") }

func (s *Server) do(what string) {
	s.t.Helper()
	if _, err := ask(request{Do: what, ID: s.id}); err != nil {
		s.t.Fatalf("testenv: %v", err)
	}
}
