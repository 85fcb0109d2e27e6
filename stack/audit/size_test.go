package audit_test

import (
	"context"
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"ticketremaster/stack/audit"
)

var tickets = flag.Int("tickets", 1_000_000, "how many are sold when the audit's memory is measured")

// mostMemory is what an audit may take, whatever there is to read.
const mostMemory = 100 << 20

// sold are tickets that were sold in halls of 50,000 seats, each with everything that a purchase leaves; every second
// holder is inside. An id says what it is of and its number.
var sold = map[string]string{
	"events_db": `
		INSERT INTO venues (venue_id, name, address, total_halls, created_at) SELECT id('9', 0), 'x', 'x', 1, now();
		INSERT INTO events (event_id, name, venue_id, hall_id, event_date, ends_at, total_seats, seats_per_row, pricing_tiers, status, published_at)
		SELECT id('e', n), 'x', id('9', 0), 'h', now(), now() + interval '1 hour', least(50000, $n - n * 50000), 100, '{"x": 5}', 'PUBLISHED', now()
		FROM generate_series(0, ($n - 1) / 50000) n`,
	"seats_db": `
		INSERT INTO seat_plans (event_id, total_seats, seats_per_row, tiers) SELECT id('e', n), least(50000, $n - n * 50000), 100, '{x}' FROM generate_series(0, ($n - 1) / 50000) n;
		INSERT INTO seats (seat_id, event_id, tier, row_number, seat_number, status, hold_id, owner_user_id, price_paid, ownership_version, sold_at)
		SELECT id('5', n), id('e', n / 50000), 'x', 'A', n % 50000 + 1, CASE n % 2 WHEN 0 THEN 'SOLD' ELSE 'CHECKED_IN' END::seat_status, id('0', n), id('c', n / 5), 5, 1, now() FROM generate_series(0, $n - 1) n;
		INSERT INTO seat_ownership (operation_id, seat_id, to_user_id, cause, version, at) SELECT id('a', n), id('5', n), id('c', n / 5), 'PURCHASE', 1, now() FROM generate_series(0, $n - 1) n;
		INSERT INTO entry_logs (log_id, seat_id, event_id, scanned_by_staff_id, result) SELECT id('f', n), id('5', n), id('e', n / 50000), id('d', 0), 'SUCCESS' FROM generate_series(1, $n - 1, 2) n`,
	"orders_db": `
		INSERT INTO orders (order_id, user_id, seat_id, event_id, status, price, credits_charged, held_until, confirmed_at, attempt_id)
		SELECT id('0', n), id('c', n / 5), id('5', n), id('e', n / 50000), 'CONFIRMED', 5, 5, now(), now(), id('a', n) FROM generate_series(0, $n - 1) n`,
	"users_db": `
		INSERT INTO users (user_id, email, phone, password_hash, credit_balance, is_verified)
		SELECT id('c', n), n || '@example.com', '+65' || 80000000 + n, 'x', 100 - 5 * least(5, $n - n * 5), true FROM generate_series(0, ($n - 1) / 5) n;
		INSERT INTO movements (kind, operation_id, source, target, target_id, amount) SELECT 'grant', id('b', n), 'platform', 'user', id('c', n), 100 FROM generate_series(0, ($n - 1) / 5) n;
		INSERT INTO movements (kind, operation_id, source, source_id, target, amount, reference_id) SELECT 'purchase', id('a', n), 'user', id('c', n / 5), 'platform', 5, id('0', n) FROM generate_series(0, $n - 1) n`,
	"sagas_db": `
		INSERT INTO sagas (saga_id, kind, subject, status, state, lease_owner, lease_until)
		SELECT id('a', n), 'purchase', id('0', n), 'DONE', '{}', id('d', 0), now() FROM generate_series(0, $n - 1) n`,
}

// sell fills a copy of each database with what n tickets leave.
func sell(t *testing.T, n int) {
	t.Helper()
	var all errgroup.Group
	for database, sql := range sold {
		t.Cleanup(breakIt(t, database, ""))
		dsn := dsns[database]
		all.Go(func() error {
			db, err := pgx.Connect(t.Context(), dsn)
			if err != nil {
				return err
			}
			defer db.Close(context.Background())
			for _, statement := range []string{
				`SET session_replication_role = replica; CREATE FUNCTION pg_temp.id(kind text, n bigint) RETURNS uuid LANGUAGE sql IMMUTABLE
					RETURN (kind || '1900000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid`,
				strings.NewReplacer("$n", strconv.Itoa(n), "id('", "pg_temp.id('").Replace(sql), "VACUUM (ANALYZE)",
			} {
				if _, err := db.Exec(t.Context(), statement); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := all.Wait(); err != nil {
		t.Fatal(err)
	}
}

// command runs the audit as a process of its own, under the role that may only read, and gives what it printed and the
// most memory that it had.
func command(t *testing.T, program string, args ...string) (output string, memory int64) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Env = append(os.Environ(), "AUDIT_GRACE=1ms")
	for name, dsn := range readOnly(t) {
		cmd.Env = append(cmd.Env, strings.ToUpper(name)+"_URL="+dsn)
	}
	text, err := cmd.CombinedOutput()
	var failed *exec.ExitError
	if err != nil && !errors.As(err, &failed) {
		t.Fatalf("%v: %s", err, text)
	}
	memory = cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss
	if runtime.GOOS != "darwin" { // which counts bytes
		memory <<= 10
	}
	return string(text), memory
}

func readOnly(t *testing.T) map[string]string {
	t.Helper()
	of, err := audit.ReadOnly(t.Context(), dsns)
	if err != nil {
		t.Fatal(err)
	}
	return of
}

// The audit's memory does not grow with the system. What is broken among a million tickets is found, also by an audit
// that goes on where another one stopped.
func TestTheMemoryIsBoundedAtAnySize(t *testing.T) {
	program := filepath.Join(t.TempDir(), "audit")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "ticketremaster/stack/cmd/audit").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	start := time.Now()
	sell(t, *tickets)
	t.Logf("%d tickets were sold in %s", *tickets, time.Since(start).Round(time.Second))
	start = time.Now()
	out, memory := command(t, program)
	t.Logf("read in %.1f s with %d MB", time.Since(start).Seconds(), memory>>20)
	if strings.Contains(out, "✗") || !strings.Contains(out, "✓ order CONFIRMED") {
		t.Errorf("the system is sound, and the audit says:\n%s", out)
	}
	if memory > mostMemory {
		t.Errorf("%d MB", memory>>20)
	}
	change(t, "seats_db", `UPDATE seats SET price_paid = 6, updated_at = now() + interval '1 hour' WHERE seat_id = '51900000-0000-7000-8000-000000000abc'`)
	out, _ = command(t, program)
	if !strings.Contains(out, "✗ order CONFIRMED") || !strings.Contains(out, "\naudit: 1 offenders") {
		t.Errorf("a seat has a wrong price, and the audit says:\n%s", out)
	}
	start = time.Now()
	out, _ = command(t, program, "--since", "1ms")
	t.Logf("what changed was read in %.1f s", time.Since(start).Seconds())
	if !strings.Contains(out, "✗ order CONFIRMED") || !strings.Contains(out, "\naudit: 1 offenders") {
		t.Errorf("a seat has a wrong price, and the audit of what changed says:\n%s", out)
	}
}
