package clients

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"ticketremaster/platform/call"
	"ticketremaster/platform/fault"
	"ticketremaster/platform/web"
)

// One read serves all scans of two seconds; a stale list is used while it is read again; and the last list is used
// while the service does not answer.
func TestDebtsAreReadBesideTheScans(t *testing.T) {
	debtor := uuid.New()
	var reads atomic.Int32
	var down atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		reads.Add(1)
		if down.Load() {
			web.Fail(r.Context(), w, fault.Unreachable("the database", nil))
			return
		}
		_ = web.OK(w, []map[string]any{{"user_id": debtor, "since": time.Now()}})
	}))
	defer server.Close()
	u := &Users{Client: call.Client{Name: "the user service", BaseURL: server.URL}}
	owes := func() bool { return !u.DebtSince(t.Context())(debtor).IsZero() }
	for range 10 {
		if !owes() || u.DebtSince(t.Context())(uuid.New()) != (time.Time{}) {
			t.Fatal("the debt is not known, or a stranger's is")
		}
	}
	if n := reads.Load(); n != 1 {
		t.Errorf("read %d times", n)
	}
	age := func(d time.Duration) {
		u.debtors.mu.Lock()
		u.debtors.tried = time.Now().Add(-d)
		u.debtors.mu.Unlock()
	}
	age(debtorsLife)
	if !owes() {
		t.Error("a stale list is none")
	}
	for deadline := time.Now().Add(5 * time.Second); reads.Load() < 2; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it is not read anew")
		}
	}
	down.Store(true)
	age(time.Hour)
	before := reads.Load()
	if !owes() || reads.Load() == before {
		t.Error("an old list is not read anew, or the last one does not count while nobody answers")
	}
}
