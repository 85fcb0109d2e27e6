package main

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

const elsewhere, furtherOff = "203.0.113.7", "198.51.100.9"

// askReset asks for a code to reset a password and waits until it was sent or refused.
func (w *world) askReset(email, origin string) {
	w.t.Helper()
	w.call("POST", "/auth/password/reset-request", "", obj{"email": email}, from(origin)...).want(w.t, 200, "")
	w.quiesce()
}

func (w *world) reset(email, code, origin string) answer {
	return w.call("POST", "/auth/password/reset", "", obj{"email": email, "otp_code": code, "new_password": "another horse"}, from(origin)...)
}

// A code that a stranger has sent to a user's phone confirms nothing of the user's and replaces no code of theirs.
func TestAStrangersRegistrationWithMyNumber(t *testing.T) {
	w := startWorld(t)
	victim := w.join()
	w.askReset(victim.email, elsewhere)
	mine := w.phones.code(victim.phone)
	w.register("throwaway@example.com", victim.phone, "evil horse").want(t, 429, "RATE_LIMITED") // says nothing of why
	if got := w.phones.code(victim.phone); got != mine {
		t.Fatal("the code that is being typed is gone")
	}
	w.reset(victim.email, mine, elsewhere).want(t, 200, "")

	order := newID()
	for purpose, ask := range map[string]func(){
		"purchase": func() { w.send(victim, "purchase", order).want(t, 200, "") },
		"transfer": func() { w.send(victim, "transfer", order, newID()).want(t, 200, "") },
	} {
		ask()
		mine = w.phones.code(victim.phone)
		w.register("throwaway@example.com", victim.phone, "evil horse").want(t, 429, "RATE_LIMITED")
		w.verify(victim, purpose, order, mine).want(t, 200, "")
	}
}

// In the other order, the registration yields.
func TestARegistrationGivesWay(t *testing.T) {
	w := startWorld(t)
	victim := w.join()
	stranger := w.register("throwaway@example.com", victim.phone, "evil horse").want(t, 201, "").data()["user_id"]
	theirs := w.phones.code(victim.phone)
	order := newID()
	w.send(victim, "purchase", order).want(t, 200, "")
	confirm := func(code string) answer {
		return w.call("POST", "/auth/verify-registration", "", obj{"user_id": stranger, "otp_code": code})
	}
	mine := w.phones.code(victim.phone)
	if theirs == mine {
		t.Fatal("by one chance in a million the two codes are the same: run it again")
	}
	confirm(mine).want(t, 400, "BAD_REQUEST")
	w.verify(victim, "purchase", order, theirs).want(t, 401, "OTP_INVALID")
	w.verify(victim, "purchase", order, mine).want(t, 200, "")
	w.register("another@example.com", victim.phone, "evil horse").want(t, 201, "") // of two that only claim it, the later
	confirm(w.phones.code(victim.phone)).want(t, 400, "BAD_REQUEST")
}

// A user with a confirmed phone who changes to my number has a claim like any other.
func TestAChangeToMyNumberGivesWay(t *testing.T) {
	w := startWorld(t)
	victim, stranger := w.join(), w.join()
	move := func(code string) answer {
		return w.call("PATCH", "/users/"+stranger.id, stranger.access, obj{"phone": victim.phone, "password": stranger.password, "otp_code": code})
	}
	order := newID()
	w.send(victim, "purchase", order).want(t, 200, "")
	mine := w.phones.code(victim.phone)
	move("").want(t, 429, "RATE_LIMITED")
	w.verify(victim, "purchase", order, mine).want(t, 200, "")
	move("").want(t, 428, "OTP_REQUIRED")
	w.send(victim, "purchase", newID()).want(t, 200, "")
	move(w.phones.code(victim.phone)).want(t, 400, "VALIDATION_ERROR")
}

