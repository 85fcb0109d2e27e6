package main

import (
	"syscall"
	"testing"
	"time"

	"ticketremaster/platform/rpc"
	"ticketremaster/platform/testenv"
	inventoryv1 "ticketremaster/proto/inventory/v1"

	"ticketremaster/inventory-service/inventorytest"
)

func TestMain(m *testing.M) { testenv.RunMain(m, main) }

const password = "INVENTORY_DB_PASS"

func required(t *testing.T) []string {
	return append(testenv.BrokerEnv(t), "INVENTORY_TOKEN="+inventorytest.Secret)
}

func TestProgram(t *testing.T) {
	testenv.ServiceProgram(t, password, required(t), "GRPC_ADDR="+testenv.FreeAddr(t))
}

// The parts are wired: the sweep releases a hold without a message.
func TestTheProgramSweeps(t *testing.T) {
	grpcAddr, httpAddr := testenv.FreeAddr(t), testenv.FreeAddr(t)
	dsn := testenv.Postgres(t)
	p := testenv.NewProgram(t, append(append(testenv.AddressEnv(t, dsn, password), required(t)...),
		"GRPC_ADDR="+grpcAddr, "HTTP_ADDR="+httpAddr, "SWEEP_INTERVAL=50ms", "SWEEP_GRACE=0s"))
	p.Serve(t, httpAddr)
	conn, err := rpc.Dial("inventory", grpcAddr, inventorytest.Secret)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	s := &inventorytest.Service{InventoryClient: inventoryv1.NewInventoryClient(conn), SQL: inventorytest.Pool(t, dsn)}
	seat := s.Hall(t, 1)[0].SeatId
	_, err = s.ReserveSeat(t.Context(), &inventoryv1.ReserveSeatRequest{SeatId: seat, UserId: inventorytest.NewID(), HoldId: inventorytest.NewID(), HoldTtlMs: 1_000, MaxHolds: 1})
	if err != nil {
		t.Fatal(err)
	}
	inventorytest.Eventually(t, 15*time.Second, "the row is free", func() bool {
		var status string
		err := s.SQL.QueryRow(t.Context(), `SELECT status::text FROM seats WHERE seat_id = $1`, seat).Scan(&status)
		return err == nil && status == "AVAILABLE"
	})
	if err := p.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	p.Ends(t)
}
