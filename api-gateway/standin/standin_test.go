package standin

import (
	"context"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"ticketremaster/platform/render"
)

// rendered returns the real kong.yml, rendered with env and harmless defaults.
func rendered(t testing.TB, env map[string]string) string {
	t.Helper()
	template, err := os.ReadFile("../kong.yml")
	if err != nil {
		t.Fatal(err)
	}
	defaults := map[string]string{
		"USER_SERVICE_URL": "http://127.0.0.1:1", "ORCHESTRATOR_URL": "http://127.0.0.1:2",
		"JWT_SECRET": "a-secret-of-the-tests-0123456789ab",
	}
	result, err := render.Render(template, func(name string) (string, bool) {
		if v, ok := env[name]; ok {
			return v, true
		}
		v, ok := defaults[name]
		return v, ok
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(result.Text)
}

// served returns the address of g, which serves until the test ends.
func served(t testing.TB, g *Gateway) string {
	t.Helper()
	return servedBy(t, g, func(l net.Listener) net.Listener { return l })
}

// servedBy is served with a wrapped listener.
func servedBy(t testing.TB, g *Gateway, wrap func(net.Listener) net.Listener) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- g.Serve(ctx, wrap(l)) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return "http://" + l.Addr().String()
}

// reply is an answer, read whole.
type reply struct {
	status int
	header http.Header
	body   string
}

func ask(t testing.TB, method, url string, body io.Reader) reply {
	t.Helper()
	request, err := http.NewRequest(method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Error(err)
		return reply{}
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Error(err)
	}
	return reply{response.StatusCode, response.Header, string(text)}
}

func TestRenderingRefusesWeakSecrets(t *testing.T) {
	template, err := os.ReadFile("../kong.yml")
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"", "change_me", "your_jwt_secret_here", "too-short", "change_me_change_me_change_me_change_me"} {
		env := map[string]string{"USER_SERVICE_URL": "http://u:1", "ORCHESTRATOR_URL": "http://o:1", "JWT_SECRET": secret}
		_, err := render.Render(template, func(name string) (string, bool) { v, ok := env[name]; return v, ok })
		if err == nil || !strings.Contains(err.Error(), "JWT_SECRET") {
			t.Errorf("JWT_SECRET %q: %v", secret, err)
		}
	}
}

