package standin

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

func TestNormalize(t *testing.T) {
	for in, want := range map[string]string{
		"/": "/", "": "", "/reserve": "/reserve", "/reserve/": "/reserve/",
		"//reserve": "/reserve", "/api///reserve": "/api/reserve",
		"/a/../b": "/b", "/a/./b": "/a/b", "/..": "/", "/../../x": "/x", "/a/..": "/", "/a/b/..": "/a/", "/a/.": "/a/",
		"/%2e%2e/x": "/x", "/a/%2E%2e/b": "/b", "/%61uth": "/auth",
		"/a%2fb": "/a%2Fb", "/a%2F..%2Fb": "/a%2F..%2Fb", "/a%252e": "/a%252e", "/a%3fb": "/a%3Fb",
		"/a%20b": "/a b", "/a%": "/a%", "/a%4": "/a%4", "/a%zz": "/a%zz", "/.hidden": "/.hidden", "/...": "/...",
	} {
		if got := normalize(in); got != want {
			t.Errorf("normalize(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestSplit(t *testing.T) {
	for target, want := range map[string][2]string{
		"/": {"/", ""}, "/a?b=c?d": {"/a", "b=c?d"}, "//a": {"//a", ""}, "/a?x=http://b": {"/a", "x=http://b"},
		"http://host/a/b?c": {"/a/b", "c"}, "http://host": {"/", ""}, "*": {"*", ""}, "": {"", ""},
	} {
		if path, query := split(target); path != want[0] || query != want[1] {
			t.Errorf("split(%q) = %q, %q", target, path, query)
		}
	}
}

// FuzzNormalize checks that a normalized path has no second spelling.
func FuzzNormalize(f *testing.F) {
	for _, seed := range []string{"/", "/a/../b", "//a", "/%2e%2e/a", "/a/..%2f", "/%25%32%65", "/a%2", "/a/...//./", "/%2f%2f"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, tail string) {
		path := "/" + tail
		if _, err := url.PathUnescape(path); err != nil {
			return
		}
		got := normalize(path)
		if again := normalize(got); again != got {
			t.Fatalf("%q became %q and then %q", path, got, again)
		}
		if !strings.HasPrefix(got, "/") || strings.Contains(got, "//") || strings.Contains(got+"/", "/./") || strings.Contains(got+"/", "/../") {
			t.Fatalf("%q became %q", path, got)
		}
	})
}

// FuzzRoutes checks that the tree finds what the expressions of kong.yml match.
func FuzzRoutes(f *testing.F) {
	text := rendered(f, nil)
	g, err := New([]byte(text))
	if err != nil {
		f.Fatal(err)
	}
	d, err := parse([]byte(text))
	if err != nil {
		f.Fatal(err)
	}
	type expression struct {
		*regexp.Regexp
		route
	}
	var expressions []expression
	for r := range d.allRoutes() {
		if r.Paths[0] == catchAll {
			continue
		}
		expressions = append(expressions, expression{regexp.MustCompile("^" + strings.TrimPrefix(r.Paths[0], "~")), r})
	}
	for _, seed := range []string{
		"reserve", "api/reserve", "api/api/reserve", "apiary", "api", "api/", "tickets/sold", "tickets/sold/qr", "tickets/x_-9Z/qr",
		"orders/1/cancel", "orders//cancel", "Reserve", "reserve/", "docs/openapi.json", "docs/openapixjson", "credits/deduct", "", "users/ü",
	} {
		for m := range methods {
			f.Add(uint8(m), seed)
		}
	}
	f.Fuzz(func(t *testing.T, m uint8, tail string) {
		method, path := methods[int(m)%len(methods)], "/"+tail
		got, upstream := g.routes.find(method, path)
		want, wantPath := "nothing-here", path
		for _, e := range expressions {
			if captures := e.FindStringSubmatch(path); captures != nil && (&endpoint{methods: e.Methods}).takes(method) {
				want, wantPath = e.Name, "/"+captures[1]
			}
		}
		if got.name != want || upstream != wantPath {
			t.Fatalf("%s %q: got route %s with %q, the expressions say %s with %q", method, path, got.name, upstream, want, wantPath)
		}
	})
}

func TestAPIPrefixIsASegment(t *testing.T) {
	var r routes
	e := &endpoint{name: "keys", methods: []string{"GET"}}
	if err := r.add("~/(?:api/)?(apikeys)$", e); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]*endpoint{"/apikeys": e, "/api/apikeys": e, "/api/keys": nil, "/api/api/apikeys": nil, "/api": nil} {
		if got, _ := r.find("GET", path); got != want {
			t.Errorf("%s: found %v", path, got)
		}
	}
}

func BenchmarkFind(b *testing.B) {
	g, err := New([]byte(rendered(b, nil)))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if e, _ := g.routes.find(http.MethodGet, normalize("/api/tickets/0197a5c0-0000-7000-8000-000000000000/qr")); e.name != "ticket-qr" {
			b.Fatal(e.name)
		}
	}
}
