package standin

import (
	"crypto/subtle"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// clock is where the time comes from; tests bring their own.
type clock func() time.Time

var (
	errUnauthorized = errors.New("no valid token")
	errExpired      = errors.New("token expired")
)

// verifier is Kong's jwt plugin with key claim iss, HS256, and exp required.
type verifier struct {
	issuers map[string][]byte
	now     clock
}

// Claims are judged below and not by the library, which also looks at nbf: Kong
// verifies what claims_to_verify lists and nothing else.
var tokens = jwt.NewParser(jwt.WithValidMethods([]string{"HS256"}), jwt.WithoutClaimsValidation(), jwt.WithJSONNumber())

// verify takes the bearer token of a request. It returns errExpired for a
// token that is good but for its age, and errUnauthorized for any other fault.
func (v *verifier) verify(h http.Header) error {
	raw, ok := bearer(h)
	if !ok {
		return errUnauthorized
	}
	claims := jwt.MapClaims{}
	_, err := tokens.ParseWithClaims(raw, claims, func(*jwt.Token) (any, error) {
		issuer, _ := claims["iss"].(string)
		if key := v.issuers[issuer]; key != nil {
			return key, nil
		}
		return nil, errUnauthorized
	})
	if err != nil {
		return errUnauthorized
	}
	number, ok := claims["exp"].(json.Number)
	if !ok {
		return errUnauthorized // Kong: "must be a number"
	}
	exp, err := number.Float64()
	if err != nil {
		return errUnauthorized
	}
	if exp <= float64(v.now().Unix()) {
		return errExpired
	}
	return nil
}

// bearer finds the token in the Authorization header, and only there: not in
// the query, not in a cookie.
func bearer(h http.Header) (string, bool) {
	values := h["Authorization"]
	if len(values) != 1 {
		return "", false
	}
	scheme, token, found := strings.Cut(strings.TrimSpace(values[0]), " ")
	if !found || scheme != "Bearer" && scheme != "bearer" {
		return "", false
	}
	return strings.TrimSpace(token), true
}

// apiKeys is Kong's key-auth plugin, looking at the header apikey.
type apiKeys struct{ known []string }

// admit reports whether the request shows a known key, and hides it from the service.
func (k *apiKeys) admit(h http.Header) bool {
	values := h["Apikey"]
	delete(h, "Apikey")
	if len(values) != 1 {
		return false
	}
	found := 0
	for _, key := range k.known {
		found |= subtle.ConstantTimeCompare([]byte(key), []byte(values[0]))
	}
	return found == 1
}
