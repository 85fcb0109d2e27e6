// Package config reads a service's settings from the environment into a struct with `env` tags
// (caarlos0/env) and names everything that is wrong with them at once.
package config

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"

	"ticketremaster/platform/placeholder"
)

// Load fills a T from the environment. The error names every missing or malformed variable. If T, or a struct in it,
// has a method Validate() error, it is called too; T's only once all variables could be read. A secret that is a
// placeholder is logged as a warning, and refused when APP_ENV is production.
func Load[T any]() (T, error) {
	environment := environment()
	c, err := env.ParseAsWithOptions[T](env.Options{Environment: environment})
	var problems []string
	var all env.AggregateError
	if errors.As(err, &all) {
		for _, e := range all.Errors {
			var malformed env.ParseError
			if errors.As(e, &malformed) { // it names only the struct's field; the next line names its variable
				continue
			}
			problems = append(problems, e.Error())
		}
		problems = append(problems, malformedIn(reflect.TypeFor[T](), environment)...)
	} else if err != nil {
		problems = append(problems, err.Error())
	}
	for part := range parts(reflect.ValueOf(&c).Elem()) {
		v, ok := part.Addr().Interface().(interface{ Validate() error })
		if whole := part.Type() == reflect.TypeFor[T](); !ok || whole && err != nil {
			continue
		}
		if err := v.Validate(); err != nil {
			for problem := range strings.Lines(err.Error()) {
				if problem = strings.TrimSuffix(problem, "\n"); !slices.Contains(problems, problem) { // an embedded part's method is the whole's too
					problems = append(problems, problem)
				}
			}
		}
	}
	problems = append(problems, checkSecrets(reflect.ValueOf(c))...)
	if len(problems) > 0 {
		return c, fmt.Errorf("the configuration is not usable:\n  - %s", strings.Join(problems, "\n  - "))
	}
	return c, nil
}

// environment returns the process's variables without service links: Kubernetes and Docker set
// RABBITMQ_PORT=tcp://10.96.0.7:5672 for a service named rabbitmq, which is not our setting of that name.
func environment() map[string]string {
	all := env.ToMap(os.Environ())
	for name, value := range all {
		if strings.HasSuffix(name, "_PORT") && link.MatchString(value) {
			delete(all, name)
		}
	}
	return all
}

var link = regexp.MustCompile(`^(tcp|udp|sctp)://`)

// parts returns the struct and the structs in it that hold variables.
func parts(v reflect.Value) iter.Seq[reflect.Value] {
	return func(yield func(reflect.Value) bool) {
		if !yield(v) {
			return
		}
		for i := range v.NumField() {
			f := v.Type().Field(i)
			if _, isVariable := f.Tag.Lookup("env"); f.Type.Kind() != reflect.Struct || isVariable || !f.IsExported() {
				continue
			}
			for part := range parts(v.Field(i)) {
				if !yield(part) {
					return
				}
			}
		}
	}
}

// malformedIn parses each variable of t alone and names those that do not fit their type.
func malformedIn(t reflect.Type, environment map[string]string) (problems []string) {
	for part := range parts(reflect.New(t).Elem()) {
		for i := range part.NumField() {
			f := part.Type().Field(i)
			tag, isVariable := f.Tag.Lookup("env")
			if !isVariable {
				continue
			}
			alone := reflect.New(reflect.StructOf([]reflect.StructField{{Name: f.Name, Type: f.Type, Tag: f.Tag}}))
			var malformed env.ParseError
			if err := env.ParseWithOptions(alone.Interface(), env.Options{Environment: environment}); errors.As(err, &malformed) {
				name, _, _ := strings.Cut(tag, ",")
				problems = append(problems, fmt.Sprintf("%s is malformed: %v", name, malformed.Err))
			}
		}
	}
	return problems
}

// Common is embedded by every service's settings.
type Common struct {
	AppEnv    string `env:"APP_ENV" envDefault:"development"` // production refuses placeholder secrets
	LogLevel  string `env:"LOG_LEVEL" envDefault:"info"`
	DebugAddr string `env:"DEBUG_ADDR"` // serves pprof if set; a loopback address
	// DrainPause is how long a service that is to end says that it is not ready before it takes no more requests: as
	// long as whoever sends them needs to notice.
	DrainPause time.Duration `env:"DRAIN_PAUSE" envDefault:"0s"`
}

// Validate checks what the tags cannot say.
func (c *Common) Validate() error {
	if c.DrainPause < 0 || c.DrainPause > time.Minute {
		return errors.New("DRAIN_PAUSE must be from 0s to 1m")
	}
	return nil
}

// Secret is a setting that never appears in a log: it prints as ***.
type Secret string

func (Secret) String() string               { return "***" }
func (Secret) GoString() string             { return "***" }
func (Secret) LogValue() slog.Value         { return slog.StringValue("***") }
func (Secret) MarshalText() ([]byte, error) { return []byte("***"), nil }

// Reveal returns the secret itself.
func (s Secret) Reveal() string { return string(s) }

// Placeholder reports whether the secret is a sample value that anyone can read.
func (s Secret) Placeholder() bool { return placeholder.Is(string(s)) }

// checkSecrets walks v's fields for placeholder secrets.
func checkSecrets(v reflect.Value) (problems []string) {
	production := v.FieldByName("AppEnv").IsValid() && v.FieldByName("AppEnv").String() == "production"
	var walk func(reflect.Value)
	walk = func(v reflect.Value) {
		for i := range v.NumField() {
			f, field := v.Field(i), v.Type().Field(i)
			if !field.IsExported() {
				continue // the environment cannot set it
			}
			sample := false
			switch s := f.Interface().(type) {
			case Secret:
				sample = s.Placeholder()
			case Key32:
				sample = s.Placeholder()
			case *Key32:
				sample = s != nil && s.Placeholder()
			default:
				if f.Kind() == reflect.Struct {
					walk(f)
				}
			}
			name, _, _ := strings.Cut(field.Tag.Get("env"), ",")
			switch {
			case sample && production:
				problems = append(problems, fmt.Sprintf("%s is a placeholder that anyone can read: set a secret of your own", name))
			case sample:
				slog.Warn("PLACEHOLDER SECRET: anyone can read this value; never use it in production", "variable", name)
			}
		}
	}
	walk(v)
	return problems
}

// Key32 is a 32-byte key given raw, in hex or in base64 (standard or URL alphabet, padded or not).
type Key32 [32]byte

func (k *Key32) String() string { return "***" }

// Placeholder reports whether the key is a sample value that anyone can read.
func (k Key32) Placeholder() bool { return placeholder.Is(string(k[:])) }

// UnmarshalText reads the key in any of its forms.
func (k *Key32) UnmarshalText(text []byte) error {
	s := string(text)
	candidates := [][]byte{text}
	if b, err := hex.DecodeString(s); err == nil {
		candidates = append(candidates, b)
	}
	unpadded := strings.TrimRight(s, "=")
	for _, e := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		if b, err := e.DecodeString(unpadded); err == nil {
			candidates = append(candidates, b)
		}
	}
	for _, c := range candidates {
		if len(c) == len(k) {
			copy(k[:], c)
			return nil
		}
	}
	return fmt.Errorf("must be 32 bytes, raw or as base64 or hex (openssl rand -base64 32 makes one); it is %d characters", len(text))
}
