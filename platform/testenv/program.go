package testenv

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// runProgram is the variable by which a test program knows that it was started as the program under test.
const runProgram = "TESTENV_RUN_PROGRAM"

// RunMain is a TestMain for the tests of a program: main instead of the tests where Program has started it.
func RunMain(m *testing.M, main func()) {
	if IsProgram() {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// IsProgram tells whether this process is the program under test.
func IsProgram() bool { return os.Getenv(runProgram) != "" }

// Program is the program under test as a process of its own. Variables not in env it does not have.
type Program struct {
	*exec.Cmd
	Output *bytes.Buffer
	ended  chan error
}

// NewProgram returns the program, not started yet; what remains of it is killed when the test ends.
func NewProgram(t testing.TB, env []string, args ...string) *Program {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &Program{Cmd: exec.CommandContext(t.Context(), self, args...), Output: &bytes.Buffer{}, ended: make(chan error, 1)}
	p.Env = append(env, runProgram+"=yes")
	p.Stdout, p.Stderr = p.Output, p.Output
	return p
}

// Serve starts the program and returns once GET /health at addr is 200.
func (p *Program) Serve(t testing.TB, addr string) {
	t.Helper()
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.ended <- p.Wait() }()
	for deadline := time.Now().Add(30 * time.Second); Health(addr) != http.StatusOK; time.Sleep(20 * time.Millisecond) {
		select {
		case err := <-p.ended:
			t.Fatalf("it ended: %v\n%s", err, p.Output)
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("it is not healthy (%d)", Health(addr))
		}
	}
}

// Ends waits for the program's end, which must be in order.
func (p *Program) Ends(t testing.TB) {
	t.Helper()
	select {
	case err := <-p.ended:
		if err != nil {
			t.Errorf("it ended with %v\n%s", err, p.Output)
		}
	case <-time.After(30 * time.Second):
		t.Error("it does not end")
	}
}

// Health returns the status of GET /health at addr, 0 if there is no answer.
func Health(addr string) int {
	client := http.Client{Timeout: 5 * time.Second}
	res, err := client.Get("http://" + addr + "/health")
	if err != nil {
		return 0
	}
	res.Body.Close()
	return res.StatusCode
}

func metricsPage(t testing.TB, addr string) string {
	t.Helper()
	res, err := http.Get("http://" + addr + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// FreeAddr returns an address on this machine that nobody listened on a moment ago.
func FreeAddr(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// ServiceProgram tests what is the same in every service's program: without its settings it names each of them and ends
// with status 1; with them it becomes healthy, tells so to its own health command, and ends in order on SIGTERM.
// password is the variable of its database's password, required its other settings that have no default, also more
// settings.
func ServiceProgram(t *testing.T, password string, required []string, also ...string) {
	t.Helper()
	required = append(DatabaseEnv(t, password), required...)
	t.Run("every setting that is missing or malformed is named at once", func(t *testing.T) {
		p := NewProgram(t, []string{"DB_PORT=many", "RABBITMQ_PORT=many", "DB_USER="})
		err := p.Run()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != 1 {
			t.Errorf("it ended with %v", err)
		}
		for _, variable := range required {
			if name, _, _ := strings.Cut(variable, "="); name != "RABBITMQ_VHOST" && !strings.Contains(p.Output.String(), name) {
				t.Errorf("%s is not named in:\n%s", name, p.Output)
			}
		}
	})
	t.Run("it starts, and SIGTERM ends it in order", func(t *testing.T) {
		addr := FreeAddr(t)
		env := append(append(required, also...), "HTTP_ADDR="+addr)
		p := NewProgram(t, env)
		p.Serve(t, addr)
		page := metricsPage(t, addr)
		for _, want := range []string{"ticketremaster_build_info{", "ticketremaster_db_connections_max ", "ticketremaster_source_up{source=\"", "go_goroutines "} {
			if !strings.Contains(page, want) {
				t.Errorf("GET /metrics has no %s:\n%s", want, page)
			}
		}
		if check := NewProgram(t, env, "health"); check.Run() != nil {
			t.Errorf("its own health check: %s", check.Output)
		}
		if err := p.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		p.Ends(t)
	})
}

// DatabaseEnv returns the settings of a fresh database; password is the variable of its password.
func DatabaseEnv(t testing.TB, password string) []string {
	t.Helper()
	return AddressEnv(t, Postgres(t), password)
}

// AddressEnv returns the settings of the database at that URL.
func AddressEnv(t testing.TB, dsn, password string) []string {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	secret, _ := u.User.Password()
	return []string{"DB_HOST=" + u.Hostname(), "DB_PORT=" + u.Port(), "DB_NAME=" + strings.TrimPrefix(u.Path, "/"), "DB_USER=" + u.User.Username(), password + "=" + secret}
}

// BrokerEnv returns the settings of a fresh vhost.
func BrokerEnv(t testing.TB) []string {
	t.Helper()
	u, err := url.Parse(RabbitMQ(t))
	if err != nil {
		t.Fatal(err)
	}
	secret, _ := u.User.Password()
	return []string{"RABBITMQ_HOST=" + u.Hostname(), "RABBITMQ_PORT=" + u.Port(), "RABBITMQ_USER=" + u.User.Username(), "RABBITMQ_PASS=" + secret,
		"RABBITMQ_VHOST=" + strings.TrimPrefix(u.Path, "/")}
}
