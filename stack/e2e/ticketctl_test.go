package e2e

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"ticketremaster/stack/ticketctl"
)

// The operator's terminal against the gateway. Recovery has a saga and messages that wait for it.
func TestTheOperatorsTerminal(t *testing.T) {
	p, worker := person(t, 100_00), employee(t, "staff")
	seat := ticket(t, p)
	env := map[string]string{"TICKETCTL_GATEWAY": app.Gateway, "TICKETCTL_API_KEY": app.APIKey, "TICKETCTL_SESSION": filepath.Join(t.TempDir(), "session.json")}
	run := func(in string, args ...string) (string, error) {
		var out bytes.Buffer
		c := ticketctl.New(ticketctl.Console{In: strings.NewReader(in), Out: &out, Err: &out, Getenv: func(name string) string { return env[name] }})
		c.SetArgs(args)
		err := c.ExecuteContext(t.Context())
		return out.String(), err
	}
	refused := func(why, in string, args ...string) {
		t.Helper()
		if out, err := run(in, args...); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%v: %v %s", args, err, out)
		}
	}
	shows := func(what string, args ...string) {
		t.Helper()
		if out, err := run("", args...); err != nil || !strings.Contains(out, what) {
			t.Errorf("%v: %v %s", args, err, out)
		}
	}
	refused("UNAUTHORIZED", "not it\n", "login", "--email", admin.Email)
	refused("is no administrator", worker.Password+"\n", "login", "--email", worker.Email)
	if _, err := run(admin.Password+"\n", "login", "--email", admin.Email); err != nil {
		t.Fatal(err)
	}
	shows("parked messages", "status")
	shows("SAGA", "sagas")
	shows("[", "messages", "-o", "json")
	shows(seat, "order", "show", p.Email)
	refused("VALIDATION_ERROR", "", "sagas", "--page", "0")
	refused("ORDER_NOT_FOUND", "", "order", "show", "0193a5c0-0000-7000-8000-000000000001")
	refused("NOT_FOUND", "", "saga", "resume", "0193a5c0-0000-7000-8000-000000000001", "--yes", "--reason", "it was mended")
	refused("NOT_FOUND", "", "messages", "drop", "0193a5c0-0000-7000-8000-000000000001", "--yes", "--reason", "of no use")
	env["TICKETCTL_TOKEN"] = worker.Access
	refused("FORBIDDEN", "", "sagas")
	delete(env, "TICKETCTL_TOKEN")
	shows("", "logout")
	refused("nobody is logged in", "", "sagas")
}
