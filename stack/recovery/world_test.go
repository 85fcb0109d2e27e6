// Package recovery kills, stops and starves the parts of a stack of its own and checks the result: balances, owners and
// statuses as a client sees them, and the audit of all five databases.
package recovery

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"ticketremaster/platform/money"
	"ticketremaster/stack"
	"ticketremaster/stack/audit"
	"ticketremaster/stack/client"
	"ticketremaster/stack/ticketctl"
)

var (
	own   *stack.Stack
	app   *client.App // through the gateway
	admin *client.Person
	made  atomic.Int64
)

const (
	password  = "correct horse battery"
	adminMail = "admin@example.com"
	// shortLife is the life of holds and transfers that are to expire.
	shortLife = 2 * time.Second
	// lease is how long a dead orchestrator's sagas are not taken up by others; it is the saga engine's.
	lease = 10 * time.Second
)

func TestMain(m *testing.M) {
	flag.Parse()
	// Most of the time is waiting for the dead one's lease to end, so many cases wait in parallel.
	_ = flag.Set("test.parallel", "24")
	code, err := testMain(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "recovery:", err)
		code = 1
	}
	os.Exit(code)
}

func testMain(m *testing.M) (code int, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	// Durable: what was answered must survive a kill of the database.
	own, err = stack.Boot(ctx, stack.Options{Private: true, Progress: os.Stderr, Env: map[string]string{
		"BCRYPT_COST": "4", "SWEEP_GRACE": "1s", "SWEEP_INTERVAL": "300ms", "MAX_HOLDS": "100",
		"OTP_SENDS_PER_HOUR": "10000", "OTP_PAIR_SENDS_PER_HOUR": "10000", "OTP_WRONG_PER_DAY": "10000",
	}})
	if err != nil {
		return 1, err
	}
	defer func() {
		if closeErr := own.Close(); err == nil {
			err = closeErr
		}
	}()
	app = &client.App{
		Gateway: own.URL(), Sandbox: own.SandboxURL(),
		HTTP: &http.Client{Timeout: 15 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64}},
	}
	if _, err := own.Command(ctx, "user-service", []string{"ADMIN_PASSWORD=" + password}, "create-admin", adminMail, "+6580000000"); err != nil {
		return 1, err
	}
	if admin, err = app.LogIn(ctx, adminMail, password); err != nil {
		return 1, err
	}
	if code = m.Run(); code == 0 {
		err = audited(context.Background()) // ctx is for the start, and the tests take longer
	}
	return code, err
}

// operate runs ticketctl as the administrator.
func operate(t *testing.T, args ...string) {
	t.Helper()
	env := map[string]string{"TICKETCTL_GATEWAY": app.Gateway, "TICKETCTL_TOKEN": admin.Access}
	var out bytes.Buffer
	c := ticketctl.New(ticketctl.Console{In: strings.NewReader(""), Out: &out, Err: &out, Getenv: func(name string) string { return env[name] }})
	c.SetArgs(append(args, "--yes"))
	if err := c.ExecuteContext(t.Context()); err != nil {
		t.Fatalf("%v: %v %s", args, err, out.String())
	}
}