// Whatever twenty accounts with one number do at once, one code of the number is live, and codes that its owners asked
// for stay theirs.
func TestOneLiveCodePerPhone(t *testing.T) {
	w := startWorld(t, func(s *settings) { s.OTPSendsPerHour = 10_000 })
	phone := "+6591234567"
	var sharing []person
	for i := range 6 {
		sharing = append(sharing, w.joinAs(fmt.Sprintf("family%d@example.com", i), phone))
	}
	w.phones.slow(5 * time.Millisecond)
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			for range 3 {
				if i%2 == 0 {
					w.register(newID()+"@example.com", phone, "correct horse")
				} else {
					w.send(sharing[i%len(sharing)], "purchase", newID())
				}
			}
		})
	}
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		for range 50 {
			var live, sending int
			if err := w.db.QueryRow(t.Context(), `
				SELECT count(*) FILTER (WHERE state = 'PENDING'), count(*) FILTER (WHERE state = 'SENDING') FROM otp_challenges WHERE phone = $1`, phone).Scan(&live, &sending); err != nil {
				t.Error(err)
			}
			if live > 1 || sending > 1 {
				t.Errorf("%d live, %d being sent", live, sending)
			}
			time.Sleep(2 * time.Millisecond) // between two looks
		}
	}()
	wg.Wait()
	<-watched
	w.phones.slow(0)
	// The live challenge is the one whose code the phone has.
	var owner, purpose string
	must(t, w.db.QueryRow(t.Context(), `SELECT user_id, purpose FROM otp_challenges WHERE phone = $1 AND state = 'PENDING'`, phone).Scan(&owner, &purpose))
	w.verify(person{id: owner}, purpose, "", w.phones.code(phone)).want(t, 200, "")
}

// The schema alone allows one live code per number.
func TestTheSchemaAllowsOneLiveCodePerPhone(t *testing.T) {
	w := startWorld(t)
	a, b := w.join(), w.join()
	add := func(p person, state string) error {
		_, err := w.db.Exec(t.Context(), `
			INSERT INTO otp_challenges (challenge_id, user_id, purpose, method, phone, state, expires_at)
			VALUES ($1, $2, 'login', 'sms', '+6590000000', $3::text::otp_state, now() + interval '1 minute')`, newID(), p.id, state)
		return err
	}
	for _, state := range []string{"PENDING", "SENDING"} {
		must(t, add(a, state))
		if add(b, state) == nil {
			t.Errorf("two are %s", state)
		}
	}
}

func TestMessagesSayWhatTheyAreForAndAreNoLinks(t *testing.T) {
	w := startWorld(t)
	p := w.join()
	got := w.phones.got(p.phone)[0]
	if !strings.Contains(got, "register") || !strings.HasSuffix(got, "Never share this code with anyone.") {
		t.Error(got)
	}
	body := obj{"user_id": p.id, "purpose": "transfer", "reference_id": newID(),
		"message": "TicketRemaster: you take from bob@evil.example\nhttps://evil.example/pay www.evil.example 10.0.0.1 for 350.00 credits."}
	w.internal("POST", "/otp/send", body).want(t, 200, "")
	all := w.phones.got(p.phone)
	last := all[len(all)-1]
	for _, link := range []string{"@", "://", "evil.example", "www.", "10.0.0.1", "\n"} {
		if strings.Contains(last, link) {
			t.Errorf("%q is in %q", link, last)
		}
	}
	for _, kept := range []string{"bob at evil dot example", "350.00 credits.", "Never share this code"} {
		if !strings.Contains(last, kept) {
			t.Errorf("%q is not in %q", kept, last)
		}
	}
}