// A declaration with anything unknown is refused at start. Each case changes the real file in one place.
func TestNewRefuses(t *testing.T) {
	good := rendered(t, nil)
	if _, err := New([]byte(good)); err != nil {
		t.Fatalf("the real kong.yml: %v", err)
	}
	for name, change := range map[string][2]string{
		"format version as a number":    {`_format_version: "3.0"`, `_format_version: 3.0`},
		"another format version":        {`_format_version: "3.0"`, `_format_version: "2.1"`},
		"unknown top level field":       {"services:\n", "vaults: []\nservices:\n"},
		"unknown service field":         {"retries: 0", "retries: 0\n    path: /x"},
		"unknown route field":           {"{name: events,", "{name: events, strip_path: false,"},
		"unknown plugin field":          {"- name: correlation-id", "- name: correlation-id\n    protocols: [http]"},
		"unknown plugin":                {"- name: correlation-id", "- name: acme"},
		"unknown plugin setting":        {"echo_downstream: true", "echo_downstream: true\n      trace: 1"},
		"many retries":                  {"retries: 0", "retries: 2"},
		"no targets":                    {`targets: [{"target":"127.0.0.1:1"}]`, "targets: []"},
		"a target without a port":       {`"127.0.0.1:1"`, `"127.0.0.1"`},
		"an upstream that is not there": {"url: \"http://user-service.upstream\"", "url: \"http://user-service\""},
		"passive health checks":         {"      active:\n", "      passive: {type: http}\n      active:\n"},
		"other thresholds":              {"tcp_failures: 1", "tcp_failures: 2"},
		"intervals that differ":         {"        healthy:\n          interval: 0", "        healthy:\n          interval: 1"},
		"retries left to Kong":          {"    retries: 0\n", ""},
		"a service path":                {"http://user-service.upstream", "http://user-service.upstream/v1"},
		"service twice":                 {"name: user-otp", "name: user-login"},
		"route twice":                   {"name: auth-login", "name: auth-register"},
		"plugin twice in one scope":     {"  - name: cors\n", "  - name: correlation-id\n    config: {header_name: X-Correlation-ID, generator: uuid, echo_downstream: true}\n  - name: cors\n"},
		"buffering asked for":           {"response_buffering: false", "response_buffering: true"},
		"a prefix path":                 {`"~/(?:api/)?(events)$"`, `"/events"`},
		"an expression without end":     {`"~/(?:api/)?(events)$"`, `"~/(?:api/)?(events)"`},
		"another expression":            {`"~/(?:api/)?(events)$"`, `"~/(?:api/)?(events.*)$"`},
		"routes that overlap":           {`"~/(?:api/)?(tickets/sold)$"`, `"~/(?:api/)?(orders/mine)$"`},
		"the same path twice":           {`"~/(?:api/)?(docs)$"`, `"~/(?:api/)?(health)$"`},
		"a route for all methods":       {"{name: events, methods: [GET, HEAD, OPTIONS],", "{name: events,"},
		"unknown method":                {"{name: events, methods: [GET, HEAD, OPTIONS],", "{name: events, methods: [get],"},
		"tokens in the query":           {"          uri_param_names: []\n", ""},
		"tokens in cookies":             {"cookie_names: []", "cookie_names: [token]"},
		"exp not verified":              {"claims_to_verify: [exp]", "claims_to_verify: []"},
		"another algorithm":             {"algorithm: HS256", "algorithm: RS256"},
		"rate limit by header":          {"limit_by: ip", "limit_by: header\n          header_name: X-Device"},
		"rate limit in redis":           {"policy: local", "policy: redis"},
		"size in Kong's megabytes":      {"      size_unit: kilobytes\n", ""},
		"any origin":                    {`origins: ["http://localhost:3000"`, `origins: ["*"`},
		"origins by expression":         {`origins: ["http://localhost:3000"`, `origins: ["http://.*"`},
		"credentials":                   {"credentials: false", "credentials: true"},
		"another rewritten path":        {`uri: "/$(uri_captures[1] or '')"`, `uri: "/$(headers.x)"`},
		"another function":              {"return -- not the last chunk yet", "return nil"},
		"another function for headers":  {`kong.response.clear_header("Content-Length")`, `kong.response.clear_header("Server")`},
		"another function for requests": {"ngx.req.read_body()", "ngx.req.discard_body()"},
		"a function in another phase":   {"      header_filter:\n", "      log: [\"return\"]\n      header_filter:\n"},
		"envelope that is not JSON":     {`"message":"Please log in to go on."}'`, `"message":Please log in to go on.}'`},
		"no envelope for 500":           {"            [500] = ", "            [501] = "},
		"a second document":             {"_format_version", "---\n{}\n---\n_format_version"},
		"no cors":                       {"  - name: cors\n", "  - name: cors\n    enabled: false\n"},
		"route that leads nowhere":      {"status_code: 404\n          message: Not Found", "status_code: 404\n          message: Not Found\n        enabled: false"},
	} {
		t.Run(name, func(t *testing.T) {
			if !strings.Contains(good, change[0]) {
				t.Fatalf("kong.yml does not have %q", change[0])
			}
			bad := strings.Replace(good, change[0], change[1], 1)
			if _, err := New([]byte(bad)); err == nil {
				t.Error("accepted")
			} else {
				t.Log(err)
			}
		})
	}
}

