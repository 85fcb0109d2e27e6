package idle

import (
	"io"
	"net"
	"testing"
	"time"
)

func TestClosed(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	pair := func() (ours, theirs net.Conn) {
		ours, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if theirs, err = l.Accept(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { ours.Close(); theirs.Close() })
		return ours, theirs
	}
	becomes := func(conn net.Conn, what string) {
		t.Helper()
		for deadline := time.Now().Add(5 * time.Second); !Closed(conn); time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%s: not noticed", what)
			}
		}
	}
	ours, theirs := pair()
	if Closed(ours) {
		t.Error("an open connection is taken for closed")
	}
	theirs.Close()
	becomes(ours, "closed by the other side")

	ours, theirs = pair()
	theirs.(*net.TCPConn).SetLinger(0)
	theirs.Close()
	becomes(ours, "reset by the other side")

	ours, theirs = pair()
	io.WriteString(theirs, "unasked")
	becomes(ours, "bytes that nobody asked for")
	if read := make([]byte, 7); func() error { _, err := io.ReadFull(ours, read); return err }() != nil || string(read) != "unasked" {
		t.Errorf("looking took bytes away: %q", read)
	}
	if Closed(ours) {
		t.Error("read empty, it is open")
	}
	// A goroutine that waits for bytes does not block the check.
	go ours.Read(make([]byte, 1))
	time.Sleep(10 * time.Millisecond) // nothing tells that it waits
	looked := make(chan bool)
	go func() { looked <- Closed(ours) }()
	select {
	case closed := <-looked:
		if closed {
			t.Error("being read, it is open")
		}
	case <-time.After(5 * time.Second):
		t.Fatal("looking waits for a reader")
	}
	ours.Close()
	if !Closed(ours) {
		t.Error("closed by us")
	}
	one, other := net.Pipe()
	defer other.Close()
	if Closed(one) {
		t.Error("one that cannot be looked into")
	}
}
