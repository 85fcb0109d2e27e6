package standin

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// open dials the server at url and sends text.
func open(t *testing.T, url, text string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	return conn
}

// reading is a listener that counts the bytes that its connections have read.
type reading struct {
	net.Listener
	bytes atomic.Int64
}

type readingConn struct {
	net.Conn
	of *reading
}

func (r *reading) Accept() (net.Conn, error) {
	conn, err := r.Listener.Accept()
	return readingConn{conn, r}, err
}

func (c readingConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.of.bytes.Add(int64(n))
	return n, err
}

// A client that sends half a body does not count against a route's bound.
func TestHalfSentBodiesKeepNobodyOut(t *testing.T) {
	upstream := answering()
	defer upstream.Close()
	g, err := New([]byte(rendered(t, map[string]string{"USER_SERVICE_URL": upstream.URL, "RATE_LIMIT_LOGIN": "100000"})))
	if err != nil {
		t.Fatal(err)
	}
	l := &reading{}
	url := servedBy(t, g, func(plain net.Listener) net.Listener { l.Listener = plain; return l })
	half := "POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n" + strings.Repeat("x", 30000)
	const clients = rushBound + 24
	for range clients {
		open(t, url, half)
	}
	for deadline := time.Now().Add(10 * time.Second); l.bytes.Load() < int64(clients*len(half)); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("of %d bytes %d were read", clients*len(half), l.bytes.Load())
		}
	}
	if r := ask(t, http.MethodPost, url+"/auth/login", strings.NewReader("{}")); r.status != http.StatusOK {
		t.Errorf("a whole request: %d %s", r.status, r.body)
	}
}

// exhausted is a listener whose process has no file descriptor left for its first connections.
type exhausted struct {
	net.Listener
	refusals int
}

func (e *exhausted) Accept() (net.Conn, error) {
	if e.refusals > 0 {
		e.refusals--
		return nil, &net.OpError{Op: "accept", Err: syscall.EMFILE}
	}
	return e.Listener.Accept()
}

func TestNoFileDescriptorIsNotTheEnd(t *testing.T) {
	upstream := answering()
	defer upstream.Close()
	g, err := New([]byte(rendered(t, map[string]string{"USER_SERVICE_URL": upstream.URL})))
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- g.Serve(ctx, &exhausted{l, 3}) }()
	if r := ask(t, http.MethodPost, "http://"+l.Addr().String()+"/auth/login", strings.NewReader("{}")); r.status != http.StatusOK {
		t.Errorf("afterwards: %d %s", r.status, r.body)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// One connection too many is closed, others continue, and when one ends the next is accepted.
func TestConnectionsAreBounded(t *testing.T) {
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	l := &listener{Listener: plain, most: 8, mostOfOne: 2, from: map[netip.Addr]int{}}
	accepted := make(chan net.Conn, 8)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			accepted <- c
		}
	}()
	url := "http://" + plain.Addr().String()
	open(t, url, "")
	open(t, url, "")
	first := <-accepted
	<-accepted
	third := open(t, url, "")
	third.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := third.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("a third connection of one address: %v, want it closed", err)
	}
	first.Close()
	first.Close() // counted once
	open(t, url, "")
	select {
	case <-accepted:
	case <-time.After(5 * time.Second):
		t.Error("when one has ended, no other is let in")
	}
	l.most = 2
	if l.enter(netip.MustParseAddr("192.0.2.1")) {
		t.Error("the bound of all does not hold for another address")
	}
}

// Clients that do not read their answers cost the gateway little memory each, however large the answers are.
func TestClientsThatDoNotRead(t *testing.T) {
	const clients, size = 100, 4 << 20
	answer := []byte(strings.Repeat("x", size))
	asked := make(chan struct{}, clients+1)
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		w.Write(answer)
	}))
	defer upstream.CloseClientConnections()
	url := gateway(t, map[string]string{"ORCHESTRATOR_URL": upstream.URL})
	var before, during runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for range clients {
		open(t, url, "GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
	}
	tooLate := time.After(10 * time.Second)
	for n := range clients {
		select {
		case <-asked:
		case <-tooLate:
			t.Fatalf("%d of %d requests reached the service", n, clients)
		}
	}
	time.Sleep(500 * time.Millisecond) // in which the gateway does not read on
	runtime.GC()
	runtime.ReadMemStats(&during)
	if grown := (int64(during.HeapInuse) - int64(before.HeapInuse)) >> 20; grown > 40 {
		t.Errorf("%d clients that do not read hold %d MB", clients, grown)
	}
	if r := ask(t, http.MethodGet, url+"/events", nil); r.status != http.StatusOK || len(r.body) != size {
		t.Errorf("one that does: %d, %d bytes", r.status, len(r.body))
	}
}

// A stream is forwarded as it arrives, for longer than an answer may take, and streams do not count against a route's
// bound.
func TestStreams(t *testing.T) {
	next := make(chan string)
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.(http.Flusher).Flush()
		for {
			select {
			case data := <-next:
				fmt.Fprintf(w, "data: %s\n\n", data)
				w.(http.Flusher).Flush()
			case <-r.Context().Done():
				return
			}
		}
	}))
	defer upstream.CloseClientConnections()
	text := strings.NewReplacer("read_timeout: 15000", "read_timeout: 300", "write_timeout: 15000", "write_timeout: 300").
		Replace(rendered(t, map[string]string{"ORCHESTRATOR_URL": upstream.URL, "RATE_LIMIT": "100000"}))
	g, err := New([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	url := served(t, g)
	listener := open(t, url, "GET /events/A-1/changes HTTP/1.1\r\nHost: x\r\n\r\n")
	listener.SetReadDeadline(time.Now().Add(10 * time.Second))
	lines := bufio.NewScanner(listener)
	for n := range 4 {
		select {
		case next <- fmt.Sprint(n):
		case <-time.After(5 * time.Second):
			t.Fatalf("the stream was given up before change %d", n)
		}
		for lines.Scan() && !strings.HasPrefix(lines.Text(), "data: ") {
		}
		if lines.Text() != fmt.Sprintf("data: %d", n) {
			t.Fatalf("read %q: %v", lines.Text(), lines.Err())
		}
		time.Sleep(150 * time.Millisecond) // in all, longer than the 300 ms within which an answer must come
	}
	listener.Close()
	for range rushBound + 4 {
		open(t, url, "GET /events/A-1/changes HTTP/1.1\r\nHost: x\r\n\r\n")
	}
	one := open(t, url, "GET /events/A-1/changes HTTP/1.1\r\nHost: x\r\n\r\n")
	one.SetReadDeadline(time.Now().Add(5 * time.Second))
	if status, err := bufio.NewReader(one).ReadString('\n'); err != nil || !strings.Contains(status, " 200 ") {
		t.Errorf("one stream more: %q %v", status, err)
	}
}
