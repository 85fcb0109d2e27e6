package httpapi_test

import (
	"fmt"
	"testing"
)

// The schema keeps the ledger immutable even if a service is faulty.
func TestSchemaGuardsOrders(t *testing.T) {
	s := start(t)
	make := map[string]func() body{
		"PENDING":   func() body { b := pendingOrder(); s.place(b); return b },
		"CONFIRMED": func() body { b := paid(pendingOrder()); s.place(b); return b },
		"FAILED":    func() body { b := pendingOrder(); s.place(b); _ = s.failOrder(b); return b },
		"REFUNDED":  func() body { b := paid(pendingOrder()); s.place(b); _ = s.undo(b); return b },
	}
	allowed := map[string]bool{"PENDING CONFIRMED": true, "PENDING FAILED": true, "CONFIRMED REFUNDED": true}
	for from := range make {
		for to := range make {
			if allowed[from+" "+to] {
				continue
			}
			s.refuses("orders_transition", `UPDATE orders SET status = $2 WHERE order_id = $1`, make[from]()["order_id"], to)
		}
	}
	for _, to := range []string{"FAILED", "REFUNDED"} {
		s.refuses("orders_transition", `INSERT INTO orders (order_id, user_id, seat_id, event_id, status, price, held_until)
			VALUES (gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), $1, 1, now())`, to)
	}
	paidID, pendingID := make["CONFIRMED"]()["order_id"], make["PENDING"]()["order_id"]
	for _, change := range []string{
		"order_id = gen_random_uuid()", "user_id = gen_random_uuid()", "seat_id = gen_random_uuid()", "event_id = gen_random_uuid()", "price = 1",
		"held_until = now()", "created_at = now() + interval '1s'", "credits_charged = 1", "attempt_id = gen_random_uuid()", "confirmed_at = now() + interval '1s'",
	} {
		s.refuses("orders_immutable", fmt.Sprintf(`UPDATE orders SET status = 'REFUNDED', failure_reason = 'x', %s WHERE order_id = $1`, change), paidID)
	}
	for _, change := range []string{"held_until = held_until - interval '1s'", "held_until = held_until + interval '2h'", "price = 1"} {
		s.refuses("orders_transition", fmt.Sprintf(`UPDATE orders SET %s WHERE order_id = $1`, change), pendingID)
	}
	s.refuses("orders_immutable", `UPDATE orders SET held_until = held_until + interval '1min', price = 1 WHERE order_id = $1`, pendingID)
	s.refuses("orders_paid_or_not", `UPDATE orders SET status = 'CONFIRMED' WHERE order_id = $1`, pendingID)
	s.refuses("orders_paid_or_not", `UPDATE orders SET status = 'FAILED', failure_reason = 'x', credits_charged = 1 WHERE order_id = $1`, pendingID)
	s.refuses("orders_reason_if_ended", `UPDATE orders SET status = 'FAILED' WHERE order_id = $1`, pendingID)
	s.refuses("orders_reason_length", `UPDATE orders SET status = 'FAILED', failure_reason = repeat('x', 501) WHERE order_id = $1`, pendingID)
	s.refuses("orders_amounts_not_negative", `UPDATE orders SET status = 'CONFIRMED', attempt_id = gen_random_uuid(), confirmed_at = now(), credits_charged = -1 WHERE order_id = $1`, pendingID)
	s.refuses("orders_never_deleted", `DELETE FROM orders WHERE order_id = $1`, paidID)
	s.refuses("orders_never_deleted", `TRUNCATE orders CASCADE`)
	s.refuses("order_attempts_never_deleted", `DELETE FROM order_attempts`)
	s.refuses("order_attempts_stay", `UPDATE order_attempts SET outcome = 'CONFIRMED' WHERE outcome = 'VOIDED'`)
	s.refuses("order_attempts_stay", `UPDATE order_attempts SET outcome = 'VOIDED', order_id = gen_random_uuid()`)
}

