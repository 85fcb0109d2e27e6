package postgres_test

import (
	"context"
	"strings"
	"testing"

	"ticketremaster/platform/database"

	"ticketremaster/inventory-service/inventorytest"
)

// stage is one seat in each state, by name.
type stage struct {
	*inventorytest.Service
	seats map[string]string
}

func setStage(t *testing.T) stage {
	t.Helper()
	s := stage{inventorytest.Start(t), map[string]string{}}
	hall := s.Hall(t, 7)
	for i, name := range []string{"available", "held", "pinned", "over", "sold", "checked in", "extended"} {
		s.seats[name] = hall[i].SeatId
	}
	s.Hold(t, s.seats["held"], inventorytest.NewID())
	s.Hold(t, s.seats["over"], inventorytest.NewID())
	s.Expire(t, s.seats["over"], 60e9)
	s.Hold(t, s.seats["extended"], inventorytest.NewID())
	s.must(t, `UPDATE seats SET held_until = held_until + interval '1 minute', extended_hold_id = hold_id WHERE seat_id = $1`, s.seats["extended"])
	s.Hold(t, s.seats["pinned"], inventorytest.NewID())
	s.must(t, `UPDATE seats SET pin_id = gen_random_uuid() WHERE seat_id = $1`, s.seats["pinned"])
	s.Buy(t, s.seats["sold"], inventorytest.NewID())
	s.Buy(t, s.seats["checked in"], inventorytest.NewID())
	s.must(t, `UPDATE seats SET status = 'CHECKED_IN' WHERE seat_id = $1`, s.seats["checked in"])
	return s
}

func (s stage) must(t *testing.T, sql string, args ...any) {
	t.Helper()
	if _, err := s.SQL.Exec(t.Context(), sql, args...); err != nil {
		t.Fatal(err)
	}
}

// try runs sql on the seat and takes it back.
func (s stage) try(t *testing.T, sql, seat string) error {
	t.Helper()
	tx, err := s.SQL.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.Background()) }()
	_, err = tx.Exec(t.Context(), sql, seat)
	if err == nil {
		_, err = tx.Exec(t.Context(), `SET CONSTRAINTS ALL IMMEDIATE`)
	}
	return err
}

const (
	toHeld = `status = 'HELD', held_by_user_id = gen_random_uuid(), hold_id = gen_random_uuid(), held_until = now() + interval '1 minute', pin_id = NULL,
		owner_user_id = NULL, price_paid = NULL, sold_at = NULL, qr_code_hash = NULL, ownership_version = 0`
	toFree = `status = 'AVAILABLE', held_by_user_id = NULL, hold_id = NULL, held_until = NULL, pin_id = NULL,
		owner_user_id = NULL, price_paid = NULL, sold_at = NULL, qr_code_hash = NULL, ownership_version = 0`
	toSold = `status = 'SOLD', owner_user_id = coalesce(held_by_user_id, owner_user_id, gen_random_uuid()), price_paid = 1, sold_at = now(),
		hold_id = coalesce(hold_id, gen_random_uuid()), held_by_user_id = NULL, held_until = NULL, pin_id = NULL, ownership_version = 1`
	toCheckedIn = `status = 'CHECKED_IN', owner_user_id = coalesce(held_by_user_id, owner_user_id, gen_random_uuid()), price_paid = coalesce(price_paid, 1),
		sold_at = coalesce(sold_at, now()), hold_id = coalesce(hold_id, gen_random_uuid()), held_by_user_id = NULL, held_until = NULL, pin_id = NULL,
		ownership_version = greatest(ownership_version, 1)`
)

// Every state × every target, each with columns that fit the target: only the transitions of the state machine go
// through.
func TestTransitions(t *testing.T) {
	s := setStage(t)
	allowed := map[string]string{ // from: the targets
		"available": "held", "held": "free", "over": "held free", "pinned": "sold", "sold": "checked in", "checked in": "",
	}
	for from, targets := range allowed {
		for target, set := range map[string]string{"held": toHeld, "free": toFree, "sold": toSold, "checked in": toCheckedIn} {
			err := s.try(t, `UPDATE seats SET `+set+` WHERE seat_id = $1`, s.seats[from])
			if strings.Contains(targets, target) {
				if err != nil {
					t.Errorf("%s to %s: %v", from, target, err)
				}
			} else if !database.Violates(err, "seats_transition") {
				t.Errorf("%s to %s is not refused by the trigger: %v", from, target, err)
			}
		}
	}
}

