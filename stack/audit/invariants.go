package audit

import "slices"

type invariant struct {
	rule string
	find finder
}

// overdue is how long after its time something may wait for its end (Grace comes on top).
const overdue = `interval '15 seconds'`

var liveSagas = side{"sagas_db", `SELECT saga_id FROM sagas WHERE status IN ('RUNNING', 'COMPENSATING')`}

// invariants must always hold, one line each.
var invariants = slices.Concat(seatsAndOwners, credits, transfersAndMarket, holdsAndSagas, codes, gateAndEvents)

// What changed since $1. A change is looked at on each side that tells when it was.
var (
	ordersPaid    = side{"orders_db", `SELECT attempt_id FROM orders WHERE confirmed_at >= $1`}
	ordersBack    = side{"orders_db", `SELECT refund_id FROM order_refunds WHERE created_at >= $1`}
	transfersDone = side{"orders_db", `SELECT transfer_id FROM transfers WHERE completed_at >= $1`}
	seatsHanded   = side{"seats_db", `SELECT operation_id FROM seat_ownership WHERE at >= $1`}
	sagasMoved    = side{"sagas_db", `SELECT saga_id FROM sagas WHERE updated_at >= $1`}
)

// moved gives the operations of movements of these kinds since $1.
func moved(kinds string) side {
	return side{"users_db", `SELECT operation_id FROM movements WHERE kind IN (` + kinds + `) AND created_at >= $1`}
}

// ownersOf gives the owners of an account that was moved since $1.
func ownersOf(account string) string {
	return `SELECT source_id FROM movements WHERE source = '` + account + `' AND created_at >= $1
		UNION SELECT target_id FROM movements WHERE target = '` + account + `' AND created_at >= $1`
}

const usersBooked = `SELECT user_id FROM movements WHERE user_id IS NOT NULL AND created_at >= $1`

var seatsAndOwners = []invariant{
	{"one live owner per seat: at most one CONFIRMED order", in("orders_db", `
		SELECT seat_id, count(*) || ' CONFIRMED orders' FROM orders WHERE status = 'CONFIRMED' GROUP BY seat_id HAVING count(*) > 1`).
		since(`SELECT seat_id FROM orders WHERE confirmed_at >= $1`)},
	{"a seat's owner is the last of an unbroken chain of custody", in("seats_db", `
		SELECT s.seat_id, 'owner or version is not the chain''s last' FROM seats s
		LEFT JOIN seat_ownership o ON o.seat_id = s.seat_id AND o.version = s.ownership_version
		WHERE s.status IN ('SOLD', 'CHECKED_IN') AND o.to_user_id IS DISTINCT FROM s.owner_user_id
		UNION
		SELECT seat_id, 'the chain is broken at version ' || version FROM (
			SELECT seat_id, version, from_user_id, lag(to_user_id) OVER w AS before, lag(version) OVER w AS last FROM seat_ownership
			WINDOW w AS (PARTITION BY seat_id ORDER BY version)) c
		WHERE from_user_id IS DISTINCT FROM before OR version <> coalesce(last, 0) + 1`).
		since(`SELECT seat_id FROM seat_ownership WHERE at >= $1 UNION SELECT seat_id FROM seats WHERE updated_at >= $1`)},
	{"order CONFIRMED ⇔ its seat is SOLD or CHECKED_IN, at its price", mustBeSame(
		side{"orders_db", `SELECT seat_id, order_id AS "order", credits_charged AS price FROM orders WHERE status = 'CONFIRMED'`},
		side{"seats_db", `SELECT seat_id, hold_id AS "order", price_paid AS price FROM seats WHERE status IN ('SOLD', 'CHECKED_IN') AND void_id IS NULL`}).
		since(side{"orders_db", `SELECT seat_id FROM orders WHERE confirmed_at >= $1
				UNION SELECT seat_id FROM order_refunds r JOIN orders USING (order_id) WHERE r.created_at >= $1`},
			side{"seats_db", `SELECT seat_id FROM seats WHERE updated_at >= $1`})},
}

