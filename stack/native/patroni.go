package native

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// nodes is how many there are of a replicated server: the fewest that go on, and know that they are the majority, when
// one is gone.
const nodes = 3

// Patroni is a PostgreSQL cluster of three nodes on 127.0.0.1. One node takes writes, and no commit is answered before
// another node has it (synchronous_mode_strict). When the writing node is gone for ttl, Patroni promotes one that has
// all. Fill in the fields, then Start; a node is addressed by its number, from 0. It needs Debian's packages patroni and
// etcd-server (see Install), and its processes are bound.
type Patroni struct {
	Name     string // of the cluster, and for messages
	Dir      string // everything of it is in here; Place says which folders will do
	Etcd     *Etcd  // where the nodes agree on who writes
	User     string // a superuser, made with the database
	Password string // the user's, and that of postgres
	Database string

	nodes []*patroniNode
}

type patroniNode struct {
	name, data string
	port, rest int
	process    *Process
}

// The times by which a dead primary is replaced, in seconds: its key in etcd ends after ttl, the others look each
// loopWait, and a node without etcd gives up after retryTimeout. Patroni demands ttl ≥ loopWait + 2 × retryTimeout.
const (
	ttl          = 10
	loopWait     = 2
	retryTimeout = 3
)

// Start brings all nodes up and returns once the cluster has a primary and two standbys, one of them synchronous, and
// User can connect.
func (p *Patroni) Start(ctx context.Context) error {
	if err := p.prepare(); err != nil {
		return fmt.Errorf("%s: %w", p.Name, err)
	}
	for n := range p.nodes {
		if err := p.StartNode(n); err != nil {
			return err
		}
	}
	if err := p.AwaitWhole(ctx); err != nil {
		return err
	}
	return p.nodes[0].process.Await(ctx, p.create)
}

// AwaitWhole waits until all three nodes work, one of them as the synchronous standby.
func (p *Patroni) AwaitWhole(ctx context.Context) error {
	for {
		roles, err := p.roles(ctx)
		if err == nil && roles["leader"] == 1 && roles["sync_standby"] == 1 && roles["replica"] == 1 {
			return nil
		}
		for _, node := range p.nodes {
			if _, ok := node.process.Running(); !ok {
				return fmt.Errorf("%s ended:\n%s", node.name, node.process.LogTail(15))
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s is not whole: %v, %w\n%s", p.Name, roles, errors.Join(err, ctx.Err()), p.nodes[0].process.LogTail(15))
		case <-time.After(10 * poll):
		}
	}
}

// StartNode starts a node's Patroni, which starts its PostgreSQL, and returns at once.
func (p *Patroni) StartNode(n int) error { return p.nodes[n].process.Start() }

// KillNode ends a node's Patroni and PostgreSQL with SIGKILL, as the end of its machine would.
func (p *Patroni) KillNode(n int) error {
	node := p.nodes[n]
	err := node.process.Kill() // first: it would start PostgreSQL again
	postmaster := serverOf(node.data)
	if postmaster == 0 {
		return err
	}
	children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", postmaster, postmaster))
	for _, pid := range append([]string{strconv.Itoa(postmaster)}, strings.Fields(string(children))...) {
		if pid, notNumber := strconv.Atoi(pid); notNumber == nil {
			if killed := syscall.Kill(pid, syscall.SIGKILL); killed != nil && !errors.Is(killed, syscall.ESRCH) {
				err = errors.Join(err, killed)
			}
		}
	}
	for deadline := time.Now().Add(10 * time.Second); serverOf(node.data) != 0; time.Sleep(poll) {
		if time.Now().After(deadline) {
			return errors.Join(err, fmt.Errorf("%s: PostgreSQL %d is still there after SIGKILL", node.name, postmaster))
		}
	}
	return err
}

// Kill ends all nodes.
func (p *Patroni) Kill() error {
	var all []error
	for n := range p.nodes {
		all = append(all, p.KillNode(n))
	}
	return errors.Join(all...)
}

// Primary is the number of the node that takes writes, as the cluster believes at the moment.
func (p *Patroni) Primary(ctx context.Context) (int, error) {
	members, err := p.members(ctx)
	for _, m := range members {
		if m.Role == "leader" {
			for n, node := range p.nodes {
				if node.name == m.Name {
					return n, nil
				}
			}
		}
	}
	return 0, errors.Join(err, fmt.Errorf("%s has no primary: %v", p.Name, members))
}

// Addresses are the nodes' as DB_HOSTS takes them.
func (p *Patroni) Addresses() string {
	var all []string
	for _, node := range p.nodes {
		all = append(all, "127.0.0.1:"+strconv.Itoa(node.port))
	}
	return strings.Join(all, ",")
}

func (p *Patroni) url(user, database string) string {
	u := url.URL{Scheme: "postgres", User: url.UserPassword(user, p.Password), Host: p.Addresses(), Path: "/" + database,
		RawQuery: "sslmode=disable&target_session_attrs=read-write&connect_timeout=2"}
	return u.String()
}

type member struct{ Name, Role, State string }

// members asks the nodes, one after the other, for the state of all.
func (p *Patroni) members(ctx context.Context) ([]member, error) {
	var last error
	for _, node := range p.nodes {
		var cluster struct{ Members []member }
		if last = p.ask(ctx, node, &cluster); last == nil {
			return cluster.Members, nil
		}
	}
	return nil, last
}

func (p *Patroni) ask(ctx context.Context, node *patroniNode, into any) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d/cluster", node.rest), nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	return json.NewDecoder(response.Body).Decode(into)
}

