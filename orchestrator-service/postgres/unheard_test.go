package postgres_test

import (
	"crypto/sha256"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"ticketremaster/orchestrator-service/gate"
	"ticketremaster/orchestrator-service/postgres"
)

// A try is given to one of those who claim it, only for its own scan, and not for ever.
func TestUnheardTries(t *testing.T) {
	u := postgres.Unheard{Pool: openLog(t).Pool}
	key, other := gate.ScanKey(sha256.Sum256([]byte("a"))), gate.ScanKey(sha256.Sum256([]byte("b")))
	tries := map[uuid.UUID]bool{uuid.New(): true, uuid.New(): true}
	for try := range tries {
		for range 2 {
			if err := u.Note(t.Context(), key, try); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, ok, err := u.Claim(t.Context(), other, time.Minute); ok || err != nil {
		t.Error("of another scan:", ok, err)
	}
	if _, ok, err := u.Claim(t.Context(), key, 0); ok || err != nil {
		t.Error("of long ago:", ok, err)
	}
	var claimed atomic.Int32
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			try, ok, err := u.Claim(t.Context(), key, time.Minute)
			if err != nil || ok && !tries[try] {
				t.Error(try, err)
			}
			if ok {
				claimed.Add(1)
			}
		})
	}
	all.Wait()
	if n := claimed.Load(); n < 1 || n > 2 { // those that are locked at that moment are passed over
		t.Errorf("claimed %d times", n)
	}
	if _, err := u.Pool.Exec(t.Context(), `UPDATE unheard_scans SET noted_at = noted_at - interval '1 hour'`); err != nil {
		t.Fatal(err)
	}
	if err := u.Note(t.Context(), other, uuid.New()); err != nil {
		t.Fatal(err)
	}
	var left int
	if err := u.Pool.QueryRow(t.Context(), `SELECT count(*) FROM unheard_scans`).Scan(&left); err != nil || left != 1 {
		t.Errorf("%d rows are kept (%v)", left, err)
	}
}
