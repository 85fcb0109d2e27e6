package standin

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

// Kong answers 503 for a name that does not resolve, 504 for a timeout, and 502 for other failures.
func TestUpstreamStatus(t *testing.T) {
	for _, c := range []struct {
		err  error
		want int
	}{
		{&net.DNSError{Err: "no such host", Name: "user-service", IsNotFound: true}, http.StatusServiceUnavailable},
		{&net.OpError{Op: "dial", Err: &net.DNSError{IsTimeout: true}}, http.StatusServiceUnavailable},
		{&url.Error{Op: "Post", Err: context.DeadlineExceeded}, http.StatusGatewayTimeout},
		{fasthttp.ErrTimeout, http.StatusGatewayTimeout},
		{fasthttp.ErrConnectionClosed, http.StatusBadGateway},
		{fasthttp.ErrNoFreeConns, http.StatusBadGateway},
		{fmt.Errorf("reading: %w", &net.OpError{Op: "read", Err: errors.New("connection reset by peer")}), http.StatusBadGateway},
		{errors.New("EOF"), http.StatusBadGateway},
	} {
		if got := upstreamStatus(c.err); got != c.want {
			t.Errorf("%v: %d, want %d", c.err, got, c.want)
		}
	}
}

// raw sends text unchanged to the server at url and returns its answer until it closes the connection, or sends nothing
// for a second.
func raw(t *testing.T, url string, pieces ...string) string {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for i, piece := range pieces {
		if i > 0 {
			time.Sleep(50 * time.Millisecond) // so that the pieces arrive one by one
		}
		if _, err := io.WriteString(conn, piece); err != nil {
			t.Fatal(err)
		}
	}
	conn.SetReadDeadline(time.Now().Add(time.Second))
	answer, _ := io.ReadAll(conn)
	return string(answer)
}

func gateway(t *testing.T, env map[string]string) string {
	t.Helper()
	g, err := New([]byte(rendered(t, env)))
	if err != nil {
		t.Fatal(err)
	}
	return served(t, g)
}

// A request's header and body reach the service in one packet though they arrived one after the other: the service
// wakes up once for both.
func TestARequestGoesOutAsOne(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	first := make(chan []byte, 1)
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		read := make([]byte, 64<<10)
		n, _ := conn.Read(read)
		first <- read[:n]
		io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
	}()
	url := gateway(t, map[string]string{"USER_SERVICE_URL": "http://" + l.Addr().String()})
	const body = `{"email":"a@example.com","password":"secret-enough"}`
	answer := raw(t, url, fmt.Sprintf("POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", len(body)), body[:10], body[10:])
	if !strings.HasPrefix(answer, "HTTP/1.1 200 ") || strings.Contains(strings.ToLower(answer), "connection: close") {
		t.Fatalf("answered %q", answer) // that the service closes its connection is not the client's concern
	}
	if read := <-first; !bytes.HasSuffix(read, []byte(body)) {
		t.Errorf("the service's first read was %q", read)
	}
}

// A body that ends before its length is the client's error: not 5xx, which would mean that we are down.
func TestABodyThatDoesNotComeWhole(t *testing.T) {
	url := gateway(t, nil)
	for name, request := range map[string]string{
		"short": "Content-Length: 50\r\n\r\n{\"email\"",
		"long":  "Content-Length: 50000\r\n\r\n" + strings.Repeat("x", 20000),
		"chunk": "Transfer-Encoding: chunked\r\n\r\n5\r\nab",
	} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(conn, "POST /auth/login HTTP/1.1\r\nHost: x\r\n"+request)
		conn.(*net.TCPConn).CloseWrite()
		conn.SetReadDeadline(time.Now().Add(5 * time.Second))
		answer, _ := io.ReadAll(conn)
		conn.Close()
		if !strings.HasPrefix(string(answer), "HTTP/1.1 400 ") || !strings.Contains(string(answer), `"success":false`) {
			t.Errorf("%s: %q", name, answer)
		}
	}
}

// Text that is no request is refused in the envelope too, and so is an endless header.
func TestMalformedRequests(t *testing.T) {
	url := gateway(t, nil)
	for name, c := range map[string]struct{ request, status string }{
		"nonsense":         {"nonsense\r\n\r\n", "400"},
		"a huge header":    {"GET /events HTTP/1.1\r\nHost: x\r\nX-A: " + strings.Repeat("a", headerBytes) + "\r\n\r\n", "431"},
		"two lengths":      {"POST /reserve HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}x", "400"},
		"length and chunk": {"POST /reserve HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /health HTTP/1.1\r\nHost: x\r\n\r\n", "4"},
		"another encoding": {"POST /reserve HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", "4"},
	} {
		answer := raw(t, url, c.request)
		if !strings.HasPrefix(answer, "HTTP/1.1 "+c.status) || !strings.Contains(answer, `"success":false`) || strings.Count(answer, "HTTP/1.1 ") != 1 {
			t.Errorf("%s: %q", name, answer)
		}
	}
}

