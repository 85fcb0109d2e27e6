// Package idle checks whether an idle connection can still be used.
package idle

import (
	"net"
	"syscall"
)

// Closed reports whether the other side closed conn while it was idle, or sent unexpected data. It neither waits nor
// sends, so it costs no round trip; a peer that vanished without closing is not noticed. For a connection that it
// cannot inspect, such as one with TLS, it returns false.
func Closed(conn net.Conn) bool {
	c, ok := conn.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return false
	}
	silent := false
	// Not raw.Read: it would wait for a concurrent reader of conn, such as pgx's background reader, which waits for the
	// other side.
	err = raw.Control(func(fd uintptr) {
		_, _, err := syscall.Recvfrom(int(fd), make([]byte, 1), syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		silent = err == syscall.EAGAIN
	})
	return err != nil || !silent
}
