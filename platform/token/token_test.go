package token_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"

	"ticketremaster/platform/fault"
	"ticketremaster/platform/token"
)

var keys = token.Keys{Secret: []byte("0123456789abcdef0123456789abcdef"), Issuer: "ticketremaster"}

func caller() token.Caller {
	return token.Caller{UserID: uuid.New(), PersonID: uuid.New(), Role: token.Staff, SessionID: uuid.New(), ExpiresAt: time.Now().Add(time.Minute).Truncate(time.Second)}
}

func signed(t *testing.T, k token.Keys, c token.Caller) string {
	t.Helper()
	s, err := k.Sign(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestOnlyOurOwnTokensAreRead(t *testing.T) {
	c := caller()
	if got, err := keys.Verify(signed(t, keys, c)); err != nil || got != c {
		t.Fatalf("%+v, %v; want %+v", got, err, c)
	}
	c.PersonID = uuid.Nil // a token that names none is of who is nobody else
	if got, err := keys.Verify(signed(t, keys, c)); err != nil || got.PersonID != c.UserID {
		t.Fatalf("%+v, %v", got, err)
	}
	claims := func(change func(jwt.MapClaims)) jwt.MapClaims {
		m := jwt.MapClaims{"iss": "ticketremaster", "sub": uuid.NewString(), "sid": uuid.NewString(), "typ": "access", "role": "admin", "exp": time.Now().Add(time.Minute).Unix()}
		change(m)
		return m
	}
	make := func(method jwt.SigningMethod, key any, m jwt.MapClaims) string {
		s, err := jwt.NewWithClaims(method, m).SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	none := func(jwt.MapClaims) {}
	for name, bad := range map[string]string{
		"nothing":         "",
		"no token":        "abc",
		"another key":     make(jwt.SigningMethodHS256, []byte("another key, also 32 bytes long!"), claims(none)),
		"alg none":        make(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, claims(none)),
		"HS512":           make(jwt.SigningMethodHS512, keys.Secret, claims(none)),
		"no person":       make(jwt.SigningMethodHS256, keys.Secret, claims(func(m jwt.MapClaims) { m["pid"] = "me" })),
		"another issuer":  make(jwt.SigningMethodHS256, keys.Secret, claims(func(m jwt.MapClaims) { m["iss"] = "someone" })),
		"no exp":          make(jwt.SigningMethodHS256, keys.Secret, claims(func(m jwt.MapClaims) { delete(m, "exp") })),
		"a refresh token": make(jwt.SigningMethodHS256, keys.Secret, claims(func(m jwt.MapClaims) { m["typ"] = "refresh" })),
		"no session":      make(jwt.SigningMethodHS256, keys.Secret, claims(func(m jwt.MapClaims) { delete(m, "sid") })),
		"no subject":      make(jwt.SigningMethodHS256, keys.Secret, claims(func(m jwt.MapClaims) { m["sub"] = "admin" })),
	} {
		if got, err := keys.Verify(bad); fault.Code(err) != fault.CodeUnauthorized {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	late := c
	late.ExpiresAt = time.Now().Add(-time.Second)
	if _, err := keys.Verify(signed(t, keys, late)); fault.Code(err) != fault.CodeTokenExpired {
		t.Errorf("an expired one: %v", err)
	}
}

func TestRequireAndAllow(t *testing.T) {
	var seen token.Caller
	h := keys.Require(token.Allow(token.Caller.IsAdmin)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen = token.From(r.Context()) })))
	staff, admin := caller(), caller()
	admin.Role = token.Admin
	for name, x := range map[string]struct {
		token  string
		status int
	}{"nobody": {"", 401}, "staff": {signed(t, keys, staff), 403}, "admin": {signed(t, keys, admin), 200}} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Authorization", "Bearer "+x.token)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != x.status {
			t.Errorf("%s: %d", name, w.Code)
		}
	}
	if seen.UserID != admin.UserID {
		t.Errorf("the handler saw %+v", seen)
	}
}

func TestRevokedSessionsAreFollowedAndForgotten(t *testing.T) {
	var revoked token.Revocations
	k := keys
	k.Revocations = &revoked
	c := caller()
	s := signed(t, k, c)
	feed := make(chan []token.Revocation, 1)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var asked []int64
	done := make(chan struct{})
	go func() {
		defer close(done)
		revoked.Follow(ctx, time.Millisecond, func(_ context.Context, after int64) ([]token.Revocation, error) {
			asked = append(asked, after)
			select {
			case news := <-feed:
				return news, nil
			default:
				return nil, errors.New("the feed is down") // the last known set stands
			}
		})
	}()
	if _, err := k.Verify(s); fault.Code(err) != fault.CodeUnavailable {
		t.Fatalf("nothing is known of revoked sessions: %v", err)
	}
	feed <- nil
	wait(t, func() bool { _, err := k.Verify(s); return err == nil })
	feed <- []token.Revocation{{Seq: 7, SessionID: c.SessionID, Until: time.Now().Add(time.Minute)}}
	wait(t, func() bool { _, err := k.Verify(s); return fault.Code(err) == fault.CodeUnauthorized })
	feed <- nil
	wait(t, func() bool { return len(feed) == 0 })
	stop()
	<-done
	if asked[0] != 0 || asked[len(asked)-1] != 7 {
		t.Errorf("asked after %d first and %d last", asked[0], asked[len(asked)-1])
	}
	revoked.Add(time.Now().Add(time.Hour)) // no token of that session can be alive any more
	if err := revoked.Check(c.SessionID); err != nil {
		t.Errorf("the set only grows: %v", err)
	}
}

// A set that was not updated for long judges no token, and neither does one of which only a part is known.
func TestWhoIsNotKnownToBeRevokedIsNotJudgedTooSoonOrTooLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var revoked token.Revocations
		session, down := uuid.New(), errors.New("the feed is down")
		parts := [][]token.Revocation{{{Seq: 1, SessionID: uuid.New(), Until: time.Now().Add(time.Hour)}}, {{Seq: 2, SessionID: session, Until: time.Now().Add(time.Hour)}}, nil}
		asked := 0
		err := revoked.CatchUp(t.Context(), func(_ context.Context, after int64) ([]token.Revocation, error) {
			asked++
			if after == 1 {
				return nil, down
			}
			return parts[0], nil
		})
		if !errors.Is(err, down) || !errors.Is(revoked.Check(session), token.ErrUnjudged) || !errors.Is(revoked.Ready(t.Context()), token.ErrUnjudged) {
			t.Errorf("half of the set is known after %d questions: %v, %v", asked, err, revoked.Check(session))
		}
		feed := func(_ context.Context, after int64) ([]token.Revocation, error) { return parts[after], nil }
		if err := revoked.CatchUp(t.Context(), feed); err != nil || fault.Code(revoked.Check(session)) != fault.CodeUnauthorized {
			t.Errorf("%v, %v", err, revoked.Check(session))
		}
		stranger := uuid.New()
		for _, x := range []struct {
			after time.Duration
			want  string
		}{{0, ""}, {4 * time.Minute, ""}, {2 * time.Minute, fault.CodeUnavailable}} {
			time.Sleep(x.after)
			if got := fault.Code(revoked.Check(stranger)); got != x.want {
				t.Errorf("silent for %s more: %q", x.after, got)
			}
		}
		if fault.Code(revoked.Check(session)) != fault.CodeUnauthorized {
			t.Error("who is known to be revoked is so whatever else is known")
		}
	})
}

func wait(t *testing.T, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it never came true")
		}
	}
}
