package main

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"ticketremaster/platform/rpc"
	"ticketremaster/platform/testenv"
	inventoryv1 "ticketremaster/proto/inventory/v1"

	"ticketremaster/inventory-service/inventorytest"
)

// build compiles the service as it is shipped.
func build(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "inventory-service")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return binary
}

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// environment points the service at a database and a broker of the test's own.
func environment(t *testing.T, dsn, grpcAddr, httpAddr string) []string {
	t.Helper()
	db, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	mq, err := url.Parse(testenv.RabbitMQ(t))
	if err != nil {
		t.Fatal(err)
	}
	dbPass, _ := db.User.Password()
	mqPass, _ := mq.User.Password()
	return append(os.Environ(),
		"GRPC_ADDR="+grpcAddr, "HTTP_ADDR="+httpAddr, "INVENTORY_TOKEN="+inventorytest.Secret,
		"DB_HOST="+db.Hostname(), "DB_PORT="+db.Port(), "DB_NAME="+strings.TrimPrefix(db.Path, "/"), "DB_USER="+db.User.Username(), "INVENTORY_DB_PASS="+dbPass,
		"RABBITMQ_HOST="+mq.Hostname(), "RABBITMQ_PORT="+mq.Port(), "RABBITMQ_USER="+mq.User.Username(), "RABBITMQ_PASS="+mqPass,
		"RABBITMQ_VHOST="+strings.TrimPrefix(mq.Path, "/"), "SWEEP_INTERVAL=50ms", "SWEEP_GRACE=0s")
}

func TestTheServiceRunsAndEndsCleanly(t *testing.T) {
	binary, grpcAddr, httpAddr := build(t), freeAddr(t), freeAddr(t)
	var log bytes.Buffer
	service := exec.Command(binary)
	dsn := testenv.Postgres(t)
	service.Env, service.Stderr = environment(t, dsn, grpcAddr, httpAddr), &log
	if err := service.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- service.Wait() }()
	t.Cleanup(func() { _ = service.Process.Kill() })
	inventorytest.Eventually(t, 20*time.Second, "the service is healthy", func() bool {
		res, err := http.Get("http://" + httpAddr + "/health")
		if err != nil {
			return false
		}
		defer res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
	check := exec.Command(binary, "health")
	check.Env = append(os.Environ(), "HTTP_ADDR="+httpAddr)
	if out, err := check.CombinedOutput(); err != nil {
		t.Fatalf("its own health check: %v\n%s", err, out)
	}

	conn, err := rpc.Dial("inventory", grpcAddr, inventorytest.Secret)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	s := &inventorytest.Service{InventoryClient: inventoryv1.NewInventoryClient(conn)}
	// A hold that nobody sends a message for: the sweep frees it.
	seat := s.Hall(t, 1)[0].SeatId
	_, err = s.ReserveSeat(t.Context(), &inventoryv1.ReserveSeatRequest{SeatId: seat, UserId: inventorytest.NewID(), HoldId: inventorytest.NewID(), HoldTtlMs: 1_000, MaxHolds: 1})
	if err != nil {
		t.Fatal(err)
	}
	db, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close(context.Background())
	inventorytest.Eventually(t, 15*time.Second, "the row is free", func() bool {
		var status string
		err := db.QueryRow(t.Context(), `SELECT status::text FROM seats WHERE seat_id = $1`, seat).Scan(&status)
		return err == nil && status == "AVAILABLE"
	})

	if err := service.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		if err != nil {
			t.Fatalf("it ended with %v\n%s", err, log.String())
		}
	case <-time.After(15 * time.Second):
		t.Fatal("it did not end on SIGTERM")
	}
}

func TestBadConfigurationIsNamedAtOnce(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	service := exec.CommandContext(ctx, build(t))
	service.Env = []string{"DB_PORT=many", "SWEEP_INTERVAL=often", "DB_HOST=", "RABBITMQ_USER=guest"}
	out, err := service.CombinedOutput()
	if service.ProcessState.ExitCode() != 1 {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, name := range []string{"DB_PORT", "SWEEP_INTERVAL", "DB_HOST", "DB_NAME", "DB_USER", "INVENTORY_DB_PASS", "INVENTORY_TOKEN", "RABBITMQ_HOST", "RABBITMQ_PASS"} {
		if !strings.Contains(string(out), name) {
			t.Errorf("%s is not named in:\n%s", name, out)
		}
	}
}
