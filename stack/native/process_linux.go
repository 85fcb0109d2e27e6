package native

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// identify returns what tells this process from every other one: its pid, its
// start time in clock ticks and the machine's boot. A zombie is not a process any more, unless
// it is only its first thread that has ended so far: the others still hold its files and ports.
func identify(pid int) (string, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", err
	}
	// The second field is the program's name in parentheses, which may hold spaces.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 20 || (fields[0] == "Z" || fields[0] == "X") && fields[17] == "1" {
		return "", os.ErrProcessDone
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%d %s %s", pid, fields[19], boot), nil
}

// startTied starts cmd and has the kernel send it the signal when this program ends, however it ends.
func startTied(cmd *exec.Cmd, signal syscall.Signal) error {
	cmd.SysProcAttr.Pdeathsig = signal
	result := make(chan error)
	lasting() <- func() { result <- cmd.Start() }
	return <-result
}

// lasting runs functions on one thread that lives as long as the program. The
// kernel sends a parent-death signal when the thread that started the child ends,
// and Go ends threads when it likes.
var lasting = sync.OnceValue(func() chan<- func() {
	work := make(chan func())
	go func() {
		runtime.LockOSThread()
		for f := range work {
			f()
		}
	}()
	return work
})

// lowPriority is how much less of a contended processor those get that give way: a tenth.
const lowPriority = 10

// GiveWay has the program leave the processor to those that do not give way, when both want it; when nobody else does,
// it loses nothing. It is best effort: what cannot be had changes no answer. docs/performance.md has what it gives.
func (p *Process) GiveWay() {
	pid, ok := p.Running()
	if !ok {
		return
	}
	_ = syscall.Setpriority(syscall.PRIO_PGRP, pid, lowPriority)
	// Where the kernel divides the processor between sessions first, as Debian's does, a session has its own. One that
	// is not root's may be changed every 100 ms.
	for range 5 {
		err := os.WriteFile(fmt.Sprintf("/proc/%d/autogroup", pid), []byte(strconv.Itoa(lowPriority)), 0)
		if !errors.Is(err, syscall.EAGAIN) {
			return
		}
		time.Sleep(110 * time.Millisecond)
	}
}
