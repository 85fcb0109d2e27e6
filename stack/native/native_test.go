package native

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	amqp "github.com/rabbitmq/amqp091-go"
)

// spacious returns a folder with a space in its name that PostgreSQL's user can enter.
func spacious(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/var/tmp", "native test ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func query[T any](t *testing.T, url, sql string) T {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	var value T
	if err := conn.QueryRow(t.Context(), sql).Scan(&value); err != nil {
		t.Fatal(err)
	}
	return value
}

func TestPostgresSurvivesACrashAndAHalfMadeCluster(t *testing.T) {
	dir := spacious(t)
	// What an initdb leaves that was killed, and a seed likewise.
	for _, half := range []string{"data.new", "data", "seed.new"} {
		if err := os.MkdirAll(filepath.Join(dir, half, "base"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	p := &Postgres{Dir: dir, User: "alice", Password: "it's me", Database: "seats_db", Seed: filepath.Join(dir, "seed")}
	t.Cleanup(func() { p.Kill() })
	if err := p.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := query[string](t, p.URL(), "SELECT current_user || '@' || current_database() || ' ' || current_setting('fsync')"); got != "alice@seats_db on" {
		t.Errorf("connected as %q", got)
	}
	if got := query[int](t, p.URL(), "WITH t AS (SELECT set_config('x.y', '7', false) AS v) SELECT v::int FROM t"); got != 7 {
		t.Errorf("got %d", got)
	}
	first, _ := p.Running()
	if err := p.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if again, _ := p.Running(); again != first {
		t.Errorf("a second Start replaced process %d by %d", first, again)
	}

	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "data", "postmaster.pid")); err != nil {
		t.Fatalf("the crash left no stale postmaster.pid, so this test tests nothing: %v", err)
	}
	// The pid in it belongs to somebody else by now.
	lock := filepath.Join(dir, "data", "postmaster.pid")
	text, _ := os.ReadFile(lock)
	_, rest, _ := strings.Cut(string(text), "\n")
	if err := os.WriteFile(lock, []byte(strconv.Itoa(os.Getpid())+"\n"+rest), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := p.Start(t.Context()); err != nil {
		t.Fatal(err)
	}

	// Its pid file is lost: the server that still runs is found and replaced.
	if err := os.Remove(filepath.Join(dir, "pid")); err != nil {
		t.Fatal(err)
	}
	if err := p.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	query[int](t, p.URL(), "SELECT 1")
	if err := p.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !PortFree(p.Port) {
		t.Error("the port is still taken after Stop")
	}
}

func TestPostgresRefusesAWrongPassword(t *testing.T) {
	p := &Postgres{Dir: spacious(t), User: "postgres", Password: "right", Database: "postgres", Unsafe: true}
	t.Cleanup(func() { p.Kill() })
	if err := p.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := pgx.Connect(t.Context(), strings.Replace(p.URL(), "right", "wrong", 1)); err == nil || !strings.Contains(err.Error(), "28P01") {
		t.Errorf("connecting with a wrong password: %v", err)
	}
}

func TestRabbitMQKeepsDurableMessagesThroughACrash(t *testing.T) {
	r := &RabbitMQ{Dir: spacious(t), User: "bob", Password: "secret"}
	t.Cleanup(func() { r.Kill() })
	if err := r.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	conn, err := amqp.Dial(r.URL())
	if err != nil {
		t.Fatal(err)
	}
	ch, err := conn.Channel()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ch.QueueDeclare("q", true, false, false, false, nil); err != nil {
		t.Fatal(err)
	}
	if err := ch.Confirm(false); err != nil {
		t.Fatal(err)
	}
	sent, err := ch.PublishWithDeferredConfirm("", "q", true, false, amqp.Publishing{DeliveryMode: amqp.Persistent, Body: []byte("kept")})
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := sent.WaitContext(t.Context()); !ok || err != nil {
		t.Fatalf("confirmed %v: %v", ok, err)
	}

	if err := r.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := r.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	conn, err = amqp.Dial(r.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if ch, err = conn.Channel(); err != nil {
		t.Fatal(err)
	}
	message, ok, err := ch.Get("q", true)
	if err != nil || !ok || string(message.Body) != "kept" {
		t.Errorf("after the crash: %q %v %v", message.Body, ok, err)
	}
	if _, err := net.DialTimeout("tcp", "127.0.0.1:"+strconv.Itoa(r.ManagementPort), time.Second); err != nil {
		t.Errorf("management API: %v", err)
	}
}

func TestProcessIsNotMistakenForAStrangerWithItsPid(t *testing.T) {
	dir := t.TempDir()
	p := &Process{Name: "sleep", Command: []string{"/bin/sleep", "60"}, Dir: "/", PidFile: filepath.Join(dir, "pid"), LogFile: filepath.Join(dir, "log")}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	pid, ok := p.Running()
	if !ok {
		t.Fatal("it does not run")
	}
	written, _ := os.ReadFile(p.PidFile)
	fields := strings.Fields(string(written))
	forged := strings.Replace(string(written), " "+fields[1]+" ", " 1 ", 1)
	if err := os.WriteFile(p.PidFile, []byte(forged), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	if syscall.Kill(pid, 0) != nil {
		t.Error("Kill hit a process that started at another time")
	}
	os.WriteFile(p.PidFile, written, 0o600)
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	if _, ok := p.Running(); ok {
		t.Error("it still runs")
	}
}

func TestWhoGivesWay(t *testing.T) {
	dir := t.TempDir()
	nice := map[string]int{}
	for _, name := range []string{"first", "last"} {
		p := &Process{Name: name, Command: []string{"/bin/sleep", "60"}, Dir: "/", PidFile: filepath.Join(dir, name), LogFile: filepath.Join(dir, "log")}
		if err := p.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { p.Kill() })
		if name == "last" {
			p.GiveWay()
		}
		pid, _ := p.Running()
		raw, err := syscall.Getpriority(syscall.PRIO_PROCESS, pid)
		if err != nil {
			t.Fatal(err)
		}
		nice[name] = 20 - raw // the system call's way to avoid negative numbers
		// "/autogroup-123 nice 10", where the kernel has such groups
		if group, err := os.ReadFile(fmt.Sprintf("/proc/%d/autogroup", pid)); err == nil && !strings.HasSuffix(strings.TrimSpace(string(group)), fmt.Sprintf(" nice %d", nice[name])) {
			t.Errorf("%s: nice %d, but its session: %s", name, nice[name], group)
		}
	}
	if nice["last"] <= nice["first"] {
		t.Errorf("nice: %v", nice)
	}
}

// TestNoPortIsGivenOutTwice draws so many ports that without claims some would come twice, and lets another process ask
// for one of ours.
func TestNoPortIsGivenOutTwice(t *testing.T) {
	if port, err := strconv.Atoi(os.Getenv("NATIVE_TEST_CLAIM")); err == nil {
		if claim(port) {
			os.Exit(1)
		}
		return
	}
	given := map[int]bool{}
	for range 600 {
		port := FreePort()
		if given[port] {
			t.Fatalf("port %d came twice", port)
		}
		given[port] = true
	}
	other := exec.Command(os.Args[0], "-test.run=^TestNoPortIsGivenOutTwice$")
	other.Env = append(os.Environ(), "NATIVE_TEST_CLAIM="+strconv.Itoa(FreePort()))
	if output, err := other.CombinedOutput(); err != nil {
		t.Errorf("another process was given our port: %v\n%s", err, output)
	}
}

// TestBoundProcessEndsWithItsStarter starts this test program again as a starter, and kills that with SIGKILL.
func TestBoundProcessEndsWithItsStarter(t *testing.T) {
	if dir := os.Getenv("NATIVE_TEST_STARTER"); dir != "" {
		for name, detached := range map[string]bool{"bound": false, "detached": true} {
			p := &Process{Name: name, Command: []string{"/bin/sleep", "60"}, Dir: "/", Detached: detached,
				PidFile: filepath.Join(dir, name), LogFile: filepath.Join(dir, "log")}
			if err := p.Start(); err != nil {
				t.Fatal(err)
			}
		}
		os.WriteFile(filepath.Join(dir, "started"), nil, 0o600)
		select {}
	}
	dir := t.TempDir()
	starter := exec.Command(os.Args[0], "-test.run=^TestBoundProcessEndsWithItsStarter$")
	starter.Env = append(os.Environ(), "NATIVE_TEST_STARTER="+dir)
	if err := starter.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { _, err := os.Stat(filepath.Join(dir, "started")); return err == nil })
	bound, detached := &Process{PidFile: filepath.Join(dir, "bound")}, &Process{PidFile: filepath.Join(dir, "detached")}
	if _, ok := bound.Running(); !ok {
		t.Error("the bound process does not run")
	}
	starter.Process.Kill()
	starter.Wait()
	eventually(t, func() bool { _, ok := bound.Running(); return !ok })
	if _, ok := detached.Running(); !ok {
		t.Error("the detached process ended too")
	}
	if err := detached.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestPlaceFallsBackWhenTheServersUserCannotEnter(t *testing.T) {
	if os.Geteuid() != 0 {
		dir := t.TempDir()
		if place, why, err := Place(dir); place != dir || why != "" || err != nil {
			t.Errorf("as an ordinary user: %q, %q, %v", place, why, err)
		}
		return
	}
	closed, err := os.MkdirTemp("/var/tmp", "closed") // mode 0700, root's
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(closed)
	place, why, err := Place(filepath.Join(closed, "run"))
	if err != nil || place == filepath.Join(closed, "run") || why == "" {
		t.Fatalf("%q, %q, %v", place, why, err)
	}
	defer os.RemoveAll(place)
	if again, _, _ := Place(filepath.Join(closed, "run")); again != place {
		t.Errorf("asked twice: %s and %s", place, again)
	}
	open := spacious(t)
	if place, why, err := Place(open); place != open || why != "" || err != nil {
		t.Errorf("reachable: %q, %q, %v", place, why, err)
	}
}

// eventually waits until done returns true, at most 10 s.
func eventually(t *testing.T, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !done(); time.Sleep(poll) {
		if time.Now().After(deadline) {
			t.Fatal("not within 10 s")
		}
	}
}