// The schema refuses invalid rows even from a faulty service.
func TestSchemaGuardsTransfers(t *testing.T) {
	s := start(t)
	statuses := []string{"INITIATED", "PENDING_OTP", "COMPLETED", "DISPUTED", "REVERSED", "FAILED"}
	allowed := map[string]bool{
		"INITIATED PENDING_OTP": true, "INITIATED FAILED": true, "PENDING_OTP COMPLETED": true, "PENDING_OTP FAILED": true,
		"COMPLETED DISPUTED": true, "DISPUTED COMPLETED": true, "DISPUTED REVERSED": true,
	}
	for _, from := range statuses {
		id := s.reach(newTransfer(), from)["transfer_id"]
		for _, to := range statuses {
			if from != to && !allowed[from+" "+to] {
				s.refuses("transfers_transition", `UPDATE transfers SET status = $2 WHERE transfer_id = $1`, id, to)
			}
		}
	}
	s.refuses("transfers_transition", `UPDATE transfers SET status = 'COMPLETED', completed_at = now() WHERE transfer_id = $1`, s.reach(newTransfer(), "verified")["transfer_id"])
	for _, to := range []string{"PENDING_OTP", "COMPLETED", "DISPUTED", "REVERSED"} {
		s.refuses("transfers_transition", `INSERT INTO transfers (transfer_id, seat_id, event_id, seller_user_id, buyer_user_id, initiated_by, status, credits_amount, expires_at)
			SELECT gen_random_uuid(), seat_id, event_id, seller_user_id, buyer_user_id, initiated_by, $1, 1, now() FROM transfers LIMIT 1`, to)
	}
	completed := s.reach(newTransfer(), "COMPLETED")
	s.must(s.act(completed, "end-dispute", "dispute_id", newID()))
	for _, change := range []string{
		"transfer_id = gen_random_uuid()", "seat_id = gen_random_uuid()", "event_id = gen_random_uuid()", "seller_user_id = gen_random_uuid()",
		"buyer_user_id = gen_random_uuid()", "initiated_by = buyer_user_id", "credits_amount = 1", "expires_at = now()", "created_at = now()",
		"completed_at = now() + interval '1s'",
	} {
		s.refuses("transfers_immutable", `UPDATE transfers SET `+change+` WHERE transfer_id = $1`, completed["transfer_id"])
	}
	initiated, pending, disputed := s.reach(newTransfer(), "INITIATED"), s.reach(newTransfer(), "PENDING_OTP"), s.reach(newTransfer(), "DISPUTED")
	for _, c := range []struct {
		of                 body
		constraint, change string
	}{
		{pending, "transfers_verified_before_swap", "swapping = true"},
		{initiated, "transfers_swapping_while_pending", "swapping = true, seller_otp_verified = true, buyer_otp_verified = true"},
		{pending, "transfers_completed_at_known", "completed_at = now(), seller_otp_verified = true, buyer_otp_verified = true"},
		{completed, "transfers_dispute_whole", "status = 'DISPUTED'"},
		{completed, "transfers_dispute_whole", "dispute_id = gen_random_uuid()"},
		{completed, "transfers_disputed_by_party", "dispute_id = gen_random_uuid(), disputed_by = gen_random_uuid(), dispute_reason = 'x'"},
		{disputed, "transfers_reversal_of_dispute", "status = 'REVERSED'"},
		{completed, "transfers_reversal_of_dispute", "reversal_id = gen_random_uuid()"},
		{pending, "transfers_reason_if_failed", "status = 'FAILED'"},
		{pending, "transfers_reason_length", "status = 'FAILED', failure_reason = repeat('x', 501)"},
	} {
		s.refuses(c.constraint, `UPDATE transfers SET `+c.change+` WHERE transfer_id = $1`, c.of["transfer_id"])
	}
	s.refuses("transfers_never_deleted", `DELETE FROM transfers`)
	s.refuses("transfers_never_deleted", `TRUNCATE transfers CASCADE`)
	mark := `UPDATE transfer_operations SET `
	for _, change := range []string{"operation_id = gen_random_uuid()", "voided_at = now() + interval '1s'", "voided_at = NULL, ending = NULL", "ending = 'WITHDRAWN'"} {
		s.refuses("transfer_operations_immutable", mark+change+` WHERE transfer_id = $1`, completed["transfer_id"])
	}
	s.refuses("transfer_operations_never_deleted", `DELETE FROM transfer_operations`)
	s.refuses("transfers_two_parties", `INSERT INTO transfers (transfer_id, seat_id, event_id, seller_user_id, buyer_user_id, initiated_by, status, credits_amount, expires_at)
		SELECT gen_random_uuid(), seat_id, event_id, seller_user_id, seller_user_id, seller_user_id, 'INITIATED', 1, now() FROM transfers LIMIT 1`)
}
