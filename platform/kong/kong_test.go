package kong

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A fake `kong` and nginx record their calls: the version is read once, the prefix is prepared with the settings file,
// and nginx itself then serves.
func TestNginxItselfServes(t *testing.T) {
	dir := t.TempDir()
	calls := filepath.Join(dir, "calls")
	for name, answer := range map[string]string{"kong": "3.6.1", "nginx": "nginx version: openresty/1.25.3.1"} {
		script := "#!/bin/sh\necho " + name + " \"$@\" >>" + calls + "\necho " + answer + "\n[ -z \"$KONG_REFUSES\" ]\n"
		if err := os.WriteFile(filepath.Join(dir, name), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir+":/usr/bin:/bin")
	for range 3 {
		if kong, nginx := Find(); kong != filepath.Join(dir, "kong") || !strings.HasSuffix(nginx, "nginx") {
			t.Fatalf("found %q and %q", kong, nginx)
		}
	}
	s := Server{Conf: "/etc/kong.conf", Prefix: "/prefix", Env: []string{"KONG_PROXY_LISTEN=127.0.0.1:1"}}
	if err := s.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	text, _ := os.ReadFile(calls)
	if got := string(text); strings.Count(got, "kong version") != 1 || !strings.Contains(got, "kong prepare -c /etc/kong.conf -p /prefix\n") {
		t.Errorf("called:\n%s", got)
	}
	if got := strings.Join(s.Command(), " "); !strings.HasSuffix(got, "nginx -p /prefix -c nginx.conf") {
		t.Errorf("serves by %s", got)
	}
	s.Env = append(s.Env, "KONG_REFUSES=1")
	if err := s.Prepare(t.Context()); err == nil || !strings.Contains(err.Error(), "3.6.1") {
		t.Errorf("a refusal: %v, want what it said", err)
	}
}
