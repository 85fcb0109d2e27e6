package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

func (w *world) loginFrom(origin, email, password string) answer {
	return w.call("POST", "/auth/login", "", obj{"email": email, "password": password}, from(origin)...)
}

// guesses tries wrong passwords and returns how many were refused unread.
func (w *world) guesses(n int, origin func(i int) string, email string) (slowed int) {
	w.t.Helper()
	for i := range n {
		a := w.loginFrom(origin(i), email, "wrong horse "+strconv.Itoa(i))
		switch {
		case a.status == 429 && a.code() == "RATE_LIMITED" && a.header.Get("Retry-After") != "":
			slowed++
		case a.status != 401:
			w.t.Fatalf("%d: %s", i, a.raw)
		}
	}
	return slowed
}

func always(origin string) func(int) string { return func(int) string { return origin } }

// Wrong passwords delay the next try, for an unknown address as for a known one. Those of others do not delay a user
// who has logged in from another network before.
func TestWrongPasswordsSlow(t *testing.T) {
	w := startWorld(t)
	p := w.join()
	for _, email := range []string{p.email, "nobody@example.com"} {
		if n := w.guesses(20, always(elsewhere), email); n < 10 {
			t.Errorf("%s: %d of 20 were slowed", email, n)
		}
	}
	w.loginFrom(elsewhere, p.email, p.password).want(t, 429, "RATE_LIMITED")
	w.loginFrom("127.0.0.1", p.email, p.password).want(t, 200, "")
	w.loginFrom(furtherOff, p.email, p.password).want(t, 200, "") // one stranger does not slow a new device either

	must(t, w.exec(`UPDATE password_tries SET next_at = now(), last_at = now()`))
	w.loginFrom(elsewhere, p.email, p.password).want(t, 200, "") // slowed, not locked
	if n := w.guesses(5, always(elsewhere), p.email); n != 0 {
		t.Errorf("after a right one all begins anew, yet %d were slowed", n)
	}
}

// Tries are counted per account over all unknown networks, and per network over all accounts.
func TestWrongPasswordsFromEverywhere(t *testing.T) {
	w := startWorld(t)
	p := w.join()
	everywhere := func(i int) string { return fmt.Sprintf("192.0.2.%d", i) }
	if n := w.guesses(60, everywhere, p.email); n < 5 {
		t.Errorf("%d of 60 strangers were slowed", n)
	}
	w.loginFrom("127.0.0.1", p.email, p.password).want(t, 200, "")
	slowed := 0
	for i := range 60 {
		slowed += w.guesses(1, always(elsewhere), fmt.Sprintf("somebody%d@example.com", i))
	}
	if slowed < 5 {
		t.Errorf("%d of 60 accounts tried from one network", slowed)
	}
}

// Concurrent tries count as tries in sequence.
func TestWrongPasswordsAtOnce(t *testing.T) {
	w := startWorld(t)
	p := w.join()
	var mu sync.Mutex
	seen := map[int]int{}
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			a := w.loginFrom(elsewhere, p.email, "wrong horse "+strconv.Itoa(i))
			mu.Lock()
			defer mu.Unlock()
			seen[a.status]++
		})
	}
	wg.Wait()
	if seen[401] > 8 || seen[401]+seen[429] != 40 { // five, and one or two for each second that it took
		t.Errorf("%v", seen)
	}
}

// A session does not let its user guess a password faster.
func TestWrongPasswordsOfWhoIsLoggedIn(t *testing.T) {
	w := startWorld(t)
	p := w.join()
	slowed := 0
	for i := range 15 {
		a := w.call("POST", "/auth/password/change", p.access, obj{"old_password": "wrong" + strconv.Itoa(i), "new_password": "another horse"})
		if a.status == 429 {
			slowed++
		} else {
			a.want(t, 403, "FORBIDDEN")
		}
	}
	if slowed < 5 {
		t.Errorf("%d were slowed", slowed)
	}
}