// A client that sends far too much gets an answer that says why, not only a closed connection.
func TestAHugeBodyIsToldSo(t *testing.T) {
	url := gateway(t, nil)
	for range 5 {
		if r := ask(t, http.MethodPost, url+"/auth/login", strings.NewReader(strings.Repeat("x", 6<<20))); r.status != http.StatusRequestEntityTooLarge {
			t.Fatalf("%d %s", r.status, r.body)
		}
	}
}

// Headers of the client's connection are not forwarded, and an HTTP/1.0 client is answered as such.
func TestConnectionsAreApart(t *testing.T) {
	heard := make(chan *http.Request, 1)
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		heard <- r
		w.Header().Set("Keep-Alive", "timeout=5")
		w.Header().Set("X-Own", "kept")
		w.(http.Flusher).Flush() // in chunks
		io.WriteString(w, "part one, ")
		w.(http.Flusher).Flush()
		io.WriteString(w, "part two")
	}))
	defer upstream.Close()
	url := gateway(t, map[string]string{"ORCHESTRATOR_URL": upstream.URL})
	answer := raw(t, url, "GET http://elsewhere.example/api/events?a=b HTTP/1.0\r\nHost: x\r\nConnection: X-Hop\r\nX-Hop: 1\r\nUpgrade: websocket\r\nTE: trailers\r\nX-End: 2\r\n\r\n")
	r := <-heard
	if r.URL.String() != "/events?a=b" || r.Proto != "HTTP/1.1" || r.Header.Get("X-End") != "2" {
		t.Errorf("the service got %s %s %v", r.URL, r.Proto, r.Header)
	}
	for _, name := range []string{"X-Hop", "Upgrade", "Te", "Connection"} {
		if r.Header.Get(name) != "" {
			t.Errorf("%s reached the service", name)
		}
	}
	response, err := http.ReadResponse(bufio.NewReader(strings.NewReader(answer)), nil)
	if err != nil {
		t.Fatalf("%v: %q", err, answer)
	}
	body, _ := io.ReadAll(response.Body)
	if string(body) != "part one, part two" || response.Header.Get("Keep-Alive") != "" || response.Header.Get("X-Own") != "kept" || !response.Close {
		t.Errorf("answered %q", answer)
	}
}

// After a service's restart requests use new connections: the closed ones are not taken for refusals, and no request is
// sent twice.
func TestAServiceThatIsStartedAnew(t *testing.T) {
	var got atomic.Int32
	start := func(addr string) (*http.Server, string) {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		var together sync.WaitGroup
		together.Add(8)
		s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			got.Add(1)
			if r.Header.Get("X-Together") != "" {
				together.Done()
				together.Wait()
			}
		})}
		go s.Serve(l)
		return s, l.Addr().String()
	}
	first, addr := start("127.0.0.1:0")
	url := gateway(t, map[string]string{"USER_SERVICE_URL": "http://" + addr})
	var all sync.WaitGroup
	for range 8 { // so that 8 connections are left
		all.Go(func() {
			request, _ := http.NewRequest(http.MethodPost, url+"/auth/login", strings.NewReader("{}"))
			request.Header.Set("X-Together", "1")
			response, err := http.DefaultClient.Do(request)
			if err != nil {
				t.Error(err)
				return
			}
			response.Body.Close()
		})
	}
	all.Wait()
	first.Close()
	second, _ := start(addr)
	defer second.Close()
	got.Store(0)
	for range 10 {
		if r := ask(t, http.MethodPost, url+"/auth/login", strings.NewReader("{}")); r.status != http.StatusOK {
			t.Errorf("%d %s", r.status, r.body)
		}
	}
	if n := got.Load(); n != 10 {
		t.Errorf("10 requests arrived %d times", n)
	}
}

// A panic in the gateway fails its request and no other.
func TestAFaultCostsOneRequest(t *testing.T) {
	g, err := New([]byte(rendered(t, nil)))
	if err != nil {
		t.Fatal(err)
	}
	d, _ := g.routes.find(http.MethodGet, "/events")
	d.service = nil
	url := served(t, g)
	for range 2 {
		if r := ask(t, http.MethodGet, url+"/events", nil); r.status != http.StatusInternalServerError || !strings.Contains(r.body, `"success":false`) {
			t.Errorf("%d %s", r.status, r.body)
		}
	}
}
