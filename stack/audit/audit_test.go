package audit_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"ticketremaster/stack"
	"ticketremaster/stack/audit"
)

var programs = []string{"inventory-service", "user-service", "order-service", "event-service", "orchestrator-service"}

var (
	services *stack.Stack
	dsns     = map[string]string{}
)

func TestMain(m *testing.M) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	var err error
	// The services are started for their schemas alone.
	services, err = stack.Boot(ctx, stack.Options{Private: true, Unsafe: true, Progress: os.Stderr, Only: programs})
	for _, name := range programs {
		if err == nil {
			err = services.Stop(ctx, name)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for _, name := range audit.Databases {
		dsns[name] = services.DSN(name)
	}
	code := m.Run()
	if err := services.Close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func run(t *testing.T) (int, string) {
	t.Helper()
	var out bytes.Buffer
	n, err := audit.Run(t.Context(), readOnly(t), time.Millisecond, &out)
	if err != nil {
		t.Fatal(err)
	}
	return n, out.String()
}

func TestAFreshSystemIsClean(t *testing.T) {
	if n, out := run(t); n != 0 {
		t.Errorf("%d offenders:\n%s", n, out)
	}
}

type breach struct{ rule, database, sql string }

// Every invariant counts an offender when it is broken: what the schemas forbid is done as a superuser whose session
// fires no triggers, with constraints dropped for the moment.
func TestEveryInvariantIsSeenWhenBroken(t *testing.T) {
	const (
		a = "'00000000-0000-7000-8000-00000000000a'"
		b = "'00000000-0000-7000-8000-00000000000b'"
		c = "'00000000-0000-7000-8000-00000000000c'"
	)
	order := func(id, status, more string) string {
		return fmt.Sprintf(`INSERT INTO orders (order_id, user_id, seat_id, event_id, status, price, credits_charged, held_until, confirmed_at, attempt_id, failure_reason)
			VALUES (%s, %s, %s, %s, '%s', 5, %s`, id, a, a, a, status, more)
	}
	seat := func(status, more string) string {
		return fmt.Sprintf(`INSERT INTO seats (seat_id, event_id, tier, row_number, seat_number, status, held_by_user_id, held_until, hold_id, pin_id, owner_user_id, price_paid, ownership_version, sold_at)
			VALUES (%s, %s, 'x', 'A', 1, '%s', %s)`, a, a, status, more)
	}
	user := fmt.Sprintf(`INSERT INTO users (user_id, email, phone, password_hash, credit_balance) VALUES (%s, 'a@example.com', '+6580000001', 'x', 5)`, a)
	move := func(kind, source, sourceID, target, targetID string) string {
		return fmt.Sprintf(`INSERT INTO movements (kind, operation_id, source, source_id, target, target_id, amount, reference_id) VALUES ('%s', %s, '%s', %s, '%s', %s, 5, %s)`, kind, b, source, sourceID, target, targetID, a)
	}
	transfer := func(status, more string) string {
		return fmt.Sprintf(`INSERT INTO transfers (transfer_id, seat_id, event_id, seller_user_id, buyer_user_id, initiated_by, status, credits_amount, expires_at, seller_otp_verified, buyer_otp_verified, completed_at, swapping)
			VALUES (%s, %s, %s, %s, %s, %s, '%s', 5, %s)`, a, a, a, a, b, a, status, more)
	}
	challenge := func(id, state, minutesAgo string) string {
		return fmt.Sprintf(`INSERT INTO otp_challenges (challenge_id, user_id, purpose, method, phone, state, created_at, expires_at, answered_code, answer, answered_at)
			VALUES (%s, %s, 'login', 'sms', '+6580000001', '%s', now() - interval '%s minutes', now() + interval '1 minute', 'x', 'OK', now())`, id, id, state, minutesAgo)
	}
	refund := order(a, "CONFIRMED", "5, now(), now(), "+a+", NULL)") + `; INSERT INTO order_refunds (refund_id, order_id, kind, amount, to_user_id, reason) VALUES (` + c + `, ` + a + `, 'WHOLE', 6, ` + a + `, 'x')`
	waits := transfer("PENDING_OTP", "now() + interval '1 hour', false, true, NULL, false") + `; UPDATE transfers SET listing_id = ` + c
	listing := `INSERT INTO listings (listing_id, seat_id, event_id, seller_user_id, asking_price, status, transfer_id, check_from) VALUES (` + c + `, ` + a + `, ` + a + `, ` + a + `, 5, 'PENDING_TRANSFER', ` + a + `, now())`
	broken := []breach{
		{"one live owner per seat", "orders_db", `DROP INDEX orders_one_owner_per_seat; ` + order(a, "CONFIRMED", "5, now(), now(), "+a+", NULL)") + "; " + order(b, "CONFIRMED", "5, now(), now(), "+b+", NULL)")},
		{"a seat's owner is the last", "seats_db", seat("SOLD", "NULL, NULL, "+a+", NULL, "+a+", 5, 1, now()")},
		{"order CONFIRMED ⇔ its seat", "orders_db", order(a, "CONFIRMED", "5, now(), now(), "+a+", NULL)")},
		{"order CONFIRMED ⇔ its seat", "seats_db", seat("SOLD", "NULL, NULL, "+a+", NULL, "+a+", 5, 1, now()")},
		{"balance = sum of the ledger", "users_db", user},
		{"the ledger sums to zero", "users_db", `CREATE OR REPLACE VIEW ledger_entries AS SELECT 1::bigint AS movement_id, 'platform'::account AS account, NULL::uuid AS owner_id, 1::numeric AS amount`},
		{"no negative balance", "users_db", `ALTER TABLE users DROP CONSTRAINT users_credit_balance_not_negative; ` + strings.Replace(user, "5)", "-5)", 1)},
		{"no account but a user's", "users_db", move("escrow_release", "escrow", a, "user", a)},
		{"who has a debt has no credits", "users_db", user + `; INSERT INTO debts (user_id, target, cause_id, amount, remaining) VALUES (` + a + `, 'stripe', ` + a + `, 5, 5)`},
		{"every debit has its order", "users_db", move("purchase", "user", a, "platform", "NULL")},
		{"every debit has its order", "orders_db", order(a, "CONFIRMED", "5, now(), now(), "+a+", NULL)")},
		{"a booking is paid whole", "orders_db", order(a, "CONFIRMED", "5, now(), now(), "+a+", NULL)") + "; " + order(b, "PENDING", "0, now(), NULL, NULL, NULL)") + "; UPDATE orders SET booking_id = " + c},
		{"every payment at Stripe", "users_db", move("topup", "stripe", "NULL", "user", a)},
		{"what is taken back", "users_db", `INSERT INTO payments (payment_intent_id, topup_id, paid, refunded) VALUES ('pi', ` + a + `, 5, 5)`},
		{"a phone number has one", "users_db", `DROP INDEX otp_challenges_one_live_of_phone; ` + challenge(a, "PENDING", "0") + "; " + challenge(b, "PENDING", "0")},
		{"a code confirms nothing", "users_db", challenge(a, "VERIFIED", "2") + "; " + challenge(b, "PENDING", "1")},
		{"a number that belongs", "users_db", `DROP INDEX users_phone_exclusive; INSERT INTO users (user_id, email, phone, password_hash, is_verified, phone_exclusive)
			SELECT gen_random_uuid(), n || '@example.com', '+6580000001', 'x', true, true FROM generate_series(1, 2) n`},
		{"credits in escrow", "users_db", move("escrow", "user", a, "escrow", a)},
		{"frozen credits", "users_db", move("freeze", "user", a, "frozen", a)},
		{"transfer done ⇔ its seat", "orders_db", transfer("COMPLETED", "now(), true, true, now(), false")},
		{"transfer done ⇔ its price", "orders_db", transfer("COMPLETED", "now(), true, true, now(), false")},
		{"a disputed ticket's refund", "orders_db", `ALTER TABLE transfers DROP CONSTRAINT transfers_dispute_whole; ` +
			transfer("DISPUTED", "now(), true, true, now() - interval '1 minute', false") + "; " + refund},
		{"no transfer waits", "orders_db", transfer("PENDING_OTP", "now() - interval '1 hour', false, false, NULL, false")},
		{"a transfer under way", "orders_db", transfer("PENDING_OTP", "now(), true, true, NULL, true")},
		{"no hold past its time", "seats_db", seat("HELD", a+", now() - interval '1 hour', "+a+", NULL, NULL, NULL, 0, NULL")},
		{"no PENDING order past", "orders_db", order(a, "PENDING", "0, now() - interval '1 hour', NULL, NULL, NULL)")},
		{"a pinned hold has a live saga", "seats_db", seat("HELD", a+", now(), "+a+", "+b+", NULL, NULL, 0, NULL")},
		{"what a saga did stands", "sagas_db", `INSERT INTO sagas (saga_id, kind, subject, status, state, lease_owner, lease_until) VALUES (` + a + `, 'purchase', 's', 'DONE', '{}', ` + a + `, now())`},
		{"what a saga did stands", "sagas_db", `INSERT INTO sagas (saga_id, kind, subject, status, state, lease_owner, lease_until) VALUES (` + a + `, 'transfer', 's', 'DONE', '{}', ` + a + `, now())`},
		{"what a saga did stands", "sagas_db", `INSERT INTO sagas (saga_id, kind, subject, status, state, lease_owner, lease_until) VALUES (` + a + `, 'booking', 's', 'DONE', '{}', ` + a + `, now())`},
		{"no saga is stuck or parked", "sagas_db", `INSERT INTO sagas (saga_id, kind, subject, status, state, refusal, lease_owner, lease_until) VALUES (` + a + `, 'k', 's', 'PARKED', '{}', '{}', ` + a + `, now())`},
		{"checked in ⇔ admitted", "seats_db", `INSERT INTO entry_logs (log_id, seat_id, scanned_by_staff_id, result) VALUES (` + a + `, ` + a + `, ` + a + `, 'SUCCESS')`},
		{"checked in ⇔ admitted", "seats_db", seat("CHECKED_IN", "NULL, NULL, "+a+", NULL, "+a+", 5, 1, now()")},
		{"checked in ⇔ admitted", "seats_db", seat("CHECKED_IN", "NULL, NULL, "+a+", NULL, "+a+", 5, 1, now()") + `;
			INSERT INTO entry_logs (log_id, seat_id, scanned_by_staff_id, result, entry) SELECT gen_random_uuid(), seat_id, seat_id, 'SUCCESS', n FROM seats, generate_series(1, 2) n WHERE status = 'CHECKED_IN'`},
		{"a published event has all", "events_db", `INSERT INTO events (event_id, name, venue_id, hall_id, event_date, ends_at, total_seats, seats_per_row, pricing_tiers, status, published_at)
			VALUES (` + a + `, 'x', ` + a + `, 'h', now(), now() + interval '1 hour', 3, 20, '{"x": 5}', 'PUBLISHED', now())`},
		{"seats belong to an event", "seats_db", `INSERT INTO seat_plans (event_id, total_seats, seats_per_row, tiers) VALUES (` + c + `, 3, 3, '{x}')`},
		{"every refund is paid", "orders_db", refund},
		{"no order returns more", "orders_db", refund},
		{"a refunded order's ticket is void", "orders_db", refund},
		{"a refunded order's ticket is void", "seats_db", seat("SOLD", "NULL, NULL, "+a+", NULL, "+a+", 5, 1, now()") + `; UPDATE seats SET void_id = ` + c},
		{"a purchase that waits", "orders_db", waits},
		{"a listing is what its transfer is", "orders_db", listing},
		{"a ticket for sale is its seller's", "orders_db", listing},
	}
	for _, x := range broken {
		t.Run(x.rule+" in "+x.database, func(t *testing.T) {
			undo := breakIt(t, x.database, x.sql)
			defer undo()
			n, out := run(t)
			if n == 0 {
				t.Fatal("nothing was seen")
			}
			if !strings.Contains(out, "✗ "+x.rule) {
				t.Errorf("the rule stayed green:\n%s", out)
			}
			report, err := audit.Audit(t.Context(), readOnly(t), audit.Options{Grace: time.Millisecond, Since: time.Now().Add(-time.Hour)})
			if err != nil {
				t.Fatal(err)
			}
			seen := slices.ContainsFunc(report.Results, func(r audit.Result) bool { return strings.HasPrefix(r.Rule, x.rule) && len(r.Offenders) > 0 })
			if seen == slices.Contains(unchanged, x.rule) {
				t.Errorf("by what changed: %v", report.Results)
			}
		})
	}
	for _, rule := range audit.Rules() {
		elsewhere := strings.HasPrefix(rule, "what a saga undid") || strings.HasPrefix(rule, "of a cancelled event") // below
		if !elsewhere && !slices.ContainsFunc(broken, func(x breach) bool { return strings.HasPrefix(rule, x.rule) }) {
			t.Errorf("nothing breaks %q", rule)
		}
	}
}

// unchanged are the rules that are broken here by nothing that a look at what changed sees: a row that bears no time,
// and no movement of credits.
var unchanged = []string{"balance = sum of the ledger", "the ledger sums to zero", "no negative balance", "a number that belongs"}

// What a saga undid and what was done nevertheless are in two databases.
func TestAPaymentThatWasUndoneAndStandsIsSeen(t *testing.T) {
	const attempt = "'00000000-0000-7000-8000-00000000000a'"
	undoOrder := breakIt(t, "orders_db", `INSERT INTO orders (order_id, user_id, seat_id, event_id, status, price, credits_charged, held_until, confirmed_at, attempt_id)
		SELECT id, id, id, id, 'CONFIRMED', 5, 5, now(), now(), id FROM (SELECT `+attempt+`::uuid AS id) AS one`)
	defer undoOrder()
	undoSaga := breakIt(t, "sagas_db", `INSERT INTO sagas (saga_id, kind, subject, status, state, refusal, lease_owner, lease_until)
		VALUES (`+attempt+`, 'purchase', 's', 'UNDONE', '{}', '{}', `+attempt+`, now())`)
	defer undoSaga()
	if _, out := run(t); !strings.Contains(out, "✗ what a saga undid is undone") {
		t.Errorf("the rule stayed green:\n%s", out)
	}
}

// A ticket of a cancelled event, and the event, stand in two databases.
func TestATicketOfACancelledEventIsSeen(t *testing.T) {
	const event = "'00000000-0000-7000-8000-00000000000e'"
	defer breakIt(t, "events_db", `INSERT INTO events (event_id, name, venue_id, hall_id, event_date, ends_at, total_seats, seats_per_row, pricing_tiers, status, published_at)
		VALUES (`+event+`, 'x', `+event+`, 'h', now(), now() + interval '1 hour', 1, 20, '{"x": 5}', 'CANCELLED', now())`)()
	defer breakIt(t, "seats_db", `INSERT INTO seats (seat_id, event_id, tier, row_number, seat_number, status, hold_id, owner_user_id, price_paid, ownership_version, sold_at)
		VALUES (`+event+`, `+event+`, 'x', 'A', 1, 'SOLD', `+event+`, `+event+`, 5, 1, now())`)()
	if _, out := run(t); !strings.Contains(out, "✗ of a cancelled event nothing is held or sold") {
		t.Errorf("the rule stayed green:\n%s", out)
	}
}

// breakIt commits the damage to a copy of the database, which the audit then reads.
func breakIt(t *testing.T, database, sql string) (undo func()) {
	t.Helper()
	broken := "broken_" + database
	c, err := pgx.ParseConfig(dsns[database])
	if err != nil {
		t.Fatal(err)
	}
	exec := func(conn *pgx.Conn, sql string) {
		t.Helper()
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	root := c.Copy()
	root.Database = "postgres"
	outside, err := pgx.ConnectConfig(t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	defer outside.Close(context.Background())
	exec(outside, "DROP DATABASE IF EXISTS "+broken+" WITH (FORCE)")
	exec(outside, "CREATE DATABASE "+broken+" TEMPLATE "+database)
	c.Database = broken
	damaged, err := pgx.ConnectConfig(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer damaged.Close(context.Background())
	exec(damaged, "SET session_replication_role = replica; "+sql)
	whole := dsns[database]
	dsns[database] = strings.Replace(whole, "/"+database+"?", "/"+broken+"?", 1)
	return func() { dsns[database] = whole }
}
