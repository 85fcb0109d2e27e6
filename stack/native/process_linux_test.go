package native

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// TestWhoIsKilledHoldsNoPort kills a program of many threads, of which the first may end long before the last: a port
// is free once Kill has returned.
func TestWhoIsKilledHoldsNoPort(t *testing.T) {
	if port := os.Getenv("NATIVE_TEST_PORT"); port != "" {
		if _, err := net.Listen("tcp", "127.0.0.1:"+port); err != nil {
			t.Fatal(err)
		}
		for range 400 {
			go func() { runtime.LockOSThread(); syscall.Nanosleep(&syscall.Timespec{Sec: 60}, nil) }()
		}
		time.Sleep(time.Minute)
	}
	port := FreePort()
	dir := t.TempDir()
	for n := range 20 {
		p := &Process{Name: "listener", Command: []string{os.Args[0], "-test.run=^TestWhoIsKilledHoldsNoPort$"},
			Env: append(os.Environ(), "NATIVE_TEST_PORT="+strconv.Itoa(port)), Dir: "/", PidFile: filepath.Join(dir, "pid"), LogFile: filepath.Join(dir, "log")}
		if err := p.Start(); err != nil {
			t.Fatal(err)
		}
		pid, _ := p.Running()
		eventually(t, func() bool {
			threads, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
			return len(threads) > 400 && !PortFree(port)
		})
		if err := p.Kill(); err != nil {
			t.Fatal(err)
		}
		if !PortFree(port) {
			t.Fatalf("killed %d times, it holds its port", n+1)
		}
	}
}
