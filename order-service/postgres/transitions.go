package postgres

import order "ticketremaster/order-service"

// transition is one arrow of a transfer's state machine, in SQL over the transfer's row, which is locked. An action
// that meets `from` changes the row as `set` says; it has succeeded if the row then fits `done`, which is true of its repeat
// as well. Otherwise it is refused, with the present state.
type transition struct{ from, set, done string }

// transitions is the whole state machine. @operation is the dispute's or reversal's id. The undoing actions end-dispute and
// abort-reversal void that id, whether or not its action has come; what is voided is refused for ever.
//
//	INITIATED ─ await-otp → PENDING_OTP ─ both verified, begin-swap, complete → COMPLETED ─ dispute → DISPUTED ─ begin-reversal, reverse → REVERSED
//	     └────── fail ─────────┴─ fail, abort-swap → FAILED                       ↑                       │ ↺ abort-reversal
//	                                                                              └───── end-dispute ─────┘
var transitions = map[order.Action]transition{
	order.AwaitOTP: {
		from: `status = 'INITIATED'`,
		set:  `status = 'PENDING_OTP'`,
		done: `status = 'PENDING_OTP'`,
	},
	order.SellerVerified: {
		from: `status = 'PENDING_OTP' AND NOT seller_otp_verified`,
		set:  `seller_otp_verified = true`,
		done: `status = 'PENDING_OTP' AND seller_otp_verified`,
	},
	order.BuyerVerified: {
		from: `status = 'PENDING_OTP' AND NOT buyer_otp_verified`,
		set:  `buyer_otp_verified = true`,
		done: `status = 'PENDING_OTP' AND buyer_otp_verified`,
	},
	order.BeginSwap: {
		from: `status = 'PENDING_OTP' AND seller_otp_verified AND buyer_otp_verified AND expires_at > now()`,
		set:  `swapping = true`,
		done: `swapping OR completed_at IS NOT NULL`,
	},
	order.Complete: {
		from: `swapping`,
		set:  `status = 'COMPLETED', completed_at = now(), swapping = false`,
		done: `completed_at IS NOT NULL`, // it may be disputed already when the swap's last step is repeated
	},
	// An undo must always be possible: what never began swapping is ended too, so that a late begin-swap finds it FAILED.
	order.AbortSwap: {
		from: `status = 'PENDING_OTP'`,
		set:  `status = 'FAILED', failure_reason = @reason, swapping = false`,
		done: `status = 'FAILED'`,
	},
	order.Fail: {
		from: `status IN ('INITIATED', 'PENDING_OTP') AND NOT swapping`,
		set:  `status = 'FAILED', failure_reason = @reason`,
		done: `status = 'FAILED'`,
	},
	order.Dispute: {
		from: `status = 'COMPLETED' AND cardinality(voided) < 100 AND NOT EXISTS (` + onward + `)`,
		set:  `status = 'DISPUTED', dispute_id = @operation, disputed_by = @by, dispute_reason = @reason`,
		done: `status IN ('DISPUTED', 'REVERSED') AND dispute_id = @operation`,
	},
	order.EndDispute: {
		from: `NOT (status IN ('DISPUTED', 'REVERSED') AND dispute_id = @operation AND reversal_id IS NOT NULL)`,
		set:  `status = CASE WHEN status = 'DISPUTED' AND dispute_id = @operation THEN 'COMPLETED' ELSE status END, ` + void,
		done: voided,
	},
	order.BeginReversal: {
		from: `status = 'DISPUTED' AND reversal_id IS NULL AND cardinality(voided) < 100`,
		set:  `reversal_id = @operation`,
		done: `reversal_id = @operation`,
	},
	order.AbortReversal: {
		from: `NOT (status = 'REVERSED' AND reversal_id = @operation)`,
		set:  `reversal_id = NULLIF(reversal_id, @operation), ` + void,
		done: voided,
	},
	order.Reverse: {
		from: `status = 'DISPUTED' AND reversal_id = @operation`,
		set:  `status = 'REVERSED'`,
		done: `status = 'REVERSED' AND reversal_id = @operation`,
	},
}

// voided holds once @operation was undone, void makes it so.
const (
	voided = `@operation = ANY (voided)`
	void   = `voided = voided || @operation::uuid`
)

// onward finds the later transfers of the transfer's seat that count: all but the failed and the reversed ones. What was handed on
// cannot be disputed any more.
const onward = `SELECT FROM transfers AS later WHERE later.seat_id = transfers.seat_id AND later.created_at > transfers.created_at
	AND later.status NOT IN ('FAILED', 'REVERSED')`
