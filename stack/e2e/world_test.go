// Package e2e tests a whole system as its clients do, through the gateway: the system at GATEWAY_URL, if set (with
// SANDBOX_URL, ADMIN_EMAIL and ADMIN_PASSWORD, by default the demo's), otherwise a stack of its own.
package e2e

import (
	"context"
	"encoding/json"
	settings "flag" // flag is a helper here
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ticketremaster/platform/money"
	"ticketremaster/stack"
	"ticketremaster/stack/client"
)

var (
	app   *client.App
	admin *client.Person
	own   *stack.Stack // nil with GATEWAY_URL
	// run keeps this run's accounts apart from an earlier one's on the same system.
	run  = fmt.Sprintf("%d%04d", time.Now().Unix(), rand.IntN(10_000))
	made atomic.Int64
)

const password = "correct horse battery"

func TestMain(m *testing.M) {
	code, err := testMain(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		code = 1
	}
	os.Exit(code)
}

func testMain(m *testing.M) (code int, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	email, secret := env("ADMIN_EMAIL", "admin@ticketremaster.example"), env("ADMIN_PASSWORD", "demo-password")
	if described, err = readDescription(); err != nil {
		return 1, err
	}
	app = &client.App{
		Seen:    described.saw,
		Gateway: strings.TrimSuffix(os.Getenv("GATEWAY_URL"), "/"), Sandbox: env("SANDBOX_URL", "http://127.0.0.1:8025"), APIKey: os.Getenv("GATEWAY_API_KEY"),
		HTTP: &http.Client{Timeout: 15 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 256}},
	}
	if app.Gateway == "" {
		if own, err = stack.Boot(ctx, stack.Options{Private: true, Unsafe: true, Progress: os.Stderr, Env: map[string]string{
			"BCRYPT_COST":   "4",
			"MAX_IN_FLIGHT": "256", // races of fifty are to be decided by the services, on slow machines too
		}}); err != nil {
			return 1, err
		}
		defer func() {
			if closeErr := own.Close(); err == nil {
				err = closeErr
			}
		}()
		app.Gateway, app.Sandbox = own.URL(), own.SandboxURL()
		if _, err := own.Command(ctx, "user-service", []string{"ADMIN_PASSWORD=" + secret}, "create-admin", email, "+6580000000"); err != nil {
			return 1, err
		}
	}
	if admin, err = app.LogIn(ctx, email, secret); err != nil {
		return 1, fmt.Errorf("%w (an administrator is needed: ADMIN_EMAIL, ADMIN_PASSWORD)", err)
	}
	code = m.Run()
	if err := described.report(); err != nil {
		return 1, err
	}
	// In a run of all tests each operation must have been called.
	if missing := described.neverSeen(); code == 0 && settings.Lookup("test.run").Value.String() == "" && len(missing) > 0 {
		return 1, fmt.Errorf("described, and never seen to work: %s", strings.Join(missing, ", "))
	}
	return code, nil
}

func env(name, otherwise string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return otherwise
}

