package main

import (
	"context"
	"encoding/json"

	"ticketremaster/platform/money"
)

// rich is join with credits.
func (w *world) rich(credits string) person {
	w.t.Helper()
	p := w.join()
	w.give(p, credits)
	return p
}

func (w *world) give(p person, credits string) {
	w.t.Helper()
	_, err := w.db.Exec(context.Background(), `
		INSERT INTO movements (kind, operation_id, source, target, target_id, amount)
		VALUES ('grant', gen_random_uuid(), 'platform', 'user', $1, $2::text::numeric)`, p.id, credits)
	must(w.t, err)
}

// has fails the test unless the person has that many credits.
func (w *world) has(p person, credits money.Cents) {
	w.t.Helper()
	a := w.call("GET", "/credits/balance", p.access, nil).want(w.t, 200, "")
	var balance struct {
		Data struct {
			Credits *money.Cents `json:"credit_balance"`
		}
	}
	must(w.t, json.Unmarshal([]byte(a.raw), &balance))
	if got := balance.Data.Credits; got == nil || *got != credits {
		w.t.Fatalf("%s has %v, want %v", p.email, got, credits)
	}
}

// booksAreRight checks the ledger's invariants.
func (w *world) booksAreRight() {
	w.t.Helper()
	var wrongBalances, wrongSum, wrongDebts int
	must(w.t, w.db.QueryRow(context.Background(), `
		SELECT (SELECT count(*) FROM users u WHERE credit_balance < 0 OR credit_balance <>
		            (SELECT coalesce(sum(amount), 0) FROM ledger_entries WHERE account = 'user' AND owner_id = u.user_id)),
		       (SELECT count(*) FROM (SELECT sum(amount) AS s FROM ledger_entries) x WHERE s <> 0)
		     + (SELECT count(*) FROM (SELECT sum(amount) AS s FROM ledger_entries WHERE account IN ('escrow', 'frozen') GROUP BY account, owner_id) x WHERE s < 0),
		       (SELECT count(*) FROM debts d WHERE amount - remaining - cancelled <>
		            (SELECT coalesce(sum(amount), 0) FROM movements m WHERE m.debt_id = d.debt_id))
		     + (SELECT count(*) FROM users u WHERE credit_balance > 0 AND EXISTS (SELECT FROM debts d WHERE d.user_id = u.user_id AND remaining > 0))`).
		Scan(&wrongBalances, &wrongSum, &wrongDebts))
	if wrongBalances+wrongSum+wrongDebts > 0 {
		w.t.Fatalf("the books are wrong: %d balances, %d sums, %d debts", wrongBalances, wrongSum, wrongDebts)
	}
}
