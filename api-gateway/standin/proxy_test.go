package standin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
)

// Kong answers 503 for a name that does not resolve, 504 for what came too late, and 502 for the rest.
func TestUpstreamStatus(t *testing.T) {
	for _, c := range []struct {
		err  error
		want int
	}{
		{&net.DNSError{Err: "no such host", Name: "user-service", IsNotFound: true}, http.StatusServiceUnavailable},
		{&net.OpError{Op: "dial", Err: &net.DNSError{IsTimeout: true}}, http.StatusServiceUnavailable},
		{&url.Error{Op: "Post", Err: context.DeadlineExceeded}, http.StatusGatewayTimeout},
		{fmt.Errorf("reading: %w", &net.OpError{Op: "read", Err: errors.New("connection reset by peer")}), http.StatusBadGateway},
		{errors.New("EOF"), http.StatusBadGateway},
	} {
		if got := upstreamStatus(c.err); got != c.want {
			t.Errorf("%v: %d, want %d", c.err, got, c.want)
		}
	}
}

// A request's header and body reach the service as one: it wakes up once for both.
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
	g, err := New([]byte(rendered(t, map[string]string{"USER_SERVICE_URL": "http://" + l.Addr().String()})))
	if err != nil {
		t.Fatal(err)
	}
	const body = `{"email":"a@example.com","password":"secret-enough"}`
	// From a client whose body comes after its header, and is no reader that net/http knows.
	request := httptest.NewRequest(http.MethodPost, "/auth/login", io.MultiReader(strings.NewReader(body[:10]), strings.NewReader(body[10:])))
	request.ContentLength = int64(len(body))
	w := httptest.NewRecorder()
	g.ServeHTTP(w, request)
	if w.Code != http.StatusOK {
		t.Fatalf("status %d", w.Code)
	}
	if read := <-first; !bytes.HasSuffix(read, []byte(body)) {
		t.Errorf("the service's first read was %q", read)
	}
}

// A body that ends before its length, or is too slow to come, is the client's fault: no 5xx, which says that we are down.
func TestABodyThatDoesNotComeWhole(t *testing.T) {
	g, err := New([]byte(rendered(t, nil)))
	if err != nil {
		t.Fatal(err)
	}
	for name, body := range map[string]io.Reader{"cut": strings.NewReader(`{"email"`), "slow": tooSlow{}} {
		request := httptest.NewRequest(http.MethodPost, "/auth/login", body)
		request.ContentLength = 50
		w := httptest.NewRecorder()
		g.ServeHTTP(w, request)
		if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "VALIDATION_ERROR") && !strings.Contains(w.Body.String(), "BAD_REQUEST") {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
}

// tooSlow fails as a connection does whose time to read is over.
type tooSlow struct{}

func (tooSlow) Read([]byte) (int, error) { return 0, os.ErrDeadlineExceeded }
