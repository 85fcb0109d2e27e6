package standin

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// BenchmarkReserve is a POST with a token through the gateway, BenchmarkDirect the same without it: the difference is
// the gateway's cost.
func BenchmarkReserve(b *testing.B) {
	upstream := answering()
	defer upstream.Close()
	g, err := New([]byte(rendered(b, map[string]string{"ORCHESTRATOR_URL": upstream.URL, "RATE_LIMIT": "1000000000"})))
	if err != nil {
		b.Fatal(err)
	}
	post(b, served(b, g)+"/api/reserve")
}

func BenchmarkDirect(b *testing.B) {
	upstream := answering()
	defer upstream.Close()
	post(b, upstream.URL+"/reserve")
}

func answering() *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		io.WriteString(w, `{"success":true,"data":{}}`)
	}))
}

func post(b *testing.B, url string) {
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
		"iss": "ticketremaster", "sub": "0197a5c0-0000-7000-8000-000000000000", "exp": time.Now().Add(time.Hour).Unix(),
	}).SignedString([]byte("a-secret-of-the-tests-0123456789ab"))
	if err != nil {
		b.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	b.ReportAllocs()
	b.SetParallelism(8)
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			r, _ := http.NewRequest("POST", url, strings.NewReader(`{"seat_id":"0197a5c0-0000-7000-8000-000000000000"}`))
			r.Header.Set("Authorization", "Bearer "+token)
			r.Header.Set("Origin", "http://localhost:5173")
			answer, err := client.Do(r)
			if err != nil {
				b.Error(err)
				return
			}
			io.Copy(io.Discard, answer.Body)
			answer.Body.Close()
			if answer.StatusCode != 200 {
				b.Errorf("status %d", answer.StatusCode)
				return
			}
		}
	})
}