func TestChangesWithinAState(t *testing.T) {
	s := setStage(t)
	for _, c := range []struct{ seat, set, constraint string }{
		{"held", `pin_id = gen_random_uuid()`, ""},
		{"pinned", `pin_id = NULL`, ""},
		{"pinned", `pin_id = gen_random_uuid()`, "seats_transition"},
		{"held", `held_until = held_until + interval '1 minute'`, "seats_transition"}, // not without its mark
		{"held", `held_until = held_until + interval '1 minute', extended_hold_id = hold_id`, ""},
		{"held", `held_until = held_until - interval '1 second', extended_hold_id = hold_id`, "seats_transition"},
		{"held", `held_until = held_until + interval '2 hours', extended_hold_id = hold_id`, "seats_transition"},
		{"held", `held_until = held_until + interval '1 minute', extended_hold_id = hold_id, pin_id = gen_random_uuid()`, "seats_transition"},
		{"pinned", `held_until = held_until + interval '1 minute', extended_hold_id = hold_id`, "seats_transition"},
		{"over", `held_until = held_until + interval '10 minutes', extended_hold_id = hold_id`, "seats_transition"},
		{"extended", `held_until = held_until + interval '1 minute'`, "seats_transition"}, // not twice
		{"extended", `extended_hold_id = NULL`, "seats_transition"},
		{"held", `held_by_user_id = gen_random_uuid()`, "seats_transition"},
		{"sold", `owner_user_id = gen_random_uuid(), ownership_version = ownership_version + 1, sold_at = now()`, ""},
		{"sold", `owner_user_id = gen_random_uuid()`, "seats_transition"}, // without a new version
		{"sold", `ownership_version = ownership_version + 1`, "seats_transition"},
		{"sold", `owner_user_id = gen_random_uuid(), ownership_version = ownership_version + 1, qr_code_hash = 'ab'`, "seats_transition"},
		{"sold", `qr_code_hash = 'ab'`, ""},
		{"sold", `price_paid = 1`, "seats_transition"},
		{"sold", `hold_id = gen_random_uuid()`, "seats_transition"},
		{"sold", `status = 'CHECKED_IN', owner_user_id = gen_random_uuid()`, "seats_transition"},
		{"checked in", `owner_user_id = gen_random_uuid(), ownership_version = ownership_version + 1`, "seats_transition"},
		{"checked in", `updated_at = now()`, "seats_transition"},
		{"checked in", `status = 'SOLD'`, ""}, // the admission is undone
		{"checked in", `status = 'SOLD', owner_user_id = gen_random_uuid(), ownership_version = ownership_version + 1`, "seats_transition"},
		{"pinned", `status = 'SOLD', owner_user_id = gen_random_uuid(), price_paid = 1, sold_at = now(), held_by_user_id = NULL, held_until = NULL, pin_id = NULL, ownership_version = 1`, "seats_transition"}, // to another than who held it
		{"held", `tier = 'CAT9'`, "seats_transition"},
		{"held", `row_number = 'Q'`, "seats_transition"},
		{"held", `seat_number = 99`, "seats_transition"},
		{"held", `created_at = now()`, "seats_transition"},
		{"held", `seat_id = gen_random_uuid()`, "seats_transition"},
		{"available", `updated_at = now()`, "seats_transition"},

		// Blocking, and the way to a refund.
		{"available", `blocked = true`, ""},
		{"available", `blocked = true, ownership_version = 1`, "seats_transition"},
		{"available", strings.Replace(toHeld, "status", "blocked = true, status", 1), "seats_transition"},
		{"over", strings.Replace(toHeld, "status", "blocked = true, status", 1), "seats_transition"},
		{"sold", `void_id = gen_random_uuid()`, ""},
		{"checked in", `void_id = gen_random_uuid()`, ""}, // of a cancelled event
		{"held", `void_id = gen_random_uuid()`, "seats_void_is_ticket"},
		{"sold", `refunded_at = now()`, "seats_refunded_is_void"},
		{"sold", toFree + `, void_id = NULL`, "seats_transition"}, // not by itself
		{"sold", `void_id = gen_random_uuid(), owner_user_id = gen_random_uuid(), ownership_version = ownership_version + 1`, "seats_transition"},
		{"sold", `void_id = gen_random_uuid(), status = 'CHECKED_IN'`, "seats_transition"},

		// Columns that do not fit the status.
		{"available", `status = 'HELD', held_by_user_id = gen_random_uuid(), hold_id = gen_random_uuid()`, "seats_held_has_hold"},
		{"available", toHeld + `, price_paid = 1`, "error"}, // assigned twice: not SQL
		{"held", strings.Replace(toFree, "held_by_user_id = NULL", "held_by_user_id = gen_random_uuid()", 1), "seats_available_is_bare"},
		{"held", strings.Replace(toFree, "hold_id = NULL", "hold_id = gen_random_uuid()", 1), "seats_available_is_bare"},
		{"available", strings.Replace(toHeld, "price_paid = NULL", "price_paid = 1", 1), "seats_held_has_hold"},
		{"available", strings.Replace(toHeld, "owner_user_id = NULL", "owner_user_id = gen_random_uuid()", 1), "seats_held_has_hold"},
		{"pinned", strings.Replace(toSold, "price_paid = 1", "price_paid = NULL", 1), "seats_sold_has_owner"},
		{"pinned", strings.Replace(toSold, "price_paid = 1", "price_paid = -1", 1), "seats_price"},
		{"pinned", strings.Replace(toSold, "pin_id = NULL", "pin_id = pin_id", 1), "seats_sold_has_owner"},
		{"pinned", strings.Replace(toSold, "held_until = NULL", "held_until = held_until", 1), "seats_sold_has_owner"},
	} {
		err := s.try(t, `UPDATE seats SET `+c.set+` WHERE seat_id = $1`, s.seats[c.seat])
		switch {
		case c.constraint == "error" && err != nil, c.constraint == "" && err == nil:
		case c.constraint != "" && database.Violates(err, c.constraint):
		default:
			t.Errorf("%s: SET %s: %v, want %q", c.seat, c.set, err, c.constraint)
		}
	}
}

