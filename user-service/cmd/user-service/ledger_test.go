package main

import (
	"testing"

	"pgregory.net/rapid"

	"ticketremaster/platform/money"
)

// Whatever is done to credits, in whatever order, the books are right: every balance is the sum of its entries, all
// accounts together are zero, nothing is below zero, and no user who owes has credits.
func TestTheLedgerStaysRight(t *testing.T) {
	w := startWorld(t)
	people := []person{w.join(), w.join(), w.join()}
	rapid.Check(t, func(r *rapid.T) {
		var ids, topUps []string
		pick := func() string { // an id that was used before, mostly
			if len(ids) == 0 || rapid.IntRange(0, 3).Draw(r, "new") == 0 {
				ids = append(ids, newID())
			}
			return rapid.SampledFrom(ids).Draw(r, "id")
		}
		who := func() person { return rapid.SampledFrom(people).Draw(r, "who") }
		amount := func() money.Cents { return money.Cents(rapid.IntRange(0, 50_00).Draw(r, "cents")) }
		undo := func(path string) func(*rapid.T) {
			return func(*rapid.T) { w.internal("POST", path, obj{"operation_id": pick()}) }
		}
		r.Repeat(map[string]func(*rapid.T){
			"grant":          func(*rapid.T) { w.give(who(), amount().String()) },
			"deduct":         func(*rapid.T) { w.deduct(pick(), who(), amount()) },
			"return":         undo("/credits/return"),
			"escrow":         func(*rapid.T) { w.escrow(pick(), who(), amount()) },
			"release":        func(*rapid.T) { w.release(pick(), who()) },
			"returnEscrow":   undo("/credits/escrow/return"),
			"freeze":         func(*rapid.T) { w.freeze(pick(), who(), amount()) },
			"unfreeze":       undo("/credits/unfreeze"),
			"freezeToEscrow": func(r *rapid.T) { w.freezeToEscrow(pick(), pick(), rapid.Bool().Draw(r, "cover")) },
			"returnFrozen":   undo("/credits/freeze/escrow/return"),
			"topUp": func(*rapid.T) {
				id := newID()
				topUps = append(topUps, id)
				w.wish(id, who(), "50")
				w.stripe(paid(id, 50_00))
			},
			"refund": func(r *rapid.T) {
				if len(topUps) > 0 {
					w.stripe(refunded(rapid.SampledFrom(topUps).Draw(r, "topUp"), int64(rapid.IntRange(1, 50_00).Draw(r, "refund"))))
				}
			},
			"chargeback": func(r *rapid.T) {
				if len(topUps) > 0 {
					id, state := rapid.SampledFrom(topUps).Draw(r, "topUp"), rapid.SampledFrom([]string{"needs_response", "won"}).Draw(r, "state")
					w.stripe(disputed(id, 50_00, state))
				}
			},
			"": func(*rapid.T) { w.booksAreRight() },
		})
	})
}
