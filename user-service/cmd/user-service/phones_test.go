package main

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"
)

const smuKey = "the-key-for-smu"

// phones is a server with SMU's two endpoints that keeps the codes it sent. It can be slow or down.
type phones struct {
	url      string
	mu       sync.Mutex
	codes    map[string]string
	messages map[string][]string
	sent     int
	verified int
	begun    map[string]int // calls that came, by path, before they were answered
	delay    time.Duration
	server   *http.Server
}

func startPhones(t testing.TB) *phones {
	p := &phones{codes: map[string]string{}, messages: map[string][]string{}, begun: map[string]int{}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	p.url = "http://" + l.Addr().String()
	p.serve(l)
	t.Cleanup(func() { p.server.Close() })
	return p
}

func (p *phones) serve(l net.Listener) {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /sendOTP", p.handle(p.send))
	mux.HandleFunc("POST /verifyOTP", p.handle(p.verify))
	p.server = &http.Server{Handler: mux}
	go func(s *http.Server) { _ = s.Serve(l) }(p.server)
}

// down closes the server's port; up opens it again.
func (p *phones) down() { p.server.Close() }

func (p *phones) up(t *testing.T) {
	l, err := net.Listen("tcp", p.url[len("http://"):])
	must(t, err)
	p.serve(l)
}

func (p *phones) slow(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay = d
}

type smuCall struct {
	Phone   string `json:"phone_number"`
	Message string `json:"message"`
	Code    string `json:"otp_code"`
}

func (p *phones) handle(answer func(smuCall) (int, map[string]any)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		delay := p.delay
		p.begun[r.URL.Path]++
		p.mu.Unlock()
		select {
		case <-time.After(delay):
		case <-r.Context().Done():
			return
		}
		status, body := http.StatusUnauthorized, map[string]any{"success": false, "error": "key"}
		var in smuCall
		if err := json.NewDecoder(r.Body).Decode(&in); err == nil && r.Header.Get("X-API-Key") == smuKey {
			p.mu.Lock()
			status, body = answer(in)
			p.mu.Unlock()
		}
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(body)
	}
}

func (p *phones) send(in smuCall) (int, map[string]any) {
	n, err := rand.Int(rand.Reader, big.NewInt(1_000_000))
	if err != nil {
		return 500, nil
	}
	p.codes[in.Phone] = fmt.Sprintf("%06d", n)
	p.messages[in.Phone] = append(p.messages[in.Phone], in.Message)
	p.sent++
	return 200, map[string]any{"success": true}
}

func (p *phones) verify(in smuCall) (int, map[string]any) {
	p.verified++
	code, ok := p.codes[in.Phone]
	switch {
	case !ok:
		return 400, map[string]any{"success": false, "error": "expired"}
	case code != in.Code:
		return 400, map[string]any{"success": false, "error": "invalid"}
	}
	delete(p.codes, in.Phone)
	return 200, map[string]any{"success": true}
}

// code returns the last code that the phone got, "" if none.
func (p *phones) code(phone string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.codes[phone]
}

// wrong returns a code that the phone did not get.
func (p *phones) wrong(phone string) string {
	if p.code(phone) == "000000" {
		return "111111"
	}
	return "000000"
}

func (p *phones) counts() (sent, verified int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sent, p.verified
}

// asked counts the calls, answered or not.
func (p *phones) asked() (sends, verifications int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.begun["/sendOTP"], p.begun["/verifyOTP"]
}

// got is what a phone was sent, oldest first.
func (p *phones) got(phone string) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.messages[phone]...)
}
