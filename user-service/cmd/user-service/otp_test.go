package main

import (
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"
)

func (w *world) send(p person, purpose, reference string, more ...string) answer {
	body := obj{"user_id": p.id, "purpose": purpose, "message": "TicketRemaster: seat A1 for 350.00"}
	if reference != "" {
		body["reference_id"] = reference
	}
	if len(more) > 0 && more[0] != "" {
		body["counterparty_id"] = more[0]
	}
	if len(more) > 1 {
		body["if_none_pending"] = true
	}
	return w.internal("POST", "/otp/send", body)
}

func (w *world) verify(p person, purpose, reference, code string) answer {
	body := obj{"user_id": p.id, "otp_code": code}
	if purpose != "" {
		body["purpose"] = purpose
	}
	if reference != "" {
		body["reference_id"] = reference
	}
	return w.internal("POST", "/otp/verify", body)
}

func (w *world) otpOf(p person, order string) (verified, pending bool) {
	d := w.internal("GET", "/users/"+p.id+"/risk?reference_id="+order, nil).want(w.t, 200, "").data()
	return d["otp_verified"].(bool), d["otp_pending"].(bool)
}

// The risks of many buyers are read at once; each answer is in its buyer's place.
func TestRisksOfManyAtOnce(t *testing.T) {
	w := startWorld(t)
	flagged, plain, order := w.join(), w.join(), newID()
	w.internal("PATCH", "/internal/users/"+flagged.id, obj{"is_flagged": true}).want(t, 200, "")
	w.send(flagged, "purchase", order).want(t, 200, "")
	ask := func(asked ...obj) answer { return w.internal("POST", "/users/risks", obj{"asked": asked}) }
	a := ask(obj{"user_id": plain.id, "reference_id": order}, obj{"user_id": newID()}, obj{"user_id": flagged.id, "reference_id": order},
		obj{"user_id": flagged.id}, obj{"user_id": flagged.id, "reference_id": newID()}).want(t, 200, "")
	risk := func(p person, flagged, pending bool) any {
		return map[string]any{"user_id": p.id, "person_id": p.id, "is_flagged": flagged, "is_verified": true, "otp_verified": false, "otp_pending": pending}
	}
	want := []any{risk(plain, false, false), nil, risk(flagged, true, true), risk(flagged, true, false), risk(flagged, true, false)}
	if !reflect.DeepEqual(a.body["data"], want) {
		t.Errorf("%s, want %v", a.raw, want)
	}
	ask().want(t, 400, "VALIDATION_ERROR")
	ask(make([]obj, 201)...).want(t, 400, "VALIDATION_ERROR")
	ask(obj{"user_id": "x"}).want(t, 400, "INVALID_UUID")
	ask(obj{"user_id": plain.id, "reference_id": "x"}).want(t, 400, "INVALID_UUID")
}

func TestOTP(t *testing.T) {
	w := startWorld(t)
	p := w.join()
	order, other := newID(), newID()
	w.verify(p, "purchase", order, "123456").want(t, 400, "VALIDATION_ERROR")
	if a := w.send(p, "purchase", order).want(t, 200, ""); a.data()["method"] != "sms" || a.data()["already_pending"] != false || a.data()["expires_at"] == nil {
		t.Fatal(a.raw)
	}
	code := w.phones.code(p.phone)
	if a := w.send(p, "purchase", order, "", "if none pending").want(t, 200, ""); a.data()["already_pending"] != true || w.phones.code(p.phone) != code {
		t.Fatalf("one was pending: %s", a.raw)
	}
	if m := w.phones.messages[p.phone]; !strings.Contains(m[len(m)-1], "350.00") {
		t.Fatalf("the message names what is agreed to: %q", m)
	}
	w.verify(p, "purchase", other, code).want(t, 400, "VALIDATION_ERROR") // bound to its reference …
	w.verify(p, "transfer", order, code).want(t, 400, "VALIDATION_ERROR") // … and purpose
	for _, malformed := range []string{"", "12", "123456789", "12345a", "１２３４５６"} {
		w.verify(p, "", "", malformed).want(t, 400, "VALIDATION_ERROR")
	}
	if a := w.verify(p, "", "", code).want(t, 200, ""); a.data()["purpose"] != "purchase" || a.data()["reference_id"] != order {
		t.Fatal(a.raw)
	}
	if verified, pending := w.otpOf(p, order); !verified || pending {
		t.Fatal("the order's OTP was given")
	}
	if verified, _ := w.otpOf(p, other); verified {
		t.Fatal("another order's was not")
	}
	w.verify(p, "purchase", order, code).want(t, 200, "") // the repeat gets the stored answer
	w.verify(p, "purchase", order, w.phones.wrong(p.phone)).want(t, 400, "VALIDATION_ERROR")

	w.send(p, "purchase", other).want(t, 200, "")
	old := w.phones.code(p.phone)
	w.send(p, "purchase", order).want(t, 200, "") // voids the other's
	if _, pending := w.otpOf(p, other); pending {
		t.Fatal("one live challenge per user")
	}
	w.verify(p, "purchase", other, old).want(t, 400, "VALIDATION_ERROR")
	w.internal("POST", "/otp/cancel", obj{"user_id": p.id, "purpose": "purchase", "reference_id": order}).want(t, 200, "")
	w.verify(p, "purchase", order, w.phones.code(p.phone)).want(t, 400, "VALIDATION_ERROR")
	w.send(person{id: newID()}, "purchase", order).want(t, 404, "USER_NOT_FOUND")
}

