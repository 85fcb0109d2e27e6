package main

import (
	"testing"
	"time"
)

func TestPasswordChange(t *testing.T) {
	w := startWorld(t)
	p := w.join()
	other := w.login(p.email, p.password).want(t, 200, "").data()
	change := func(old, password string) answer {
		return w.call("POST", "/auth/password/change", p.access, obj{"old_password": old, "new_password": password})
	}
	change("wrong", "another horse").want(t, 403, "FORBIDDEN")
	change(p.password, "short").want(t, 400, "VALIDATION_ERROR")
	a := change(p.password, "another horse").want(t, 200, "")
	w.call("GET", "/credits/balance", p.access, nil).want(t, 401, "UNAUTHORIZED")
	w.call("GET", "/credits/balance", other["access_token"].(string), nil).want(t, 401, "UNAUTHORIZED")
	w.call("POST", "/auth/refresh", other["refresh_token"].(string), nil).want(t, 401, "UNAUTHORIZED")
	w.call("GET", "/credits/balance", a.data()["access_token"].(string), nil).want(t, 200, "")
	w.login(p.email, p.password).want(t, 401, "UNAUTHORIZED")
	w.login(p.email, "another horse").want(t, 200, "")
}

func TestPasswordReset(t *testing.T) {
	w := startWorld(t)
	p := w.join()
	ask := func(email string) {
		w.call("POST", "/auth/password/reset-request", "", obj{"email": email}).want(t, 200, "")
	}
	reset := func(email, code, password string) answer {
		return w.call("POST", "/auth/password/reset", "", obj{"email": email, "otp_code": code, "new_password": password})
	}
	reset(p.email, "123456", "another horse").want(t, 400, "BAD_REQUEST")
	ask("nobody@example.com")
	ask(p.email)
	eventually(t, 3*time.Second, "the code comes", func() bool { return w.phones.code(p.phone) != "" })
	eventually(t, 3*time.Second, "the challenge is live", func() bool { return w.live(p) == "password_reset" })
	reset(p.email, w.phones.wrong(p.phone), "another horse").want(t, 400, "BAD_REQUEST")
	reset("nobody@example.com", "123456", "another horse").want(t, 400, "BAD_REQUEST")
	reset(p.email, w.phones.code(p.phone), "another horse").want(t, 200, "")
	w.call("GET", "/credits/balance", p.access, nil).want(t, 401, "UNAUTHORIZED")
	w.login(p.email, "another horse").want(t, 200, "")
}

// An answer must not tell by its time whether an address is known. A hash costs far more than all else, so either both
// logins hash or the difference is plain.
func TestLoginTakesTheSameTime(t *testing.T) {
	w := startWorld(t, func(s *settings) { s.BcryptCost = 11 })
	p := w.join()
	best := func(email string) time.Duration {
		least := time.Hour
		for range 3 {
			start := time.Now()
			w.login(email, "wrong horse").want(t, 401, "UNAUTHORIZED")
			least = min(least, time.Since(start))
		}
		return least
	}
	known, unknown := best(p.email), best("nobody@example.com")
	if unknown < known/4 || known < unknown/4 {
		t.Fatalf("known %v, unknown %v", known, unknown)
	}
}
