package conformance

import (
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

func TestTokens(t *testing.T) {
	key := []byte(shared.secret)
	hs256 := func(change jwt.MapClaims) string { return sign(t, jwt.SigningMethodHS256, key, change) }
	good := hs256(nil)
	expired := jwt.MapClaims{"exp": time.Now().Add(-time.Minute).Unix()}
	for name, c := range map[string]struct {
		query   string
		headers []string
		code    string
	}{
		"missing":               {"", nil, "UNAUTHORIZED"},
		"expired":               {"", []string{"Authorization", "Bearer " + hs256(expired)}, "TOKEN_EXPIRED"},
		"expired, of wrong key": {"", []string{"Authorization", "Bearer " + sign(t, jwt.SigningMethodHS256, []byte("another-secret-of-32-bytes-012345"), expired)}, "UNAUTHORIZED"},
		"wrong key":             {"", []string{"Authorization", "Bearer " + sign(t, jwt.SigningMethodHS256, []byte("another-secret-of-32-bytes-012345"), nil)}, "UNAUTHORIZED"},
		"the placeholder's key": {"", []string{"Authorization", "Bearer " + sign(t, jwt.SigningMethodHS256, []byte("${JWT_SECRET}"), nil)}, "UNAUTHORIZED"},
		"alg none":              {"", []string{"Authorization", "Bearer " + sign(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, nil)}, "UNAUTHORIZED"},
		"another algorithm":     {"", []string{"Authorization", "Bearer " + sign(t, jwt.SigningMethodHS512, key, nil)}, "UNAUTHORIZED"},
		"no exp":                {"", []string{"Authorization", "Bearer " + hs256(jwt.MapClaims{"exp": nil})}, "UNAUTHORIZED"},
		"exp as text":           {"", []string{"Authorization", "Bearer " + hs256(jwt.MapClaims{"exp": "9999999999"})}, "UNAUTHORIZED"},
		"no issuer":             {"", []string{"Authorization", "Bearer " + hs256(jwt.MapClaims{"iss": nil})}, "UNAUTHORIZED"},
		"another issuer":        {"", []string{"Authorization", "Bearer " + hs256(jwt.MapClaims{"iss": "somebody"})}, "UNAUTHORIZED"},
		"no bearer scheme":      {"", []string{"Authorization", good}, "UNAUTHORIZED"},
		"basic scheme":          {"", []string{"Authorization", "Basic " + good}, "UNAUTHORIZED"},
		"empty":                 {"", []string{"Authorization", "Bearer "}, "UNAUTHORIZED"},
		"garbage":               {"", []string{"Authorization", "Bearer a.b.c"}, "UNAUTHORIZED"},
		"cut off":               {"", []string{"Authorization", "Bearer " + good[:len(good)-4]}, "UNAUTHORIZED"},
		"in the query":          {"?jwt=" + good, nil, "UNAUTHORIZED"},
		"in a cookie":           {"", []string{"Cookie", "jwt=" + good}, "UNAUTHORIZED"},
		"claimed in a header":   {"", []string{"X-Consumer-ID", id, "X-Authenticated-Userid", id, "X-User-ID", id}, "UNAUTHORIZED"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, path := range spellings("/tickets") {
				shared.ask(t, "GET", path+c.query, nil, c.headers...).wantError(t, 401, c.code)
			}
		})
	}
	t.Run("good", func(t *testing.T) {
		got := shared.ask(t, "GET", "/tickets", nil, "Authorization", "Bearer "+good)
		if got.byGateway(401) {
			t.Fatalf("refused: %s", got.body)
		}
		if shared.echoes && got.heard(t).Header.Get("Authorization") != "Bearer "+good {
			t.Error("the service does not get the token, which it reads itself")
		}
	})
}

// Clients send their token on public pages too, valid or not.
func TestStaleTokenDoesNotFailPublicPages(t *testing.T) {
	stale := "Bearer " + sign(t, jwt.SigningMethodHS256, []byte(shared.secret), jwt.MapClaims{"exp": time.Now().Add(-time.Hour).Unix()})
	for _, path := range []string{"/events", "/api/events", "/events/" + id, "/health", "/docs"} {
		for _, token := range []string{stale, "Bearer garbage"} {
			if got := shared.ask(t, "GET", path, nil, "Authorization", token); got.status == 401 {
				t.Errorf("%s: %s", path, got.body)
			}
		}
	}
}

// /auth/refresh comes with the refresh token as bearer, an empty body and a form's content type.
func TestRefreshIsLeftToTheUserService(t *testing.T) {
	got := shared.ask(t, "POST", "/auth/refresh", nil, "Authorization", "Bearer an-opaque-refresh-token", "Content-Type", "application/x-www-form-urlencoded")
	if got.byGateway(401) || got.byGateway(404) {
		t.Fatalf("refused by the gateway: %s", got.body)
	}
	if shared.echoes && got.heard(t).Header.Get("Authorization") != "Bearer an-opaque-refresh-token" {
		t.Error("the refresh token is lost")
	}
}