// The messages to a number are limited per hour, whoever asks for them; those that others ask for do not use up its
// owner's.
func TestMessagesToANumber(t *testing.T) {
	w := startWorld(t)
	victim := w.join()
	for i := range 60 {
		w.register(fmt.Sprintf("throwaway%d@example.com", i), victim.phone, "evil horse")
	}
	if n := len(w.phones.got(victim.phone)); n != 10 {
		t.Errorf("%d messages because of registrations", n)
	}
	must(t, w.exec(`DELETE FROM users WHERE NOT is_verified`)) // forgetting the accounts forgets no message
	w.register("one.more@example.com", victim.phone, "evil horse").want(t, 429, "RATE_LIMITED")
	for range 10 { // strangers' transfers and resets have a share of their own
		w.send(victim, "transfer", newID(), newID())
		must(t, w.exec(`UPDATE otp_challenges SET expires_at = now() WHERE state = 'PENDING'`))
		w.askReset(victim.email, elsewhere)
		must(t, w.exec(`UPDATE otp_challenges SET expires_at = now() WHERE state = 'PENDING'`))
	}
	if n := len(w.phones.got(victim.phone)); n != 14 {
		t.Errorf("%d messages because of others", n)
	}
	sent := 0
	for range 20 {
		if w.send(victim, "purchase", newID()).status == 200 {
			sent++
		}
	}
	if n := len(w.phones.got(victim.phone)); sent != 6 || n != 20 {
		t.Errorf("%d of the owner's own, %d in all", sent, n)
	}
	must(t, w.exec(`UPDATE sms_sent SET sent_at = sent_at - interval '1 hour'`))
	w.send(victim, "purchase", newID()).want(t, 200, "")
}

func (w *world) exec(sql string) error {
	_, err := w.db.Exec(w.t.Context(), sql)
	return err
}

func TestMessagesBecauseOfOneNetworkAndInAll(t *testing.T) {
	w := startWorld(t, func(s *settings) { s.SMSPerOrigin, s.SMSPerMinute = 5, 40 })
	var mu sync.Mutex
	seen := map[int]int{}
	var wg sync.WaitGroup
	register := func(i int, origin string) answer {
		return w.call("POST", "/auth/register", "", obj{"email": fmt.Sprintf("n%d@example.com", i), "phone": fmt.Sprintf("+6590000%03d", i), "password": "correct horse"}, from(origin)...)
	}
	for i := range 20 {
		wg.Go(func() {
			a := register(i, elsewhere)
			mu.Lock()
			defer mu.Unlock()
			seen[a.status]++
		})
	}
	wg.Wait()
	if seen[201] != 5 || seen[429] != 15 {
		t.Errorf("answers to one network: %v", seen)
	}
	p := w.joinAs("customer@example.com", "+6598765432")
	for range 7 { // what other services ask for comes from no network: it is their callers' doing, who are many
		w.send(p, "purchase", newID()).want(t, 200, "")
	}
	must(t, w.exec(`UPDATE sms_sent SET sent_at = sent_at - interval '2 minutes'`))
	register(20, "2001:db8:1:1::1").want(t, 201, "")
	for i := range 4 {
		register(21+i, fmt.Sprintf("2001:db8:1:1::%d", i+2)).want(t, 201, "")
	}
	register(30, "2001:db8:1:1:ffff::9").want(t, 429, "RATE_LIMITED") // one household is one network
	for i := range 15 {
		register(40+i, fmt.Sprintf("192.0.2.%d", i)).want(t, 201, "")
	}
	register(60, furtherOff).want(t, 429, "RATE_LIMITED") // half of what may be sent in a minute is for who only claims a number …
	must(t, w.exec(`UPDATE sms_sent SET sent_at = sent_at - interval '2 minutes'`))
	must(t, w.exec(`UPDATE sms_sent SET sent_at = now()`))
	w.send(p, "purchase", newID()).want(t, 200, "") // … and leaves the rest to customers
}

