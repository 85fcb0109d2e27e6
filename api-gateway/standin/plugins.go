package standin

import (
	"errors"
	"fmt"
	"net/http"
	"reflect"

	"gopkg.in/yaml.v3"
)

// policy is the combination of the plugins that apply to a route, computed once at start. A nil or zero member means
// that the plugin is absent.
type policy struct {
	correlation bool
	cors        *cors
	jwt         *verifier
	apiKeys     *apiKeys
	maxBody     int64 // bytes
	limit       *limiter
	transform   bool
	remove      map[string]bool // headers that the service must not see
	terminate   int             // status
	envelopes   *envelopes
}

// builder makes policies out of plugins.
type builder struct {
	verifier *verifier // one for all scopes, so that a token is cached once
	apiKeys  []string
	clock    clock
}

// apply returns base with plugins put over it: one of the same name is replaced, as Kong does, not added to. A disabled
// plugin is ignored.
func (b builder) apply(base policy, plugins []plugin) (policy, error) {
	seen := map[string]bool{}
	for _, p := range plugins {
		if seen[p.Name] {
			return base, fmt.Errorf("plugin %s stands twice in one scope", p.Name)
		}
		seen[p.Name] = true
		scratch := base
		if err := b.set(&scratch, p); err != nil { // a disabled plugin is checked all the same
			return base, fmt.Errorf("plugin %s: %w", p.Name, err)
		}
		if p.Enabled == nil || *p.Enabled {
			base = scratch
		}
	}
	return base, nil
}

// set puts one plugin into p, after checking that its configuration is the one
// that is implemented here.
func (b builder) set(p *policy, from plugin) error {
	switch from.Name {
	case "correlation-id":
		p.correlation = true
		return exactly(from, correlationConfig{HeaderName: "X-Correlation-ID", Generator: "uuid", EchoDownstream: true})
	case "cors":
		c, err := config[corsConfig](from)
		if err != nil {
			return err
		}
		p.cors, err = newCORS(c)
		return err
	case "jwt":
		p.jwt = b.verifier
		return exactly(from, jwtConfig{
			KeyClaimName: "iss", ClaimsToVerify: []string{"exp"}, HeaderNames: []string{"authorization"},
			URIParamNames: []string{}, CookieNames: []string{}, // absent would mean Kong's default: ?jwt= is taken
		})
	case "key-auth":
		p.apiKeys = &apiKeys{b.apiKeys}
		return exactly(from, keyAuthConfig{KeyNames: []string{"apikey"}, InHeader: ptr(true), InQuery: ptr(false), InBody: ptr(false),
			HideCredentials: true, RunOnPreflight: ptr(false)})
	case "request-size-limiting":
		c, err := config[sizeConfig](from)
		if err == nil && (c.Allowed <= 0 || c.Unit != "kilobytes") {
			err = errors.New("want allowed_payload_size in kilobytes")
		}
		p.maxBody = c.Allowed << 10
		return err
	case "rate-limiting":
		c, err := config[rateConfig](from)
		byToken := c.LimitBy == "header" && c.Header == "Authorization"
		if err == nil && (c.Minute <= 0 || c.Policy != "local" || !byToken && (c.LimitBy != "ip" || c.Header != "") || !c.FaultTolerant) {
			err = errors.New("want minute above 0, policy local, limit_by ip or the header Authorization, and fault_tolerant")
		}
		p.limit = newLimiter(c.Minute, byToken, b.clock)
		return err
	case "request-transformer":
		c, err := config[transformConfig](from)
		if err == nil && c.Replace.URI != "/$(uri_captures[1] or '')" {
			err = errors.New("want replace.uri to be the first capture")
		}
		p.transform, p.remove = true, headerSet(c.Remove.Headers...)
		return err
	case "request-termination":
		p.terminate = http.StatusNotFound
		return exactly(from, terminationConfig{StatusCode: http.StatusNotFound, Message: "Not Found"})
	case "pre-function":
		c, err := config[functionConfig](from)
		if err != nil {
			return err
		}
		p.envelopes, err = newEnvelopes(c)
		return err
	default:
		return errors.New("is not known here")
	}
}

// config decodes a plugin's configuration and refuses unknown fields.
func config[T any](p plugin) (T, error) {
	var c T
	text, err := yaml.Marshal(&p.Config)
	if err != nil {
		return c, err
	}
	return c, decodeStrict(text, &c)
}

// exactly refuses any configuration but the one given.
func exactly[T any](p plugin, want T) error {
	got, err := config[T](p)
	if err == nil && !reflect.DeepEqual(got, want) {
		err = fmt.Errorf("only this configuration is known here: %+v", want)
	}
	return err
}

func ptr[T any](v T) *T { return &v }

type correlationConfig struct {
	HeaderName     string `yaml:"header_name"`
	Generator      string `yaml:"generator"`
	EchoDownstream bool   `yaml:"echo_downstream"`
}

type jwtConfig struct {
	KeyClaimName   string   `yaml:"key_claim_name"`
	ClaimsToVerify []string `yaml:"claims_to_verify"`
	URIParamNames  []string `yaml:"uri_param_names"`
	CookieNames    []string `yaml:"cookie_names"`
	HeaderNames    []string `yaml:"header_names"`
}

type keyAuthConfig struct {
	KeyNames        []string `yaml:"key_names"`
	InHeader        *bool    `yaml:"key_in_header"`
	InQuery         *bool    `yaml:"key_in_query"`
	InBody          *bool    `yaml:"key_in_body"`
	HideCredentials bool     `yaml:"hide_credentials"`
	RunOnPreflight  *bool    `yaml:"run_on_preflight"`
}

type sizeConfig struct {
	Allowed int64  `yaml:"allowed_payload_size"`
	Unit    string `yaml:"size_unit"`
}

type rateConfig struct {
	Minute        int    `yaml:"minute"`
	Policy        string `yaml:"policy"`
	LimitBy       string `yaml:"limit_by"`
	Header        string `yaml:"header_name"`
	FaultTolerant bool   `yaml:"fault_tolerant"`
}

type transformConfig struct {
	Replace struct {
		URI string `yaml:"uri"`
	} `yaml:"replace"`
	Remove struct {
		Headers []string `yaml:"headers"`
	} `yaml:"remove"`
}

type terminationConfig struct {
	StatusCode int    `yaml:"status_code"`
	Message    string `yaml:"message"`
}

type functionConfig struct {
	Rewrite      []string `yaml:"rewrite"`
	HeaderFilter []string `yaml:"header_filter"`
	BodyFilter   []string `yaml:"body_filter"`
}
