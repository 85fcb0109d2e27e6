package conformance

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// raw sends text unchanged and returns the answers until the gateway closes the connection, or sends nothing for a
// while.
func (g gateway) raw(t *testing.T, text string) (answers []reply) {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(g.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	method, _, _ := strings.Cut(text, " ")
	r := bufio.NewReader(conn)
	for {
		conn.SetReadDeadline(time.Now().Add(400 * time.Millisecond))
		response, err := http.ReadResponse(r, &http.Request{Method: method})
		if err != nil {
			return answers
		}
		body, _ := io.ReadAll(response.Body)
		answers = append(answers, reply{response.StatusCode, response.Header, body})
		method = http.MethodGet // of what is hidden in a body, and what follows
	}
}

const hidden = "GET /events HTTP/1.1\r\nHost: x\r\n\r\n"

// The content of a request is never read as the next one: a length that Connection names would be dropped on the way.
func TestConnectionNamesNoLength(t *testing.T) {
	withLength := fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(hidden), hidden)
	chunked := fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(hidden), hidden)
	for name, rest := range map[string]string{
		"length":             "Connection: Content-Length\r\n" + withLength,
		"spelled otherwise":  "Connection: CONTENT-length\r\n" + withLength,
		"in a list":          "Connection: keep-alive, x , \tContent-Length\r\n" + withLength,
		"in a second header": "Connection: keep-alive\r\nConnection: Content-Length\r\n" + withLength,
		"in a first header":  "Connection: Content-Length\r\nConnection: keep-alive\r\n" + withLength,
		"after the body's":   withLength[:len(withLength)-len("\r\n\r\n"+hidden)] + "\r\nConnection: Content-Length\r\n\r\n" + hidden,
		"with close":         "Connection: close, Content-Length\r\n" + withLength,
		"encoding":           "Connection: Transfer-Encoding\r\n" + chunked,
		"both":               "Connection: Transfer-Encoding, Content-Length\r\n" + chunked,
		"after 120 headers":  strings.Repeat("X-A: 1\r\n", 120) + "Connection: Content-Length\r\n" + withLength,
	} {
		t.Run(name, func(t *testing.T) {
			answers := shared.raw(t, "POST /auth/refresh HTTP/1.1\r\nHost: x\r\n"+rest)
			if len(answers) == 0 {
				t.Fatal("no answer")
			}
			answers[0].wantError(t, 400, "BAD_REQUEST")
			for _, more := range answers[1:] {
				if more.status == http.StatusOK {
					t.Errorf("what is hidden was asked for: %s", more.body)
				}
			}
		})
	}
}

// A body belongs to its request, whatever the method and whoever answers, and the next request on the connection is
// answered by itself.
func TestBodiesOfAnyMethod(t *testing.T) {
	next := "GET /internal HTTP/1.1\r\nHost: x\r\n\r\n"
	for _, request := range []string{"HEAD /events", "GET /events", "HEAD /internal", "GET /internal", "HEAD /tickets", "GET /tickets"} {
		for name, body := range map[string]string{
			"length": fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(hidden), hidden),
			"chunks": fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(hidden), hidden),
		} {
			t.Run(request+" "+name, func(t *testing.T) {
				answers := shared.raw(t, request+" HTTP/1.1\r\nHost: x\r\n"+body+next)
				if len(answers) == 0 || len(answers) > 2 {
					t.Fatalf("%d answers", len(answers))
				}
				if len(answers) == 2 {
					answers[1].wantError(t, 404, "NOT_FOUND")
				} else if answers[0].status != http.StatusBadRequest {
					t.Errorf("the next request got no answer, the first %d", answers[0].status)
				}
			})
		}
	}
}

// Requests with more than 100 headers are refused: Kong's plugins would not see the rest.
func TestTooManyHeaders(t *testing.T) {
	many := strings.Repeat("X-A: 1\r\n", 120)
	answers := shared.raw(t, "GET /events HTTP/1.1\r\nHost: x\r\n"+many+"X-User-Role: admin\r\n\r\n")
	if len(answers) != 1 {
		t.Fatalf("%d answers", len(answers))
	}
	answers[0].wantError(t, 400, "BAD_REQUEST")
	if answers = shared.raw(t, "GET /events HTTP/1.1\r\nHost: x\r\n"+many[:80*8]+"\r\n"); len(answers) != 1 || answers[0].status == 400 {
		t.Errorf("80 headers: %v", answers)
	}
}
