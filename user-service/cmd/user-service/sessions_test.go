package main

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

func TestSessions(t *testing.T) {
	w := startWorld(t)
	p := w.join()
	refresh := func(token string) answer {
		return w.call("POST", "/auth/refresh", token, "", "Content-Type", "application/x-www-form-urlencoded")
	}
	for range 3 { // not single-use
		a := refresh(p.refresh).want(t, 200, "")
		if a.body["access_token"] == nil || a.body["expires_in"] != 900.0 {
			t.Fatal(a.raw)
		}
		w.call("GET", "/credits/balance", a.data()["access_token"].(string), nil).want(t, 200, "")
	}
	refresh("").want(t, 401, "UNAUTHORIZED")
	refresh(p.access).want(t, 401, "UNAUTHORIZED")
	refresh(strings.Repeat("A", 43)).want(t, 401, "UNAUTHORIZED")
	w.call("GET", "/credits/balance", p.refresh, nil).want(t, 401, "UNAUTHORIZED")

	other := w.login(p.email, p.password).want(t, 200, "")
	w.call("POST", "/auth/logout", p.access, nil).want(t, 200, "")
	w.call("GET", "/credits/balance", p.access, nil).want(t, 401, "UNAUTHORIZED")
	refresh(p.refresh).want(t, 401, "UNAUTHORIZED")
	w.call("GET", "/credits/balance", other.data()["access_token"].(string), nil).want(t, 200, "") // only that session

	feed := w.internal("GET", "/internal/revocations?after=0", nil).want(t, 200, "").body["data"].([]any)
	if len(feed) != 1 || feed[0].(obj)["seq"] == nil || feed[0].(obj)["session_id"] == nil {
		t.Fatalf("the feed has %v", feed)
	}
	w.stop()
	w.run() // a new process knows
	w.call("GET", "/credits/balance", p.access, nil).want(t, 401, "UNAUTHORIZED")
	w.call("GET", "/credits/balance", other.data()["access_token"].(string), nil).want(t, 200, "")

	_, err := w.db.Exec(t.Context(), `UPDATE sessions SET expires_at = now()`)
	must(t, err)
	refresh(other.data()["refresh_token"].(string)).want(t, 401, "UNAUTHORIZED")
}

// A session that another replica revoked is refused here within a second.
func TestAnotherReplicaRevokes(t *testing.T) {
	w := startWorld(t)
	p := w.join()
	first := *w
	w.run() // a second one, on the same database
	w.call("POST", "/auth/logout", p.access, nil).want(t, 200, "")
	eventually(t, 2*time.Second, "the first replica refuses the session", func() bool {
		return first.call("GET", "/credits/balance", p.access, nil).status == 401
	})
}

// Revocations that commit at once leave no gap that a follower could step over.
func TestTheFeedHasNoGaps(t *testing.T) {
	w := startWorld(t)
	p := w.join()
	sessions := make([]string, 30)
	for i := range sessions {
		sessions[i] = w.login(p.email, p.password).want(t, 200, "").data()["access_token"].(string)
	}
	seen, last := map[string]bool{}, 0.0
	var wg sync.WaitGroup
	for _, s := range sessions {
		wg.Go(func() { w.call("POST", "/auth/logout", s, nil) })
	}
	eventually(t, 5*time.Second, "a follower of the feed sees all thirty", func() bool {
		for _, r := range w.internal("GET", "/internal/revocations?after="+jsonNumber(last), nil).body["data"].([]any) {
			seen[r.(obj)["session_id"].(string)] = true
			last = max(last, r.(obj)["seq"].(float64))
		}
		return len(seen) == 30
	})
	wg.Wait()
}

func TestTokens(t *testing.T) {
	w := startWorld(t)
	p := w.join()
	claims := func(change func(jwt.MapClaims)) jwt.MapClaims {
		c := jwt.MapClaims{"iss": "ticketremaster", "sub": p.id, "sid": newID(), "role": "admin", "typ": "access", "exp": time.Now().Add(time.Minute).Unix()}
		change(c)
		return c
	}
	sign := func(m jwt.SigningMethod, key any, c jwt.MapClaims) string {
		s, err := jwt.NewWithClaims(m, c).SignedString(key)
		must(t, err)
		return s
	}
	key := []byte(w.settings.JWTSecret.Reveal())
	for name, c := range map[string]struct{ token, code string }{
		"none":       {sign(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, claims(func(jwt.MapClaims) {})), "UNAUTHORIZED"},
		"wrong key":  {sign(jwt.SigningMethodHS256, []byte("wrong"), claims(func(jwt.MapClaims) {})), "UNAUTHORIZED"},
		"expired":    {sign(jwt.SigningMethodHS256, key, claims(func(c jwt.MapClaims) { c["exp"] = time.Now().Unix() - 1 })), "TOKEN_EXPIRED"},
		"no exp":     {sign(jwt.SigningMethodHS256, key, claims(func(c jwt.MapClaims) { delete(c, "exp") })), "UNAUTHORIZED"},
		"other iss":  {sign(jwt.SigningMethodHS256, key, claims(func(c jwt.MapClaims) { c["iss"] = "other" })), "UNAUTHORIZED"},
		"no session": {sign(jwt.SigningMethodHS256, key, claims(func(c jwt.MapClaims) { delete(c, "sid") })), "UNAUTHORIZED"},
		"service's":  {serviceToken, "UNAUTHORIZED"},
		"nothing":    {"", "UNAUTHORIZED"},
	} {
		t.Run(name, func(t *testing.T) { w.call("GET", "/credits/balance", c.token, nil).want(t, 401, c.code) })
	}
	w.call("GET", "/users/"+p.id+"/risk", p.access, nil).want(t, 401, "UNAUTHORIZED")
	w.call("GET", "/users/"+p.id+"/risk", "", nil).want(t, 401, "UNAUTHORIZED")
}
