package native

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// MinPostgres is the oldest major version that the project's SQL runs on.
const MinPostgres = 15

// Postgres is one PostgreSQL cluster on 127.0.0.1, with password authentication
// and no Unix socket. Fill in the fields, then Start.
type Postgres struct {
	Name     string // for messages; default "postgres"
	Dir      string // everything of it is in here; Place says which folders will do
	Port     int    // 0: a free one, chosen at the first Start and kept
	User     string // superuser
	Password string
	Database string // made with the cluster

	// Seed is a folder that holds a pristine cluster, made when missing. Several
	// clusters that share one are copies, which is faster than initdb for each.
	Seed string
	// Unsafe gives up durability for speed: for tests.
	Unsafe bool
	// Detached: see Process.
	Detached bool
	LogFile  string   // default Dir/log
	Settings []string // more settings, each name=value

	process *Process
}

// Start brings the cluster up and returns once it answers. A cluster that is not
// there is made first; one whose making was interrupted is made again; one that
// was killed recovers; one that runs is left alone.
func (p *Postgres) Start(ctx context.Context) error {
	if err := p.prepare(); err != nil {
		return err
	}
	if _, ok := p.process.Running(); ok {
		return p.process.Await(ctx, p.ping)
	}
	as := p.process.As
	if err := p.initialise(ctx, as); err != nil {
		return fmt.Errorf("%s: %w", p.Name, err)
	}
	if err := p.clearStale(ctx); err != nil {
		return fmt.Errorf("%s: %w", p.Name, err)
	}
	deadline := time.Now().Add(10 * time.Second)
	for {
		if err := p.process.Start(); err != nil {
			return err
		}
		err := p.process.Await(ctx, p.ping)
		// The children of a postmaster that was killed need a moment to notice.
		if err != nil && strings.Contains(err.Error(), "is still in use") && time.Now().Before(deadline) {
			continue
		}
		return err
	}
}

// Stop shuts the cluster down, closing its connections.
func (p *Postgres) Stop(ctx context.Context) error {
	if err := p.prepare(); err != nil {
		return err
	}
	return p.process.Stop(ctx)
}

// Kill ends the cluster as a crash would; a Start recovers it.
func (p *Postgres) Kill() error {
	if err := p.prepare(); err != nil {
		return err
	}
	return p.process.Kill()
}

// Running tells whether the cluster's process is there.
func (p *Postgres) Running() (pid int, ok bool) {
	if p.prepare() != nil {
		return 0, false
	}
	return p.process.Running()
}

// URL is the connection string of the cluster's database.
func (p *Postgres) URL() string {
	u := url.URL{Scheme: "postgres", User: url.UserPassword(p.User, p.Password),
		Host: "127.0.0.1:" + strconv.Itoa(p.Port), Path: "/" + p.Database, RawQuery: "sslmode=disable"}
	return u.String()
}

func (p *Postgres) data() string { return filepath.Join(p.Dir, "data") }

// prepare fills in the defaults and the command.
func (p *Postgres) prepare() error {
	if p.process != nil {
		return nil
	}
	bin, err := PostgresBin()
	if err != nil {
		return err
	}
	as, _, err := unprivileged()
	if err != nil {
		return err
	}
	if p.Name == "" {
		p.Name = "postgres"
	}
	if p.LogFile == "" {
		p.LogFile = filepath.Join(p.Dir, "log")
	}
	if p.Port == 0 {
		p.Port = FreePort()
	}
	settings := append([]string{"listen_addresses=127.0.0.1", "port=" + strconv.Itoa(p.Port), "unix_socket_directories=",
		"password_encryption=scram-sha-256", "timezone=UTC", "log_timezone=UTC", "max_connections=200"}, p.Settings...)
	if p.Unsafe {
		settings = append(settings, "fsync=off", "synchronous_commit=off", "full_page_writes=off")
	}
	command := []string{filepath.Join(bin, "postgres"), "-D", p.data()}
	for _, setting := range settings {
		command = append(command, "-c", setting)
	}
	p.process = &Process{
		Name: p.Name, Command: command, Env: postgresEnv, Dir: "/", As: as, Detached: p.Detached,
		PidFile: filepath.Join(p.Dir, "pid"), LogFile: p.LogFile,
		StopSignal:  syscall.SIGINT,  // "fast": does not wait for clients
		DeathSignal: syscall.SIGQUIT, // "immediate": its children and shared memory go with it
	}
	return nil
}

var postgresEnv = []string{"PATH=/usr/bin:/bin", "LANG=C.UTF-8", "LC_ALL=C.UTF-8", "TZ=UTC"}

func (p *Postgres) ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, p.URL())
	if err != nil {
		return err
	}
	return conn.Close(ctx)
}

