package testenv

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	amqp "github.com/rabbitmq/amqp091-go"
)

func execute(t testing.TB, url, sql string) error {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		return err
	}
	defer conn.Close(context.Background())
	_, err = conn.Exec(t.Context(), sql)
	return err
}

func TestPostgresIsFreshForEachTest(t *testing.T) {
	for range 2 {
		if err := execute(t, Postgres(t), "CREATE TABLE only_here (x int)"); err != nil {
			t.Error(err)
		}
	}
}

func TestTemplateIsMigratedOnceForManyTestsAtOnce(t *testing.T) {
	name := "testenv_" + time.Now().Format("150405.000000000") // not of another run on a shared server
	var migrations atomic.Int32
	migrate := func(ctx context.Context, url string) error {
		migrations.Add(1)
		return execute(t, url, "CREATE TABLE t (x int); INSERT INTO t VALUES (1)")
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if err := execute(t, Template(t, name, migrate), "UPDATE t SET x = 1 / x"); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := migrations.Load(); n != 1 {
		t.Errorf("migrated %d times", n)
	}
	if err := execute(t, postgresServer(t), `DROP DATABASE "template_`+name+`"`); err != nil {
		t.Error(err)
	}
}

func TestTemplateWhoseMigrationFailedIsMadeAgain(t *testing.T) {
	name := "testenv_failed_" + time.Now().Format("150405.000000000")
	refused := errors.New("refused")
	err := makeTemplate(t, name, func(ctx context.Context, url string) error {
		return errors.Join(execute(t, url, "CREATE TABLE half (x int)"), refused)
	})
	if !errors.Is(err, refused) {
		t.Fatal(err)
	}
	url := Template(t, name, func(ctx context.Context, url string) error { return execute(t, url, "CREATE TABLE half (x int)") })
	if err := execute(t, url, "SELECT x FROM half"); err != nil {
		t.Error(err)
	}
	if err := execute(t, postgresServer(t), `DROP DATABASE "template_`+name+`"`); err != nil {
		t.Error(err)
	}
}

func TestRabbitMQIsFreshAndHasTheProjectsTopology(t *testing.T) {
	for range 2 {
		conn, err := amqp.Dial(RabbitMQ(t))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		ch, err := conn.Channel()
		if err != nil {
			t.Fatal(err)
		}
		queue, err := ch.QueueDeclarePassive("seat.release.queue", true, false, false, false, nil)
		if err != nil || queue.Messages != 0 {
			t.Fatalf("%d messages, %v", queue.Messages, err)
		}
		if err := ch.Confirm(false); err != nil {
			t.Fatal(err)
		}
		sent, err := ch.PublishWithDeferredConfirm("seat.release.exchange", "hold", true, false, amqp.Publishing{Body: []byte("x")})
		if err != nil {
			t.Fatal(err)
		}
		if ok, err := sent.WaitContext(t.Context()); !ok || err != nil {
			t.Fatal(ok, err)
		}
		for _, name := range []string{"seat.release.queue", "order.expiry.queue"} {
			if _, ok, err := ch.Get(name, true); !ok || err != nil {
				t.Errorf("%s got no message: %v", name, err)
			}
		}
	}
}

func TestPrivatePostgresCanBeTakenAway(t *testing.T) {
	server := PrivatePostgres(t)
	if err := execute(t, server.URL, "CREATE TABLE kept (x int)"); err != nil {
		t.Fatal(err)
	}
	for _, take := range []func(){server.Stop, server.Kill} {
		take()
		if err := execute(t, server.URL, "SELECT 1"); err == nil {
			t.Fatal("it still answers")
		}
		server.Start()
		if err := execute(t, server.URL, "SELECT x FROM kept"); err != nil {
			t.Fatal(err)
		}
	}
}

func TestPrivateRabbitMQCanBeTakenAway(t *testing.T) {
	server := PrivateRabbitMQ(t)
	server.Kill()
	if _, err := amqp.Dial(server.URL); err == nil {
		t.Fatal("it still answers")
	}
	server.Start()
	conn, err := amqp.Dial(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}

// TestNothingIsLeftAfterASIGKILL starts this test program again, with a server of its own, and kills it.
func TestNothingIsLeftAfterASIGKILL(t *testing.T) {
	if file := os.Getenv("TESTENV_TEST_REPORT"); file != "" {
		server, err := start("postgres")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file+".new", []byte(server.From+"\n"+server.URL), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file+".new", file); err != nil {
			t.Fatal(err)
		}
		select {}
	}
	file := filepath.Join(t.TempDir(), "report")
	child := exec.Command(os.Args[0], "-test.run=^TestNothingIsLeftAfterASIGKILL$")
	child.Env = append(os.Environ(), "TESTENV_TEST_REPORT="+file)
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	var report []byte
	within(t, 60*time.Second, func() (ok bool) { report, _ = os.ReadFile(file); return report != nil })
	from, url, _ := strings.Cut(string(report), "\n")
	_, dir, native := strings.Cut(from, ", in ")
	if err := execute(t, url, "SELECT 1"); err != nil {
		t.Fatal(err)
	}
	child.Process.Kill()
	child.Wait()
	within(t, 15*time.Second, func() bool { return execute(t, url, "SELECT 1") != nil })
	if native {
		within(t, 15*time.Second, func() bool { _, err := os.Stat(dir); return os.IsNotExist(err) })
	}
}

func within(t *testing.T, limit time.Duration, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(limit); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s", limit)
		}
	}
}
