package standin

import (
	"errors"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

type corsConfig struct {
	Origins           []string `yaml:"origins"`
	Methods           []string `yaml:"methods"`
	Headers           []string `yaml:"headers"`
	ExposedHeaders    []string `yaml:"exposed_headers"`
	Credentials       *bool    `yaml:"credentials"`
	MaxAge            int      `yaml:"max_age"` // seconds
	PreflightContinue *bool    `yaml:"preflight_continue"`
}

// cors is Kong's cors plugin with listed origins and without credentials.
type cors struct {
	origins                           []string
	methods, headers, exposed, maxAge []string // ready as header values
}

// plainOrigin is what Kong does not take for a regular expression.
var plainOrigin = regexp.MustCompile(`^https?://[A-Za-z0-9.-]+(:[0-9]+)?$`)

func newCORS(c corsConfig) (*cors, error) {
	if len(c.Origins) == 0 || slices.ContainsFunc(c.Origins, func(o string) bool { return !plainOrigin.MatchString(o) }) {
		return nil, errors.New("want origins, each scheme://host:port without wildcards")
	}
	if c.Credentials == nil || *c.Credentials || c.PreflightContinue == nil || *c.PreflightContinue ||
		len(c.Methods) == 0 || len(c.Headers) == 0 || len(c.ExposedHeaders) == 0 || c.MaxAge <= 0 {
		return nil, errors.New("want methods, headers, exposed_headers, max_age, credentials false and preflight_continue false")
	}
	join := func(items []string) []string { return []string{strings.Join(items, ",")} }
	return &cors{
		origins: c.Origins, methods: join(c.Methods), headers: join(c.Headers), exposed: join(c.ExposedHeaders),
		maxAge: []string{strconv.Itoa(c.MaxAge)},
	}, nil
}

// preflight answers r if it is one; it needs neither token nor API key.
func (c *cors) preflight(h http.Header, r *http.Request) bool {
	if r.Method != http.MethodOptions || r.Header.Get("Origin") == "" || r.Header.Get("Access-Control-Request-Method") == "" {
		return false
	}
	c.allowOrigin(h, r)
	h["Access-Control-Allow-Headers"] = c.headers
	h["Access-Control-Allow-Methods"] = c.methods
	h["Access-Control-Max-Age"] = c.maxAge
	return true
}

// decorate marks any other answer, errors included.
func (c *cors) decorate(h http.Header, r *http.Request) {
	c.allowOrigin(h, r)
	h["Access-Control-Expose-Headers"] = c.exposed
}

// allowOrigin names the request's origin if it is listed. A single listed
// origin is named to everyone, as Kong does.
func (c *cors) allowOrigin(h http.Header, r *http.Request) {
	h["Vary"] = []string{"Origin"}
	origin := r.Header.Get("Origin")
	if len(c.origins) == 1 {
		origin = c.origins[0]
	}
	if slices.Contains(c.origins, origin) {
		h["Access-Control-Allow-Origin"] = []string{origin}
	}
}