var credits = []invariant{
	{"balance = sum of the ledger", in("users_db", `
		SELECT u.user_id, credit_balance || ' is not ' || coalesce(sum(CASE m.source WHEN 'user' THEN -m.amount ELSE m.amount END), 0) FROM users u
		LEFT JOIN movements m ON m.user_id = u.user_id
		GROUP BY u.user_id HAVING credit_balance <> coalesce(sum(CASE m.source WHEN 'user' THEN -m.amount ELSE m.amount END), 0)`).since(usersBooked)},
	{"the ledger sums to zero", in("users_db", `
		SELECT 'all accounts', sum(amount) || ' too much' FROM ledger_entries HAVING coalesce(sum(amount), 0) <> 0`).onlyWhole()},
	{"no negative balance without a debt", in("users_db", `
		SELECT user_id, credit_balance::text FROM users u
		WHERE credit_balance < 0 AND NOT EXISTS (SELECT FROM debts d WHERE d.user_id = u.user_id AND remaining > 0)`).since(usersBooked)},
	{"no account but a user's, the platform's and Stripe's is below zero", in("users_db", `
		SELECT owner_id, account || ' has ' || sum(amount) FROM ledger_entries WHERE account IN ('escrow', 'frozen')
		GROUP BY owner_id, account HAVING sum(amount) < 0`).since(ownersOf("escrow") + ` UNION ` + ownersOf("frozen"))},
	{"who has a debt has no credits", in("users_db", `
		SELECT DISTINCT u.user_id, u.credit_balance::text FROM users u JOIN debts d USING (user_id)
		WHERE d.remaining > 0 AND u.credit_balance > 0`)},
	{"every debit has its order, or its return", mustBeSame(
		side{"users_db", `
			SELECT m.operation_id, reference_id AS "order", amount FROM movements m WHERE kind = 'purchase'
			AND NOT EXISTS (SELECT FROM movements r WHERE r.kind = 'purchase_return' AND r.operation_id = m.operation_id)`},
		side{"orders_db", `SELECT attempt_id, coalesce(booking_id, order_id) AS "order", sum(credits_charged) AS amount FROM orders
			WHERE (status = 'CONFIRMED' OR EXISTS (SELECT FROM order_refunds r WHERE r.order_id = orders.order_id AND kind = 'WHOLE')) AND credits_charged > 0
			GROUP BY attempt_id, coalesce(booking_id, order_id)`}).
		since(moved(`'purchase', 'purchase_return'`), ordersPaid)},
	{"a booking is paid whole, by one attempt", in("orders_db", `
		SELECT booking_id, string_agg(DISTINCT status::text, ', ') || ' by ' || count(DISTINCT attempt_id) || ' attempts' FROM orders WHERE booking_id IS NOT NULL
		GROUP BY booking_id HAVING bool_or(status = 'CONFIRMED') AND (bool_or(status = 'PENDING') OR count(DISTINCT attempt_id) > 1)
			OR count(DISTINCT (user_id, event_id)) > 1`).
		since(`SELECT booking_id FROM orders WHERE booking_id IS NOT NULL AND confirmed_at >= $1`)},
	{"every refund is paid to whom it says, once", mustBeSame(
		side{"orders_db", `SELECT refund_id, amount, to_user_id AS "user" FROM order_refunds WHERE amount > 0`},
		side{"users_db", `SELECT operation_id, amount, target_id AS "user" FROM movements WHERE kind = 'ticket_refund' AND amount > 0`}).
		since(ordersBack, moved(`'ticket_refund'`))},
	{"no order returns more than was paid for it", in("orders_db", `
		SELECT order_id, sum(amount) || ' of ' || credits_charged FROM order_refunds JOIN orders USING (order_id)
		GROUP BY order_id, credits_charged, status HAVING sum(amount) > credits_charged OR bool_or(kind = 'WHOLE') <> (status = 'REFUNDED')`)},
	{"a refunded order's ticket is void, or given back", mustBeSame(
		side{"orders_db", `SELECT refund_id, seat_id AS seat FROM order_refunds JOIN orders USING (order_id) WHERE kind = 'WHOLE'`},
		side{"seats_db", `
			SELECT void_id, seat_id AS seat FROM seats WHERE void_id IS NOT NULL
			UNION ALL
			SELECT operation_id, seat_id FROM seat_ownership WHERE cause = 'REFUND'`}).
		since(ordersBack, seatsHanded, side{"seats_db", `SELECT void_id FROM seats WHERE void_id IS NOT NULL AND updated_at >= $1`})},
	{"of a cancelled event nothing is held or sold, but what is disputed", custom(ofCancelledEvents)},
	{"every payment at Stripe is credited exactly once", in("users_db", `
		SELECT p.payment_intent_id, count(m.*) || ' credits' FROM payments p
		LEFT JOIN movements m ON m.kind = 'topup' AND m.operation_id = p.topup_id
		WHERE p.topup_id IS NOT NULL GROUP BY p.payment_intent_id HAVING count(m.*) <> 1
		UNION
		SELECT m.operation_id::text, 'credited without a payment' FROM movements m
		WHERE m.kind = 'topup' AND NOT EXISTS (SELECT FROM payments p WHERE p.topup_id = m.operation_id)`).
		since(`SELECT payment_intent_id FROM payments WHERE created_at >= $1
			UNION SELECT operation_id::text FROM movements WHERE kind = 'topup' AND created_at >= $1`)},
	{"what is taken back of a payment is what Stripe says", in("users_db", `
		SELECT payment_intent_id, taken_back || ' instead of ' || payment_due(p, 'sgd') FROM payments p
		WHERE topup_id IS NOT NULL AND taken_back <> payment_due(p, 'sgd')
		AND (refunded <> 0 OR taken_back <> 0 OR EXISTS (SELECT FROM payment_disputes d WHERE d.payment_intent_id = p.payment_intent_id))`)},
	{"credits in escrow belong to a live saga, or to a purchase that waits for its seller", mustBeWithin(
		side{"users_db", `
			SELECT owner_id, sum(amount) AS escrow FROM ledger_entries WHERE account = 'escrow' GROUP BY owner_id HAVING sum(amount) <> 0`},
		side{"sagas_db", liveSagas.query},
		side{"orders_db", `SELECT transfer_id FROM transfers WHERE status = 'PENDING_OTP' AND listing_id IS NOT NULL`}).
		since(side{"users_db", ownersOf("escrow")})},
	{"frozen credits belong to a dispute that stands", mustBeWithin(
		side{"users_db", `
			SELECT owner_id, sum(amount) AS frozen FROM ledger_entries WHERE account = 'frozen' GROUP BY owner_id HAVING sum(amount) <> 0`},
		side{"orders_db", `SELECT dispute_id FROM transfers WHERE status = 'DISPUTED'`}).
		since(side{"users_db", ownersOf("frozen")})},
}
