package stack

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"ticketremaster/platform/kong"
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
	source := filepath.Join(s.options.Root, "api-gateway")
	var real *kong.Server
	if found, _ := kong.Find(); found != "" {
		real = &kong.Server{Conf: filepath.Join(source, "kong.conf"), Prefix: filepath.Join(dir, "kong"),
			Env: append(p.Env, "KONG_NGINX_HTTP_INCLUDE="+filepath.Join(source, "crowd.conf"))}
		p.Command, p.Env = real.Command(), real.Environment()
	}
	p.prepare = func() error {
		template, err := os.ReadFile(filepath.Join(source, "kong.yml"))
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
		if err := os.WriteFile(declaration, filled.Text, 0o600); err != nil || real == nil {
			return err
		}
		if _, runs := p.Running(); runs {
			return nil // its prefix is in use
		}
		return real.Prepare(context.Background())
	}
}
