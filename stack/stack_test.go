package stack

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	amqp "github.com/rabbitmq/amqp091-go"

	"ticketremaster/stack/native"
)

// servers are the parts that do not need the services' code, so that these tests cover the stack alone. The end-to-end
// tests boot all of it.
var servers = []string{"seats-db", "users-db", "orders-db", "events-db", "sagas-db", "rabbitmq", "sandbox"}

func TestPrivateStackBootsHealsAndLeavesNothing(t *testing.T) {
	s, err := Boot(t.Context(), Options{Private: true, Unsafe: true, Only: servers, Progress: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })

	for _, name := range []string{"seats_db", "users_db", "orders_db", "events_db", "sagas_db"} {
		if got, err := currentDatabase(t.Context(), s.DSN(name)); got != name || err != nil {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	holdMessageEndsInBothQueues(t, s)

	// A variable is overridden until the next start.
	if got := sentCode(t, s); len(got) != 6 {
		t.Errorf("code %q", got)
	}
	if err := s.Restart(t.Context(), "sandbox", "SANDBOX_FIXED_OTP=123456"); err != nil {
		t.Fatal(err)
	}
	if got := sentCode(t, s); got != "123456" {
		t.Errorf("with an override the code is %q", got)
	}

	for _, name := range []string{"seats-db", "sandbox"} {
		before, _ := s.Running(name)
		if err := s.Kill(name); err != nil {
			t.Fatal(err)
		}
		if _, ok := s.Running(name); ok {
			t.Errorf("%s runs after Kill", name)
		}
		if err := s.Start(t.Context(), name); err != nil {
			t.Fatal(err)
		}
		if after, ok := s.Running(name); !ok || after == before {
			t.Errorf("%s: process %d, then %d", name, before, after)
		}
	}
	if _, err := currentDatabase(t.Context(), s.DSN("seats_db")); err != nil {
		t.Error(err)
	}

	second, err := s.Replica(t.Context(), "sandbox")
	if err != nil {
		t.Fatal(err)
	}
	if addr, _ := s.Addr(second); "http://"+addr == s.SandboxURL() {
		t.Error("the replica has the first one's port")
	}
	if err := s.Stop(t.Context(), second); err != nil {
		t.Fatal(err)
	}

	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, part := range s.Status() {
		if part.Pid != 0 {
			t.Errorf("%s still runs", part.Name)
		}
	}
	if _, err := os.Stat(s.dir); !os.IsNotExist(err) {
		t.Errorf("its folder is left: %v", err)
	}
}

// TestDetachedStackIsIdempotent boots the stack as `make start` does, twice, from a folder with a space in its name.
func TestDetachedStackIsIdempotent(t *testing.T) {
	dir := folder(t)
	for _, name := range []string{"SEATS_DB_PORT", "SANDBOX_PORT", "BROKER_PORT", "BROKER_MANAGEMENT_PORT"} {
		t.Setenv(name, strconv.Itoa(native.FreePort()))
	}
	options := Options{Dir: dir, Unsafe: true, Only: []string{"seats-db", "rabbitmq", "sandbox"}, Progress: t.Output()}
	first, err := Boot(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { first.Remove() })
	if want := os.Getenv("SEATS_DB_PORT"); !strings.Contains(first.DSN("seats_db"), ":"+want+"/") {
		t.Errorf("%s is not on port %s", first.DSN("seats_db"), want)
	}
	pids := func(s *Stack) (p [3]int) {
		for n, name := range options.Only {
			p[n], _ = s.Running(name)
		}
		return p
	}
	before := pids(first)
	second, err := Boot(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	after := pids(second)
	if before[0] != after[0] || before[1] != after[1] {
		t.Errorf("servers that ran were replaced: %v, %v", before, after)
	}
	if before[2] == after[2] {
		t.Error("the service was not started anew")
	}
	if first.Secret("JWT_SECRET") != second.Secret("JWT_SECRET") {
		t.Error("the second start has other secrets")
	}
	info, err := os.Stat(filepath.Join(dir, "secrets.env"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("secrets.env: %v, %v", info.Mode(), err)
	}

	// After a crash of everything, a third start recovers it.
	for _, name := range options.Only {
		if err := second.Kill(name); err != nil {
			t.Fatal(err)
		}
	}
	third, err := Boot(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := currentDatabase(t.Context(), third.DSN("seats_db")); err != nil {
		t.Error(err)
	}
	if err := third.Close(); err != nil {
		t.Fatal(err)
	}
	if got := pids(third); got != [3]int{} {
		t.Errorf("after Close: %v", got)
	}
}

func TestTakenPorts(t *testing.T) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	taken := listener.Addr().(*net.TCPAddr).Port
	open := func() *Stack {
		s, err := Open(Options{Dir: folder(t)})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	t.Run("one that the environment names is not replaced", func(t *testing.T) {
		s := open()
		for _, name := range []string{"PORT", "SANDBOX_PORT"} {
			t.Setenv(name, strconv.Itoa(taken))
			if _, err := s.choosePort(name, false, true, true); err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("%s: %v", name, err)
			}
			t.Setenv(name, "x")
			if _, err := s.choosePort(name, false, true, true); err == nil {
				t.Error("a port that is no number was taken")
			}
		}
	})
	t.Run("a default is replaced", func(t *testing.T) {
		s := open()
		s.ports["SANDBOX_PORT"] = taken
		if port, err := s.choosePort("SANDBOX_PORT", false, true, true); err != nil || port == taken || !native.PortFree(port) {
			t.Errorf("%d, %v", port, err)
		}
	})
	t.Run("the gateway's is not", func(t *testing.T) {
		s := open()
		before := defaultPorts["PORT"]
		defaultPorts["PORT"] = taken
		defer func() { defaultPorts["PORT"] = before }()
		if _, err := s.choosePort("PORT", false, true, true); err == nil || !strings.Contains(err.Error(), "PORT=") {
			t.Errorf("%v", err)
		}
	})
	t.Run("a server that runs stays where it is", func(t *testing.T) {
		s := open()
		s.ports["SEATS_DB_PORT"] = taken
		if port, err := s.choosePort("SEATS_DB_PORT", true, true, false); port != taken || err != nil {
			t.Errorf("%d, %v", port, err)
		}
	})
}

func TestTwoCommandsAtOnce(t *testing.T) {
	s, err := Open(Options{Dir: folder(t)})
	if err != nil {
		t.Fatal(err)
	}
	unlock, err := s.lock()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err == nil || !strings.Contains(err.Error(), "another command") {
		t.Errorf("%v", err)
	}
	unlock()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestTableOfParts(t *testing.T) {
	s, err := Open(Options{Dir: folder(t), Replicas: 1})
	if err != nil {
		t.Fatal(err)
	}
	ports := map[string]bool{}
	for _, i := range s.instances {
		for _, need := range i.part.needs {
			if _, err := s.named(need); err != nil {
				t.Errorf("%s needs %s, which is not in the table", i.name, need)
			}
		}
		for _, port := range i.part.ports {
			if defaultPorts[port] == 0 || ports[port] {
				t.Errorf("%s: port %s has no default, or is another part's", i.name, port)
			}
			ports[port] = true
		}
		if i.part.binary == "" {
			continue
		}
		for _, line := range i.environment(nil) {
			if name, value, _ := strings.Cut(line, "="); value == "" {
				t.Errorf("%s: %s is empty", i.name, name)
			}
		}
	}
}

// folder is one with a space in its name that PostgreSQL's own user can enter, unlike t.TempDir's.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/var/tmp", "stack test ")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func currentDatabase(ctx context.Context, url string) (name string, err error) {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return "", err
	}
	defer conn.Close(context.Background())
	err = conn.QueryRow(ctx, "SELECT current_database()").Scan(&name)
	return name, err
}

// holdMessageEndsInBothQueues checks the broker's imported definitions with a message that expires at once.
func holdMessageEndsInBothQueues(t *testing.T, s *Stack) {
	t.Helper()
	conn, err := amqp.Dial(s.AMQPURL())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ch, err := conn.Channel()
	if err != nil {
		t.Fatal(err)
	}
	if err := ch.Confirm(false); err != nil {
		t.Fatal(err)
	}
	confirmation, err := ch.PublishWithDeferredConfirmWithContext(t.Context(), "seat.hold.exchange", "hold", true, false,
		amqp.Publishing{Expiration: "1", Body: []byte("x"), DeliveryMode: amqp.Persistent})
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := confirmation.WaitContext(t.Context()); !ok || err != nil {
		t.Fatal(ok, err)
	}
	for _, queue := range []string{"seat.release.queue", "order.expiry.queue"} {
		for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
			_, got, err := ch.Get(queue, true)
			if err != nil {
				t.Fatal(err)
			}
			if got {
				break
			}
			if time.Now().After(deadline) {
				t.Errorf("%s got no dead letter", queue)
				break
			}
		}
	}
	if _, err := ch.QueueDeclarePassive("parked.queue", true, false, false, false, nil); err != nil {
		t.Error(err)
	}
}

// sentCode has the sandbox send a code and reads it from the inbox.
func sentCode(t *testing.T, s *Stack) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.SandboxURL()+"/sendOTP", strings.NewReader(`{"phone_number":"+6591234567","message":"Hello."}`))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-API-Key", s.Secret("SMU_API_KEY"))
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Fatal(response.Status)
	}
	if response, err = http.Get(fmt.Sprintf("%s/inbox?phone=%%2B6591234567", s.SandboxURL())); err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var inbox []struct {
		Code string `json:"otp_code"`
	}
	if err := json.NewDecoder(response.Body).Decode(&inbox); err != nil || len(inbox) == 0 {
		t.Fatal(inbox, err)
	}
	return inbox[0].Code
}
