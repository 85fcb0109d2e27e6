package native

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
)

// FreePort returns a TCP port that nobody listens on at 127.0.0.1 and that no other call, in any of our processes, has
// been given: servers come to listen on theirs seconds later, and several stacks may be starting at once. A port stays
// the caller's until its process ends. It lies below the range from which the kernel picks ports for outgoing
// connections.
func FreePort() int {
	for {
		port := 20000 + rand.IntN(12000)
		if claim(port) && PortFree(port) {
			return port
		}
	}
}

// claims are the files whose locks stand for the ports given out. They are reachable for as long as the process lives,
// or the collector would close them.
var claims sync.Map // of *os.File, by port

// claim takes the port for this process by a lock, which all of this user's processes see and which goes with its
// owner, however that ends.
func claim(port int) bool {
	dir := filepath.Join("/var/tmp", "ticketremaster-ports-"+strconv.Itoa(os.Geteuid()))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return false
	}
	file, err := os.OpenFile(filepath.Join(dir, strconv.Itoa(port)), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return false
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		file.Close()
		return false
	}
	claims.Store(port, file)
	return true
}

// PortFree tells whether nobody listens on the port at 127.0.0.1.
func PortFree(port int) bool {
	listener, err := net.Listen("tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return false
	}
	listener.Close()
	return true
}

// Place returns the folder in which servers can keep their data: dir itself, or,
// where dir is out of reach of the user they run as, a folder under /var/tmp that
// is named after dir. PostgreSQL refuses to run as root and so runs as another user
// there, who may not enter, for example, /root. The second result says why
// the fallback was taken, for a person to read; it is empty when it was not.
func Place(dir string) (place, why string, err error) {
	if dir, err = filepath.Abs(dir); err != nil {
		return "", "", err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", "", err
	}
	as, name, err := unprivileged()
	if err != nil || as == nil || reachable(dir, as) {
		return dir, "", err
	}
	sum := sha256.Sum256([]byte(dir))
	place = filepath.Join("/var/tmp", "ticketremaster-"+hex.EncodeToString(sum[:6]))
	if err := os.Mkdir(place, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return "", "", err
	}
	// /var/tmp is everybody's: a folder that somebody else laid there is not ours to use.
	info, err := os.Lstat(place)
	if err != nil {
		return "", "", err
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); !ok || !info.IsDir() || int(stat.Uid) != os.Geteuid() {
		return "", "", fmt.Errorf("%s exists and is not a folder of ours", place)
	}
	return place, fmt.Sprintf("user %s, as whom PostgreSQL runs because root may not, cannot enter %s: its data is in %s", name, dir, place), nil
}

// unprivileged returns the user as whom PostgreSQL runs: nil, the present one,
// unless that is root.
func unprivileged() (*syscall.Credential, string, error) {
	if os.Geteuid() != 0 {
		return nil, "", nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
		if err := errors.Join(err1, err2); err != nil {
			return nil, "", fmt.Errorf("user %s: %w", name, err)
		}
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, name, nil
	}
	return nil, "", errors.New("PostgreSQL does not run as root, and there is neither a user postgres nor a user nobody")
}

// reachable tells whether the user can enter dir, asking the kernel as that user.
func reachable(dir string, as *syscall.Credential) bool {
	cmd := exec.Command("/bin/sh", "-c", `cd "$0"`, dir)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: as}
	return cmd.Run() == nil
}
