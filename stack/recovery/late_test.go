package recovery

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"ticketremaster/stack/client"
)

// A payment is refused for too little credit while its saga cannot be written; then its orchestrator stops for longer
// than the lease. The buyer tops up, another orchestrator completes the payment, and the first one continues where it
// stopped: from what it knows, it would return the credits for a ticket that is sold.
func TestARefusalThatIsLateUndoesNothing(t *testing.T) {
	clean(t)
	const missing = 15_00
	p, seat := person(t, price-missing), freeSeat(t)
	order := reserve(t, p, seat)
	slow, through := replica(t)
	pid, _ := own.Running(slow)
	answer := make(chan client.Answer, 1)
	whileDead(t, "orchestrator-service", func() { // until the first one is stopped, no other drives the saga
		inventory, _ := own.Running("inventory-service")
		halt(t, inventory) // so that the saga stays at its first step
		go func() {
			a, _ := pay(t, via(p, through), order)
			answer <- a
		}()
		eventually(t, "the payment is written down", func() bool {
			return ask[int](t, "sagas_db", `SELECT count(*) FROM sagas WHERE subject = $1 AND status = 'RUNNING'`, order) == 1
		})
		whileDead(t, "sagas-db", func() {
			signal(t, inventory, syscall.SIGCONT)
			eventually(t, "the seat is pinned", func() bool {
				return ask[bool](t, "seats_db", `SELECT pin_id IS NOT NULL FROM seats WHERE seat_id = $1`, seat)
			})
			time.Sleep(500 * time.Millisecond) // the deduction is refused, and its saga cannot be written: nothing shows it
			halt(t, pid)
		})
	})
	if _, err := p.TopUp(t.Context(), missing); err != nil {
		t.Fatal(err)
	}
	eventually(t, "another ends it", func() bool { return orderStatus(t, p, order) == "CONFIRMED" && seatStatus(t, seat) == "SOLD" })
	signal(t, pid, syscall.SIGCONT)
	if a := <-answer; a.Status != 0 && a.Status != http.StatusOK && a.Status != http.StatusAccepted { // 0: it did not wait so long
		t.Errorf("the client was told %d %s of a payment that is done", a.Status, a.Raw)
	}
	time.Sleep(time.Second) // in which the first one undoes nothing
	has(t, p, 0)
	if status := orderStatus(t, p, order); status != "CONFIRMED" {
		t.Errorf("the order is %s", status)
	}
	sagaEnds(t, order, "DONE")
	owns(t, p, seat)
}

// The saga log is frozen while a payment is written down: whether it was is unknown. The answer is never that nothing
// was written, and what the order says in the end is what was charged.
func TestWhetherAPaymentWasWrittenDownIsUnknown(t *testing.T) {
	clean(t)
	p, seat := person(t, price), freeSeat(t)
	order := reserve(t, p, seat)
	var a client.Answer
	frozen(t, "sagas-db", func() {
		var err error
		if a, err = pay(t, p, order); err != nil {
			t.Fatal(err)
		}
	})
	if a.Status != http.StatusAccepted || a.Text("status") != "PENDING" {
		t.Errorf("the answer is %d %s", a.Status, a.Raw)
	}
	quick(t, a)
	eventually(t, "it is paid", func() bool { return orderStatus(t, p, order) == "CONFIRMED" })
	has(t, p, 0)
	owns(t, p, seat)
}

// frozen runs what while no process of a database runs on.
func frozen(t *testing.T, part string, what func()) {
	t.Helper()
	postmaster, runs := own.Running(part)
	if !runs {
		t.Fatalf("%s does not run", part)
	}
	backends, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", postmaster, postmaster))
	if err != nil {
		t.Fatal(err)
	}
	pids := []int{postmaster}
	for _, text := range strings.Fields(string(backends)) {
		pid, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		pids = append(pids, pid)
	}
	for _, pid := range pids {
		_ = syscall.Kill(pid, syscall.SIGSTOP) // a backend may have ended meanwhile
	}
	defer func() {
		for _, pid := range pids {
			_ = syscall.Kill(pid, syscall.SIGCONT)
		}
	}()
	what()
}

func signal(t *testing.T, pid int, s syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(pid, s); err != nil {
		t.Fatal(err)
	}
}

// halt stops a process (SIGSTOP) and returns when it has stopped: its threads run on until one of them takes the
// signal.
func halt(t *testing.T, pid int) {
	t.Helper()
	signal(t, pid, syscall.SIGSTOP)
	eventually(t, "the process has stopped", func() bool {
		threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid)) // none where there is no /proc
		for _, thread := range threads {
			text, err := os.ReadFile(thread)
			if err == nil && !strings.HasPrefix(string(text[bytes.LastIndexByte(text, ')')+1:]), " T") {
				return false
			}
		}
		return true
	})
}