// roles counts the members that work by their role.
func (p *Patroni) roles(ctx context.Context) (map[string]int, error) {
	members, err := p.members(ctx)
	roles := map[string]int{}
	for _, m := range members {
		if m.State == "running" || m.State == "streaming" {
			roles[m.Role]++
		}
	}
	return roles, err
}

// create makes the user and the database.
func (p *Patroni) create(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, p.url("postgres", "postgres"))
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	user, database := pgx.Identifier{p.User}.Sanitize(), pgx.Identifier{p.Database}.Sanitize()
	for _, command := range []string{
		`CREATE ROLE ` + user + ` SUPERUSER LOGIN PASSWORD '` + strings.ReplaceAll(p.Password, "'", "''") + `'`,
		`CREATE DATABASE ` + database + ` OWNER ` + user,
	} {
		if _, err := conn.Exec(ctx, command); err != nil && !strings.Contains(err.Error(), "already exists") {
			return err
		}
	}
	there, err := pgx.Connect(ctx, p.url(p.User, p.Database)) // a standby may still be without it
	if err != nil {
		return err
	}
	return there.Close(ctx)
}

// prepare writes the nodes' configuration, and has their servers end with this program, however it ends.
func (p *Patroni) prepare() error {
	if p.nodes != nil {
		return nil
	}
	bin, err := PostgresBin()
	if err != nil {
		return err
	}
	patroni, err := exec.LookPath("patroni")
	if err != nil {
		return fmt.Errorf("patroni is not on the PATH: %s", InstallCommand("patroni"))
	}
	as, _, err := unprivileged()
	if err != nil {
		return err
	}
	for n := range nodes {
		name := fmt.Sprintf("%s-%d", p.Name, n)
		dir := filepath.Join(p.Dir, name)
		if err := errors.Join(os.MkdirAll(p.Dir, 0o755), os.MkdirAll(dir, 0o700)); err != nil {
			return err
		}
		node := &patroniNode{name: name, data: filepath.Join(dir, "data"), port: FreePort(), rest: FreePort()}
		settings, err := json.MarshalIndent(p.settings(node, dir, bin), "", " ") // JSON is YAML, too
		if err != nil {
			return err
		}
		file := filepath.Join(dir, "patroni.yml")
		if err := os.WriteFile(file, settings, 0o600); err != nil {
			return err
		}
		if as != nil {
			if err := errors.Join(os.Chown(dir, int(as.Uid), int(as.Gid)), os.Chown(file, int(as.Uid), int(as.Gid))); err != nil {
				return err
			}
		}
		node.process = &Process{Name: name, Command: []string{patroni, file}, Env: postgresEnv, Dir: "/", As: as,
			PidFile: filepath.Join(p.Dir, name+".pid"), LogFile: filepath.Join(p.Dir, name+".log")}
		// Patroni dies with us and leaves its PostgreSQL, which is not our child.
		if err := Afterwards(fmt.Sprintf(`for p in /proc/[0-9]*; do tr '\0' '\n' <$p/cmdline 2>/dev/null | grep -qxF -e '%[1]s' -e '--data_directory=%[1]s' && kill -QUIT ${p#/proc/}; done`, node.data)); err != nil {
			return err
		}
		p.nodes = append(p.nodes, node)
	}
	return nil
}

// settings is a node's patroni.yml.
func (p *Patroni) settings(node *patroniNode, dir, bin string) map[string]any {
	listen := func(port int) string { return "127.0.0.1:" + strconv.Itoa(port) }
	return map[string]any{
		"scope": p.Name, "name": node.name,
		"restapi": map[string]any{"listen": listen(node.rest), "connect_address": listen(node.rest)},
		"etcd3":   map[string]any{"hosts": p.Etcd.Addresses()},
		"bootstrap": map[string]any{
			"dcs": map[string]any{
				"ttl": ttl, "loop_wait": loopWait, "retry_timeout": retryTimeout,
				"master_start_timeout": 0, // a primary that crashed is replaced, not waited for
				"synchronous_mode":     true, "synchronous_mode_strict": true,
				"postgresql": map[string]any{
					"use_pg_rewind": true, "use_slots": true,
					"parameters": map[string]any{"max_connections": 200, "wal_keep_size": "256MB", "shared_buffers": "64MB"},
				},
			},
			"initdb": []any{map[string]any{"encoding": "UTF8"}, "data-checksums", map[string]any{"locale": "C.UTF-8"}},
			"pg_hba": []any{"host replication replicator 127.0.0.1/32 scram-sha-256", "host all all 127.0.0.1/32 scram-sha-256"},
		},
		"postgresql": map[string]any{
			"listen": listen(node.port), "connect_address": listen(node.port), "data_dir": node.data, "bin_dir": bin,
			"pgpass": filepath.Join(dir, "pgpass"),
			"authentication": map[string]any{
				"superuser":   map[string]any{"username": "postgres", "password": p.Password},
				"replication": map[string]any{"username": "replicator", "password": p.Password},
				"rewind":      map[string]any{"username": "rewinder", "password": p.Password},
			},
			"parameters": map[string]any{"unix_socket_directories": "", "password_encryption": "scram-sha-256", "timezone": "UTC"},
		},
	}
}

// serverOf finds the PostgreSQL server of a data folder among the processes; 0: none runs.
func serverOf(data string) int {
	lock, err := os.ReadFile(filepath.Join(data, "postmaster.pid"))
	if err != nil {
		return 0
	}
	first, _, _ := strings.Cut(string(lock), "\n")
	pid, err := strconv.Atoi(first)
	if err != nil {
		return 0
	}
	if _, err := identify(pid); err != nil {
		return 0
	}
	commandLine, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if !strings.Contains(string(commandLine), data+"\x00") {
		return 0 // somebody else's by now
	}
	return pid
}