// A user who confirms another account's number takes it over. What the former account has stays its own, and the
// number's new owner does not get into it.
func TestANumberBelongsToOneAccountInProduction(t *testing.T) {
	w := startWorld(t, func(s *settings) { s.AppEnv = "production" })
	first := w.joinAs("first@example.com", "+6591234567")
	second := w.joinAs("second@example.com", "+6591234567")
	w.send(second, "purchase", newID()).want(t, 200, "")
	w.send(first, "purchase", newID()).want(t, 403, "UNVERIFIED_ACCOUNT")
	sent := len(w.phones.got(first.phone))
	w.askReset(first.email, elsewhere)
	w.call("POST", "/auth/resend-otp", "", obj{"user_id": first.id}).want(t, 400, "BAD_REQUEST")
	if n := len(w.phones.got(first.phone)); n != sent {
		t.Error("the number's new owner got a code for the account of the old one")
	}
	must(t, w.exec(`UPDATE users SET created_at = created_at - interval '10 days'`))
	_, err := w.assembled().store.Sweep(t.Context(), 24*time.Hour)
	must(t, err)
	w.login(first.email, first.password).want(t, 403, "UNVERIFIED_ACCOUNT") // it is not forgotten
	w.register(first.email, "+6599999999", "evil horse").want(t, 409, "EMAIL_ALREADY_EXISTS")
	move := func(code string) answer {
		return w.call("PATCH", "/users/"+first.id, first.access, obj{"phone": "+6590000009", "password": first.password, "otp_code": code})
	}
	move("").want(t, 428, "OTP_REQUIRED")
	move(w.phones.code("+6590000009")).want(t, 200, "")
	w.login(first.email, first.password).want(t, 200, "")

	const contested = "+6593333333"
	ids := make([]string, 8)
	for i := range ids {
		ids[i] = w.register(fmt.Sprintf("racer%d@example.com", i), fmt.Sprintf("+659444444%d", i), "correct horse").want(t, 201, "").data()["user_id"].(string)
	}
	_, err = w.db.Exec(t.Context(), `UPDATE users SET phone = $1 WHERE email LIKE 'racer%'`, contested)
	must(t, err)
	svc := w.assembled()
	var wg sync.WaitGroup
	for _, id := range ids {
		wg.Go(func() { must(t, svc.store.MarkVerified(t.Context(), parse(id), true)) })
	}
	wg.Wait()
	var owners int
	must(t, w.db.QueryRow(t.Context(), `SELECT count(*) FROM users WHERE phone = $1 AND is_verified`, contested).Scan(&owners))
	if owners != 1 {
		t.Errorf("%d accounts own one number", owners)
	}
}

func TestNumbersAreSharedElsewhere(t *testing.T) {
	w := startWorld(t)
	for i := range 4 {
		w.joinAs(fmt.Sprintf("trial%d@example.com", i), "+6591234567")
	}
	w.login("trial0@example.com", "correct horse").want(t, 200, "")
}

func (w *world) personOf(p person) string {
	return w.internal("GET", "/users/"+p.id+"/risk", nil).want(w.t, 200, "").data()["person_id"].(string)
}

// Accounts with the same confirmed number are one person, as are those whose addresses differ only in case or +tag.
func TestPersons(t *testing.T) {
	w := startWorld(t)
	ada := w.joinAs("ada@example.com", "+6591111111")
	sameNumber := w.joinAs("lovelace@example.com", "+6591111111")
	sameAddress := w.joinAs(" Ada+tickets@Example.com", "+6592222222")
	bob := w.joinAs("bob@example.com", "+6593333333")
	carol := w.joinAs("carol@example.com", "+6594444444")
	if w.personOf(ada) != w.personOf(sameNumber) || w.personOf(ada) != w.personOf(sameAddress) {
		t.Error("one person is counted as several")
	}
	for _, p := range []person{ada, sameNumber, bob} { // the token tells who counts a person's holds
		fresh := w.call("POST", "/auth/refresh", p.refresh, nil).want(t, 200, "").data()["access_token"].(string)
		for _, access := range []string{p.access, fresh} {
			var claims struct {
				Person string `json:"pid"`
			}
			payload, err := base64.RawURLEncoding.DecodeString(strings.Split(access, ".")[1])
			if err == nil {
				err = json.Unmarshal(payload, &claims)
			}
			if want := w.personOf(p); err != nil || claims.Person != want && (claims.Person != "" || want != p.id) {
				t.Errorf("the token names %q, want %s (%v)", claims.Person, want, err)
			}
		}
	}
	if w.personOf(bob) == w.personOf(ada) || w.personOf(bob) == w.personOf(carol) {
		t.Error("several are counted as one")
	}
	a := w.internal("POST", "/users/risks", obj{"asked": []obj{{"user_id": sameNumber.id}}}).want(t, 200, "")
	if got := a.body["data"].([]any)[0].(obj)["person_id"]; got != w.personOf(ada) {
		t.Errorf("asked for many: %v", got)
	}
	before := w.personOf(bob)
	both := w.joinAs("bob+2@example.com", "+6594444444") // Bob's address, Carol's number: they are one
	if w.personOf(both) != w.personOf(bob) || w.personOf(bob) != w.personOf(carol) || w.personOf(bob) != before {
		t.Error("two that turn out to be one")
	}
	unverified := w.register("mallory@example.com", "+6591111111", "evil horse").want(t, 201, "").data()["user_id"].(string)
	if w.personOf(person{id: unverified}) == w.personOf(ada) {
		t.Error("a number that nobody has confirmed makes nobody another")
	}
	w.login("ada+else@example.com", ada.password).want(t, 401, "UNAUTHORIZED") // for limits, not for login
}

