package audit

import (
	"context"
	"maps"
	"slices"
)

var transfersAndMarket = []invariant{
	{"transfer done ⇔ its seat was handed over", mustBeSame(
		side{"orders_db", `
			SELECT transfer_id, seller_user_id AS "from", buyer_user_id AS "to" FROM transfers WHERE status IN ('COMPLETED', 'DISPUTED', 'REVERSED')
			UNION ALL
			SELECT reversal_id, buyer_user_id, seller_user_id FROM transfers WHERE status = 'REVERSED'`},
		side{"seats_db", `SELECT operation_id, from_user_id AS "from", to_user_id AS "to" FROM seat_ownership WHERE cause NOT IN ('PURCHASE', 'REFUND')`}).
		since(transfersDone, seatsHanded)},
	{"transfer done ⇔ its price was paid, reversed ⇔ paid back", mustBeSame(
		side{"orders_db", `
			SELECT transfer_id, credits_amount AS amount, seller_user_id AS "to" FROM transfers
			WHERE status IN ('COMPLETED', 'DISPUTED', 'REVERSED') AND credits_amount > 0
			UNION ALL
			SELECT reversal_id, credits_amount, buyer_user_id FROM transfers WHERE status = 'REVERSED' AND credits_amount > 0`},
		side{"users_db", `
			SELECT p.operation_id, p.amount + coalesce(fee.amount, 0) AS amount, p.target_id AS "to" FROM movements p
			LEFT JOIN movements fee ON fee.kind = 'sale_fee' AND fee.operation_id = p.operation_id
			WHERE p.kind = 'escrow_release'`}).
		since(transfersDone, moved(`'escrow_release'`))},
	{"a disputed ticket's refund waits for the end of its dispute", in("orders_db", `
		SELECT transfer_id, 'refunded by ' || refund_id FROM transfers t JOIN orders USING (seat_id) JOIN order_refunds r USING (order_id)
		WHERE t.status = 'DISPUTED' AND r.kind = 'WHOLE' AND r.created_at > t.completed_at`)},
	{"no transfer waits past its time", in("orders_db", `
		SELECT transfer_id, status::text FROM transfers
		WHERE status IN ('INITIATED', 'PENDING_OTP') AND NOT swapping AND expires_at < now() - `+overdue)},
	{"a transfer under way has a live saga", mustBeWithin(
		side{"orders_db", `SELECT coalesce(reversal_id, transfer_id), status FROM transfers
			WHERE swapping OR status = 'DISPUTED' AND reversal_id IS NOT NULL`}, liveSagas)},
	{"a purchase that waits for its seller has its price in escrow, unless its saga is live", mustBeWithin(
		side{"orders_db", `SELECT transfer_id, credits_amount AS price FROM transfers WHERE status = 'PENDING_OTP' AND listing_id IS NOT NULL`},
		side{"users_db", `SELECT owner_id FROM ledger_entries WHERE account = 'escrow' GROUP BY owner_id HAVING sum(amount) > 0`}, liveSagas)},
	{"a listing is what its transfer is", in("orders_db", `
		SELECT l.listing_id, l.status || ' with a transfer ' || coalesce(t.status::text, 'of none') FROM listings l LEFT JOIN transfers t USING (transfer_id)
		WHERE l.status = 'PENDING_TRANSFER' AND t.status IS DISTINCT FROM 'PENDING_OTP'
		OR l.status = 'COMPLETED' AND t.completed_at IS NULL
		OR l.status IN ('ACTIVE', 'CANCELLED') AND t.status IS NOT NULL AND t.status <> 'FAILED'`)},
	{"a ticket for sale is its seller's", mustBeWithin(
		side{"orders_db", `SELECT seat_id, seller_user_id AS owner FROM listings WHERE status = 'PENDING_TRANSFER'`},
		side{"seats_db", `SELECT seat_id, owner_user_id AS owner FROM seats WHERE status IN ('SOLD', 'CHECKED_IN')`})},
}