// clean audits all five databases when the test, with its subtests, has ended.
func clean(t *testing.T) {
	t.Cleanup(func() {
		if err := audited(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
}

// audited returns what the audit finds, after its grace period.
func audited(ctx context.Context) error {
	dsns := map[string]string{}
	for _, name := range audit.Databases {
		dsns[name] = own.DSN(name)
	}
	var out bytes.Buffer
	n, err := audit.Run(ctx, dsns, lease+5*time.Second, &out)
	if n != 0 || err != nil {
		return fmt.Errorf("the audit finds %d offenders, %v:\n%s", n, err, out.String())
	}
	return nil
}

var replicas sync.Mutex

// replica starts one more orchestrator and returns an app that calls only this one.
func replica(t *testing.T, env ...string) (name string, direct *client.App) {
	t.Helper()
	replicas.Lock()
	defer replicas.Unlock()
	name, err := own.Replica(t.Context(), "orchestrator-service", env...)
	if err != nil {
		t.Fatal(err)
	}
	addr, err := own.Addr(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { kill(t, name) })
	return name, &client.App{Gateway: "http://" + addr, Sandbox: own.SandboxURL(), HTTP: &http.Client{Timeout: 15 * time.Second, Transport: &http.Transport{}}}
}

// hasty is an orchestrator with a short HOLD_TTL and TRANSFER_TTL.
func hasty(t *testing.T) *client.App {
	t.Helper()
	_, direct := replica(t, "HOLD_TTL="+shortLife.String(), "TRANSFER_TTL="+shortLife.String())
	return direct
}

func kill(t *testing.T, part string) {
	t.Helper()
	if err := own.Kill(part); err != nil {
		t.Error(err)
	}
}

func start(t *testing.T, part string, env ...string) {
	t.Helper()
	// A port that was given up by a kill may be another program's connection for a moment.
	eventually(t, part+" starts again", func() bool {
		err := own.Start(context.WithoutCancel(t.Context()), part, env...)
		if err != nil {
			t.Log(err)
		}
		return err == nil
	})
}

func restart(t *testing.T, part string, env ...string) {
	t.Helper()
	if err := own.Restart(context.WithoutCancel(t.Context()), part, env...); err != nil {
		t.Fatal(err)
	}
}

// via is the same person as a client of another app.
func via(p *client.Person, direct *client.App) *client.Person {
	other := *p
	other.App = direct
	return &other
}

// person registers a new user with credits.
func person(t *testing.T, credits money.Cents) *client.Person {
	t.Helper()
	n := made.Add(1)
	p, err := app.Register(t.Context(), fmt.Sprintf("u%d@example.com", n), fmt.Sprintf("+659%07d", n), password)
	if err == nil && credits > 0 {
		_, err = p.TopUp(t.Context(), credits)
	}
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// changed sets a user's role or flag and logs in again.
func changed(t *testing.T, p *client.Person, what map[string]any) *client.Person {
	t.Helper()
	a, err := app.Do(t.Context(), client.Call{Method: http.MethodPatch, Path: "/admin/users/" + p.ID, Token: admin.Access, Body: what})
	must(t, a, err, http.StatusOK)
	again, err := app.LogIn(t.Context(), p.Email, p.Password)
	if err != nil {
		t.Fatal(err)
	}
	return again
}

func staff(t *testing.T) *client.Person {
	t.Helper()
	return changed(t, person(t, 0), map[string]any{"role": "staff"})
}

// price is a seat's, in these tests' events.
const price = money.Cents(20_00)

// newEvent creates an event with so many seats at price and returns its id and those of its seats.
func newEvent(t *testing.T, seats int, rules ...map[string]any) (id string, seatIDs []string) {
	t.Helper()
	body := eventBody(fmt.Sprintf("Concert %d", made.Add(1)), seats, time.Now().AddDate(0, 2, 0))
	for _, r := range rules {
		maps.Copy(body, r)
	}
	a, err := admin.Post(t.Context(), "/admin/events", body)
	id = must(t, a, err, http.StatusCreated).Text("event_id")
	a, err = app.Do(t.Context(), client.Call{Method: http.MethodGet, Path: "/events/" + id})
	var e struct {
		Seats []struct {
			ID string `json:"seat_id"`
		} `json:"seats"`
	}
	if err := must(t, a, err, http.StatusOK).Into(&e); err != nil {
		t.Fatal(err)
	}
	for _, s := range e.Seats {
		seatIDs = append(seatIDs, s.ID)
	}
	return id, seatIDs
}

func eventBody(name string, seats int, when time.Time) map[string]any {
	return map[string]any{
		"name": name, "venue": map[string]any{"name": "Arena", "address": "1 Stadium Way", "total_halls": 3}, "hall_id": "H1",
		"event_date": when.UTC().Format(time.RFC3339), "total_seats": seats, "pricing_tiers": map[string]any{"CAT1": price},
	}
}

// hall returns seats of one large event, each once.
var hall struct {
	sync.Mutex
	seats []string
}

func freeSeat(t *testing.T) string {
	t.Helper()
	hall.Lock()
	defer hall.Unlock()
	if len(hall.seats) == 0 {
		_, hall.seats = newEvent(t, 500)
	}
	seat := hall.seats[0]
	hall.seats = hall.seats[1:]
	return seat
}

func reserve(t *testing.T, p *client.Person, seat string) (order string) {
	t.Helper()
	a, err := p.Post(t.Context(), "/reserve", map[string]any{"seat_id": seat})
	return must(t, a, err, http.StatusOK).Text("order_id")
}

func pay(t *testing.T, p *client.Person, order string) (client.Answer, error) {
	t.Helper()
	return p.Post(t.Context(), "/pay", map[string]any{"order_id": order})
}

// ticket buys a ticket and returns its seat. It repeats what is answered 503, as a client does: many tests prepare
// their data at once.
func ticket(t *testing.T, p *client.Person) (seat string) {
	t.Helper()
	const tries = 5
	for try := 1; ; try++ {
		seat = freeSeat(t)
		a, err := p.Post(t.Context(), "/reserve", map[string]any{"seat_id": seat})
		if err == nil && a.Status == http.StatusServiceUnavailable && try < tries {
			time.Sleep(time.Second)
			continue
		}
		order := must(t, a, err, http.StatusOK).Text("order_id")
		for {
			a, err = pay(t, p, order)
			if err == nil && (a.Status == http.StatusServiceUnavailable || a.Status == http.StatusAccepted) && try < tries {
				time.Sleep(time.Second)
				try++
				continue
			}
			if a.Code != "ORDER_ALREADY_CONFIRMED" { // by the payment whose answer was a 503
				must(t, a, err, http.StatusOK)
			}
			return seat
		}
	}
}

// offer initiates a transfer as the buyer and returns the body that confirms it.
func offer(t *testing.T, seller, buyer *client.Person, seat string, amount money.Cents) (id string, confirmation map[string]any) {
	t.Helper()
	since := time.Now()
	a, err := buyer.Post(t.Context(), "/transfer/initiate", map[string]any{"seat_id": seat, "seller_id": seller.ID, "buyer_id": buyer.ID, "credits_amount": amount})
	id = must(t, a, err, http.StatusCreated).Text("transfer_id")
	confirmation = map[string]any{"transfer_id": id}
	for field, p := range map[string]*client.Person{"seller_otp": seller, "buyer_otp": buyer} {
		code, err := app.OTP(t.Context(), p.Phone, since)
		if err != nil {
			t.Fatal(err)
		}
		confirmation[field] = code
	}
	return id, confirmation
}

func handOver(t *testing.T, seller, buyer *client.Person, seat string, amount money.Cents) (id string) {
	t.Helper()
	id, confirmation := offer(t, seller, buyer, seat, amount)
	var a client.Answer
	var err error
	eventually(t, "the SMS service is asked", func() bool { // so many cases at once keep it busy
		a, err = buyer.Post(t.Context(), "/transfer/confirm", confirmation)
		return err != nil || a.Status != http.StatusServiceUnavailable
	})
	must(t, a, err, http.StatusOK)
	return id
}

// act disputes, withdraws, rejects or reverses, and requires success.
func act(t *testing.T, p *client.Person, what, id string) {
	t.Helper()
	a, err := p.Post(t.Context(), "/transfer/"+what, map[string]any{"transfer_id": id, "reason": "it was not me"})
	must(t, a, err, http.StatusOK)
}

func must(t testing.TB, a client.Answer, err error, status int) client.Answer {
	t.Helper()
	if err == nil {
		err = a.Err(status)
	}
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func refused(t testing.TB, a client.Answer, err error, status int, code string) client.Answer {
	t.Helper()
	if err != nil || a.Status != status || a.Code != code || a.Message == "" {
		t.Fatalf("status %d %s, want %d %s: %s %v", a.Status, a.Code, status, code, a.Raw, err)
	}
	if status == http.StatusServiceUnavailable && a.Header.Get("Retry-After") == "" {
		t.Errorf("503 does not say when to try again: %s", a.Raw)
	}
	return a
}

func orderStatus(t *testing.T, p *client.Person, order string) string {
	t.Helper()
	a, err := p.Get(t.Context(), "/orders/"+order)
	return must(t, a, err, http.StatusOK).Text("status")
}

func transferStatus(t *testing.T, p *client.Person, id string) string {
	t.Helper()
	a, err := p.Get(t.Context(), "/transfers/"+id)
	return must(t, a, err, http.StatusOK).Text("status")
}

// owns fails the test unless the person gets the seat's QR code.
func owns(t *testing.T, p *client.Person, seat string) (qr string) {
	t.Helper()
	a, err := p.Get(t.Context(), "/tickets/"+seat+"/qr")
	return must(t, a, err, http.StatusOK).Text("qr_payload")
}

func has(t *testing.T, p *client.Person, want money.Cents) {
	t.Helper()
	if got, err := p.Balance(t.Context()); got != want || err != nil {
		t.Errorf("%s has %s credits, want %s (%v)", p.Email, got, want, err)
	}
}

// eventually waits until is returns true.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(40 * time.Second); !is(); {
		if time.Now().After(deadline) {
			t.Fatal("it never came true that " + what)
		}
		time.Sleep(50 * time.Millisecond) // between two looks
	}
}

// ask reads one value from a database, as only a test may.
func ask[T any](t testing.TB, database, query string, args ...any) (value T) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), own.DSN(database))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	if err := conn.QueryRow(t.Context(), query, args...).Scan(&value); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return value
}

func seatStatus(t *testing.T, seat string) string {
	t.Helper()
	return ask[string](t, "seats_db", `SELECT status::text FROM seats WHERE seat_id = $1`, seat)
}
