package main

import (
	"sync"
	"testing"
)

func (w *world) refund(refunds ...obj) answer {
	return w.internal("POST", "/credits/refunds", obj{"refunds": refunds})
}

func refundOf(p person, amount any) obj {
	return obj{"operation_id": newID(), "user_id": p.id, "amount": amount, "reference_id": newID()}
}

func TestTicketRefunds(t *testing.T) {
	w := startWorld(t)
	p, q := w.rich("100"), w.join()
	w.deduct(newID(), p, 100).want(t, 200, "")
	first, second, third := refundOf(p, 40), refundOf(q, 30.5), refundOf(p, 20) // two of one user in one call
	for range 2 {
		w.refund(first, second, third).want(t, 200, "")
	}
	w.has(p, 60_00)
	w.has(q, 30_50)
	// All or none: one refund that differs from its first call, or has no recipient, fails the others too.
	differs := obj{"operation_id": first["operation_id"], "user_id": p.id, "amount": 41, "reference_id": newID()}
	w.refund(refundOf(q, 1), differs).want(t, 409, "OPERATION_MISMATCH")
	w.refund(refundOf(q, 1), refundOf(person{id: newID()}, 1)).want(t, 404, "USER_NOT_FOUND")
	w.refund(refundOf(q, -1)).want(t, 400, "VALIDATION_ERROR")
	w.refund().want(t, 400, "VALIDATION_ERROR")
	w.has(q, 30_50)
	w.booksAreRight()
}

// Concurrent calls for the same users in opposite order do not deadlock.
func TestTicketRefundsAtOnce(t *testing.T) {
	w := startWorld(t)
	p, q := w.rich("100"), w.rich("100")
	w.deduct(newID(), p, 100).want(t, 200, "")
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			refunds := []obj{refundOf(p, 1), refundOf(q, 1)}
			if i%2 == 0 {
				refunds[0], refunds[1] = refunds[1], refunds[0]
			}
			w.refund(refunds...).want(t, 200, "")
		})
	}
	all.Wait()
	w.has(p, 20_00)
	w.has(q, 120_00)
	w.booksAreRight()
}
