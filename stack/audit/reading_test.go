package audit_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"ticketremaster/platform/database"
	"ticketremaster/platform/testenv"
	"ticketremaster/stack/audit"
)

// change changes a copy that sell made, as nobody but its owner can.
func change(t *testing.T, name, sql string) {
	t.Helper()
	db, err := pgx.Connect(t.Context(), dsns[name])
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close(context.Background())
	if _, err := db.Exec(t.Context(), "SET session_replication_role = replica; "+sql); err != nil {
		t.Fatal(err)
	}
}

const seatsAndOrders = "order CONFIRMED ⇔"

func find(t *testing.T, rule string, o audit.Options) map[string]string {
	t.Helper()
	if o.Grace == 0 {
		o.Grace = time.Millisecond
	}
	report, err := audit.Audit(t.Context(), dsns, o)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range report.Results {
		if strings.HasPrefix(r.Rule, rule) {
			return r.Offenders
		}
	}
	t.Fatalf("there is no rule %q", rule)
	return nil
}

// However many ids are compared at a time, the same offenders are found: rows that one side lacks at the beginning, at
// the end and all over, and rows that differ.
func TestRangesOfAnySizeFindTheSame(t *testing.T) {
	sell(t, 1000)
	change(t, "orders_db", `DELETE FROM orders WHERE hashtext(order_id::text) % 10 = 0 OR order_id > '01900000-0000-7000-8000-0000000003d0'`)
	change(t, "seats_db", `DELETE FROM seats WHERE hashtext(seat_id::text) % 10 = 1 OR seat_id < '51900000-0000-7000-8000-000000000020'`)
	change(t, "seats_db", `UPDATE seats SET price_paid = 6 WHERE hashtext(seat_id::text) % 10 = 2`)
	want := find(t, seatsAndOrders, audit.Options{})
	if len(want) < 200 || len(want) > 500 {
		t.Fatalf("%d were found", len(want))
	}
	for _, n := range []int{1, 2, 7, 100, 1000} {
		undo := audit.SetRange(n)
		got := find(t, seatsAndOrders, audit.Options{})
		undo()
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%d at a time find %d, not %d", n, len(got), len(want))
		}
	}
}

