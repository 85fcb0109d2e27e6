package audit

import "context"

type invariant struct {
	rule string
	find func(context.Context, books) (offenders, error)
}

// overdue is how long after its time something may wait for its end (Grace comes on top).
const overdue = `interval '15 seconds'`

var liveSagas = side{"sagas_db", `SELECT saga_id::text, '' FROM sagas WHERE status IN ('RUNNING', 'COMPENSATING')`}

// invariants must always hold, one line each.
var invariants = []invariant{
	// Seats and owners.
	{"one live owner per seat: at most one CONFIRMED order", in("orders_db", `
		SELECT seat_id::text, count(*) || ' CONFIRMED orders' FROM orders WHERE status = 'CONFIRMED' GROUP BY seat_id HAVING count(*) > 1`)},
	{"a seat's owner is the last of an unbroken chain of custody", in("seats_db", `
		SELECT s.seat_id::text, 'owner or version is not the chain''s last' FROM seats s
		LEFT JOIN seat_ownership o ON o.seat_id = s.seat_id AND o.version = s.ownership_version
		WHERE s.status IN ('SOLD', 'CHECKED_IN') AND o.to_user_id IS DISTINCT FROM s.owner_user_id
		UNION
		SELECT seat_id::text, 'the chain is broken at version ' || version FROM (
			SELECT seat_id, version, from_user_id, lag(to_user_id) OVER w AS before, lag(version) OVER w AS last FROM seat_ownership
			WINDOW w AS (PARTITION BY seat_id ORDER BY version)) c
		WHERE from_user_id IS DISTINCT FROM before OR version <> coalesce(last, 0) + 1`)},
	{"order CONFIRMED ⇔ its seat is SOLD or CHECKED_IN, at its price", same(
		side{"orders_db", `SELECT order_id::text, seat_id || ' for ' || credits_charged FROM orders WHERE status = 'CONFIRMED'`},
		side{"seats_db", `SELECT hold_id::text, seat_id || ' for ' || price_paid FROM seats WHERE status IN ('SOLD', 'CHECKED_IN') AND void_id IS NULL`})},

	// Credits.
	{"balance = sum of the ledger", in("users_db", `
		SELECT u.user_id::text, credit_balance || ' is not ' || coalesce(sum(e.amount), 0) FROM users u
		LEFT JOIN ledger_entries e ON e.account = 'user' AND e.owner_id = u.user_id
		GROUP BY u.user_id HAVING credit_balance <> coalesce(sum(e.amount), 0)`)},
	{"the ledger sums to zero", in("users_db", `
		SELECT 'all accounts', sum(amount) || ' too much' FROM ledger_entries HAVING coalesce(sum(amount), 0) <> 0`)},
	{"no negative balance without a debt", in("users_db", `
		SELECT user_id::text, credit_balance::text FROM users u
		WHERE credit_balance < 0 AND NOT EXISTS (SELECT FROM debts d WHERE d.user_id = u.user_id AND remaining > 0)`)},
	{"no account but a user's, the platform's and Stripe's is below zero", in("users_db", `
		SELECT account || ' ' || owner_id, sum(amount)::text FROM ledger_entries WHERE account IN ('escrow', 'frozen')
		GROUP BY account, owner_id HAVING sum(amount) < 0`)},
	{"who has a debt has no credits", in("users_db", `
		SELECT DISTINCT u.user_id::text, u.credit_balance::text FROM users u JOIN debts d USING (user_id)
		WHERE d.remaining > 0 AND u.credit_balance > 0`)},
	{"every debit has its order, or its return", same(
		side{"users_db", `
			SELECT m.operation_id::text, reference_id || ' for ' || amount FROM movements m WHERE kind = 'purchase'
			AND NOT EXISTS (SELECT FROM movements r WHERE r.kind = 'purchase_return' AND r.operation_id = m.operation_id)`},
		side{"orders_db", `SELECT attempt_id::text, order_id || ' for ' || credits_charged FROM orders
			WHERE (status = 'CONFIRMED' OR EXISTS (SELECT FROM order_refunds r WHERE r.order_id = orders.order_id AND kind = 'WHOLE')) AND credits_charged > 0`})},
	{"every refund is paid to whom it says, once", same(
		side{"orders_db", `SELECT refund_id::text, amount || ' to ' || to_user_id FROM order_refunds WHERE amount > 0`},
		side{"users_db", `SELECT operation_id::text, amount || ' to ' || target_id FROM movements WHERE kind = 'ticket_refund' AND amount > 0`})},
	{"no order returns more than was paid for it", in("orders_db", `
		SELECT order_id::text, sum(amount) || ' of ' || credits_charged FROM order_refunds JOIN orders USING (order_id)
		GROUP BY order_id, credits_charged, status HAVING sum(amount) > credits_charged OR bool_or(kind = 'WHOLE') <> (status = 'REFUNDED')`)},
	{"a refunded order's ticket is void, or given back", same(
		side{"orders_db", `SELECT refund_id::text, seat_id::text FROM order_refunds JOIN orders USING (order_id) WHERE kind = 'WHOLE'`},
		side{"seats_db", `
			SELECT void_id::text, seat_id::text FROM seats WHERE void_id IS NOT NULL
			UNION ALL
			SELECT operation_id::text, seat_id::text FROM seat_ownership WHERE cause = 'REFUND'`})},
	{"of a cancelled event nothing is held or sold, but what is disputed", ofCancelledEvents},
	{"every payment at Stripe is credited exactly once", in("users_db", `
		SELECT p.payment_intent_id, count(m.*) || ' credits' FROM payments p
		LEFT JOIN movements m ON m.kind = 'topup' AND m.operation_id = p.topup_id
		WHERE p.topup_id IS NOT NULL GROUP BY p.payment_intent_id HAVING count(m.*) <> 1
		UNION
		SELECT m.operation_id::text, 'credited without a payment' FROM movements m
		WHERE m.kind = 'topup' AND NOT EXISTS (SELECT FROM payments p WHERE p.topup_id = m.operation_id)`)},
	{"what is taken back of a payment is what Stripe says", in("users_db", `
		SELECT payment_intent_id, taken_back || ' instead of ' || payment_due(p, 'sgd') FROM payments p
		WHERE topup_id IS NOT NULL AND taken_back <> payment_due(p, 'sgd')`)},
	{"credits in escrow belong to a live saga, or to a purchase that waits for its seller", func(ctx context.Context, b books) (offenders, error) {
		stray, err := within(side{"users_db", `
			SELECT owner_id::text, sum(amount) || ' in escrow' FROM ledger_entries WHERE account = 'escrow'
			GROUP BY owner_id HAVING sum(amount) <> 0`}, liveSagas)(ctx, b)
		if err != nil || len(stray) == 0 {
			return stray, err
		}
		waiting, err := b.rows(ctx, "orders_db", `SELECT transfer_id::text, '' FROM transfers WHERE status = 'PENDING_OTP' AND listing_id IS NOT NULL`)
		for id := range waiting {
			delete(stray, id)
		}
		return stray, err
	}},
	{"frozen credits belong to a dispute that stands", within(
		side{"users_db", `
			SELECT owner_id::text, sum(amount) || ' frozen' FROM ledger_entries WHERE account = 'frozen'
			GROUP BY owner_id HAVING sum(amount) <> 0`},
		side{"orders_db", `SELECT dispute_id::text, '' FROM transfers WHERE status = 'DISPUTED'`})},

	// Transfers.
	{"transfer done ⇔ its seat was handed over", same(
		side{"orders_db", `
			SELECT transfer_id::text, seller_user_id || ' to ' || buyer_user_id FROM transfers WHERE status IN ('COMPLETED', 'DISPUTED', 'REVERSED')
			UNION ALL
			SELECT reversal_id::text, buyer_user_id || ' to ' || seller_user_id FROM transfers WHERE status = 'REVERSED'`},
		side{"seats_db", `SELECT operation_id::text, from_user_id || ' to ' || to_user_id FROM seat_ownership WHERE cause NOT IN ('PURCHASE', 'REFUND')`})},
	{"transfer done ⇔ its price was paid, reversed ⇔ paid back", same(
		side{"orders_db", `
			SELECT transfer_id::text, credits_amount || ' to ' || seller_user_id FROM transfers
			WHERE status IN ('COMPLETED', 'DISPUTED', 'REVERSED') AND credits_amount > 0
			UNION ALL
			SELECT reversal_id::text, credits_amount || ' to ' || buyer_user_id FROM transfers WHERE status = 'REVERSED' AND credits_amount > 0`},
		side{"users_db", `
			SELECT p.operation_id::text, p.amount + coalesce(fee.amount, 0) || ' to ' || p.target_id FROM movements p
			LEFT JOIN movements fee ON fee.kind = 'sale_fee' AND fee.operation_id = p.operation_id
			WHERE p.kind = 'escrow_release'`})},
	{"no transfer waits past its time", in("orders_db", `
		SELECT transfer_id::text, status::text FROM transfers
		WHERE status IN ('INITIATED', 'PENDING_OTP') AND NOT swapping AND expires_at < now() - `+overdue)},
	{"a transfer under way has a live saga", within(
		side{"orders_db", `SELECT coalesce(reversal_id, transfer_id)::text, status::text FROM transfers
			WHERE swapping OR status = 'DISPUTED' AND reversal_id IS NOT NULL`}, liveSagas)},

	// The marketplace.
	{"a purchase that waits for its seller has its price in escrow, unless its saga is live", func(ctx context.Context, b books) (offenders, error) {
		unpaid, err := within(
			side{"orders_db", `SELECT transfer_id::text, 'waits with ' || credits_amount FROM transfers WHERE status = 'PENDING_OTP' AND listing_id IS NOT NULL`},
			side{"users_db", `SELECT owner_id::text, '' FROM ledger_entries WHERE account = 'escrow' GROUP BY owner_id HAVING sum(amount) > 0`})(ctx, b)
		if err != nil || len(unpaid) == 0 {
			return unpaid, err
		}
		live, err := b.rows(ctx, liveSagas.database, liveSagas.query)
		for id := range live {
			delete(unpaid, id)
		}
		return unpaid, err
	}},
	{"a listing is what its transfer is", in("orders_db", `
		SELECT l.listing_id::text, l.status || ' with a transfer ' || coalesce(t.status::text, 'of none') FROM listings l LEFT JOIN transfers t USING (transfer_id)
		WHERE l.status = 'PENDING_TRANSFER' AND t.status IS DISTINCT FROM 'PENDING_OTP'
		OR l.status = 'COMPLETED' AND t.completed_at IS NULL
		OR l.status IN ('ACTIVE', 'CANCELLED') AND t.status IS NOT NULL AND t.status <> 'FAILED'`)},
	{"a ticket for sale is its seller's", within(
		side{"orders_db", `SELECT seat_id || ' ' || seller_user_id, 'listed' FROM listings WHERE status = 'PENDING_TRANSFER'`},
		side{"seats_db", `SELECT seat_id || ' ' || owner_user_id, '' FROM seats WHERE status IN ('SOLD', 'CHECKED_IN')`})},

	// Holds and sagas.
	{"no hold past its time", in("seats_db", `
		SELECT seat_id::text, 'held until ' || held_until FROM seats
		WHERE status = 'HELD' AND pin_id IS NULL AND held_until < now() - `+overdue)},
	{"no PENDING order past its time, unless it is being paid", within(
		side{"orders_db", `SELECT order_id::text, 'held until ' || held_until FROM orders WHERE status = 'PENDING' AND held_until < now() - ` + overdue},
		side{"sagas_db", `SELECT subject, '' FROM sagas WHERE kind = 'purchase' AND status IN ('RUNNING', 'COMPENSATING')`})},
	{"a pinned hold has a live saga", within(
		side{"seats_db", `SELECT pin_id::text, 'pins seat ' || seat_id FROM seats WHERE pin_id IS NOT NULL`}, liveSagas)},
	{"what a saga did stands: its order is paid, its transfer done", within(
		side{"sagas_db", `SELECT saga_id::text, kind || ' of ' || subject || ' is DONE' FROM sagas WHERE kind IN ('purchase', 'transfer') AND status = 'DONE'`},
		side{"orders_db", `
			SELECT attempt_id::text, '' FROM orders WHERE status IN ('CONFIRMED', 'REFUNDED')
			UNION ALL
			SELECT transfer_id::text, '' FROM transfers WHERE status IN ('COMPLETED', 'DISPUTED', 'REVERSED')`})},
	{"what a saga undid is undone: no order of its is paid, no transfer done", apart(
		side{"sagas_db", `SELECT saga_id::text, kind || ' of ' || subject || ' is UNDONE' FROM sagas WHERE kind IN ('purchase', 'transfer') AND status = 'UNDONE'`},
		side{"orders_db", `
			SELECT attempt_id::text, '' FROM orders WHERE status = 'CONFIRMED'
			UNION ALL
			SELECT transfer_id::text, '' FROM transfers WHERE status IN ('COMPLETED', 'DISPUTED', 'REVERSED')`})},
	{"no saga is stuck or parked", in("sagas_db", `
		SELECT saga_id::text, kind || ' of ' || subject || ' is ' || status || ' since ' || created_at FROM sagas
		WHERE status = 'PARKED' OR status IN ('RUNNING', 'COMPENSATING') AND created_at < now() - interval '1 minute'`)},

	// Codes.
	{"a phone number has one live code at most", in("users_db", `
		SELECT phone, count(*) || ' live codes' FROM otp_challenges
		WHERE method = 'sms' AND state = 'PENDING' AND expires_at > now() GROUP BY phone HAVING count(*) > 1`)},
	{"a code confirms nothing but what it was sent for", in("users_db", `
		SELECT c.challenge_id::text, 'confirmed after a newer code went to the phone, for ' || n.challenge_id FROM otp_challenges c
		JOIN otp_challenges n ON n.phone = c.phone AND n.method = 'sms' AND n.challenge_id <> c.challenge_id AND n.state <> 'UNSENT'
			AND n.created_at > c.created_at AND n.created_at < c.answered_at
		WHERE c.method = 'sms' AND c.state = 'VERIFIED'`)},
	{"a number that belongs to one account is no other's", in("users_db", `
		SELECT phone, count(*) || ' accounts' FROM users WHERE is_verified GROUP BY phone HAVING count(*) > 1 AND bool_or(phone_exclusive)`)},

	// The gate.
	{"checked in ⇔ admitted in the log and not undone; inside at most once", in("seats_db", `
		SELECT coalesce(s.seat_id, l.seat_id)::text, coalesce(s.status::text, '') || ' with ' || coalesce(l.n, 0) || ' admissions, ' || coalesce(l.inside, 0) || ' inside'
		FROM (SELECT seat_id, status FROM seats WHERE status = 'CHECKED_IN') s
		FULL JOIN (
			SELECT seat_id, count(*) AS n, count(*) FILTER (WHERE NOT EXISTS (
				SELECT FROM entry_logs o WHERE o.seat_id = i.seat_id AND o.direction = 'OUT' AND o.entry = i.entry AND o.result = 'SUCCESS')) AS inside
			FROM entry_logs i WHERE result = 'SUCCESS' AND direction = 'IN' AND NOT EXISTS (
				SELECT FROM entry_logs u WHERE u.seat_id = i.seat_id AND u.direction = 'UNDO' AND u.entry = i.entry AND u.result = 'SUCCESS')
			GROUP BY seat_id) l USING (seat_id)
		WHERE l.n IS NULL OR l.inside > 1 OR s.seat_id IS NULL`)},

	// Events.
	{"a published event has all its seats", within(
		side{"events_db", `SELECT event_id || ' ' || total_seats, 'seats promised' FROM events WHERE status <> 'DRAFT'`},
		side{"seats_db", `SELECT event_id || ' ' || count(*), '' FROM seats GROUP BY event_id`})},
	{"seats belong to an event, or to one being made", func(ctx context.Context, b books) (offenders, error) {
		plans, err := within(
			side{"seats_db", `SELECT event_id::text, 'has seats and no event' FROM seat_plans WHERE deleted_at IS NULL`},
			side{"events_db", `SELECT event_id::text, '' FROM events`})(ctx, b)
		if err != nil || len(plans) == 0 {
			return plans, err
		}
		live, err := b.rows(ctx, liveSagas.database, liveSagas.query)
		for id := range live {
			delete(plans, id)
		}
		return plans, err
	}},
}

