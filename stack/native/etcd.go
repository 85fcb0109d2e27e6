package native

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// Etcd is three members of etcd on 127.0.0.1, bound to this process.
type Etcd struct {
	Dir string // everything of it is in here

	members []*Process
	clients []int
}

// Start brings the members up and returns once they have a leader.
func (e *Etcd) Start(ctx context.Context) error {
	program, err := exec.LookPath("etcd")
	if err != nil {
		return fmt.Errorf("etcd is not on the PATH: %s", InstallCommand("etcd-server"))
	}
	var cluster, peers []string
	for n := range nodes {
		peers = append(peers, "http://127.0.0.1:"+strconv.Itoa(FreePort()))
		cluster = append(cluster, fmt.Sprintf("e%d=%s", n, peers[n]))
		e.clients = append(e.clients, FreePort())
	}
	for n, peer := range peers {
		name, client := fmt.Sprintf("e%d", n), "http://127.0.0.1:"+strconv.Itoa(e.clients[n])
		member := &Process{
			Name: "etcd " + name, Dir: "/", Env: []string{"PATH=/usr/bin:/bin", "TZ=UTC"},
			Command: []string{program, "--name", name, "--data-dir", filepath.Join(e.Dir, name), "--logger", "zap",
				"--listen-client-urls", client, "--advertise-client-urls", client,
				"--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
				"--initial-cluster", strings.Join(cluster, ","), "--initial-cluster-state", "new"},
			PidFile: filepath.Join(e.Dir, name+".pid"), LogFile: filepath.Join(e.Dir, name+".log"),
		}
		e.members = append(e.members, member)
		if err := member.Start(); err != nil {
			return err
		}
	}
	for n, member := range e.members {
		if err := member.Await(ctx, func(ctx context.Context) error {
			return Healthy(ctx, fmt.Sprintf("http://127.0.0.1:%d/health", e.clients[n]))
		}); err != nil {
			return err
		}
	}
	return nil
}

// Addresses are the members' for clients, host:port with commas between.
func (e *Etcd) Addresses() string {
	var all []string
	for _, port := range e.clients {
		all = append(all, "127.0.0.1:"+strconv.Itoa(port))
	}
	return strings.Join(all, ",")
}

// Kill ends all members.
func (e *Etcd) Kill() error {
	var all []error
	for _, member := range e.members {
		all = append(all, member.Kill())
	}
	return errors.Join(all...)
}
