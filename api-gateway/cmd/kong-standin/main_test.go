package main

import (
	"bytes"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"ticketremaster/platform/render"
)

// The test binary runs as the command itself on request.
func TestMain(m *testing.M) {
	if os.Getenv("BE_KONG") != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

func kong(env []string, args ...string) (*exec.Cmd, *bytes.Buffer) {
	c := exec.Command(os.Args[0], args...)
	c.Env = append([]string{"BE_KONG=1"}, env...)
	output := &bytes.Buffer{}
	c.Stdout, c.Stderr = output, output
	return c, output
}

// renderedFile is the real kong.yml, rendered.
func renderedFile(t *testing.T) string {
	t.Helper()
	template, err := os.ReadFile("../../kong.yml")
	if err != nil {
		t.Fatal(err)
	}
	env := map[string]string{"USER_SERVICE_URL": "http://127.0.0.1:1", "ORCHESTRATOR_URL": "http://127.0.0.1:1", "JWT_SECRET": "a-secret-of-the-tests-0123456789ab"}
	result, err := render.Render(template, func(name string) (string, bool) { v, ok := env[name]; return v, ok })
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "kong.yml")
	if err := os.WriteFile(path, result.Text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// The stand-in starts, reports health and stops by Kong's command line, environment and signal.
func TestPosesAsKong(t *testing.T) {
	addr := freeAddr(t)
	env := []string{"KONG_DATABASE=off", "KONG_DECLARATIVE_CONFIG=" + renderedFile(t), "KONG_PROXY_LISTEN=127.0.0.1:1 http2 ssl, " + addr + " reuseport backlog=16384"}
	if c, output := kong(env, "health"); c.Run() == nil {
		t.Fatalf("healthy before it runs: %s", output)
	}
	server, output := kong(env, "kong", "docker-start")
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	defer server.Process.Kill()
	deadline := time.Now().Add(10 * time.Second)
	for {
		c, health := kong(env, "health")
		if c.Run() == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("never healthy: %s\n%s", health, output)
		}
	}
	answer, err := http.Get("http://" + addr + "/internal")
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusNotFound {
		t.Errorf("status %d", answer.StatusCode)
	}
	if err := server.Process.Signal(syscall.SIGQUIT); err != nil {
		t.Fatal(err)
	}
	if err := server.Wait(); err != nil {
		t.Errorf("it did not end well: %v\n%s", err, output)
	}
	if !strings.Contains(output.String(), "DEVELOPMENT STAND-IN FOR KONG") {
		t.Errorf("it does not say what it is: %s", output)
	}
}

func TestRefusesToStart(t *testing.T) {
	good := renderedFile(t)
	bad := filepath.Join(t.TempDir(), "kong.yml")
	if err := os.WriteFile(bad, []byte("_format_version: \"3.0\"\nupstreams: []\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	addr := "GATEWAY_ADDR=" + freeAddr(t)
	for name, c := range map[string]struct {
		env, args []string
	}{
		"no file":           {[]string{addr}, nil},
		"missing file":      {[]string{addr, "KONG_DECLARATIVE_CONFIG=/nowhere/kong.yml"}, nil},
		"unknown construct": {[]string{addr, "KONG_DECLARATIVE_CONFIG=" + bad}, []string{"start"}},
		"not rendered":      {[]string{addr, "KONG_DECLARATIVE_CONFIG=../../kong.yml"}, []string{"start"}},
		"a database":        {[]string{addr, "KONG_DECLARATIVE_CONFIG=" + good, "KONG_DATABASE=postgres"}, []string{"start"}},
		"no prefix":         {[]string{addr, "KONG_DECLARATIVE_CONFIG=" + good, "KONG_PREFIX=" + good + "/below"}, nil},
		"another proxy":     {[]string{addr, "KONG_DECLARATIVE_CONFIG=" + good, "KONG_TRUSTED_IPS=0.0.0.0/0"}, []string{"start"}},
		"unknown command":   {nil, []string{"migrations", "bootstrap"}},
		"parse, unknown":    {nil, []string{"config", "parse", bad}},
	} {
		t.Run(name, func(t *testing.T) {
			command, output := kong(c.env, c.args...)
			timer := time.AfterFunc(10*time.Second, func() { command.Process.Kill() })
			defer timer.Stop()
			if command.Run() == nil || command.ProcessState.ExitCode() != 1 {
				t.Errorf("%v: %s", command.ProcessState, output)
			}
		})
	}
	if c, output := kong(nil, "config", "parse", good); c.Run() != nil {
		t.Errorf("the real file: %s", output)
	}
}
