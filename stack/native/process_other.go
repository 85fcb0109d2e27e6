//go:build !linux

package native

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

// identify returns what tells this process from every other one: its pid and when it started. A zombie is not a process
// any more.
func identify(pid int) (string, error) {
	out, err := exec.Command("ps", "-o", "stat=,lstart=", "-p", strconv.Itoa(pid)).Output()
	state, started, found := strings.Cut(strings.TrimSpace(string(out)), " ")
	if err != nil || !found || strings.HasPrefix(state, "Z") {
		return "", os.ErrProcessDone
	}
	return fmt.Sprintf("%d %s", pid, strings.TrimSpace(started)), nil
}

// startTied starts cmd and has it sent the signal once this program has ended, however it ends.
func startTied(cmd *exec.Cmd, signal syscall.Signal) error {
	if err := cmd.Start(); err != nil {
		return err
	}
	return Afterwards(fmt.Sprintf("kill -%d -%d 2>/dev/null", signal, cmd.Process.Pid))
}

// GiveWay does nothing here: on Linux it has the program leave the processor to others.
func (p *Process) GiveWay() {}