// What a payment did of an order, or the swap of a transfer, under its saga's id.
var attempts = side{"orders_db", `
	SELECT attempt_id FROM orders WHERE status IN ('CONFIRMED', 'REFUNDED')
	UNION ALL
	SELECT transfer_id FROM transfers WHERE status IN ('COMPLETED', 'DISPUTED', 'REVERSED')`}

var holdsAndSagas = []invariant{
	{"no hold past its time", in("seats_db", `
		SELECT seat_id, 'held until ' || held_until FROM seats
		WHERE status = 'HELD' AND pin_id IS NULL AND held_until < now() - `+overdue)},
	{"no PENDING order past its time, unless it is being paid", mustBeWithin(
		side{"orders_db", `SELECT coalesce(booking_id, order_id)::text COLLATE "C", min(held_until) AS held_until FROM orders
			WHERE status = 'PENDING' AND held_until < now() - ` + overdue + ` GROUP BY 1`},
		side{"sagas_db", `SELECT subject COLLATE "C" FROM sagas WHERE kind IN ('purchase', 'booking') AND status IN ('RUNNING', 'COMPENSATING')`}).texts()},
	{"a pinned hold has a live saga", mustBeWithin(
		side{"seats_db", `SELECT pin_id, seat_id AS seat FROM seats WHERE pin_id IS NOT NULL`}, liveSagas)},
	{"what a saga did stands: its order is paid, its transfer done", mustBeWithin(
		side{"sagas_db", `SELECT saga_id, kind, subject, status FROM sagas WHERE kind IN ('purchase', 'booking', 'transfer') AND status = 'DONE'`}, attempts).
		since(sagasMoved)},
	{"what a saga undid is undone: no order of its is paid, no transfer done", mustBeApart(
		side{"sagas_db", `SELECT saga_id, kind, subject, status FROM sagas WHERE kind IN ('purchase', 'booking', 'transfer') AND status = 'UNDONE'`},
		side{"orders_db", `
			SELECT attempt_id FROM orders WHERE status = 'CONFIRMED'
			UNION ALL
			SELECT transfer_id FROM transfers WHERE status IN ('COMPLETED', 'DISPUTED', 'REVERSED')`}).
		since(sagasMoved, ordersPaid, transfersDone)},
	{"no saga is stuck or parked", in("sagas_db", `
		SELECT saga_id, kind || ' of ' || subject || ' is ' || status || ' since ' || created_at FROM sagas
		WHERE status = 'PARKED' OR status IN ('RUNNING', 'COMPENSATING') AND created_at < now() - interval '1 minute'`)},
}

var codes = []invariant{
	{"a phone number has one live code at most", in("users_db", `
		SELECT phone, count(*) || ' live codes' FROM otp_challenges
		WHERE method = 'sms' AND state = 'PENDING' AND expires_at > now() GROUP BY phone HAVING count(*) > 1`)},
	{"a code confirms nothing but what it was sent for", in("users_db", `
		SELECT c.challenge_id, 'confirmed after a newer code went to the phone, for ' || n.challenge_id FROM otp_challenges c
		JOIN otp_challenges n ON n.phone = c.phone AND n.method = 'sms' AND n.challenge_id <> c.challenge_id AND n.state <> 'UNSENT'
			AND n.created_at > c.created_at AND n.created_at < c.answered_at
		WHERE c.method = 'sms' AND c.state = 'VERIFIED'`).
		since(`SELECT challenge_id FROM otp_challenges WHERE answered_at >= $1`)},
	{"a number that belongs to one account is no other's", in("users_db", `
		SELECT phone, count(*) || ' accounts' FROM users WHERE is_verified GROUP BY phone HAVING count(*) > 1 AND bool_or(phone_exclusive)`).onlyWhole()},
}

