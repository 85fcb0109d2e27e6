package web_test

import (
	"compress/gzip"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"ticketremaster/platform/fault"
	"ticketremaster/platform/web"
)

func server(t *testing.T) string {
	t.Helper()
	r := web.NewRouter(func(context.Context) error { return nil })
	for path, size := range map[string]int{"/small": 4_000, "/large": 100_000} {
		r.Method(http.MethodGet, path, web.Handler(func(w http.ResponseWriter, _ *http.Request) error {
			return web.OK(w, strings.Repeat("ticket ", size/7))
		}))
	}
	r.Method(http.MethodGet, "/document", web.Handler(func(w http.ResponseWriter, _ *http.Request) error {
		return web.Document(w, "text/html", []byte(strings.Repeat("<p>ticket", 10_000)))
	}))
	s := httptest.NewServer(r)
	t.Cleanup(s.Close)
	return s.URL
}

// get sends a request without the automatic gzip of Go's client.
func get(t *testing.T, method, url, accept string) (*http.Response, []byte) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if accept != "" {
		r.Header.Set("Accept-Encoding", accept)
	}
	client := http.Client{Transport: &http.Transport{DisableCompression: true}}
	res, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, body
}

func TestLargeAnswersAreCompressed(t *testing.T) {
	url := server(t)
	_, plain := get(t, http.MethodGet, url+"/large", "")
	for _, c := range []struct {
		path, accept string
		gzip         bool
	}{
		{"/large", "gzip", true}, {"/large", "br, gzip;q=0.5", true}, {"/large", "", false}, {"/large", "gzip;q=0", false}, {"/large", "br", false},
		{"/small", "gzip", false},
	} {
		res, body := get(t, http.MethodGet, url+c.path, c.accept)
		if got := res.Header.Get("Content-Encoding") == "gzip"; got != c.gzip {
			t.Errorf("%s for %q: compressed is %t", c.path, c.accept, got)
		}
		if large := c.path == "/large"; (res.Header.Get("Vary") == "Accept-Encoding") != large {
			t.Errorf("%s varies by %q", c.path, res.Header.Get("Vary"))
		}
		if !c.gzip {
			continue
		}
		if len(body) > len(plain)/5 || res.ContentLength != int64(len(body)) {
			t.Errorf("%d of %d bytes, announced as %d", len(body), len(plain), res.ContentLength)
		}
		z, err := gzip.NewReader(strings.NewReader(string(body)))
		if err != nil {
			t.Fatal(err)
		}
		if text, err := io.ReadAll(z); err != nil || string(text) != string(plain) {
			t.Errorf("it is another answer: %v", err)
		}
	}
	if res, body := get(t, http.MethodGet, url+"/document", "gzip"); res.Header.Get("Content-Encoding") != "gzip" || res.Header.Get("Content-Type") != "text/html" || len(body) > 9_000 {
		t.Errorf("a document: %v, %d bytes", res.Header, len(body))
	}
}

func TestHEADWhereverThereIsGET(t *testing.T) {
	url := server(t)
	for _, path := range []string{"/small", "/large", "/document", "/health", "/nowhere"} {
		want, _ := get(t, http.MethodGet, url+path, "")
		got, body := get(t, http.MethodHead, url+path, "")
		if got.StatusCode != want.StatusCode || got.ContentLength != want.ContentLength || got.Header.Get("Content-Type") != want.Header.Get("Content-Type") || len(body) != 0 {
			t.Errorf("%s: %d, %d bytes announced, %d sent; GET has %d, %d", path, got.StatusCode, got.ContentLength, len(body), want.StatusCode, want.ContentLength)
		}
	}
	if res, _ := get(t, http.MethodPost, url+"/small", ""); res.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", res.StatusCode)
	}
}

// An error names the field as the client named it, wherever the field is in Go.
func TestMistypedFieldsAreNamed(t *testing.T) {
	type Rules struct {
		Most int `json:"most"`
	}
	var in struct {
		Rules
		Inner struct {
			Rules
			Name string `json:"name"`
		} `json:"inner"`
	}
	for body, field := range map[string]string{`{"most":"x"}`: "most", `{"inner":{"most":[]}}`: "inner.most", `{"inner":{"name":1}}`: "inner.name", `{"inner":3}`: "inner"} {
		err := web.Decode(httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body)), &in)
		if got := fault.From(err).Fields; len(got) != 1 || got[field] == "" {
			t.Errorf("%s: %v", body, got)
		}
	}
}
