package main

import (
	"testing"

	"ticketremaster/platform/database"
)

// The schema refuses what the code must never do.
func TestTheSchemaRefuses(t *testing.T) {
	w := startWorld(t)
	p := w.rich("10")
	w.deduct(newID(), p, 1).want(t, 200, "")
	w.undo("/credits/return", newID(), false)
	for name, c := range map[string]struct{ sql, constraint string }{
		"setting a balance":             {`UPDATE users SET credit_balance = 1000`, "users_balance_is_booked"},
		"being born rich":               {`INSERT INTO users (user_id, email, phone, password_hash, credit_balance) VALUES (gen_random_uuid(), 'a@b.c', '+6591234567', '', 5)`, "users_balance_is_booked"},
		"changing a movement":           {`UPDATE movements SET amount = 0`, "movements_append_only"},
		"deleting a movement":           {`DELETE FROM movements`, "movements_append_only"},
		"emptying the ledger":           {`TRUNCATE movements CASCADE`, "movements_append_only"},
		"booking below zero":            {`INSERT INTO movements (kind, operation_id, source, source_id, target, amount) SELECT 'purchase', gen_random_uuid(), 'user', user_id, 'platform', 100 FROM users`, "users_credit_balance_not_negative"},
		"booking a negative amount":     {`INSERT INTO movements (kind, operation_id, source, source_id, target, amount) SELECT 'purchase', gen_random_uuid(), 'user', user_id, 'platform', -1 FROM users`, "movements_amount"},
		"booking twice":                 {`INSERT INTO movements (kind, operation_id, source, source_id, target, amount) SELECT kind, operation_id, source, source_id, target, amount FROM movements WHERE kind = 'purchase'`, "movements_once"},
		"moving a user's credits twice": {`INSERT INTO movements (kind, operation_id, source, source_id, target, amount) SELECT 'purchase', gen_random_uuid(), 'user', user_id, 'platform', 1 FROM users, generate_series(1, 2)`, "movements_balance_after"},
		"booking for nobody":            {`INSERT INTO movements (kind, operation_id, source, target, target_id, amount) VALUES ('grant', gen_random_uuid(), 'platform', 'user', gen_random_uuid(), 1)`, "movements_user"},
		"an account without an owner":   {`INSERT INTO movements (kind, operation_id, source, target, amount) VALUES ('cover', gen_random_uuid(), 'platform', 'escrow', 1)`, "movements_target_id"},
		"reviving an operation":         {`UPDATE operations SET state = 'DONE' WHERE state = 'VOID'`, "operations_transition"},
		"paying out a purchase":         {`UPDATE operations SET state = 'RELEASED', released_to = user_id WHERE state = 'DONE'`, "operations_state_of_kind"},
		"deleting an operation":         {`DELETE FROM operations`, "operations_transition"},
		"two spellings of an address":   {`UPDATE users SET email = upper(email)`, "users_email_lower"},
		"a phone without a country":     {`UPDATE users SET phone = '91234567'`, "users_phone_e164"},
		"a session of a month":          {`INSERT INTO sessions (session_id, user_id, refresh_hash, expires_at) SELECT gen_random_uuid(), user_id, decode(repeat('00', 32), 'hex'), now() + interval '30 days' FROM users`, "sessions_seven_days"},
		"reviving a challenge":          {`UPDATE otp_challenges SET state = 'PENDING'`, "otp_challenges_transition"},
		"a purchase without an order":   {`INSERT INTO otp_challenges (challenge_id, user_id, purpose, method, phone, state, expires_at) SELECT gen_random_uuid(), user_id, 'purchase', 'sms', phone, 'PENDING', now() FROM users`, "otp_challenges_reference"},
	} {
		if _, err := w.db.Exec(t.Context(), c.sql); !database.Violates(err, c.constraint) {
			t.Errorf("%s: %v, want a violation of %s", name, err, c.constraint)
		}
	}
	w.has(p, 9_00)
	w.booksAreRight()
}

// Two replicas that start at once on an empty database migrate it once.
func TestTwoReplicasStartAtOnce(t *testing.T) {
	dsn := emptyDatabase(t)
	done := make(chan error, 2)
	for range 2 {
		go func() { done <- migrate(t.Context(), dsn) }()
	}
	must(t, <-done)
	must(t, <-done)
}
