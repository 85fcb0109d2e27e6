package standin

import (
	"bytes"
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/valyala/fasthttp"
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
	origins                           [][]byte
	methods, headers, exposed, maxAge string // ready as header values
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
	list := func(items []string) string { return strings.Join(items, ",") }
	made := &cors{methods: list(c.Methods), headers: list(c.Headers), exposed: list(c.ExposedHeaders), maxAge: strconv.Itoa(c.MaxAge)}
	for _, origin := range c.Origins {
		made.origins = append(made.origins, []byte(origin))
	}
	return made, nil
}

// isPreflight reports whether the request is a preflight, which needs neither token nor API key.
func isPreflight(ctx *fasthttp.RequestCtx) bool {
	h := &ctx.Request.Header
	return ctx.IsOptions() && len(h.Peek("Origin")) > 0 && len(h.Peek("Access-Control-Request-Method")) > 0
}

// preflight answers a preflight.
func (c *cors) preflight(h *fasthttp.ResponseHeader) {
	h.Set("Access-Control-Allow-Headers", c.headers)
	h.Set("Access-Control-Allow-Methods", c.methods)
	h.Set("Access-Control-Max-Age", c.maxAge)
}

// allowed returns the request's origin if it is listed. A single listed
// origin is named to everyone, as Kong does.
func (c *cors) allowed(origin []byte) []byte {
	if len(c.origins) == 1 {
		return c.origins[0]
	}
	for _, listed := range c.origins {
		if bytes.Equal(listed, origin) {
			return listed
		}
	}
	return nil
}

// allow marks an answer, errors included, with the origin that may read it.
func (c *cors) allow(h *fasthttp.ResponseHeader, origin []byte) {
	h.Add("Vary", "Origin")
	setIfAny(h, "Access-Control-Allow-Origin", origin)
}

// decorate marks any answer but a preflight's.
func (c *cors) decorate(h *fasthttp.ResponseHeader) {
	h.Set("Access-Control-Expose-Headers", c.exposed)
}