func TestNumbersThatGetNoCodes(t *testing.T) {
	w := startWorld(t)
	for i, phone := range []string{"+6519001234567", "+19005551234", "+449098790123", "+979123456789", "+881612345678", "+37190012345"} {
		a := w.register(fmt.Sprintf("premium%d@example.com", i), phone, "correct horse").want(t, 400, "VALIDATION_ERROR")
		if a.body["errors"].(obj)["phone"] == nil {
			t.Errorf("the field is not named: %s", a.raw)
		}
	}
	if sent, _ := w.phones.asked(); sent != 0 {
		t.Errorf("%d were sent", sent)
	}
	p := w.join()
	w.call("PATCH", "/users/"+p.id, p.access, obj{"phone": "+19005551234", "password": p.password}).want(t, 400, "VALIDATION_ERROR")

	w = startWorld(t, func(s *settings) { must(t, s.SMSCountries.UnmarshalText([]byte("+65, 60"))) })
	w.register("my@example.com", "+60123456789", "correct horse").want(t, 201, "")
	w.register("uk@example.com", "+447700900123", "correct horse").want(t, 400, "VALIDATION_ERROR")
	if new(countries).UnmarshalText([]byte("+65,SG")) == nil {
		t.Error("SG is no calling code")
	}
}

// A registration that is not confirmed is deleted, and its address can be registered again; nothing else is deleted.
func TestRegistrationsExpire(t *testing.T) {
	w := startWorld(t)
	old := w.register("old@example.com", "+6591111111", "correct horse").want(t, 201, "").data()["user_id"].(string)
	fresh := w.register("fresh@example.com", "+6592222222", "correct horse").want(t, 201, "").data()["user_id"].(string)
	p := w.join()
	must(t, w.exec(`UPDATE users SET created_at = created_at - interval '25 hours' WHERE email <> 'fresh@example.com'`))
	_, err := w.assembled().store.Sweep(t.Context(), 24*time.Hour)
	must(t, err)
	for id, want := range map[string]int{old: 0, fresh: 1, p.id: 1} {
		var n int
		must(t, w.db.QueryRow(t.Context(), `SELECT count(*) FROM users WHERE user_id = $1`, id).Scan(&n))
		if n != want {
			t.Errorf("%s: %d, want %d", id, n, want)
		}
	}
	w.login("old@example.com", "correct horse").want(t, 401, "UNAUTHORIZED")
}

// Counterparties cannot use up the codes of a user who has to confirm a purchase.
func TestAFlaggedBuyerCanPayWhateverOthersCause(t *testing.T) {
	w := startWorld(t)
	victim := w.join()
	w.internal("PATCH", "/internal/users/"+victim.id, obj{"is_flagged": true}).want(t, 200, "")
	for range 30 {
		w.send(victim, "transfer", newID(), newID())
		must(t, w.exec(`UPDATE otp_challenges SET expires_at = now() WHERE state = 'PENDING'`))
	}
	order := newID()
	w.send(victim, "transfer", newID(), newID())
	w.send(victim, "purchase", order).want(t, 200, "") // which ends that transfer's
	w.verify(victim, "purchase", order, w.phones.code(victim.phone)).want(t, 200, "")
}

// The codes that one account can have sent to others are limited.
func TestWhatOneAccountCauses(t *testing.T) {
	w := startWorld(t, func(s *settings) { s.OTPSendsPerHour = 6 })
	nagger := newID()
	for range 6 {
		w.send(w.join(), "transfer", newID(), nagger).want(t, 200, "")
	}
	w.send(w.join(), "transfer", newID(), nagger).want(t, 429, "RATE_LIMITED")
}

// enter is a code that someone else enters for p.
func (w *world) enter(by string, p person, transfer, code string) answer {
	return w.internal("POST", "/otp/verify", obj{"user_id": p.id, "purpose": "transfer", "reference_id": transfer, "otp_code": code, "by_user_id": by})
}

