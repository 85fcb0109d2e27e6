package ticketctl_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ticketremaster/stack/ticketctl"
)

// gateway answers as the admin API does; stack/e2e and stack/recovery have the real one.
type gateway struct {
	*httptest.Server
	calls   []string
	expired bool // the access token
}

func newGateway(t *testing.T) *gateway {
	g := &gateway{}
	g.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body bytes.Buffer
		_, _ = body.ReadFrom(r.Body)
		call := r.Method + " " + r.URL.RequestURI() + " " + strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ") + " " + body.String()
		g.calls = append(g.calls, strings.TrimSpace(call))
		refuse := func(status int, code string) {
			w.WriteHeader(status)
			fmt.Fprintf(w, `{"success":false,"error_code":%q,"message":"Sorry \u001b[31m"}`, code)
		}
		switch path := strings.TrimPrefix(r.URL.Path, "/api"); {
		case path == "/auth/login" && strings.Contains(body.String(), `"right"`):
			fmt.Fprint(w, `{"success":true,"data":{},"access_token":"first","refresh_token":"longer","user":{"role":"admin"}}`)
		case path == "/auth/login" && strings.Contains(body.String(), `"customer"`):
			fmt.Fprint(w, `{"success":true,"data":{},"access_token":"first","refresh_token":"longer","user":{"role":"customer"}}`)
		case path == "/auth/login":
			refuse(http.StatusUnauthorized, "UNAUTHORIZED")
		case path == "/auth/refresh":
			g.expired = false
			fmt.Fprint(w, `{"success":true,"data":{"access_token":"second"}}`)
		case g.expired:
			refuse(http.StatusUnauthorized, "TOKEN_EXPIRED")
		case r.URL.RequestURI() == "/api/admin/messages?page=1&per_page=100":
			var all []map[string]string
			for n := range 100 {
				all = append(all, map[string]string{"message_id": fmt.Sprint("m", n), "queue": "q"})
			}
			_ = json.NewEncoder(w).Encode(map[string]any{"success": true, "data": all})
		case r.URL.RequestURI() == "/api/admin/messages?page=2&per_page=100":
			fmt.Fprint(w, `{"success":true,"data":[{"message_id":"m100"}]}`)
		default:
			fmt.Fprint(w, `{"success":true,"data":[{"saga_id":"s1","kind":"purchase\u001b[2J","subject":"o1"}],"pagination":{"total":3}}`)
		}
	}))
	t.Cleanup(g.Close)
	return g
}

// desk is a user at a terminal, or a script.
type desk struct {
	env      map[string]string
	terminal bool
}

func newDesk(t *testing.T, g *gateway) *desk {
	return &desk{env: map[string]string{"TICKETCTL_GATEWAY": g.URL, "TICKETCTL_SESSION": filepath.Join(t.TempDir(), "of", "ticketctl", "session.json")}}
}

func (d *desk) run(in string, args ...string) (out, told string, err error) {
	var stdout, stderr bytes.Buffer
	c := ticketctl.New(ticketctl.Console{In: strings.NewReader(in), Out: &stdout, Err: &stderr, Terminal: d.terminal,
		Getenv: func(name string) string { return d.env[name] }, Hidden: func() (string, error) { return "right", nil }})
	c.SetArgs(args)
	err = c.Execute()
	return stdout.String(), stderr.String(), err
}

func (d *desk) must(t *testing.T, args ...string) string {
	t.Helper()
	out, _, err := d.run("", args...)
	if err != nil {
		t.Fatalf("%v: %v", args, err)
	}
	return out
}

// The session is in a file that only its user can read, goes on when its token is over, and is no other gateway's.
func TestTheSession(t *testing.T) {
	g := newGateway(t)
	d := newDesk(t, g)
	path := d.env["TICKETCTL_SESSION"]
	refused := func(why, in string, args ...string) {
		t.Helper()
		if _, _, err := d.run(in, args...); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%v: %v", args, err)
		}
	}
	refused("nobody is logged in", "", "status")
	refused("UNAUTHORIZED", "wrong\n", "login", "--email", "a@example.com")
	refused("is no administrator", "customer\n", "login", "--email", "a@example.com")
	refused("the password is expected", "", "login", "--email", "a@example.com")
	if _, err := os.Stat(path); err == nil {
		t.Error("a session was kept")
	}
	if _, _, err := d.run("right\n", "login", "--email", "a@example.com"); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	g.expired = true
	d.must(t, "sagas")
	if text, _ := os.ReadFile(path); !strings.Contains(string(text), "second") {
		t.Errorf("the new token is not kept: %s", text)
	}
	refused("log in at", "", "sagas", "--gateway", "http://127.0.0.1:1")
	d.env["TICKETCTL_GATEWAY"] = "http://tickets.example.com"
	refused("https", "", "sagas")
	d.env["TICKETCTL_GATEWAY"] = ""
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	refused("others may read", "", "sagas")
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	d.must(t, "logout")
	if _, err := os.Stat(path); err == nil {
		t.Error("the session is still kept")
	}
	d.terminal, d.env["TICKETCTL_GATEWAY"] = true, g.URL
	if _, told, err := d.run("", "login", "--email", "a@example.com"); err != nil || told != "Password of a@example.com: " {
		t.Errorf("%q, %v", told, err)
	}
}

