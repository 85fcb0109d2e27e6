package native

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// poll is how often a process that is to come up or to go away is looked at.
const poll = 20 * time.Millisecond

// stopGrace is how long Stop waits before it kills, unless Process.Grace says otherwise.
const stopGrace = 15 * time.Second

// logLimit is the size of a log, in bytes, above which a start begins a new one. The last one is kept beside it.
const logLimit = 16 << 20

// Process is one program, started in a session of its own with its output in a
// log file, and found again by its pid file, also by another run of ours.
type Process struct {
	Name    string   // for messages
	Command []string // absolute path of the program, then its arguments
	Env     []string // the whole environment; nothing is inherited
	Dir     string   // working directory
	PidFile string   // written by Start, removed by Stop and Kill
	LogFile string   // stdout and stderr are appended to it

	// As is the user it runs as; nil is the present one.
	As *syscall.Credential
	// Detached processes outlive this one; the others get DeathSignal when it ends, however it ends.
	Detached    bool
	DeathSignal syscall.Signal // default SIGKILL
	StopSignal  syscall.Signal // what Stop sends; default SIGTERM
	Grace       time.Duration  // how long Stop waits before it kills; default 15 s
}

// Start starts the program unless it runs already, and returns at once.
func (p *Process) Start() error {
	if _, ok := p.Running(); ok {
		return nil
	}
	for _, file := range []string{p.PidFile, p.LogFile} {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return fmt.Errorf("start %s: %w", p.Name, err)
		}
	}
	if info, err := os.Stat(p.LogFile); err == nil && info.Size() > logLimit {
		if err := os.Rename(p.LogFile, p.LogFile+".1"); err != nil {
			return fmt.Errorf("start %s: %w", p.Name, err)
		}
	}
	log, err := os.OpenFile(p.LogFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("start %s: %w", p.Name, err)
	}
	defer log.Close()

	cmd := exec.Command(p.Command[0], p.Command[1:]...)
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr = p.Env, p.Dir, log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Credential: p.As}
	if p.Detached {
		err = cmd.Start()
	} else {
		err = startTied(cmd, cmp.Or(p.DeathSignal, syscall.SIGKILL))
	}
	if err != nil {
		return fmt.Errorf("start %s: %w", p.Name, err)
	}
	go cmd.Wait() // so that it does not stay a zombie; how it ended is in its log
	identity, err := identify(cmd.Process.Pid)
	if err != nil {
		return fmt.Errorf("%s ended at once:\n%s", p.Name, p.LogTail(10))
	}
	return os.WriteFile(p.PidFile, []byte(identity), 0o600)
}

// Running tells whether the process of the pid file runs. Its start time is
// compared too, so that a stranger who got the same pid is not taken for it.
func (p *Process) Running() (pid int, ok bool) {
	written, err := os.ReadFile(p.PidFile)
	if err != nil {
		return 0, false
	}
	pid, err = strconv.Atoi(strings.SplitN(string(written), " ", 2)[0])
	if err != nil {
		return 0, false
	}
	identity, err := identify(pid)
	return pid, err == nil && identity == string(written)
}

// Stop ends the process and waits until it is gone. When it does not go within
// its grace, or ctx ends, it is killed.
func (p *Process) Stop(ctx context.Context) error {
	pid, ok := p.Running()
	if !ok {
		os.Remove(p.PidFile)
		return nil
	}
	signal, grace := p.StopSignal, p.Grace
	if signal == 0 {
		signal = syscall.SIGTERM
	}
	if grace == 0 {
		grace = stopGrace
	}
	if err := syscall.Kill(pid, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("stop %s: %w", p.Name, err)
	}
	ctx, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	if p.wait(ctx) {
		os.Remove(p.PidFile)
		return nil
	}
	return p.Kill()
}

// Kill ends the process and its group with SIGKILL, as a crash would, and waits until it is gone.
func (p *Process) Kill() error {
	if pid, ok := p.Running(); ok {
		if err := syscall.Kill(-pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("kill %s: %w", p.Name, err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if !p.wait(ctx) {
			return fmt.Errorf("kill %s: pid %d is still there after SIGKILL", p.Name, pid)
		}
	}
	os.Remove(p.PidFile)
	return nil
}

// Await calls ready until it returns nil. It fails when ctx ends or the process
// does, with the end of its log, which says why.
func (p *Process) Await(ctx context.Context, ready func(context.Context) error) error {
	for {
		err := ready(ctx)
		if err == nil {
			return nil
		}
		if _, ok := p.Running(); !ok {
			return fmt.Errorf("%s ended while starting:\n%s", p.Name, p.LogTail(15))
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready: %w\n%s", p.Name, err, p.LogTail(15))
		case <-time.After(poll):
		}
	}
}

// LogTail returns the last lines of the log, at most 8 KiB.
func (p *Process) LogTail(lines int) string {
	file, err := os.Open(p.LogFile)
	if err != nil {
		return ""
	}
	defer file.Close()
	const limit = 8 << 10
	if info, err := file.Stat(); err == nil && info.Size() > limit {
		file.Seek(-limit, io.SeekEnd)
	}
	text, _ := io.ReadAll(io.LimitReader(file, limit))
	all := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	return string(bytes.Join(all[max(0, len(all)-lines):], []byte("\n")))
}

// wait returns true once the process is gone, false when ctx ends first.
func (p *Process) wait(ctx context.Context) bool {
	for {
		if _, ok := p.Running(); !ok {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-time.After(poll):
		}
	}
}

// Healthy returns nil if url answers 200 within three seconds.
func Healthy(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return errors.New(url + " answers " + response.Status)
	}
	return nil
}