// A user is no longer found by a number that they gave up.
func TestALeftNumberIsSomeoneElses(t *testing.T) {
	w := startWorld(t)
	ada := w.joinAs("ada@example.com", "+6591111111")
	person := w.personOf(ada)
	move := func(code string) answer {
		return w.call("PATCH", "/users/"+ada.id, ada.access, obj{"phone": "+6592222222", "password": ada.password, "otp_code": code})
	}
	move("").want(t, 428, "OTP_REQUIRED")
	move(w.phones.code("+6592222222")).want(t, 200, "")
	if w.personOf(ada) != person {
		t.Error("she is another person now")
	}
	if w.personOf(w.joinAs("next@example.com", "+6591111111")) == person {
		t.Error("who gets the number next is counted with her")
	}
}

func TestPersonsAtOnce(t *testing.T) {
	w := startWorld(t)
	people := make([]person, 20)
	for i := range people {
		people[i].id = w.register(fmt.Sprintf("ada+%d@example.com", i), fmt.Sprintf("+6590000%03d", i/2), "correct horse").want(t, 201, "").data()["user_id"].(string)
	}
	svc := w.assembled()
	var wg sync.WaitGroup
	for _, p := range people {
		wg.Go(func() { must(t, svc.store.MarkVerified(t.Context(), parse(p.id), false)) })
	}
	wg.Wait()
	persons := map[string]bool{}
	for _, p := range people {
		persons[w.personOf(p)] = true
	}
	if len(persons) != 1 {
		t.Errorf("%d persons", len(persons))
	}
}

func TestInternationalAddresses(t *testing.T) {
	w := startWorld(t)
	p := w.joinAs("Ada@Bücher.example", "+6591111111")
	for _, same := range []string{"ada@bücher.example", "ADA@BÜCHER.EXAMPLE", "ada@xn--bcher-kva.example"} {
		w.login(same, p.password).want(t, 200, "")
		w.register(same, "+6592222222", "evil horse").want(t, 409, "EMAIL_ALREADY_EXISTS")
		a := w.internal("POST", "/users/lookup", obj{"emails": []string{same}}).want(t, 200, "")
		found := a.body["data"].([]any)
		if len(found) != 1 || found[0].(obj)["user_id"] != p.id || found[0].(obj)["asked_email"] != same {
			t.Errorf("%s: %s", same, a.raw)
		}
	}
	w.register("ada@bücher..example", "+6592222222", "correct horse").want(t, 400, "VALIDATION_ERROR")
	w.register("ädä@example.com", "+6592222222", "correct horse").want(t, 400, "VALIDATION_ERROR")
	if got := w.internal("POST", "/users/lookup", obj{"ids": []string{p.id}}).body["data"].([]any)[0].(obj); !reflect.DeepEqual(got["email"], "ada@xn--bcher-kva.example") {
		t.Errorf("shown as %v: letters that look alike would pass for others", got["email"])
	}
}