// ofCancelledEvents finds seats of cancelled events that are held, or whose tickets are not settled. Disputed ones wait, and so do those
// of a cancellation that is under way.
func ofCancelledEvents(ctx context.Context, b books) (offenders, error) {
	cancelled, err := b.rows(ctx, "events_db", `SELECT event_id::text, '' FROM events WHERE status = 'CANCELLED'`)
	if err != nil || len(cancelled) == 0 {
		return nil, err
	}
	open, err := b.rows(ctx, "seats_db", `SELECT seat_id::text, event_id::text FROM seats
		WHERE status = 'HELD' OR status IN ('SOLD', 'CHECKED_IN') AND refunded_at IS NULL`)
	if err != nil {
		return nil, err
	}
	waiting, err := b.rows(ctx, "orders_db", `SELECT seat_id::text, '' FROM transfers WHERE status = 'DISPUTED' OR swapping`)
	if err != nil {
		return nil, err
	}
	running, err := b.rows(ctx, "sagas_db", `SELECT event_id::text, '' FROM cancellations WHERE started_at > now() - interval '2 minutes' AND settled_at IS NULL`)
	if err != nil {
		return nil, err
	}
	found := offenders{}
	for seat, event := range open {
		_, of := cancelled[event]
		_, disputed := waiting[seat]
		_, goesOn := running[event]
		if of && !disputed && !goesOn {
			found[seat] = "of the cancelled event " + event
		}
	}
	return found, nil
}