// Wrong codes that others enter do not lock the transfers of a code's owner.
func TestWrongCodesOfOthersAreTheirs(t *testing.T) {
	w := startWorld(t, func(s *settings) { s.OTPSendsPerHour = 1000 })
	victim, honest := w.join(), newID()
	wrong := func(by string, n int) (last answer) {
		for i := 0; i < n; {
			transfer := newID()
			w.send(victim, "transfer", transfer).want(t, 200, "")
			for try := 0; try < 3 && i < n; try, i = try+1, i+1 {
				last = w.enter(by, victim, transfer, fmt.Sprintf("0000%02d", i))
			}
		}
		return last
	}
	if a := wrong(newID(), 10); a.code() != "OTP_MAX_RETRIES" {
		t.Errorf("the tenth of one counterparty: %s", a.raw)
	}
	transfer := newID()
	w.send(victim, "transfer", transfer).want(t, 200, "")
	w.enter(honest, victim, transfer, w.phones.code(victim.phone)).want(t, 200, "") // another may still
	for range 2 {
		wrong(newID(), 10)
	}
	w.send(victim, "transfer", transfer).want(t, 200, "")
	code := w.phones.code(victim.phone)
	w.enter(newID(), victim, transfer, code).want(t, 429, "RATE_LIMITED") // strangers have guessed enough in all
	w.verify(victim, "transfer", transfer, code).want(t, 200, "")         // not the owner
}

// Strangers' wrong codes neither end a reset's code nor lock its owner out.
func TestAStrangersWrongResetCodes(t *testing.T) {
	w := startWorld(t, func(s *settings) { s.OTPSendsPerHour = 1000 })
	victim := w.join()
	for i := range 60 {
		if i%6 == 0 {
			must(t, w.exec(`UPDATE otp_challenges SET expires_at = now() WHERE state = 'PENDING'`))
			w.askReset(victim.email, elsewhere)
		}
		origin := elsewhere
		if i > 20 {
			origin = fmt.Sprintf("192.0.2.%d", i)
		}
		w.reset(victim.email, fmt.Sprintf("0000%02d", i), origin).want(t, 400, "BAD_REQUEST")
	}
	w.reset(victim.email, w.phones.code(victim.phone), elsewhere).want(t, 400, "BAD_REQUEST") // a stranger who guesses right now is too late
	w.reset(victim.email, w.phones.code(victim.phone), "127.0.0.1").want(t, 200, "")          // where the victim has logged in from
	w.login(victim.email, "another horse").want(t, 200, "")
}

// A dozen wrong codes from the owner's own network do not lock the reset either.
func TestWrongResetCodesFromMyNetwork(t *testing.T) {
	w := startWorld(t)
	victim := w.join()
	for i := range 12 {
		w.askReset(victim.email, "127.0.0.1")
		w.reset(victim.email, fmt.Sprintf("0000%02d", i), "127.0.0.1").want(t, 400, "BAD_REQUEST")
	}
	w.askReset(victim.email, "127.0.0.1")
	w.reset(victim.email, w.phones.code(victim.phone), "127.0.0.1").want(t, 200, "")
}

// A reset that fails does not disclose whether the account exists: not by message, status, or a call of SMU.
func TestResetsAreAnsweredAlike(t *testing.T) {
	w := startWorld(t)
	victim := w.join()
	try := func(email string) string {
		before, asked := 0, 0
		_, before = w.phones.asked()
		a := w.reset(email, "000000", elsewhere)
		_, asked = w.phones.asked()
		return fmt.Sprintf("%d %s %v, SMU asked %d times", a.status, a.code(), a.body["message"], asked-before)
	}
	alike := func(what string) {
		t.Helper()
		if known, unknown := try(victim.email), try("nobody@example.com"); known != unknown {
			t.Errorf("%s: known %q, unknown %q", what, known, unknown)
		}
	}
	alike("none pending")
	w.askReset(victim.email, elsewhere)
	for range 6 {
		alike("wrong, and then too many")
	}
	w.phones.down()
	for range 8 {
		if known, unknown := w.reset(victim.email, "000001", furtherOff), w.reset("nobody@example.com", "000001", furtherOff); known.status != unknown.status {
			t.Errorf("SMU down: known %s, unknown %s", known.raw, unknown.raw)
		}
	}
}
