package standin

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
)

// envelopes are the bodies of the gateway's own errors, by status.
type envelopes struct {
	byStatus map[int][]byte
	expired  []byte // 401 of a token whose only fault is its age
}

// knownFunctions is the SHA-256 of kong.yml's pre-function: its three functions in the order rewrite, header_filter,
// body_filter, without the texts of the envelopes. There is no Lua here: the functions are implemented in Go as well
// (arrive in gateway.go, and this file). A change of them must be made in both, and then here.
const knownFunctions = "cec6914724536704899ae3796033e70d3748c9494d60020cd03abb39eb3b227a"

var (
	envelopeLine = regexp.MustCompile(`(?m)^  \[(\d{3})\] = '(\{[^'\\]*\})',$\n`)
	expiredLine  = regexp.MustCompile(`(?m)^local expired = '(\{[^'\\]*\})'$`)
)

func newEnvelopes(c functionConfig) (*envelopes, error) {
	if len(c.Rewrite) != 1 || len(c.HeaderFilter) != 1 || len(c.BodyFilter) != 1 {
		return nil, errors.New("want one function each for rewrite, header_filter and body_filter")
	}
	e := envelopes{byStatus: map[int][]byte{}}
	code := c.BodyFilter[0]
	for _, m := range envelopeLine.FindAllStringSubmatch(code, -1) {
		status, _ := strconv.Atoi(m[1]) // three digits
		if e.byStatus[status] != nil {
			return nil, fmt.Errorf("two envelopes for %d", status)
		}
		e.byStatus[status] = []byte(m[2])
	}
	if m := expiredLine.FindStringSubmatch(code); m != nil {
		e.expired = []byte(m[1])
	}
	code = expiredLine.ReplaceAllLiteralString(envelopeLine.ReplaceAllLiteralString(code, ""), "")
	sum := sha256.Sum256([]byte(c.Rewrite[0] + "\x00" + c.HeaderFilter[0] + "\x00" + code))
	if got := hex.EncodeToString(sum[:]); got != knownFunctions {
		return nil, fmt.Errorf("its functions are not those that are known here (standin/envelope.go): SHA-256 %s", got)
	}
	if e.byStatus[http.StatusBadRequest] == nil || e.byStatus[http.StatusInternalServerError] == nil || !json.Valid(e.expired) {
		return nil, errors.New("want envelopes for 400, 500 and the expired token")
	}
	for status, text := range e.byStatus {
		if !json.Valid(text) {
			return nil, fmt.Errorf("the envelope for %d is not JSON", status)
		}
	}
	return &e, nil
}

// body returns what to answer with status.
func (e *envelopes) body(status int) []byte {
	if text := e.byStatus[status]; text != nil {
		return text
	}
	if status < 500 {
		return e.byStatus[http.StatusBadRequest]
	}
	return e.byStatus[http.StatusInternalServerError]
}
