package stack

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
)

// Command runs a part's program once with arguments, in that part's environment: the administrative commands
// that a service's binary has, such as user-service create-admin. It gives what the program printed.
func (s *Stack) Command(ctx context.Context, name string, env []string, args ...string) (string, error) {
	all, err := s.named(name)
	if err != nil {
		return "", err
	}
	p := all[0].server(env).(*program)
	cmd := exec.CommandContext(ctx, p.Process.Command[0], args...)
	cmd.Env = p.Process.Env
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%s %v: %w: %s", filepath.Base(p.Process.Command[0]), args, err, out)
	}
	return string(out), err
}
