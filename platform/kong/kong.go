// Package kong runs a Kong 3.6 that is on the machine, for development and tests.
package kong

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
)

// Server is a Kong: nginx on a prefix that `kong prepare` has written. There is no other process, so that
// a signal reaches the one that serves; `kong start` is a chain of them, whose first passes SIGTERM to nobody.
type Server struct {
	Conf   string   // the file of its settings, kong.conf
	Prefix string   // a folder of its own
	Env    []string // KONG_…, over the file's settings
}

// Find returns the paths of a Kong 3.6 on the PATH and of its nginx, or two empty ones. It asks once.
var Find = sync.OnceValues(func() (kong, nginx string) {
	kong, err := exec.LookPath("kong")
	if err != nil {
		return "", ""
	}
	if version, err := exec.Command(kong, "version").Output(); err != nil || !strings.HasPrefix(strings.TrimSpace(string(version)), "3.6.") {
		return "", ""
	}
	for _, nginx := range []string{"/usr/local/openresty/nginx/sbin/nginx", "/opt/openresty/nginx/sbin/nginx", "nginx"} {
		path, err := exec.LookPath(nginx)
		if err != nil {
			continue
		}
		if version, err := exec.Command(path, "-v").CombinedOutput(); err == nil && strings.Contains(string(version), "openresty/") {
			return kong, path
		}
	}
	return "", ""
})

// Environment is what both programs run in: the PATH, and Env for a Kong that is in the foreground and has no admin.
// Root's workers stay root: as nobody, which is Kong's default, they could not enter a prefix in a folder of root's
// own.
func (s Server) Environment() []string {
	env := []string{
		"PATH=" + os.Getenv("PATH"), "KONG_PREFIX=" + s.Prefix, "KONG_NGINX_DAEMON=off", "KONG_ADMIN_LISTEN=off", "KONG_STATUS_LISTEN=off",
		"KONG_PROXY_ACCESS_LOG=off", "KONG_PROXY_ERROR_LOG=/dev/stderr",
	}
	if os.Geteuid() == 0 {
		env = append(env, "KONG_NGINX_USER=root root")
	}
	return append(env, s.Env...)
}

// Prepare writes the prefix anew. An error has what `kong prepare` said.
func (s Server) Prepare(ctx context.Context) error {
	kong, _ := Find()
	cmd := exec.CommandContext(ctx, kong, "prepare", "-c", s.Conf, "-p", s.Prefix)
	cmd.Env = s.Environment()
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("kong prepare: %w: %s", err, out)
	}
	return nil
}

// Command is the one that serves on the prefix, in Environment.
func (s Server) Command() []string {
	_, nginx := Find()
	return []string{nginx, "-p", s.Prefix, "-c", "nginx.conf"}
}
