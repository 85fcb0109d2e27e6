package postgres

import order "ticketremaster/order-service"

// transition is one transition of a transfer's state machine, in SQL over the transfer's locked row. If the row meets
// `from`, the action changes it by `set`; it has succeeded if the row then meets `done`, which also holds for a repeat.
// Otherwise it is refused, with the present state. void leaves a mark that refuses @operation from then on.
type transition struct {
	from, set, done string
	void            bool
}

// transitions is the whole state machine. @operation is the dispute's or reversal's id. The undoing actions end-dispute
// and abort-reversal void that id, whether or not its action has come; what is voided is refused for ever.
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
	// An undo must always be possible: a transfer that never began swapping is ended too, so that a late begin-swap
	// finds it FAILED.
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
	order.AbortPurchase: {
		from: `status IN ('INITIATED', 'PENDING_OTP') AND NOT swapping`,
		set:  `status = 'FAILED', failure_reason = @reason, refused = true`,
		done: `status = 'FAILED'`,
	},
	order.Dispute: {
		from: `status = 'COMPLETED' AND NOT EXISTS (` + onward + `) AND NOT EXISTS (` + refunded + `)`,
		set:  `status = 'DISPUTED', dispute_id = @operation, disputed_by = @by, dispute_reason = @reason`,
		done: `status IN ('DISPUTED', 'REVERSED') AND dispute_id = @operation`,
	},
	order.EndDispute: {
		from: `NOT (status IN ('DISPUTED', 'REVERSED') AND dispute_id = @operation AND reversal_id IS NOT NULL)`,
		set:  `status = CASE WHEN status = 'DISPUTED' AND dispute_id = @operation THEN 'COMPLETED' ELSE status END`,
		done: voided,
		void: true,
	},
	order.BeginReversal: {
		from: `status = 'DISPUTED' AND reversal_id IS NULL`,
		set:  `reversal_id = @operation`,
		done: `reversal_id = @operation`,
	},
	order.AbortReversal: {
		from: `NOT (status = 'REVERSED' AND reversal_id = @operation)`,
		set:  `reversal_id = NULLIF(reversal_id, @operation)`,
		done: voided,
		void: true,
	},
	order.Reverse: {
		from: `status = 'DISPUTED' AND reversal_id = @operation`,
		set:  `status = 'REVERSED'`,
		done: `status = 'REVERSED' AND reversal_id = @operation`,
	},
}

// voided holds once @operation was undone. Marks of former releases stand in the transfer's own row.
const voided = `(@operation = ANY (voided) OR EXISTS (
	SELECT FROM transfer_operations AS mark WHERE mark.transfer_id = transfers.transfer_id AND mark.operation_id = @operation AND mark.voided_at IS NOT NULL))`

// leaveMark voids @operation of the transfer that the statement before it, named moved, has changed; a repeat changes
// nothing.
const leaveMark = `
	INSERT INTO transfer_operations AS mark (operation_id, transfer_id, voided_at, ending)
	SELECT @operation, transfer_id, now(), NULLIF(@ending::text, '')::dispute_ending FROM moved
	ON CONFLICT (transfer_id, operation_id) DO UPDATE SET voided_at = now(), ending = excluded.ending WHERE mark.voided_at IS NULL`

// refunded finds the refund by which the transfer's ticket was given back: what is void cannot be disputed any more.
const refunded = `SELECT FROM orders JOIN order_refunds USING (order_id)
	WHERE orders.seat_id = transfers.seat_id AND order_refunds.kind = 'WHOLE' AND order_refunds.created_at >= transfers.completed_at`

// onward finds the later transfers of the transfer's seat that count: all but the failed and the reversed ones. What
// was transferred onward can no longer be disputed.
const onward = `SELECT FROM transfers AS later WHERE later.seat_id = transfers.seat_id AND later.created_at > transfers.created_at
	AND later.status NOT IN ('FAILED', 'REVERSED')`
