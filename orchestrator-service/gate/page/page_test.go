package page

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"ticketremaster/platform/fault"
)

func get(t *testing.T, path string, header ...string) *http.Response {
	t.Helper()
	r, w := httptest.NewRequest(http.MethodGet, path, nil), httptest.NewRecorder()
	if len(header) == 2 {
		r.Header.Set(header[0], header[1])
	}
	if err := Serve(w, r); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return w.Result()
}

func TestServe(t *testing.T) {
	for path, kind := range map[string]string{"/gate": "text/html", "/gate/app.js": "text/javascript", "/gate/decode.js": "text/javascript", "/gate/style.css": "text/css", "/gate/icon.svg": "image/svg"} {
		res := get(t, path)
		if res.StatusCode != 200 || !strings.HasPrefix(res.Header.Get("Content-Type"), kind) || !strings.Contains(res.Header.Get("Content-Security-Policy"), "default-src 'none'") {
			t.Errorf("%s: %d %v", path, res.StatusCode, res.Header)
		}
		if again := get(t, path, "If-None-Match", res.Header.Get("ETag")); again.StatusCode != http.StatusNotModified {
			t.Errorf("%s again: %d", path, again.StatusCode)
		}
	}
	if h := get(t, "/gate/sw.js").Header.Get("Service-Worker-Allowed"); h != "/gate" {
		t.Error(h)
	}
	for _, path := range []string{"/gate/page.go", "/gate/LICENSE", "/gate/..%2fpage.go", "/gate/none.js"} {
		if err := Serve(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, path, nil)); path != "/gate/LICENSE" && fault.Code(err) != fault.CodeNotFound {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// The files that the page names are there, and none of ours names another origin.
func TestThePageIsWhole(t *testing.T) {
	named := regexp.MustCompile(`(?:from|import\()\s*'\./([a-z]+\.js)'|(?:src|href)="gate/([a-z.]+)"`)
	for name, f := range served {
		if strings.HasSuffix(name, ".js") || name == "index.html" {
			for _, m := range named.FindAllStringSubmatch(string(f.body), -1) {
				if _, ok := served[m[1]+m[2]]; !ok {
					t.Errorf("%s names %s, which is not served", name, m[1]+m[2])
				}
			}
		}
		if name != "decode.js" && name != "index.js" && name != "icon.svg" && regexp.MustCompile(`https?://`).Match(f.body) {
			t.Errorf("%s names another origin", name)
		}
		if strings.Contains(string(f.body), "style=\"") || strings.Contains(string(f.body), " onclick=\"") {
			t.Errorf("%s has what its own policy forbids", name)
		}
	}
	_, kept, _ := strings.Cut(string(served["sw.js"].body), "...[")
	kept, _, _ = strings.Cut(kept, "]")
	for _, m := range regexp.MustCompile(`'([a-z]+)'`).FindAllStringSubmatch(kept, -1) {
		if _, ok := served[m[1]+".js"]; !ok {
			t.Errorf("the page keeps %s.js, which is not served", m[1])
		}
	}
	for name := range served { // without network the page needs each of its scripts
		if script, ok := strings.CutSuffix(name, ".js"); ok && script != "sw" && !strings.Contains(kept, "'"+script+"'") {
			t.Errorf("%s is not kept", name)
		}
	}
}