func TestOtherGuards(t *testing.T) {
	s := setStage(t)
	for _, c := range []struct{ sql, seat, constraint string }{
		{`INSERT INTO seats (seat_id, event_id, tier, row_number, seat_number)
			SELECT gen_random_uuid(), event_id, tier, row_number, seat_number FROM seats WHERE seat_id = $1`, "held", "seats_one_per_place"},
		{`INSERT INTO seats (seat_id, event_id, tier, row_number, seat_number, status, held_by_user_id, held_until, hold_id)
			SELECT gen_random_uuid(), event_id, tier, 'ZZ', 1, 'HELD', held_by_user_id, held_until, hold_id FROM seats WHERE seat_id = $1`, "held", "seats_born_available"},
		{`INSERT INTO seats (seat_id, event_id, tier, row_number, seat_number) SELECT gen_random_uuid(), event_id, tier, 'a1', 1 FROM seats WHERE seat_id = $1`, "held", "seats_place"},
		{`DELETE FROM seats WHERE seat_id = $1`, "available", ""},
		{`DELETE FROM seats WHERE seat_id = $1`, "held", "seats_delete_untouched"},
		{`DELETE FROM seats WHERE seat_id = $1`, "sold", "seats_delete_untouched"},
		{`UPDATE seat_ownership SET at = now() WHERE seat_id = $1`, "sold", "seat_ownership_append_only"},
		{`DELETE FROM seat_ownership WHERE seat_id = $1`, "sold", "seat_ownership_append_only"},
		{`INSERT INTO seat_ownership SELECT gen_random_uuid(), seat_id, from_user_id, to_user_id, cause, version, at FROM seat_ownership WHERE seat_id = $1`, "sold", "seat_ownership_version"},
		{`INSERT INTO seat_ownership SELECT gen_random_uuid(), seat_id, NULL, to_user_id, 'TRANSFER', 2, at FROM seat_ownership WHERE seat_id = $1`, "sold", "seat_ownership_ends"},
		{`INSERT INTO seat_ownership SELECT gen_random_uuid(), seat_id, to_user_id, to_user_id, 'TRANSFER', 2, at FROM seat_ownership WHERE seat_id = $1`, "sold", "seat_ownership_changes"},
		{`INSERT INTO pins (pin_id, seat_id, hold_id, state) SELECT gen_random_uuid(), seat_id, hold_id, 'PINNED' FROM pins WHERE seat_id = $1`, "sold", "pins_one_live"},
		{`UPDATE pins SET state = 'UNPINNED' WHERE seat_id = $1`, "sold", "pins_transition"}, // confirmed is for ever
		{`UPDATE pins SET state = 'PINNED' WHERE seat_id = $1`, "sold", "pins_transition"},
		{`DELETE FROM pins WHERE seat_id = $1`, "sold", "pins_kept"},
		{`INSERT INTO pins (pin_id, seat_id, hold_id, state, released) VALUES (gen_random_uuid(), $1, gen_random_uuid(), 'PINNED', true)`, "held", "pins_released_unpinned"},
		{`INSERT INTO entry_logs (log_id, seat_id, scanned_by_staff_id, result) SELECT gen_random_uuid(), $1::uuid, gen_random_uuid(), 'SUCCESS' FROM generate_series(1, 2)`, "sold", "entry_logs_one_per_entry"},
		{`INSERT INTO entry_logs (log_id, presented_seat_id, scanned_by_staff_id, result) VALUES (gen_random_uuid(), $1, gen_random_uuid(), 'SUCCESS')`, "sold", "entry_logs_success_names_seat"},
		{`INSERT INTO seat_plans (event_id) VALUES ($1)`, "sold", "seat_plans_whole"},
		{`INSERT INTO entry_logs (log_id, seat_id, scanned_by_staff_id, result, direction) VALUES (gen_random_uuid(), $1, gen_random_uuid(), 'SUCCESS', 'UNDO')`, "sold", "entry_logs_undo"},
		{`INSERT INTO entry_logs (log_id, seat_id, scanned_by_staff_id, result, device_result) VALUES (gen_random_uuid(), $1, gen_random_uuid(), 'SUCCESS', 'SUCCESS')`, "sold", "entry_logs_offline"},
		{`INSERT INTO entry_logs (log_id, seat_id, scanned_by_staff_id, result, direction, undoes)
			SELECT gen_random_uuid(), $1::uuid, $1::uuid, 'DUPLICATE', 'UNDO', $1::uuid FROM generate_series(1, 2)`, "sold", "entry_logs_undone_once"},
	} {
		err := s.try(t, c.sql, s.seats[c.seat])
		if c.constraint == "" && err != nil || c.constraint != "" && !database.Violates(err, c.constraint) {
			t.Errorf("%s: %v, want %q", c.sql, err, c.constraint)
		}
	}
	s.must(t, `INSERT INTO entry_logs (log_id, seat_id, scanned_by_staff_id, result) VALUES (gen_random_uuid(), $1, gen_random_uuid(), 'SUCCESS')`, s.seats["sold"])
	for _, sql := range []string{`UPDATE entry_logs SET result = 'EXPIRED' WHERE seat_id = $1`, `DELETE FROM entry_logs WHERE seat_id = $1`} {
		if err := s.try(t, sql, s.seats["sold"]); !database.Violates(err, "entry_logs_append_only") {
			t.Errorf("%s: %v", sql, err)
		}
	}
	if _, err := s.SQL.Exec(t.Context(), `TRUNCATE entry_logs`); !database.Violates(err, "entry_logs_append_only") {
		t.Errorf("TRUNCATE entry_logs: %v", err)
	}
	s.must(t, `INSERT INTO entry_permits (seat_id, ownership_version, admin_id, reason) VALUES ($1, 1, gen_random_uuid(), 'paid in cash')`, s.seats["sold"])
	s.must(t, `INSERT INTO staff_assignments (staff_id, venue_ids, event_ids, admin_id, reason) VALUES ($1, '{}', '{}', gen_random_uuid(), 'new')`, s.seats["sold"])
	for _, table := range []string{"entry_permits", "staff_assignments"} {
		for _, sql := range []string{`UPDATE ` + table + ` SET reason = ''`, `DELETE FROM ` + table, `TRUNCATE ` + table} {
			if _, err := s.SQL.Exec(t.Context(), sql); !database.Violates(err, table+"_append_only") {
				t.Errorf("%s: %v", sql, err)
			}
		}
	}
	if _, err := s.SQL.Exec(t.Context(), `TRUNCATE seat_ownership`); !database.Violates(err, "seat_ownership_append_only") {
		t.Errorf("TRUNCATE seat_ownership: %v", err)
	}
}