// admissions are the entries in the log that were not undone.
const admissions = `entry_logs i WHERE i.result = 'SUCCESS' AND i.direction = 'IN' AND NOT EXISTS (
	SELECT FROM entry_logs u WHERE u.seat_id = i.seat_id AND u.direction = 'UNDO' AND u.entry = i.entry AND u.result = 'SUCCESS')`

var gateAndEvents = []invariant{
	{"checked in ⇔ admitted in the log and not undone; inside at most once", in("seats_db", `
		SELECT l.seat_id, coalesce(s.status::text, 'not checked in') || ' with ' || l.n || ' admissions, ' || l.inside || ' inside' FROM (
			SELECT seat_id, count(*) AS n, count(*) FILTER (WHERE NOT EXISTS (
				SELECT FROM entry_logs o WHERE o.seat_id = i.seat_id AND o.direction = 'OUT' AND o.entry = i.entry AND o.result = 'SUCCESS')) AS inside
			FROM `+admissions+` GROUP BY seat_id) l
		LEFT JOIN seats s ON s.seat_id = l.seat_id AND s.status = 'CHECKED_IN'
		WHERE s.seat_id IS NULL OR l.inside > 1
		UNION ALL
		SELECT s.seat_id, 'CHECKED_IN without an admission' FROM seats s
		WHERE s.status = 'CHECKED_IN' AND NOT EXISTS (SELECT FROM `+admissions+` AND i.seat_id = s.seat_id)`).
		since(`SELECT seat_id FROM entry_logs WHERE scanned_at >= $1 AND seat_id IS NOT NULL
			UNION SELECT seat_id FROM seats WHERE status = 'CHECKED_IN' AND updated_at >= $1`)},
	{"a published event has all its seats", mustBeWithin(
		side{"events_db", `SELECT event_id, total_seats::bigint AS seats FROM events WHERE status <> 'DRAFT'`},
		side{"seats_db", `SELECT event_id, count(*) AS seats FROM seats GROUP BY event_id`}).
		since(side{"events_db", `SELECT event_id FROM events WHERE published_at >= $1`},
			side{"seats_db", `SELECT event_id FROM seat_additions WHERE created_at >= $1`})},
	{"seats belong to an event, or to one being made", mustBeWithin(
		side{"seats_db", `SELECT event_id, total_seats AS seats FROM seat_plans WHERE deleted_at IS NULL`},
		side{"events_db", `SELECT event_id FROM events`}, liveSagas)},
}

// ofCancelledEvents finds seats of cancelled events that are held, or whose tickets are not settled. Disputed ones
// wait, and so do those of a cancellation that is under way.
func ofCancelledEvents(ctx context.Context, b books, found offenders) error {
	cancelled, err := b.ids(ctx, "events_db", `SELECT event_id FROM events WHERE status = 'CANCELLED'`)
	if err != nil || len(cancelled) == 0 {
		return err
	}
	running, err := b.ids(ctx, "sagas_db", `SELECT event_id FROM cancellations WHERE started_at > now() - interval '2 minutes' AND settled_at IS NULL`)
	if err != nil {
		return err
	}
	cancelled = slices.DeleteFunc(cancelled, func(id string) bool { return slices.Contains(running, id) })
	suspects := offenders{}
	if err := in("seats_db", `SELECT seat_id, 'of the cancelled event ' || event_id FROM seats
		WHERE event_id = ANY($1::text[]::uuid[]) AND (status = 'HELD' OR status IN ('SOLD', 'CHECKED_IN') AND refunded_at IS NULL)`).
		read(ctx, b, suspects, "", cancelled); err != nil {
		return err
	}
	disputed := side{"orders_db", `SELECT seat_id FROM transfers WHERE status = 'DISPUTED' OR swapping`}
	if err := (pair{kind: "uuid"}).except(ctx, b, disputed, suspects); err != nil {
		return err
	}
	maps.Copy(found, suspects)
	return nil
}
