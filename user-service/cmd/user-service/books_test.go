package main

import (
	"context"
	"encoding/json"
	"math"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"ticketremaster/platform/money"
	"ticketremaster/user-service/postgres"
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
	w.figuresAreRight()
}

// figuresAreRight holds what operators see, which is read from what is open, to the whole ledger.
func (w *world) figuresAreRight() {
	w.t.Helper()
	values, err := postgres.New(w.db).Figures(context.Background())
	must(w.t, err)
	got := map[string]int64{} // money in cents
	for _, v := range values {
		var m dto.Metric
		must(w.t, v.Write(&m))
		name, value := metricName(v), m.GetGauge().GetValue()
		if strings.HasSuffix(name, "_credits") {
			value = math.Round(100 * value)
		}
		got[name] += int64(value)
	}
	var escrow, frozen, debts, anomalies int64
	must(w.t, w.db.QueryRow(context.Background(), `
		SELECT (100 * coalesce(sum(amount) FILTER (WHERE account = 'escrow'), 0))::bigint, (100 * coalesce(sum(amount) FILTER (WHERE account = 'frozen'), 0))::bigint,
		       (SELECT (100 * coalesce(sum(remaining), 0))::bigint FROM debts), (SELECT count(*) FROM payment_anomalies WHERE resolved_at IS NULL)
		FROM ledger_entries`).Scan(&escrow, &frozen, &debts, &anomalies))
	for name, want := range map[string]int64{"escrow_credits": escrow, "frozen_credits": frozen, "debt_credits": debts, "payment_anomalies": anomalies} {
		if got[name] != want {
			w.t.Errorf("%s is %v, the books say %v", name, got[name], want)
		}
	}
}

func metricName(m prometheus.Metric) string {
	_, rest, _ := strings.Cut(m.Desc().String(), `fqName: "ticketremaster_`)
	name, _, _ := strings.Cut(rest, `"`)
	return name
}