func TestThreeWrongCodesEndAChallenge(t *testing.T) {
	w := startWorld(t)
	p := w.join()
	order := newID()
	w.send(p, "purchase", order).want(t, 200, "")
	right := w.phones.code(p.phone)
	wrong := []string{"000001", "000002", "000003"}
	_, before := w.phones.counts()
	for range 4 { // the web app sends a 401's request again: one try
		w.verify(p, "purchase", order, wrong[0]).want(t, 401, "OTP_INVALID")
	}
	if _, after := w.phones.counts(); after != before+1 {
		t.Fatalf("%d tries at SMU", after-before)
	}
	w.verify(p, "purchase", order, wrong[1]).want(t, 401, "OTP_INVALID")
	w.verify(p, "purchase", order, wrong[2]).want(t, 429, "OTP_MAX_RETRIES")
	w.verify(p, "purchase", order, right).want(t, 429, "OTP_MAX_RETRIES")
	w.send(p, "purchase", order).want(t, 200, "")
	w.verify(p, "purchase", order, w.phones.code(p.phone)).want(t, 200, "")
}

// After ten seconds an equal code counts as a new try.
func TestARepeatIsOneTryForTenSeconds(t *testing.T) {
	w := startWorld(t)
	p := w.join()
	order := newID()
	w.send(p, "purchase", order).want(t, 200, "")
	w.verify(p, "", "", "000001").want(t, 401, "OTP_INVALID")
	for range 2 {
		_, err := w.db.Exec(t.Context(), `UPDATE otp_challenges SET answered_at = answered_at - interval '11 seconds' WHERE reference_id = $1`, order)
		must(t, err)
		w.verify(p, "", "", "000001")
	}
	w.verify(p, "", "", "000002").want(t, 429, "OTP_MAX_RETRIES")
}

// Forty identical concurrent codes are one try, right or wrong.
func TestVerificationIsSingleFlight(t *testing.T) {
	w := startWorld(t)
	p := w.join()
	order := newID()
	w.send(p, "purchase", order).want(t, 200, "")
	w.phones.slow(20 * time.Millisecond)
	_, before := w.phones.counts()
	for code, status := range map[string]int{w.phones.wrong(p.phone): 401, w.phones.code(p.phone): 200} {
		var wg sync.WaitGroup
		for range 40 {
			wg.Go(func() {
				if a := w.verify(p, "purchase", order, code); a.status != status {
					t.Errorf("%d, want %d: %s", a.status, status, a.raw)
				}
			})
		}
		wg.Wait()
		if status == 200 {
			break // the right one ends it; the map's order does not matter
		}
	}
	if _, after := w.phones.counts(); after-before > 2 {
		t.Fatalf("%d tries at SMU", after-before)
	}
}