// initialise makes the cluster unless it is there. It is made beside its place
// and moved there at the end: what has the name is complete.
func (p *Postgres) initialise(ctx context.Context, as *syscall.Credential) error {
	if _, err := os.Stat(filepath.Join(p.data(), "PG_VERSION")); err == nil {
		return nil
	}
	if strings.ContainsAny(p.User+p.Password+p.Database, "\n\"\\") || p.User == "" || p.Password == "" || p.Database == "" {
		return errors.New("user, password and database must be set, without quotes, backslashes and line ends")
	}
	if err := os.MkdirAll(p.Dir, 0o755); err != nil {
		return err
	}
	fresh := p.data() + ".new"
	for _, halfMade := range []string{p.data(), fresh} {
		if err := os.RemoveAll(halfMade); err != nil {
			return err
		}
	}
	if p.Seed == "" {
		if err := p.initdb(ctx, fresh, as); err != nil {
			return err
		}
	} else {
		if err := p.sow(ctx, as); err != nil {
			return err
		}
		if out, err := exec.CommandContext(ctx, "cp", "-a", "--reflink=auto", p.Seed, fresh).CombinedOutput(); err != nil {
			return fmt.Errorf("copy the seed cluster: %w: %s", err, out)
		}
	}
	// Single-user mode needs no password, no port and no second start. A command is a line.
	commands := `CREATE ROLE "` + p.User + `" SUPERUSER LOGIN PASSWORD '` + strings.ReplaceAll(p.Password, "'", "''") + "'\n"
	if p.User == "postgres" {
		commands = strings.Replace(commands, "CREATE", "ALTER", 1)
	}
	if p.Database != "postgres" {
		commands += `CREATE DATABASE "` + p.Database + `" OWNER "` + p.User + "\"\n"
	}
	if err := p.run(ctx, as, commands, "postgres", "--single", "-D", fresh, "-c", "fsync=off",
		"-c", "password_encryption=scram-sha-256", "-c", "exit_on_error=true", "postgres"); err != nil {
		return err
	}
	if !p.Unsafe {
		if err := p.run(ctx, as, "", "initdb", "--sync-only", "-D", fresh); err != nil {
			return err
		}
	}
	return os.Rename(fresh, p.data())
}

// sowing lets clusters that start at the same time make their seed once.
var sowing sync.Mutex

func (p *Postgres) sow(ctx context.Context, as *syscall.Credential) error {
	sowing.Lock()
	defer sowing.Unlock()
	if _, err := os.Stat(p.Seed); err == nil {
		return nil
	}
	if err := os.RemoveAll(p.Seed + ".new"); err != nil {
		return err
	}
	if err := p.initdb(ctx, p.Seed+".new", as); err != nil {
		return err
	}
	return os.Rename(p.Seed+".new", p.Seed)
}

// initdb makes a cluster with a superuser postgres who has no password yet and so cannot log in.
func (p *Postgres) initdb(ctx context.Context, dir string, as *syscall.Credential) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if as != nil {
		if err := os.Chown(dir, int(as.Uid), int(as.Gid)); err != nil {
			return err
		}
	}
	if err := p.run(ctx, as, "", "initdb", "-D", dir, "-U", "postgres", "--auth=reject",
		"-E", "UTF8", "--locale=C.UTF-8", "--no-sync", "--no-instructions"); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "pg_hba.conf"), []byte("host all all 127.0.0.1/32 scram-sha-256\n"), 0o600)
}

// run runs one of PostgreSQL's programs to its end, as the cluster's user.
func (p *Postgres) run(ctx context.Context, as *syscall.Credential, input, program string, args ...string) error {
	cmd := exec.CommandContext(ctx, filepath.Join(filepath.Dir(p.process.Command[0]), program), args...)
	cmd.Env, cmd.Dir, cmd.Stdin = postgresEnv, "/", strings.NewReader(input)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: as}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", program, err, out)
	}
	return nil
}

// clearStale deals with the postmaster.pid that a killed server leaves. Should a
// server of this very folder still run though our pid file is lost, it is stopped;
// should the pid have gone to somebody else, the file is removed, because PostgreSQL would
// take that process for a running server.
func (p *Postgres) clearStale(ctx context.Context) error {
	lock := filepath.Join(p.data(), "postmaster.pid")
	text, err := os.ReadFile(lock)
	if err != nil {
		return nil
	}
	pid, err := strconv.Atoi(strings.SplitN(string(text), "\n", 2)[0])
	if err != nil {
		return os.Remove(lock)
	}
	commandLine, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if !slices.Contains(strings.Split(string(commandLine), "\x00"), p.data()) {
		return os.Remove(lock)
	}
	identity, err := identify(pid)
	if err != nil {
		return os.Remove(lock)
	}
	if err := os.WriteFile(p.process.PidFile, []byte(identity), 0o600); err != nil {
		return err
	}
	return p.process.Stop(ctx)
}

// PostgresBin returns the folder of the newest PostgreSQL's programs on this
// machine: of Debian's packages, else of the PATH. The error says what to install.
func PostgresBin() (string, error) {
	dirs, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	best, newest := "", MinPostgres-1
	for _, dir := range dirs {
		version, err := strconv.Atoi(filepath.Base(filepath.Dir(dir)))
		if _, missing := os.Stat(filepath.Join(dir, "initdb")); err == nil && missing == nil && version > newest {
			best, newest = dir, version
		}
	}
	if best != "" {
		return best, nil
	}
	initdb, err := exec.LookPath("initdb")
	if err == nil {
		initdb, err = filepath.EvalSymlinks(initdb)
	}
	if err == nil {
		out, _ := exec.Command(initdb, "--version").Output() // "initdb (PostgreSQL) 16.4"
		fields := strings.FieldsFunc(string(out), func(r rune) bool { return r == ' ' || r == '.' })
		if len(fields) > 2 {
			if version, err := strconv.Atoi(fields[2]); err == nil && version >= MinPostgres {
				return filepath.Dir(initdb), nil
			}
		}
	}
	return "", fmt.Errorf("no PostgreSQL %d or newer on this machine: %s", MinPostgres, InstallCommand("postgresql"))
}