// person registers a new user with credits.
func person(t *testing.T, credits money.Cents) *client.Person {
	t.Helper()
	n := made.Add(1)
	p, err := app.Register(t.Context(), fmt.Sprintf("u%d-%s@example.com", n, run), fmt.Sprintf("+65%s%03d", run[4:], n%1000), password)
	if err != nil {
		t.Fatal(err)
	}
	if credits > 0 {
		if _, err := p.TopUp(t.Context(), credits); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// employee is a new user with a role.
func employee(t *testing.T, role string) *client.Person {
	t.Helper()
	p := person(t, 0)
	change(t, p, map[string]any{"role": role})
	return relogin(t, p)
}

// flag marks a user as high-risk, who then must log in again.
func flag(t *testing.T, p *client.Person) *client.Person {
	t.Helper()
	change(t, p, map[string]any{"is_flagged": true})
	return relogin(t, p)
}

func change(t *testing.T, p *client.Person, what map[string]any) {
	t.Helper()
	a, err := app.Do(t.Context(), client.Call{Method: http.MethodPatch, Path: "/admin/users/" + p.ID, Token: admin.Access, Body: what})
	must(t, a, err, http.StatusOK)
}

func relogin(t *testing.T, p *client.Person) *client.Person {
	t.Helper()
	again, err := app.LogIn(t.Context(), p.Email, p.Password)
	if err != nil {
		t.Fatal(err)
	}
	return again
}

type event struct {
	ID    string
	Hall  string
	Seats []seat
}

type seat struct {
	ID       string      `json:"seat_id"`
	Row      string      `json:"row_number"`
	Number   int         `json:"seat_number"`
	Status   string      `json:"status"`
	Category string      `json:"category"`
	Price    money.Cents `json:"price"`
}

// newEvent makes an event of two tiers, 60 and 25.50 credits, a month from now; change may alter what is sent.
func newEvent(t *testing.T, seats int, alter ...func(map[string]any)) event {
	t.Helper()
	body := map[string]any{
		"name": fmt.Sprintf("Concert %s-%d", run, made.Add(1)), "venue": map[string]any{"name": "Arena", "address": "1 Stadium Way", "total_halls": 3}, "hall_id": "H1",
		"event_date": time.Now().AddDate(0, 1, 0).UTC().Format(time.RFC3339), "total_seats": seats,
		"pricing_tiers": map[string]any{"CAT1": 60, "CAT2": 25.5},
	}
	for _, f := range alter {
		f(body)
	}
	a, err := admin.Post(t.Context(), "/admin/events", body)
	must(t, a, err, http.StatusCreated)
	return readEvent(t, a.Text("event_id"))
}

func readEvent(t *testing.T, id string) event {
	t.Helper()
	a, err := app.Do(t.Context(), client.Call{Method: http.MethodGet, Path: "/events/" + id})
	must(t, a, err, http.StatusOK)
	var e struct {
		Hall  string `json:"hall_id"`
		Seats []seat `json:"seats"`
	}
	if err := a.Into(&e); err != nil {
		t.Fatal(err)
	}
	return event{id, e.Hall, e.Seats}
}

// must fails the test unless the answer has that status and our envelope.
func must(t *testing.T, a client.Answer, err error, status int) client.Answer {
	t.Helper()
	if err == nil {
		err = a.Err(status)
	}
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// refused fails the test unless the answer is that refusal, in our envelope, with a message for people.
func refused(t *testing.T, a client.Answer, err error, status int, code string) client.Answer {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	if a.Status != status || a.Code != code || a.Success || a.Message == "" {
		t.Fatalf("status %d %s, want %d %s: %s", a.Status, a.Code, status, code, a.Raw)
	}
	return a
}

// reserve holds a seat and returns the order.
func reserve(t *testing.T, p *client.Person, seatID string) string {
	t.Helper()
	a, err := p.Post(t.Context(), "/reserve", map[string]any{"seat_id": seatID, "user_id": p.ID})
	return must(t, a, err, http.StatusOK).Text("order_id")
}

// buy reserves and pays, and returns the order.
func buy(t *testing.T, p *client.Person, seatID string) string {
	t.Helper()
	order := reserve(t, p, seatID)
	a, err := p.Post(t.Context(), "/pay", map[string]any{"order_id": order})
	must(t, a, err, http.StatusOK)
	return order
}

func balance(t *testing.T, p *client.Person) money.Cents {
	t.Helper()
	b, err := p.Balance(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// everywhere is eventually for what each replica of a service keeps by itself for some seconds: it must hold several
// times in succession.
func everywhere(t *testing.T, what string, is func() bool) {
	t.Helper()
	eventually(t, what, func() bool {
		for range 4 {
			if !is() {
				return false
			}
		}
		return true
	})
}

// eventually waits until is returns true.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !is(); {
		if time.Now().After(deadline) {
			t.Fatal("it never came true that " + what)
		}
		time.Sleep(50 * time.Millisecond) // between two looks
	}
}

func field(a client.Answer, name string) any {
	var m map[string]any
	_ = json.Unmarshal(a.Data, &m)
	return m[name]
}
