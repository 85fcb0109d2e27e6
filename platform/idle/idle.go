// Package idle looks whether a connection that was kept for later can still be used.
package idle

import (
	"net"
	"syscall"
)

// Closed reports whether the other side closed conn while it was idle, or sent what nobody asked for. It neither waits nor sends, so it
// costs no round trip; a peer that vanished without a word is not noticed. Of a connection that it cannot look into, such as one under
// TLS, it says false.
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
	// Not raw.Read: that waits for whoever is reading from conn, as pgx's background reader may be, who waits for the other side.
	err = raw.Control(func(fd uintptr) {
		_, _, err := syscall.Recvfrom(int(fd), make([]byte, 1), syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		silent = err == syscall.EAGAIN
	})
	return err != nil || !silent
}
