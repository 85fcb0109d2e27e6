package main

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"ticketremaster/platform/money"
)

func (w *world) escrow(id string, p person, amount any) answer {
	return w.internal("POST", "/credits/escrow", obj{"operation_id": id, "user_id": p.id, "amount": amount, "reference_id": id})
}

func (w *world) release(id string, p person) answer {
	return w.internal("POST", "/credits/escrow/release", obj{"operation_id": id, "user_id": p.id})
}

func (w *world) freeze(dispute string, p person, amount any) answer {
	return w.internal("POST", "/credits/freeze", obj{"operation_id": dispute, "user_id": p.id, "amount": amount})
}

func (w *world) freezeToEscrow(reversal, dispute string, cover bool) answer {
	return w.internal("POST", "/credits/freeze/escrow", obj{"operation_id": reversal, "dispute_id": dispute, "cover_short": cover})
}

// undo calls an undo twice and fails the test unless each answer says whether there was something to undo.
func (w *world) undo(path, id string, something bool) {
	w.t.Helper()
	for range 2 {
		a := w.internal("POST", path, obj{"operation_id": id}).want(w.t, 200, "")
		if a.data()["returned"] != something {
			w.t.Fatalf("returned, want %v: %s", something, a.raw)
		}
	}
}

func TestEscrow(t *testing.T) {
	w := startWorld(t)
	buyer, seller := w.rich("100"), w.join()

	swap := newID()
	w.release(swap, seller).want(t, 404, "ESCROW_NOT_FOUND")
	w.escrow(swap, buyer, 150).want(t, 402, "INSUFFICIENT_CREDITS")
	for range 2 {
		if a := w.escrow(swap, buyer, 60).want(t, 200, ""); a.data()["credit_balance"] != 40.0 {
			t.Fatal(a.raw)
		}
	}
	for range 2 {
		if a := w.release(swap, seller).want(t, 200, ""); a.data()["credit_balance"] != 60.0 {
			t.Fatal(a.raw)
		}
	}
	w.release(swap, buyer).want(t, 409, "OPERATION_MISMATCH")
	w.internal("POST", "/credits/escrow/return", obj{"operation_id": swap}).want(t, 409, "ESCROW_RELEASED")
	w.has(seller, 60_00)

	failed := newID()
	w.escrow(failed, buyer, 40).want(t, 200, "")
	w.undo("/credits/escrow/return", failed, true)
	w.release(failed, seller).want(t, 409, "OPERATION_VOIDED")
	w.escrow(failed, buyer, 40).want(t, 409, "OPERATION_VOIDED")

	never := newID()
	w.undo("/credits/escrow/return", never, false)
	w.escrow(never, buyer, 1).want(t, 409, "OPERATION_VOIDED")

	gift := newID()
	w.escrow(gift, buyer, 0).want(t, 200, "")
	w.release(gift, seller).want(t, 200, "")
	w.has(buyer, 40_00)
	w.has(seller, 60_00)

	sale := newID() // less the platform's fee
	release := func(fee money.Cents) answer {
		return w.internal("POST", "/credits/escrow/release", obj{"operation_id": sale, "user_id": seller.id, "fee": fee})
	}
	w.escrow(sale, buyer, 10).want(t, 200, "")
	release(10_01).want(t, 409, "OPERATION_MISMATCH")
	release(-1_00).want(t, 400, "VALIDATION_ERROR")
	for range 2 {
		if a := release(50).want(t, 200, ""); a.data()["credit_balance"] != 69.5 {
			t.Fatal(a.raw)
		}
	}
	w.booksAreRight()
}

func TestReleaseAndReturnAtOnce(t *testing.T) {
	w := startWorld(t)
	buyer, seller := w.rich("20"), w.join()
	var paid money.Cents
	for range 20 {
		id := newID()
		w.escrow(id, buyer, 1).want(t, 200, "")
		var released, returned answer
		var wg sync.WaitGroup
		wg.Go(func() { released = w.release(id, seller) })
		wg.Go(func() { returned = w.internal("POST", "/credits/escrow/return", obj{"operation_id": id}) })
		wg.Wait()
		if released.status == 200 {
			returned.want(t, 409, "ESCROW_RELEASED")
			paid += 1_00
		} else {
			released.want(t, 409, "OPERATION_VOIDED")
			returned.want(t, 200, "")
		}
	}
	w.has(buyer, 20_00-paid)
	w.has(seller, paid)
	w.booksAreRight()
}

func TestFreeze(t *testing.T) {
	w := startWorld(t)
	seller := w.rich("30")

	dispute := newID()
	if a := w.freeze(dispute, seller, 100).want(t, 200, ""); a.data()["frozen"] != 30.0 || a.data()["short"] != 70.0 {
		t.Fatal(a.raw)
	}
	w.has(seller, 0)
	if a := w.freezeToEscrow(newID(), dispute, false).want(t, 409, "FROZEN_SHORT"); a.body["details"].(obj)["short"] != "70.00" {
		t.Fatal(a.raw)
	}
	w.give(seller, "50") // what comes in goes to the debt first
	w.has(seller, 0)
	if a := w.freeze(dispute, seller, 100).want(t, 200, ""); a.data()["frozen"] != 80.0 || a.data()["short"] != 20.0 {
		t.Fatal(a.raw)
	}
	w.give(seller, "25")
	w.has(seller, 5_00)

	reversal := newID()
	for range 2 {
		if a := w.freezeToEscrow(reversal, dispute, false).want(t, 200, ""); a.data()["amount"] != 100.0 {
			t.Fatal(a.raw)
		}
	}
	w.internal("POST", "/credits/unfreeze", obj{"operation_id": dispute}).want(t, 409, "FROZEN_TAKEN")
	w.freezeToEscrow(newID(), dispute, false).want(t, 409, "FROZEN_TAKEN")

	w.undo("/credits/freeze/escrow/return", reversal, true)
	w.freezeToEscrow(reversal, dispute, false).want(t, 409, "OPERATION_VOIDED")
	w.undo("/credits/unfreeze", dispute, true)
	w.has(seller, 105_00)
	w.freeze(dispute, seller, 100).want(t, 409, "OPERATION_VOIDED")
	w.freezeToEscrow(newID(), dispute, false).want(t, 409, "OPERATION_VOIDED")
	w.freezeToEscrow(newID(), newID(), false).want(t, 404, "FREEZE_NOT_FOUND")

	never := newID()
	w.undo("/credits/unfreeze", never, false)
	w.freeze(never, seller, 1).want(t, 409, "OPERATION_VOIDED")
	w.booksAreRight()
}

