package standin

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
)

// envelopes are the bodies of the gateway's own errors, by status. kong.yml
// holds them in a Lua function; there is no Lua here, so the function has to be
// this one, word for word, but for the texts, which are read out of it.
type envelopes struct {
	byStatus map[int][]byte
	expired  []byte // 401 of a token that is only too old
}

const headerFilter = `
if kong.response.get_source() ~= "service" and kong.response.get_status() >= 400 then
  kong.response.set_header("Content-Type", "application/json; charset=utf-8")
  kong.response.clear_header("Content-Length")
end
`

// bodyFilter is the function with its list of envelopes taken out (…) and the
// text for an expired token replaced by '…'.
const bodyFilter = `
local status = kong.response.get_status()
if kong.response.get_source() == "service" or status < 400 then
  return
end
local body = kong.response.get_raw_body()
if not body then
  return -- not the last chunk yet
end
local envelopes = {
…
}
local expired = '…'
if status == 401 and string.find(body, "token expired", 1, true) then
  kong.response.set_raw_body(expired)
else
  kong.response.set_raw_body(envelopes[status] or envelopes[status < 500 and 400 or 500])
end
`

var (
	envelopeLine = regexp.MustCompile(`(?m)^  \[(\d{3})\] = '(\{[^'\\]*\})',$\n`)
	expiredLine  = regexp.MustCompile(`(?m)^local expired = '(\{[^'\\]*\})'$`)
)

func newEnvelopes(c functionConfig) (*envelopes, error) {
	if len(c.HeaderFilter) != 1 || strings.TrimSpace(c.HeaderFilter[0]) != strings.TrimSpace(headerFilter) || len(c.BodyFilter) != 1 {
		return nil, errUnknownFunction
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
	code = envelopeLine.ReplaceAllLiteralString(code, "")
	code = strings.Replace(code, "local envelopes = {\n", "local envelopes = {\n…\n", 1)
	code = expiredLine.ReplaceAllLiteralString(code, "local expired = '…'")
	if strings.TrimSpace(code) != strings.TrimSpace(bodyFilter) {
		return nil, errUnknownFunction
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

var errUnknownFunction = errors.New("is not the one function that is known here")

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
