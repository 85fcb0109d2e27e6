package standin

import (
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"
)

// listener bounds the connections that are open at once: in all, so that there is a file descriptor for each and for
// its request to a service, and from one address, so that one client cannot have all of them. A connection beyond a
// bound is closed unread. Running out of descriptors (EMFILE) does not end it: it accepts again a moment later.
type listener struct {
	net.Listener
	most, mostOfOne int

	mu   sync.Mutex
	open int
	from map[netip.Addr]int
}

// bounded is l with the bounds that the process's limit of open files leaves room for, at most 8192 connections.
func bounded(l net.Listener) *listener {
	most := 8192
	var files syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files) == nil {
		most = min(most, max(16, int(min(files.Cur, 1<<20)-64)/2))
	}
	return &listener{Listener: l, most: most, mostOfOne: most / 2, from: map[netip.Addr]int{}}
}

func (l *listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return nil, err
			}
			slog.Warn("no connection accepted", "error", err)
			time.Sleep(20 * time.Millisecond)
			continue
		}
		from := address(c.RemoteAddr())
		if l.enter(from) {
			return &connection{Conn: c, left: sync.OnceFunc(func() { l.leave(from) })}, nil
		}
		c.Close()
	}
}

func (l *listener) enter(from netip.Addr) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open >= l.most || l.from[from] >= l.mostOfOne {
		return false
	}
	l.open++
	l.from[from]++
	return true
}

func (l *listener) leave(from netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open--
	if l.from[from]--; l.from[from] == 0 {
		delete(l.from, from)
	}
}

func address(a net.Addr) netip.Addr {
	if tcp, ok := a.(*net.TCPAddr); ok {
		return tcp.AddrPort().Addr().Unmap()
	}
	return netip.Addr{}
}

// connection is a client's. It is closed if the client reads nothing for writeWait, however long its answer is.
type connection struct {
	net.Conn
	left func()
}

const writeWait = 30 * time.Second

func (c *connection) Write(p []byte) (int, error) {
	c.SetWriteDeadline(time.Now().Add(writeWait))
	return c.Conn.Write(p)
}

func (c *connection) Close() error {
	c.left()
	return c.Conn.Close()
}
