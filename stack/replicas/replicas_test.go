// Package replicas runs two of each service and stops, kills and pauses each in turn while people buy.
package replicas

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"ticketremaster/stack"
	"ticketremaster/stack/audit"
	"ticketremaster/stack/client"
)

const (
	password  = "correct horse battery"
	adminMail = "admin@example.com"
	buyers    = 4
	pace      = 100 * time.Millisecond // between a buyer's purchases
	// drain is how long a replica that is to end still answers: longer than the gateway needs to see that it is not
	// ready.
	drain = 3 * time.Second
	lease = 10 * time.Second // of a saga: for so long nobody takes up those of a process that died
)

func boot(t *testing.T) (*stack.Stack, *client.App, *client.Person) {
	t.Helper()
	s, err := stack.Boot(t.Context(), stack.Options{Private: true, Replicas: 2, Progress: os.Stderr,
		Env: map[string]string{"BCRYPT_COST": "4", "DRAIN_PAUSE": drain.String(), "MAX_HOLDS": "100", "SWEEP_GRACE": "1s"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	app := &client.App{Gateway: s.URL(), Sandbox: s.SandboxURL(), HTTP: &http.Client{Timeout: 20 * time.Second}}
	if _, err := s.Command(t.Context(), "user-service", []string{"ADMIN_PASSWORD=" + password}, "create-admin", adminMail, "+6580000000"); err != nil {
		t.Fatal(err)
	}
	admin, err := app.LogIn(t.Context(), adminMail, password)
	if err != nil {
		t.Fatal(err)
	}
	return s, app, admin
}

// newEvent makes an event and returns the ids of its seats.
func newEvent(t *testing.T, app *client.App, admin *client.Person, seats int) (ids []string) {
	t.Helper()
	a, err := admin.Post(t.Context(), "/admin/events", map[string]any{
		"name": "Concert", "venue": map[string]any{"name": "Arena", "address": "1 Stadium Way", "total_halls": 1}, "hall_id": "H1",
		"event_date": time.Now().AddDate(0, 2, 0).UTC().Format(time.RFC3339), "total_seats": seats, "pricing_tiers": map[string]any{"CAT1": 1},
	})
	if err != nil || a.Status != http.StatusCreated {
		t.Fatal(a.Status, string(a.Raw), err)
	}
	a, err = app.Do(t.Context(), client.Call{Method: http.MethodGet, Path: "/events/" + a.Text("event_id")})
	var e struct {
		Seats []struct {
			ID string `json:"seat_id"`
		} `json:"seats"`
	}
	if err != nil || a.Into(&e) != nil {
		t.Fatal(string(a.Raw), err)
	}
	for _, s := range e.Seats {
		ids = append(ids, s.ID)
	}
	return ids
}

// crowd are people who buy one seat after the other.
type crowd struct {
	mu     sync.Mutex
	bought int
	errors []string
}

func (c *crowd) buy(ctx context.Context, p *client.Person, seats <-chan string) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(pace):
		}
		seat, ok := <-seats
		if !ok {
			return
		}
		said := purchase(p, seat)
		c.mu.Lock()
		if said == "" {
			c.bought++
		} else {
			c.errors = append(c.errors, said)
		}
		c.mu.Unlock()
	}
}

// purchase buys a seat and returns what went wrong, if anything did. It is finished even when the test ends.
func purchase(p *client.Person, seat string) string {
	ctx := context.Background()
	a, err := p.Post(ctx, "/reserve", map[string]any{"seat_id": seat})
	if err != nil || a.Status != http.StatusOK {
		return fmt.Sprintf("/reserve: %d %s %v", a.Status, a.Code, err)
	}
	a, err = p.Post(ctx, "/pay", map[string]any{"order_id": a.Text("order_id")})
	if err != nil || a.Status != http.StatusOK {
		return fmt.Sprintf("/pay: %d %s %v", a.Status, a.Code, err)
	}
	return ""
}

// since returns what was bought and what went wrong since the last call.
func (c *crowd) since() (bought int, errors []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	bought, errors = c.bought, c.errors
	c.bought, c.errors = 0, nil
	return bought, errors
}

// Of two of each service, one is stopped, killed and paused in turn while people buy. A stop costs no client an error;
// a kill or a pause may cost those under way one, and sales go on; the audit finds nothing.
func TestEachReplicaComesAndGoes(t *testing.T) {
	s, app, admin := boot(t)
	seats := make(chan string)
	ctx, end := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		defer close(seats)
		for _, seat := range newEvent(t, app, admin, 5_000) {
			select {
			case seats <- seat:
			case <-ctx.Done():
				return
			}
		}
	})
	var c crowd
	for i := range buyers {
		p, err := app.Register(t.Context(), fmt.Sprintf("u%d@example.com", i), fmt.Sprintf("+65900000%02d", i), password)
		if err == nil {
			_, err = p.TopUp(t.Context(), 5_000_00)
		}
		if err != nil {
			t.Fatal(err)
		}
		running.Go(func() { c.buy(ctx, p, seats) })
	}
	stopBuying := sync.OnceFunc(func() { end(); running.Wait() })
	defer stopBuying()

	sales := func(t *testing.T, n int) { // waits until so many more seats are bought
		t.Helper()
		for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
			c.mu.Lock()
			bought := c.bought
			c.mu.Unlock()
			if bought >= n {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("%d of %d seats were bought in 30 s", bought, n)
			}
		}
	}
	for _, service := range []string{"orchestrator-service", "inventory-service", "user-service", "order-service", "event-service"} {
		for i, how := range []string{"stop", "kill", "pause"} {
			replica := fmt.Sprintf("%s-%d", service, i%2+1)
			t.Run(how+" "+replica, func(t *testing.T) {
				sales(t, buyers)
				c.since()
				switch how {
				case "stop":
					check(t, s.Stop(t.Context(), replica))
				case "kill":
					check(t, s.Kill(replica))
				case "pause":
					pid, _ := s.Running(replica)
					check(t, syscall.Kill(pid, syscall.SIGSTOP))
					defer syscall.Kill(pid, syscall.SIGCONT) // also if it is given up here
					sales(t, 3*buyers)
					check(t, syscall.Kill(pid, syscall.SIGCONT))
				}
				sales(t, 3*buyers)
				check(t, s.Start(t.Context(), replica))
				sales(t, 5*buyers)
				bought, failed := c.since()
				t.Logf("%d bought, %d failed", bought, len(failed))
				if how == "stop" && len(failed) > 0 || len(failed) > 10*buyers {
					t.Errorf("%d calls failed: %s", len(failed), strings.Join(failed, "; "))
				}
			})
		}
	}
	stopBuying()
	dsns := map[string]string{}
	for _, name := range audit.Databases {
		dsns[name] = s.DSN(name)
	}
	var out bytes.Buffer
	if n, err := audit.Run(t.Context(), dsns, lease+5*time.Second, &out); n != 0 || err != nil {
		t.Errorf("the audit finds %d offenders, %v:\n%s", n, err, out.String())
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
