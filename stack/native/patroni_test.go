package native

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A cluster of three comes up, and nothing of it is left when it was killed.
func TestPatroniComesUpAndGoes(t *testing.T) {
	if err := Install(t.Context(), os.Stderr, "patroni", "etcd"); err != nil {
		t.Fatal(err)
	}
	dir := spacious(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	e := &Etcd{Dir: filepath.Join(dir, "etcd")}
	t.Cleanup(func() { e.Kill() })
	if err := e.Start(ctx); err != nil {
		t.Fatal(err)
	}
	p := &Patroni{Name: "seats", Dir: filepath.Join(dir, "seats"), Etcd: e, User: "inventory_user", Password: "it's secret", Database: "seats_db"}
	t.Cleanup(func() { p.Kill() })
	if err := p.Start(ctx); err != nil {
		t.Fatal(err)
	}
	if got := query[string](t, p.url(p.User, p.Database), "SELECT current_user || ' ' || current_setting('synchronous_standby_names')"); len(got) < len("inventory_user seats-0") {
		t.Errorf("connected as %q", got)
	}
	n, err := p.Primary(ctx)
	if err != nil {
		t.Fatal(err)
	}
	data := p.nodes[n].data
	if serverOf(data) == 0 {
		t.Error("the primary's server is not found")
	}
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	if serverOf(data) != 0 {
		t.Error("PostgreSQL is left")
	}
}
