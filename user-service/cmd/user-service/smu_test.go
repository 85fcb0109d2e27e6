package main

import (
	"sync"
	"testing"
	"time"
)

// While SMU is down an answer comes within a second, nothing is lost, and no state blocks what comes after.
func TestDeadSMU(t *testing.T) {
	w := startWorld(t)
	p := w.join()
	order := newID()
	w.send(p, "purchase", order).want(t, 200, "")
	code := w.phones.code(p.phone)
	quickly := func(what string, a func() answer) {
		t.Helper()
		start := time.Now()
		a().want(t, 503, "SERVICE_UNAVAILABLE")
		if d := time.Since(start); d > 1500*time.Millisecond { // a second, and a busy machine
			t.Fatalf("%s took %v", what, d)
		}
	}
	w.phones.down()
	for range 8 { // the breaker opens on the way
		quickly("send", func() answer { return w.send(p, "purchase", newID()) })
		quickly("verify", func() answer { return w.verify(p, "purchase", order, code) })
	}
	quickly("register", func() answer { return w.register("late@example.com", "+6597777777", "correct horse") })
	var written int
	must(t, w.db.QueryRow(t.Context(), `SELECT count(*) FROM users WHERE email = 'late@example.com'`).Scan(&written))
	if written != 0 {
		t.Fatal("503 says that nothing was written")
	}
	w.phones.up(t)
	eventually(t, 6*time.Second, "the breaker closes and the old code still counts", func() bool {
		return w.verify(p, "purchase", order, code).status == 200
	})
	w.send(p, "purchase", newID()).want(t, 200, "")
	w.register("late@example.com", "+6597777777", "correct horse").want(t, 201, "")
	var tries int
	must(t, w.db.QueryRow(t.Context(), `SELECT max(tries) FROM otp_challenges`).Scan(&tries))
	if tries != 0 {
		t.Fatal("an answer that nobody could judge counted as a try")
	}
}

// While SMU is slow credits can be moved. Whether a code was sent is unknown then, so neither the old one nor the new
// one is live.
func TestSlowSMU(t *testing.T) {
	w := startWorld(t)
	p := w.rich("100")
	order := newID()
	w.send(p, "purchase", order).want(t, 200, "")
	code := w.phones.code(p.phone)
	w.phones.slow(5 * time.Second)
	start := time.Now()
	var wg sync.WaitGroup
	for range 40 {
		wg.Go(func() { w.verify(p, "purchase", order, code) })
	}
	_, judged := w.phones.counts()
	eventually(t, 5*time.Second, "SMU is asked", func() bool { _, n := w.phones.asked(); return n > judged })
	for range 20 { // the others look now and then if their turn has come: none holds anything
		var held int
		must(t, w.db.QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in transaction%'
			AND now() - xact_start > interval '200 milliseconds'`).Scan(&held))
		if held != 0 {
			t.Fatalf("%d transactions wait for SMU", held)
		}
		time.Sleep(10 * time.Millisecond) // between two looks
	}
	for range 5 {
		asked := time.Now()
		w.deduct(newID(), p, 1).want(t, 200, "")
		if d := time.Since(asked); d > 650*time.Millisecond {
			t.Fatalf("a payment waited %v for SMU", d)
		}
	}
	wg.Wait()
	w.send(p, "purchase", newID()).want(t, 503, "SERVICE_UNAVAILABLE")
	if d := time.Since(start); d > 4*time.Second {
		t.Fatalf("it took %v", d)
	}
}

func TestASendingOfUnknownOutcome(t *testing.T) {
	w := startWorld(t)
	p := w.join()
	order := newID()
	w.send(p, "purchase", order).want(t, 200, "")
	w.phones.slow(2 * time.Second)
	w.send(p, "purchase", newID()).want(t, 503, "SERVICE_UNAVAILABLE")
	w.phones.slow(0)
	if got := w.live(p); got != "" {
		t.Fatalf("live: %q", got)
	}
	w.send(p, "purchase", order).want(t, 200, "") // and nothing blocks
	w.verify(p, "purchase", order, w.phones.code(p.phone)).want(t, 200, "")
}

// A process that died while it was sending blocks nobody for long, and a code that it may have sent confirms nothing
// else.
func TestACrashWhileSending(t *testing.T) {
	w := startWorld(t)
	p := w.join()
	order := newID()
	w.send(p, "purchase", order).want(t, 200, "")
	code := w.phones.code(p.phone)
	_, err := w.db.Exec(t.Context(), `
		INSERT INTO otp_challenges (challenge_id, user_id, purpose, reference_id, method, phone, state, expires_at)
		VALUES ($1, $2, 'transfer', $3, 'sms', '+6591234567', 'SENDING', now() + interval '5 minutes')`, newID(), p.id, newID())
	must(t, err)
	w.verify(p, "purchase", order, code).want(t, 400, "VALIDATION_ERROR")
	w.send(p, "purchase", newID()).want(t, 429, "RATE_LIMITED")
	_, err = w.db.Exec(t.Context(), `UPDATE otp_challenges SET created_at = created_at - interval '11 seconds' WHERE state = 'SENDING'`)
	must(t, err)
	w.verify(p, "purchase", order, code).want(t, 400, "VALIDATION_ERROR") // by then it may have reached the phone
	w.send(p, "purchase", order).want(t, 200, "")
	w.verify(p, "purchase", order, code).want(t, 401, "OTP_INVALID")
	w.verify(p, "purchase", order, w.phones.code(p.phone)).want(t, 200, "")
}

func TestManySendsAtOnceAreOneLiveChallenge(t *testing.T) {
	w := startWorld(t)
	p := w.join()
	order := newID()
	w.phones.slow(20 * time.Millisecond)
	var wg sync.WaitGroup
	sent, _ := w.phones.counts()
	for range 20 {
		wg.Go(func() {
			if a := w.send(p, "purchase", order, "", "if none pending"); a.status != 200 {
				t.Errorf("%s", a.raw)
			}
		})
	}
	wg.Wait()
	if after, _ := w.phones.counts(); after != sent+1 {
		t.Fatalf("%d messages for one purchase", after-sent)
	}
	for range 12 {
		wg.Go(func() {
			if a := w.send(p, "purchase", newID()); a.status != 200 && a.status != 429 {
				t.Errorf("%s", a.raw)
			}
		})
	}
	wg.Wait()
	var live int
	must(t, w.db.QueryRow(t.Context(), `SELECT count(*) FROM otp_challenges WHERE user_id = $1 AND state IN ('PENDING', 'SENDING')`, p.id).Scan(&live))
	if live != 1 {
		t.Fatalf("%d live challenges", live)
	}
}
