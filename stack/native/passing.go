package native

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
)

// sweeper is the standard input of a shell that waits for this program's end,
// which the kernel tells it by closing the pipe, even after a SIGKILL, and then does what was
// written into it: a program cannot tidy up after its own death.
var sweeper = sync.OnceValues(func() (*os.File, error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer read.Close()
	// The whole input is read before any of it is run.
	cmd := exec.Command("/bin/sh", "-c", `todo=$(cat); eval "$todo"`)
	cmd.Stdin, cmd.Dir = read, "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return write, nil
})

// Afterwards has a shell command run when this program has ended, however it ends.
func Afterwards(command string) error {
	pipe, err := sweeper()
	if err != nil {
		return fmt.Errorf("start what tidies up after this test program: %w", err)
	}
	_, err = fmt.Fprintln(pipe, command)
	return err
}

// PassingDir makes a folder that goes when this program ends. It lies in /var/tmp,
// where PostgreSQL's own user can reach it whatever TMPDIR says.
func PassingDir() (string, error) {
	dir, err := os.MkdirTemp("/var/tmp", "ticketremaster-test-")
	if err != nil {
		return "", err
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return "", err
	}
	// The servers in it are ending at that moment, and may still write.
	command := fmt.Sprintf("for i in 1 2 3 4 5 6 7 8 9 10; do rm -rf %[1]s 2>/dev/null; sleep 0.5; [ -e %[1]s ] || break; done", filepath.Clean(dir))
	return dir, Afterwards(command)
}
