// Package standin is a small gateway that reads the same kong.yml as Kong 3.6 and behaves the same
// (docs/adr/gateway-stand-in.md). It is for development and tests on machines without Kong; production runs Kong.
//
// It knows exactly what our kong.yml uses. Any other field, plugin, value or form of path is refused at start, because
// a construct that is silently ignored here and honoured there would make the two differ.
package standin

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

// declaration is Kong's declarative configuration, as far as it is supported.
type declaration struct {
	FormatVersion yaml.Node  `yaml:"_format_version"` // a node, since Kong refuses a number
	Upstreams     []upstream `yaml:"upstreams"`
	Services      []service  `yaml:"services"`
	Routes        []route    `yaml:"routes"` // without a service
	Consumers     []consumer `yaml:"consumers"`
	Plugins       []plugin   `yaml:"plugins"` // global
}

// upstream are the replicas of a service, under the host name that the services' URLs have.
type upstream struct {
	Name    string `yaml:"name"`
	Targets []struct {
		Target string `yaml:"target"` // host:port
	} `yaml:"targets"`
	Healthchecks struct {
		Active probes `yaml:"active"`
	} `yaml:"healthchecks"`
}

// probes are requests to each target that decide whether it gets others. Intervals and the timeout are in seconds, the
// rest are numbers of answers in succession.
type probes struct {
	Type     string `yaml:"type"`
	HTTPPath string `yaml:"http_path"`
	Timeout  int    `yaml:"timeout"`
	Healthy  struct {
		Interval  int `yaml:"interval"` // 0: no probes
		Successes int `yaml:"successes"`
	} `yaml:"healthy"`
	Unhealthy struct {
		Interval     int `yaml:"interval"`
		HTTPFailures int `yaml:"http_failures"`
		TCPFailures  int `yaml:"tcp_failures"`
		Timeouts     int `yaml:"timeouts"`
	} `yaml:"unhealthy"`
}

type service struct {
	Name           string   `yaml:"name"`
	URL            string   `yaml:"url"`
	Retries        *int     `yaml:"retries"`
	ConnectTimeout int      `yaml:"connect_timeout"` // milliseconds, as the two below
	WriteTimeout   int      `yaml:"write_timeout"`
	ReadTimeout    int      `yaml:"read_timeout"`
	Routes         []route  `yaml:"routes"`
	Plugins        []plugin `yaml:"plugins"`
}

type route struct {
	Name    string   `yaml:"name"`
	Methods []string `yaml:"methods"`
	Paths   []string `yaml:"paths"`
	Plugins []plugin `yaml:"plugins"`

	ResponseBuffering *bool `yaml:"response_buffering"` // false for a stream without end
}

type plugin struct {
	Name    string    `yaml:"name"`
	Enabled *bool     `yaml:"enabled"`
	Config  yaml.Node `yaml:"config"`
}

type consumer struct {
	Username   string `yaml:"username"`
	JWTSecrets []struct {
		Key       string `yaml:"key"`
		Algorithm string `yaml:"algorithm"`
		Secret    string `yaml:"secret"`
	} `yaml:"jwt_secrets"`
	KeyAuth []struct {
		Key string `yaml:"key"`
	} `yaml:"keyauth_credentials"`
}

// decodeStrict reads one YAML document into v and refuses fields that v lacks.
func decodeStrict(text []byte, v any) error {
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(v); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if err := d.Decode(new(any)); !errors.Is(err, io.EOF) {
		return errors.New("more than one YAML document")
	}
	return nil
}

// parse reads a rendered kong.yml and checks the file as a whole; plugins and paths are checked where they are built.
func parse(text []byte) (declaration, error) {
	var d declaration
	if err := decodeStrict(text, &d); err != nil {
		return d, err
	}
	if v := d.FormatVersion; v.Value != "3.0" || v.Tag != "!!str" {
		return d, errors.New(`_format_version must be the string "3.0"`)
	}
	services, routes := map[string]bool{}, map[string]bool{}
	for _, s := range d.Services {
		if s.Name == "" || services[s.Name] {
			return d, fmt.Errorf("service %q: every service needs a name of its own", s.Name)
		}
		services[s.Name] = true
		if _, err := d.target(s); err != nil {
			return d, fmt.Errorf("service %s: %w", s.Name, err)
		}
	}
	for r := range d.allRoutes() {
		if r.Name == "" || routes[r.Name] {
			return d, fmt.Errorf("route %q: every route needs a name of its own", r.Name)
		}
		routes[r.Name] = true
	}
	return d, nil
}

