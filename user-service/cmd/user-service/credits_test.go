package main

import (
	"net/http"
	"sync"
	"testing"
)

// deduct is one call of /credits/deduct.
func (w *world) deduct(operation string, p person, amount any) answer {
	return w.internal("POST", "/credits/deduct", obj{"operation_id": operation, "user_id": p.id, "amount": amount, "reference_id": newID()})
}

func TestDeduct(t *testing.T) {
	w := startWorld(t)
	p := w.rich("100")

	first := newID()
	if a := w.deduct(first, p, 30.5).want(t, 200, ""); a.data()["credit_balance"] != 69.5 {
		t.Fatalf("balance after: %s", a.raw)
	}
	if a := w.deduct(first, p, 30.5).want(t, 200, ""); a.data()["credit_balance"] != 69.5 {
		t.Fatalf("a repeat answers the same: %s", a.raw)
	}
	w.deduct(first, p, 31).want(t, 409, "OPERATION_MISMATCH")
	w.has(p, 69_50)

	second := newID()
	w.deduct(second, p, 70).want(t, 402, "INSUFFICIENT_CREDITS")
	w.give(p, "1")
	w.deduct(second, p, 70).want(t, 200, "") // the refusal recorded nothing
	w.has(p, 50)
	w.deduct(newID(), p, 0).want(t, 200, "")
	w.deduct(newID(), person{id: newID()}, 1).want(t, 404, "USER_NOT_FOUND")

	w.undo("/credits/return", second, true)
	w.has(p, 70_50)
	w.deduct(second, p, 70).want(t, 409, "OPERATION_VOIDED")
	never := newID()
	w.undo("/credits/return", never, false)
	w.deduct(never, p, 1).want(t, 409, "OPERATION_VOIDED") // the mark stands
	w.has(p, 70_50)
	w.booksAreRight()
}

func TestFiftyDeductionsAtOnce(t *testing.T) {
	w := startWorld(t)
	p := w.rich("100")
	var mu sync.Mutex
	seen := map[int]int{}
	same := newID()
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			id := newID()
			if i%5 == 0 {
				id = same // ten of them are one operation
			}
			a := w.deduct(id, p, 10)
			mu.Lock()
			defer mu.Unlock()
			seen[a.status]++
		})
	}
	wg.Wait()
	w.has(p, 0)
	w.booksAreRight()
	var paid int
	must(t, w.db.QueryRow(t.Context(), `SELECT count(*) FROM movements WHERE kind = 'purchase'`).Scan(&paid))
	if paid != 10 || seen[http.StatusOK] < 10 || seen[http.StatusOK]+seen[http.StatusPaymentRequired] != 50 {
		t.Fatalf("%d payments, answers %v", paid, seen)
	}
}

func TestDeductAndReturnAtOnce(t *testing.T) {
	w := startWorld(t)
	p := w.rich("100")
	for range 20 {
		id := newID()
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() { w.deduct(id, p, 100) })
			wg.Go(func() { w.internal("POST", "/credits/return", obj{"operation_id": id}) })
		}
		wg.Wait()
		w.deduct(id, p, 100).want(t, 409, "OPERATION_VOIDED")
		w.has(p, 100_00) // whoever came first, the undoing has the last word
	}
	w.booksAreRight()
}
