package recovery

import (
	"context"
	"net/http"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	"ticketremaster/stack/client"
)

// A scan that is answered 503 may have marked the ticket all the same. Its repeat is the same scan, at the same
// orchestrator or another, with an id from the device or without. After that, someone else with the same picture is a
// duplicate.
func TestAScanWhoseAnswerWasLost(t *testing.T) {
	clean(t)
	gate := staff(t)
	_, other := replica(t)
	db, err := pgx.Connect(t.Context(), own.DSN("seats_db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close(context.WithoutCancel(t.Context()))
	lost := map[string]int{}
	for try := range 9 {
		p := person(t, price)
		seat := ticket(t, p)
		scan := map[string]any{"qr_payload": owns(t, p, seat), "hall_id": "H1"}
		how, again := "same orchestrator", gate
		switch try % 3 {
		case 1:
			how, again = "another orchestrator", via(gate, other)
		case 2:
			how, scan["scan_id"] = "device's id", "0193a5c0-0000-7000-8000-"+seat[len(seat)-12:]
		}
		tx, err := db.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tx.Exec(t.Context(), `SELECT FROM seats WHERE seat_id = $1 FOR UPDATE`, seat); err != nil {
			t.Fatal(err)
		}
		type answer struct {
			client.Answer
			err error
		}
		answered := make(chan answer, 1)
		go func() {
			a, err := gate.Post(t.Context(), "/verify", scan)
			answered <- answer{a, err}
		}()
		eventually(t, "the check-in waits for the seat", func() bool {
			return ask[bool](t, "seats_db", `SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')`)
		})
		inventory, _ := own.Running("inventory-service")
		halt(t, inventory) // the statement goes on without it, in the database
		if err := tx.Rollback(t.Context()); err != nil {
			t.Error(err)
		}
		got := <-answered
		signal(t, inventory, syscall.SIGCONT)
		a, err := got.Answer, got.err
		refused(t, a, err, http.StatusServiceUnavailable, "SERVICE_UNAVAILABLE")
		eventually(t, "the inventory has ended what it had begun", func() bool {
			return ask[bool](t, "seats_db", `SELECT NOT EXISTS (SELECT FROM pg_stat_activity
				WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend' AND state <> 'idle')`)
		})
		if seatStatus(t, seat) != "CHECKED_IN" {
			continue // it was stopped too late: the gate had given up, and nothing was marked
		}
		lost[how]++
		a, err = again.Post(t.Context(), "/verify", scan)
		if got := must(t, a, err, http.StatusOK).Text("result"); got != "SUCCESS" {
			t.Errorf("%s: the repeat is %s", how, a.Data)
		}
		if n := ask[int](t, "seats_db", `SELECT count(*) FROM entry_logs WHERE seat_id = $1`, seat); n != 1 {
			t.Errorf("%s: one scan is logged %d times", how, n)
		}
		if how == "same orchestrator" {
			a, err = gate.Post(t.Context(), "/verify", scan)
			if got := must(t, a, err, http.StatusOK).Text("result"); got != "DUPLICATE" {
				t.Errorf("the next with the same picture: %s", a.Data)
			}
		}
	}
	t.Logf("answers lost: %v", lost)
	for _, how := range []string{"same orchestrator", "another orchestrator", "device's id"} {
		if lost[how] == 0 {
			t.Errorf("no answer was lost (%s): nothing is proven", how)
		}
	}
}
