package stack

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// bin is the folder of the services' binaries.
func (s *Stack) bin() string {
	if s.options.Bin != "" {
		return s.options.Bin
	}
	return filepath.Join(s.dir, "bin")
}

// build builds the programs of the instances in one command, so that shared packages are compiled once. With Go's cache
// it is quick when nothing changed.
func (s *Stack) build(ctx context.Context, instances []*instance) error {
	command := []string{"build", "-trimpath", "-o", s.bin() + string(filepath.Separator)}
	programs := 0
	for _, i := range instances {
		if i.part.binary != "" {
			command = append(command, "./"+i.part.binary)
			programs++
		}
	}
	if programs == 0 || s.options.Bin != "" {
		return nil
	}
	began := time.Now()
	s.say("%-21s %d programs", "build", programs)
	cmd := exec.CommandContext(ctx, "go", command...)
	cmd.Dir = s.options.Root
	cmd.Env = append(os.Environ(), "GOWORK="+filepath.Join(s.options.Root, "go.work")) // also when a test runs with GOWORK=off
	if out, err := cmd.CombinedOutput(); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	s.say("%-21s ready  (%.1fs)", "build", time.Since(began).Seconds())
	return nil
}
