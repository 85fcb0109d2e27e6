package main

import (
	"strings"
	"testing"
	"time"
)

// Users who owe what Stripe took back are listed until the debt is paid or cancelled; debts of disputes are not.
func TestDebtors(t *testing.T) {
	w := startWorld(t)
	p := w.join()
	debt := func(after string) (since time.Time, found bool) {
		t.Helper()
		a := w.internal("GET", "/internal/debts?after="+after, nil).want(t, 200, "")
		list, _ := a.body["data"].([]any)
		for _, x := range list {
			if d := x.(map[string]any); d["user_id"] == p.id {
				since, err := time.Parse(time.RFC3339, d["since"].(string))
				must(t, err)
				return since, true
			}
		}
		return time.Time{}, false
	}
	topUp := newID()
	w.wish(topUp, p, "50")
	w.stripe(paid(topUp, 50_00)).want(t, 200, "")
	w.deduct(newID(), p, 20).want(t, 200, "")
	w.stripe(refunded(topUp, 30_00)).want(t, 200, "")
	if _, found := debt(""); found {
		t.Fatal("a debt, though what was taken back was there")
	}
	before := time.Now()
	w.stripe(disputed(topUp, 20_00, "needs_response")).want(t, 200, "")
	since, found := debt("")
	if !found || since.Before(before.Add(-time.Minute)) || since.After(time.Now().Add(time.Minute)) {
		t.Fatalf("found %v, since %v", found, since)
	}
	if _, found := debt(p.id); found {
		t.Error("the page after him has him too")
	}
	w.give(p, "15")
	if _, found := debt(""); !found {
		t.Error("a debt that is half filled is none")
	}
	w.give(p, "5")
	if _, found := debt(""); found {
		t.Error("a debt that is filled is one")
	}
	w.internal("GET", "/internal/debts?after="+strings.Repeat("x", 36), nil).want(t, 400, "INVALID_UUID")
	w.call("GET", "/internal/debts", p.access, nil).want(t, 401, "UNAUTHORIZED")
}