func TestRememberedTokensExpireAllTheSame(t *testing.T) {
	now := time.Date(2026, 1, 1, 10, 0, 0, 0, time.UTC)
	key := []byte("a-secret-of-the-tests-0123456789ab")
	v := newVerifier(map[string][]byte{"us": key}, func() time.Time { return now })
	header := func(exp time.Time, key []byte) [][]byte {
		token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"iss": "us", "exp": exp.Unix()}).SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		return [][]byte{[]byte("Bearer " + token)}
	}
	good := header(now.Add(time.Minute), key)
	forged := header(now.Add(time.Minute), []byte("another-secret-of-32-bytes-012345"))
	for range 2 {
		if err := v.verify(good); err != nil {
			t.Error(err)
		}
		if err := v.verify(forged); err != errUnauthorized {
			t.Errorf("forged: %v", err)
		}
	}
	if len(v.known) != 1 {
		t.Errorf("%d tokens are remembered, want the good one", len(v.known))
	}
	now = now.Add(time.Minute)
	if err := v.verify(good); err != errExpired {
		t.Errorf("a minute later: %v", err)
	}
	for i := range maxKnown {
		v.known[strconv.Itoa(i)] = 0
	}
	if v.remember("one more", 1); len(v.known) > maxKnown {
		t.Errorf("%d tokens are remembered", len(v.known))
	}
}

func TestLimiterCountsClockMinutes(t *testing.T) {
	now := time.Date(2026, 1, 1, 10, 0, 50, 0, time.UTC)
	l := newLimiter(2, false, func() time.Time { return now })
	type answer struct {
		ok               bool
		remaining, reset string
	}
	take := func(ip string) answer {
		r := l.take(ip)
		return answer{r.allowed, string(r.remaining), string(r.reset)}
	}
	for i, step := range []struct {
		after time.Duration
		ip    string
		want  answer
	}{
		{0, "a", answer{true, "1", "10"}},
		{0, "a", answer{true, "0", "10"}},
		{5 * time.Second, "a", answer{false, "0", "5"}},
		{0, "b", answer{true, "1", "5"}},
		{5 * time.Second, "a", answer{true, "1", "60"}},
	} {
		now = now.Add(step.after)
		if got := take(step.ip); got != step.want {
			t.Errorf("step %d: got %+v, want %+v", i, got, step.want)
		}
	}
}

func TestLimiterIsBounded(t *testing.T) {
	l := newLimiter(1, false, time.Now)
	l.minute = time.Now().Unix() / 60
	for i := range maxCounted {
		l.counts[uint64(i)] = 0
	}
	minute := l.minute
	if ok, _ := l.count(maxCounted+1, minute); !ok {
		t.Error("the first beyond the bound is refused")
	}
	if ok, _ := l.count(maxCounted+2, minute); ok {
		t.Error("those beyond the bound do not share one count")
	}
	if len(l.counts) > maxCounted+1 {
		t.Errorf("%d addresses are kept", len(l.counts))
	}
}

// A Kong loads the plugins that kong.conf lists: those of kong.yml, and no others.
func TestKongLoadsThePluginsOfTheFile(t *testing.T) {
	d, err := parse([]byte(rendered(t, nil)))
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	note := func(plugins []plugin) {
		for _, p := range plugins {
			used[p.Name] = true
		}
	}
	note(d.Plugins)
	for _, s := range d.Services {
		note(s.Plugins)
	}
	for r := range d.allRoutes() {
		note(r.Plugins)
	}
	conf, err := os.ReadFile("../kong.conf")
	if err != nil {
		t.Fatal(err)
	}
	_, list, _ := strings.Cut(string(conf), "\nplugins = ")
	list, _, _ = strings.Cut(list, "\n")
	loaded := strings.Split(list, ",")
	slices.Sort(loaded)
	if want := slices.Sorted(maps.Keys(used)); !slices.Equal(loaded, want) {
		t.Errorf("kong.conf loads %v, kong.yml uses %v", loaded, want)
	}
}
