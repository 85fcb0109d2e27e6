package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The test binary runs as the command itself on request.
func TestMain(m *testing.M) {
	if os.Getenv("BE_RENDER") != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

func command(t *testing.T, env []string, args ...string) (output string, status int) {
	t.Helper()
	c := exec.Command(os.Args[0], args...)
	c.Env = append([]string{"BE_RENDER=1", "PATH=" + os.Getenv("PATH")}, env...)
	text, err := c.CombinedOutput()
	if c.ProcessState == nil {
		t.Fatal(err)
	}
	return string(text), c.ProcessState.ExitCode()
}

func TestCommand(t *testing.T) {
	in, out := filepath.Join(t.TempDir(), "in.json"), filepath.Join(t.TempDir(), "out file.json")
	if err := os.WriteFile(in, []byte(`{"a": "${A}", "b": "${B}"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if text, status := command(t, nil, in); status != 2 {
		t.Errorf("without OUT: %d %s", status, text)
	}
	text, status := command(t, []string{"C=1"}, in, out)
	if status != 1 || !strings.Contains(text, "A is missing") || !strings.Contains(text, "B is missing") {
		t.Errorf("missing variables: %d %s", status, text)
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("a file is written though variables are missing")
	}
	if text, status := command(t, []string{"A=change_me", "B=2"}, in, out); status != 0 || !strings.Contains(text, "WARNING") {
		t.Errorf("a placeholder: %d %s", status, text)
	}
	if text, status := command(t, []string{"A=change_me", "B=2", "APP_ENV=production"}, in, out); status != 1 {
		t.Errorf("a placeholder in production: %d %s", status, text)
	}
	text, status = command(t, []string{"A=1", "B=2"}, in, out, "cat", out)
	if status != 0 || text != `{"a": "1", "b": "2"}` {
		t.Errorf("then becoming cat: %d %s", status, text)
	}
	if info, err := os.Stat(out); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if text, status := command(t, []string{"A=1", "B=2"}, in, out, "no-such-command"); status != 1 {
		t.Errorf("unknown command: %d %s", status, text)
	}
}