// An audit that was interrupted goes on where it stopped, with the suspects that it had.
func TestAnInterruptedAuditGoesOn(t *testing.T) {
	sell(t, 1000)
	defer audit.SetRange(100)()
	change(t, "seats_db", `UPDATE seats SET price_paid = 6 WHERE seat_id::text ~ '0000(00a|300)$'`) // the 10th and the 768th
	path := filepath.Join(t.TempDir(), "progress")
	whole := dsns["sagas_db"]
	dsns["sagas_db"] = strings.Replace(whole, "broken_", "no_such_", 1)
	_, err := audit.Audit(t.Context(), dsns, audit.Options{Progress: path})
	dsns["sagas_db"] = whole
	if err == nil || !strings.Contains(err.Error(), "sagas_db") || strings.Contains(err.Error(), "postgres://") {
		t.Errorf("a database is not there: %v", err)
	}
	if got := find(t, seatsAndOrders, audit.Options{Progress: path}); len(got) != 2 {
		t.Errorf("after an interruption: %v", got)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("the file of an audit that is done: %v", err)
	}
	const rule = "order CONFIRMED ⇔ its seat is SOLD or CHECKED_IN, at its price"
	for progress, want := range map[string]int{
		`{"` + rule + `": {"after": "51900000-0000-7000-8000-000000000100"}}`:                                                                  1,
		`{"` + rule + `": {"after": "51900000-0000-7000-8000-000000000100", "suspects": {"51900000-0000-7000-8000-00000000000a": "differs"}}}`: 2,
		`{"` + rule + `": {"done": true}}`: 0,
	} {
		if err := os.WriteFile(path, []byte(progress), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := find(t, seatsAndOrders, audit.Options{Progress: path}); len(got) != want {
			t.Errorf("%s: found %v", progress, got)
		}
	}
}

// What is on its way is no offender: the seat follows its order within the grace period.
func TestWhatIsOnItsWayIsNoFalseAlarm(t *testing.T) {
	sell(t, 100)
	change(t, "seats_db", `UPDATE seats SET price_paid = 6`)
	waited := 0
	found := find(t, seatsAndOrders, audit.Options{Waiting: func(time.Duration) {
		waited++
		change(t, "seats_db", `UPDATE seats SET price_paid = 5 WHERE seat_id <> '51900000-0000-7000-8000-000000000001'`)
	}})
	if waited != 1 || len(found) != 1 {
		t.Errorf("waited %d times, found %v", waited, found)
	}
}

// A system with more offenders than are kept is told to have them.
func TestThereMayBeMoreOffendersThanAreKept(t *testing.T) {
	sell(t, 12_000)
	change(t, "seats_db", `UPDATE seats SET price_paid = 6`)
	n, out := run(t)
	if n < 10_000 || !strings.Contains(out, " or more") {
		t.Errorf("%d:\n%s", n, out)
	}
}

// The audit's role reads what the audit needs: no password, no code, and it writes nothing.
func TestTheRoleOnlyReads(t *testing.T) {
	of := readOnly(t)
	for _, x := range []struct{ database, sql, state string }{
		{"users_db", `SELECT password_hash FROM users`, "42501"},
		{"users_db", `SELECT * FROM otp_challenges`, "42501"},
		{"users_db", `SELECT * FROM sessions`, "42501"},
		{"seats_db", `SELECT qr_code_hash FROM seats`, "42501"},
		{"sagas_db", `SELECT state FROM sagas`, "42501"},
		{"users_db", `SELECT user_id, credit_balance FROM users`, ""},
		{"users_db", `UPDATE users SET credit_balance = 0`, "25006"},
		{"users_db", `SET TRANSACTION READ WRITE; UPDATE users SET credit_balance = 0`, "42501"},
		{"orders_db", `SET TRANSACTION READ WRITE; DELETE FROM orders`, "42501"},
		{"orders_db", `SET TRANSACTION READ WRITE; CREATE TABLE mine ()`, "42501"},
	} {
		db, err := pgx.Connect(t.Context(), of[x.database])
		if err != nil {
			t.Fatal(err)
		}
		_, err = db.Exec(t.Context(), x.sql)
		if err != nil && database.State(err) != x.state || err == nil && x.state != "" {
			t.Errorf("%s: %v", x.sql, err)
		}
		_ = db.Close(context.Background())
	}
}

// The watch tells by its metrics that something is broken, and that it was mended; and that a database is not there.
func TestTheWatchTells(t *testing.T) {
	sell(t, 100)
	addr := testenv.FreeAddr(t)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- audit.NewWatch(readOnly(t), audit.Options{Grace: time.Millisecond}, 20*time.Millisecond, time.Hour).Serve(ctx, addr)
	}()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	tells := func(pattern string) {
		t.Helper()
		var text string
		for deadline := time.Now().Add(20 * time.Second); !regexp.MustCompile(pattern).MatchString(text); time.Sleep(5 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("it never tells %s:\n%s", pattern, text)
			}
			if a, err := http.Get("http://" + addr + "/metrics"); err == nil {
				body, _ := io.ReadAll(a.Body)
				a.Body.Close()
				text = string(body)
			}
		}
	}
	gauge := func(n int) string {
		return fmt.Sprintf("_offenders.invariant=\"order CONFIRMED ⇔ its seat is SOLD or CHECKED_IN, at its price\"} %d\n", n)
	}
	tells(`_last_success_timestamp_seconds.scope="all"`)
	tells(gauge(0))
	change(t, "seats_db", `UPDATE seats SET price_paid = 6, updated_at = now() WHERE seat_id < '51900000-0000-7000-8000-000000000003'`)
	tells(gauge(3))
	tells(`_last_success_timestamp_seconds.scope="changed"`)
	change(t, "seats_db", `UPDATE seats SET price_paid = 5, updated_at = '2020-01-01' WHERE seat_id < '51900000-0000-7000-8000-000000000002'`)
	tells(gauge(1)) // who offended is looked at again, though nothing says that it changed
	change(t, "orders_db", `REVOKE CONNECT ON DATABASE broken_orders_db FROM PUBLIC, auditor; SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'auditor'`)
	tells("_failures_total [1-9]")
	tells(gauge(1))
}
