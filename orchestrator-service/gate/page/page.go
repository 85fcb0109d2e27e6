// Package page is the page for the door: a phone opens it at /gate. Its files are served as they are; nothing is built, and nothing is loaded
// from elsewhere.
package page

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"net/http"
	"path"
	"strings"

	"ticketremaster/platform/fault"
)

//go:embed index.html style.css icon.svg *.js vendor/*.js vendor/LICENSE
var files embed.FS

type file struct {
	body []byte
	kind string
	tag  string
}

var served = read()

var kinds = map[string]string{".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}

func read() map[string]file {
	all := map[string]file{}
	for _, dir := range []string{".", "vendor"} {
		entries, err := files.ReadDir(dir)
		if err != nil {
			panic(err) // it is embedded above
		}
		for _, e := range entries {
			kind, ok := kinds[path.Ext(e.Name())]
			if !ok {
				continue
			}
			body, err := files.ReadFile(path.Join(dir, e.Name()))
			if err != nil {
				panic(err)
			}
			sum := sha256.Sum256(body)
			all[e.Name()] = file{body, kind, `"` + hex.EncodeToString(sum[:8]) + `"`}
		}
	}
	return all
}

// policy lets the page load and ask nothing but its own origin.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Serve answers with the page, or with the file that the path ends with.
func Serve(w http.ResponseWriter, r *http.Request) error {
	name := path.Base(r.URL.Path)
	if !strings.Contains(name, ".") {
		name = "index.html"
	}
	f, ok := served[name]
	if !ok {
		return fault.New(fault.NotFound, fault.CodeNotFound, "There is no such file")
	}
	h := w.Header()
	h.Set("Content-Type", f.kind)
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Permissions-Policy", "camera=(self), microphone=(), geolocation=()")
	h.Set("Cache-Control", "no-cache")
	h.Set("ETag", f.tag)
	if name == "sw.js" {
		h.Set("Service-Worker-Allowed", strings.TrimSuffix(r.URL.Path, "/sw.js"))
	}
	if r.Header.Get("If-None-Match") == f.tag {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	_, _ = w.Write(f.body)
	return nil
}