func (d declaration) allRoutes() func(yield func(route) bool) {
	return func(yield func(route) bool) {
		for _, s := range d.Services {
			for _, r := range s.Routes {
				if !yield(r) {
					return
				}
			}
		}
		for _, r := range d.Routes {
			if !yield(r) {
				return
			}
		}
	}
}

// target is which upstream a service has, how long to wait for it, and how often to try another of its targets. Services
// that share a target share its connections.
type target struct {
	upstream      string
	connect, read time.Duration
	retries       int
}

func (d declaration) target(s service) (target, error) {
	name, ok := strings.CutPrefix(s.URL, "http://")
	if !ok || d.upstream(name) == nil {
		return target{}, errors.New("url must be http:// and the name of an upstream")
	}
	if err := d.upstream(name).check(); err != nil {
		return target{}, fmt.Errorf("upstream %s: %w", name, err)
	}
	if s.Retries == nil || *s.Retries < 0 || *s.Retries > 1 {
		return target{}, errors.New("retries must be 0 or 1")
	}
	if s.ConnectTimeout <= 0 || s.ReadTimeout <= 0 || s.WriteTimeout != s.ReadTimeout {
		return target{}, errors.New("connect_timeout, write_timeout and read_timeout must be set, the last two alike")
	}
	ms := func(n int) time.Duration { return time.Duration(n) * time.Millisecond }
	return target{name, ms(s.ConnectTimeout), ms(s.ReadTimeout), *s.Retries}, nil
}

// upstream returns the upstream of that name, nil if there is none.
func (d declaration) upstream(name string) *upstream {
	for i := range d.Upstreams {
		if d.Upstreams[i].Name == name {
			return &d.Upstreams[i]
		}
	}
	return nil
}

func (u *upstream) check() error {
	for _, t := range u.Targets {
		if host, port, err := net.SplitHostPort(t.Target); err != nil || host == "" || port == "" {
			return fmt.Errorf("target %q must be host:port", t.Target)
		}
	}
	p := u.Healthchecks.Active
	switch {
	case len(u.Targets) == 0:
		return errors.New("needs targets")
	case p.Type != "http" || p.HTTPPath == "" || p.Timeout <= 0:
		return errors.New("healthchecks.active needs type http, http_path and timeout")
	case p.Healthy.Interval != p.Unhealthy.Interval || p.Healthy.Interval < 0:
		return errors.New("healthchecks.active: both intervals must be alike")
	case p.Healthy.Successes != 1 || p.Unhealthy.HTTPFailures != 1 || p.Unhealthy.TCPFailures != 1 || p.Unhealthy.Timeouts < 1:
		return errors.New("healthchecks.active: successes, http_failures and tcp_failures must be 1, timeouts set")
	}
	return nil
}

// credentials are the consumers' HS256 keys by issuer, and API keys.
func (d declaration) credentials() (issuers map[string][]byte, apiKeys []string, err error) {
	issuers = map[string][]byte{}
	for _, c := range d.Consumers {
		for _, s := range c.JWTSecrets {
			if s.Algorithm != "HS256" || s.Key == "" || s.Secret == "" {
				return nil, nil, fmt.Errorf("consumer %s: a jwt secret needs key, secret and algorithm HS256", c.Username)
			}
			if issuers[s.Key] != nil {
				return nil, nil, fmt.Errorf("consumer %s: two jwt secrets for the key %s", c.Username, s.Key)
			}
			issuers[s.Key] = []byte(s.Secret)
		}
		for _, k := range c.KeyAuth {
			if k.Key == "" {
				return nil, nil, fmt.Errorf("consumer %s: an API key is empty", c.Username)
			}
			apiKeys = append(apiKeys, k.Key)
		}
	}
	return issuers, apiKeys, nil
}
