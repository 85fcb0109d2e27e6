package standin

import (
	"crypto/subtle"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/valyala/fasthttp"
)

// clock is the source of time; tests use their own.
type clock func() time.Time

var (
	errUnauthorized = errors.New("no valid token")
	errExpired      = errors.New("token expired")
)

// verifier is Kong's jwt plugin with key claim iss, HS256, and exp required.
type verifier struct {
	issuers map[string][]byte
	now     clock

	mu    sync.RWMutex
	known map[string]float64 // tokens with a valid signature, and their exp
}

// The tokens remembered: a client sends the same one for its quarter of an
// hour, and checking it is a tenth of a request's cost.
const (
	maxKnown      = 10_000
	maxKnownBytes = 1 << 10 // of one token
)

func newVerifier(issuers map[string][]byte, now clock) *verifier {
	return &verifier{issuers: issuers, now: now, known: map[string]float64{}}
}

// Claims are judged below and not by the library, which also looks at nbf: Kong
// verifies what claims_to_verify lists and nothing else.
var tokens = jwt.NewParser(jwt.WithValidMethods([]string{"HS256"}), jwt.WithoutClaimsValidation())

// verify takes a request's Authorization headers. It returns errExpired for a token whose only fault is its age, and
// errUnauthorized for any other fault.
func (v *verifier) verify(headers [][]byte) error {
	raw, ok := bearer(headers)
	if !ok {
		return errUnauthorized
	}
	v.mu.RLock()
	exp, known := v.known[raw]
	v.mu.RUnlock()
	if !known {
		var err error
		if exp, err = v.check(raw); err != nil {
			return err
		}
		v.remember(raw, exp)
	}
	if exp <= float64(v.now().Unix()) {
		return errExpired
	}
	return nil
}

// check returns the exp of a token with a valid signature.
func (v *verifier) check(raw string) (float64, error) {
	claims := jwt.MapClaims{}
	_, err := tokens.ParseWithClaims(raw, claims, func(*jwt.Token) (any, error) {
		issuer, _ := claims["iss"].(string)
		if key := v.issuers[issuer]; key != nil {
			return key, nil
		}
		return nil, errUnauthorized
	})
	exp, isNumber := claims["exp"].(float64)
	if err != nil || !isNumber { // Kong: "must be a number"
		return 0, errUnauthorized
	}
	return exp, nil
}

func (v *verifier) remember(raw string, exp float64) {
	if len(raw) > maxKnownBytes {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.known) >= maxKnown {
		clear(v.known)
	}
	v.known[raw] = exp
}

// bearer finds the token in the Authorization header, and only there: not in
// the query, not in a cookie.
func bearer(headers [][]byte) (string, bool) {
	if len(headers) != 1 {
		return "", false
	}
	scheme, token, found := strings.Cut(strings.TrimSpace(string(headers[0])), " ")
	if !found || scheme != "Bearer" && scheme != "bearer" {
		return "", false
	}
	return strings.TrimSpace(token), true
}

// apiKeys is Kong's key-auth plugin, looking at the header apikey.
type apiKeys struct{ known []string }

// admit reports whether the request has a known key, and removes it from the request.
func (k *apiKeys) admit(h *fasthttp.RequestHeader) bool {
	shown := h.PeekAll("Apikey")
	found := 0
	for _, key := range k.known {
		if len(shown) == 1 {
			found |= subtle.ConstantTimeCompare([]byte(key), shown[0])
		}
	}
	h.Del("Apikey")
	return found == 1
}
