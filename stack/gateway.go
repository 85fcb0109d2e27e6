package stack

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"ticketremaster/platform/render"
)

// asGateway makes p a gateway on a rendered api-gateway/kong.yml: a real Kong 3.6 where one is on the PATH, else the Go
// stand-in.
func asGateway(i *instance, p *program, dir string) {
	s, declaration := i.stack, filepath.Join(dir, "kong.yml")
	values := map[string]string{}
	for _, line := range p.Env {
		name, value, _ := strings.Cut(line, "=")
		values[name] = value
	}
	p.Env = append(p.Env, "KONG_DATABASE=off", "KONG_DECLARATIVE_CONFIG="+declaration, "KONG_PROXY_LISTEN="+i.address("PORT"))
	if kong := realKong(); kong != "" {
		// In the foreground, so that the process is the one of the pid file; its master stops its workers on SIGTERM.
		p.Command = []string{kong, "start"}
		p.Env = append(p.Env, "KONG_NGINX_DAEMON=off", "KONG_ADMIN_LISTEN=off", "KONG_PREFIX="+filepath.Join(dir, "kong"),
			"KONG_PROXY_ACCESS_LOG=off", "KONG_PROXY_ERROR_LOG=/dev/stderr")
	}
	p.prepare = func() error {
		template, err := os.ReadFile(filepath.Join(s.options.Root, "api-gateway", "kong.yml"))
		if err != nil {
			return err
		}
		filled, err := render.Render(template, lookup(values))
		if err != nil {
			return fmt.Errorf("api-gateway/kong.yml: %w", err)
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		return os.WriteFile(declaration, filled.Text, 0o600)
	}
}

// realKong returns the path of a Kong 3.6 on this machine, else "".
func realKong() string {
	kong, err := exec.LookPath("kong")
	if err != nil {
		return ""
	}
	if version, err := exec.Command(kong, "version").Output(); err != nil || !strings.HasPrefix(strings.TrimSpace(string(version)), "3.6.") {
		return ""
	}
	return kong
}
