package main

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"ticketremaster/platform/testenv"
)

// TestMain runs the service itself when a test starts this program again for that.
func TestMain(m *testing.M) {
	if os.Getenv("RUN_THE_SERVICE") != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// service returns this program as the service, with nothing but these variables in its environment.
func service(ctx context.Context, t *testing.T, env ...string) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var output bytes.Buffer
	cmd := exec.CommandContext(ctx, self)
	cmd.Env = append(env, "RUN_THE_SERVICE=yes")
	cmd.Stdout, cmd.Stderr = &output, &output
	return cmd, &output
}

func TestBadConfigurationIsNamedWhole(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	cmd, output := service(ctx, t, "DB_PORT=many", "DB_USER=")
	err := cmd.Run()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("it ended with %v, want status 1", err)
	}
	for _, variable := range []string{"DB_HOST", "DB_PORT", "DB_NAME", "DB_USER", "EVENT_DB_PASS", "EVENT_TOKEN"} {
		if !strings.Contains(output.String(), variable) {
			t.Errorf("%s is not named in:\n%s", variable, output)
		}
	}
}

// SIGTERM ends the service in order: a request in flight is still answered, and the status is 0.
func TestSIGTERMLetsRequestsFinish(t *testing.T) {
	dsn, err := url.Parse(testenv.Postgres(t))
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	password, _ := dsn.User.Password()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	cmd, output := service(ctx, t, "HTTP_ADDR="+addr, "DB_HOST="+dsn.Hostname(), "DB_PORT="+dsn.Port(), "DB_NAME="+strings.TrimPrefix(dsn.Path, "/"),
		"DB_USER="+dsn.User.Username(), "EVENT_DB_PASS="+password, "EVENT_TOKEN=secret")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		res, err := http.Get("http://" + addr + "/health")
		if err == nil {
			res.Body.Close()
			if res.StatusCode == http.StatusOK {
				break
			}
		}
		select {
		case err := <-ended:
			t.Fatalf("it ended: %v\n%s", err, output)
		case <-time.After(20 * time.Millisecond):
		}
	}

	// A request whose body is not complete when the signal comes.
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	send := func(s string) {
		if _, err := conn.Write([]byte(s)); err != nil {
			t.Fatal(err)
		}
	}
	send("POST /events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer secret\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
	answer := make([]byte, 64)
	if n, err := conn.Read(answer); err != nil || !strings.Contains(string(answer[:n]), "100 Continue") {
		t.Fatalf("the handler does not read: %q, %v", answer[:n], err)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for { // it takes no new connections any more
		c, err := net.DialTimeout("tcp", addr, time.Second)
		if err != nil {
			break
		}
		c.Close()
		if ctx.Err() != nil {
			t.Fatal("it goes on listening after SIGTERM")
		}
	}
	send("{}")
	n, err := conn.Read(answer)
	if err != nil || !strings.HasPrefix(string(answer[:n]), "HTTP/1.1 400") {
		t.Errorf("the request in flight got %q, %v", answer[:n], err)
	}
	if err := <-ended; err != nil {
		t.Errorf("it ended with %v\n%s", err, output)
	}
}