// Nothing is changed that its user did not agree to, and never without a reason.
func TestChangesAreAskedFor(t *testing.T) {
	g := newGateway(t)
	d := newDesk(t, g)
	d.env["TICKETCTL_TOKEN"] = "token"
	resume := []string{"saga", "resume", "s/1", "--reason", "it was mended"}
	for _, c := range []struct {
		in       string
		terminal bool
		args     []string
		why      string // "": it is done
	}{
		{"", false, resume, "run it at a terminal, or with --yes"},
		{"n\n", true, resume, "nothing was changed"},
		{"\n", true, resume, "nothing was changed"},
		{"", true, resume, "nothing was changed"},
		{"y\n", true, []string{"saga", "resume", "s1"}, `required flag(s) "reason"`},
		{"y\n", true, []string{"messages", "replay", "--reason", "x"}, "name the messages, or give --all"},
		{"y\n", true, []string{"messages", "replay", "m1", "--all", "--reason", "x"}, "name the messages, or give --all"},
		{"y\n", true, resume, ""},
		{"", false, append([]string{"--yes"}, resume...), ""},
	} {
		g.calls, d.terminal = nil, c.terminal
		_, _, err := d.run(c.in, c.args...)
		if c.why == "" && (err != nil || len(g.calls) != 1 || g.calls[0] != `POST /api/admin/sagas/s%2F1/resume token {"reason":"it was mended"}`) {
			t.Errorf("%v: %v, %q", c.args, err, g.calls)
		}
		if c.why != "" && (err == nil || !strings.Contains(err.Error(), c.why) || len(g.calls) > 0) {
			t.Errorf("%v: %v, %q", c.args, err, g.calls)
		}
	}
	g.calls = nil
	d.must(t, "messages", "replay", "--all", "--yes", "--reason", "it was mended")
	if len(g.calls) != 4 || !strings.Contains(g.calls[2], `"m0"`) || !strings.HasSuffix(g.calls[3], `/replay token {"message_ids":["m100"],"reason":"it was mended"}`) {
		t.Errorf("%d calls: %.200q", len(g.calls), g.calls)
	}
}

// What is shown is a table or JSON, and moves no terminal's cursor, whoever wrote it.
func TestWhatIsShown(t *testing.T) {
	g := newGateway(t)
	d := newDesk(t, g)
	d.env["TICKETCTL_TOKEN"] = "token"
	if out := d.must(t, "sagas"); strings.Contains(out, "\x1b") || !strings.Contains(out, "s1") {
		t.Errorf("%q", out)
	}
	var sagas []map[string]any
	if out := d.must(t, "sagas", "-o", "json"); json.Unmarshal([]byte(out), &sagas) != nil || sagas[0]["saga_id"] != "s1" {
		t.Errorf("%s", out)
	}
	var status map[string]any
	if out := d.must(t, "status", "-o", "json"); json.Unmarshal([]byte(out), &status) != nil || status["parked_sagas"] != 3. || status["ready"] != true {
		t.Errorf("%s", out)
	}
	if _, _, err := d.run("", "sagas", "-o", "xml"); err == nil {
		t.Error("another format was taken")
	}
	g.expired = true
	if _, _, err := d.run("", "sagas"); err == nil || strings.Contains(err.Error(), "\x1b") || !strings.Contains(err.Error(), "TOKEN_EXPIRED") {
		t.Errorf("%v", err)
	}
	g.expired = false
	if out := d.must(t, "__complete", "saga", "resume", ""); !strings.Contains(out, "s1\tpurchase") || strings.Contains(out, "\x1b") {
		t.Errorf("the shell is offered %q", out)
	}
	if out := d.must(t, "completion", "bash"); !strings.Contains(out, "ticketctl") {
		t.Errorf("%.100s", out)
	}
	if _, _, err := d.run("", "audit"); err == nil || !strings.Contains(err.Error(), "SEATS_DB_URL is not set") {
		t.Errorf("%v", err)
	}
}