func TestCodesExpire(t *testing.T) {
	w := startWorld(t)
	p := w.join()
	order := newID()
	w.send(p, "purchase", order).want(t, 200, "")
	code := w.phones.code(p.phone)
	_, err := w.db.Exec(t.Context(), `UPDATE otp_challenges SET expires_at = now() WHERE reference_id = $1`, order)
	must(t, err)
	if _, pending := w.otpOf(p, order); pending {
		t.Fatal("expired")
	}
	w.verify(p, "purchase", order, code).want(t, 410, "OTP_EXPIRED")
	w.verify(p, "purchase", order, code).want(t, 410, "OTP_EXPIRED")
	w.send(p, "purchase", order, "", "if none pending").want(t, 200, "")
	w.phones.mu.Lock()
	delete(w.phones.codes, p.phone) // SMU forgot it before we did
	w.phones.mu.Unlock()
	w.verify(p, "purchase", order, "123456").want(t, 410, "OTP_EXPIRED")
}

// A counterparty's transfer neither replaces a purchase's challenge nor floods a phone with messages.
func TestACounterpartyIsBounded(t *testing.T) {
	w := startWorld(t, func(s *settings) { s.OTPPairPerHour, s.OTPSendsPerHour = 3, 8 })
	p, nagger := w.join(), newID()
	order := newID()
	w.send(p, "purchase", order).want(t, 200, "")
	w.send(p, "transfer", newID(), nagger).want(t, 409, "OTP_BUSY")
	w.verify(p, "purchase", order, w.phones.code(p.phone)).want(t, 200, "")
	for range 3 {
		w.send(p, "transfer", newID(), nagger).want(t, 200, "")
	}
	w.send(p, "transfer", newID(), nagger).want(t, 429, "RATE_LIMITED")
	w.send(p, "transfer", newID(), newID()).want(t, 409, "OTP_BUSY") // nor does another's take away the transfer that is being confirmed
	w.send(p, "transfer", newID()).want(t, 200, "")                  // one's own does
	w.send(p, "purchase", order).want(t, 200, "")
	w.send(p, "purchase", order).want(t, 200, "") // with the registration's, eight
	w.send(p, "purchase", order).want(t, 429, "RATE_LIMITED")
	w.send(p, "purchase", order, "", "if none pending").want(t, 200, "")
}

// Anyone who knows an address can ask for a reset of its password, even from the owner's network. That takes nothing
// from its owner.
func TestAStrangersResetRequests(t *testing.T) {
	w := startWorld(t, func(s *settings) { s.OTPSendsPerHour = 4 })
	p := w.join()
	ask := func() {
		w.call("POST", "/auth/password/reset-request", "", obj{"email": p.email}).want(t, 200, "")
		w.quiesce()
	}
	order := newID()
	w.send(p, "purchase", order).want(t, 200, "")
	ask()
	w.verify(p, "purchase", order, w.phones.code(p.phone)).want(t, 200, "")
	for range 6 {
		ask()
		_, err := w.db.Exec(t.Context(), `UPDATE otp_challenges SET expires_at = now() WHERE state = 'PENDING'`)
		must(t, err)
	}
	w.send(p, "purchase", order).want(t, 200, "") // the fourth
	var resets int
	must(t, w.db.QueryRow(t.Context(), `SELECT count(*) FROM otp_challenges WHERE purpose = 'password_reset'`).Scan(&resets))
	if resets != 1 { // of four messages, three may be asked for by who may be anyone; two were sent before
		t.Fatalf("%d codes for resets", resets)
	}
}

// Ten wrong codes a day are allowed, counted over all transfers.
func TestWrongCodesOfADay(t *testing.T) {
	w := startWorld(t)
	p := w.join()
	for n := 1; n <= 10; {
		transfer := newID()
		w.send(p, "transfer", transfer).want(t, 200, "")
		for try := 1; try <= 3 && n <= 10; try, n = try+1, n+1 {
			a := w.verify(p, "transfer", transfer, fmt.Sprintf("0000%02d", n))
			if (a.code() == "OTP_MAX_RETRIES") != (try == 3 || n == 10) {
				t.Fatalf("wrong code %d: %s", n, a.raw)
			}
		}
	}
	transfer, order := newID(), newID()
	w.send(p, "transfer", transfer).want(t, 200, "")
	w.verify(p, "transfer", transfer, w.phones.code(p.phone)).want(t, 429, "OTP_MAX_RETRIES") // though right
	w.send(p, "purchase", order).want(t, 200, "")
	w.verify(p, "purchase", order, w.phones.code(p.phone)).want(t, 200, "") // a purchase is counted by itself
}