// The debt of a dispute ends when the amount is unfrozen.
func TestUnfreezeForgivesWhatWasShort(t *testing.T) {
	w := startWorld(t)
	seller := w.rich("30")
	dispute := newID()
	w.freeze(dispute, seller, 100).want(t, 200, "")
	w.undo("/credits/unfreeze", dispute, true)
	w.has(seller, 30_00)
	w.give(seller, "10")
	w.has(seller, 40_00)
	w.booksAreRight()
}

func TestThePlatformCoversWhatIsShort(t *testing.T) {
	w := startWorld(t)
	seller, buyer := w.rich("30"), w.join()
	dispute, first, second := newID(), newID(), newID()
	w.freeze(dispute, seller, 100).want(t, 200, "")
	w.freezeToEscrow(first, dispute, true).want(t, 200, "")
	w.give(seller, "20") // now owed to the platform
	w.has(seller, 0)
	w.undo("/credits/freeze/escrow/return", first, true)
	if a := w.freeze(dispute, seller, 100).want(t, 200, ""); a.data()["frozen"] != 50.0 || a.data()["short"] != 50.0 {
		t.Fatal(a.raw)
	}
	if got := w.account("platform"); got != "-50.00" { // the two gifts of 30 and 20, and nothing else
		t.Fatalf("the platform has %s", got)
	}
	w.freezeToEscrow(second, dispute, true).want(t, 200, "")
	w.release(second, buyer).want(t, 200, "")
	w.has(buyer, 100_00)
	w.give(seller, "60")
	w.has(seller, 10_00) // 50 went to the platform, which had covered them
	w.booksAreRight()
}

// account is the sum of the entries of an account without an owner.
func (w *world) account(name string) (sum string) {
	must(w.t, w.db.QueryRow(w.t.Context(), `SELECT coalesce(sum(amount), 0)::text FROM ledger_entries WHERE account = $1::account`, name).Scan(&sum))
	return sum
}

// A freeze that runs while credits arrive misses none and takes none twice.
func TestFreezeWhileCreditsComeIn(t *testing.T) {
	w := startWorld(t)
	seller := w.rich("10")
	disputes := []string{newID(), newID(), newID()}
	var wg sync.WaitGroup
	for i := range 12 {
		wg.Go(func() { w.give(seller, "5") })
		wg.Go(func() { w.freeze(disputes[i%3], seller, 20) })
		wg.Go(func() { w.deduct(newID(), seller, 1) })
	}
	wg.Wait()
	w.booksAreRight()
	w.give(seller, "100")
	for _, d := range disputes {
		w.freezeToEscrow(newID(), d, false).want(t, 200, "")
	}
	w.booksAreRight()
}

// A freeze that has to wait for the user's row decides by what it then finds.
func TestAFreezeWaitsForWhatIsUnderWay(t *testing.T) {
	w := startWorld(t)
	seller := w.rich("10")
	tx, err := w.db.Begin(t.Context())
	must(t, err)
	defer tx.Rollback(context.Background())
	_, err = tx.Exec(t.Context(), `
		INSERT INTO movements (kind, operation_id, source, target, target_id, amount) VALUES ('grant', gen_random_uuid(), 'platform', 'user', $1, 5)`, seller.id)
	must(t, err)
	if a := w.afterWaiting(tx, func() answer { return w.freeze(newID(), seller, 20) }).want(t, 200, ""); a.data()["frozen"] != 15.0 || a.data()["short"] != 5.0 {
		t.Fatal(a.raw)
	}
	w.booksAreRight()
}

// So does a release that has to wait for a return.
func TestAReleaseWaitsForWhatIsUnderWay(t *testing.T) {
	w := startWorld(t)
	buyer, seller, swap := w.rich("10"), w.join(), newID()
	w.escrow(swap, buyer, 10).want(t, 200, "")
	tx, err := w.db.Begin(t.Context())
	must(t, err)
	defer tx.Rollback(context.Background())
	_, err = tx.Exec(t.Context(), `SELECT credits_escrow_return($1)`, swap)
	must(t, err)
	w.afterWaiting(tx, func() answer { return w.release(swap, seller) }).want(t, 409, "OPERATION_VOIDED")
	w.has(buyer, 10_00)
	w.booksAreRight()
}

// afterWaiting makes a call that has to wait for tx, commits tx, and returns the answer.
func (w *world) afterWaiting(tx pgx.Tx, call func() answer) answer {
	w.t.Helper()
	answered := make(chan answer, 1)
	go func() { answered <- call() }()
	eventually(w.t, 5*time.Second, "the call waits", func() (waits bool) {
		must(w.t, w.db.QueryRow(w.t.Context(), `
			SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')`).Scan(&waits))
		return waits
	})
	must(w.t, tx.Commit(w.t.Context()))
	return <-answered
}
