// Package config reads a service's settings from the environment into a struct with `env` tags
// (caarlos0/env) and names everything that is wrong with them at once.
package config

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"

	"github.com/caarlos0/env/v11"

	"ticketremaster/platform/placeholder"
)

// Load fills a T from the environment. The error names every missing or malformed variable. A T with a
// method Validate() error is asked too. A secret that is a placeholder is warned of, and refused when
// APP_ENV is production.
func Load[T any]() (T, error) {
	c, err := env.ParseAs[T]()
	var problems []string
	var all env.AggregateError
	if errors.As(err, &all) {
		for _, e := range all.Errors {
			var malformed env.ParseError
			if errors.As(e, &malformed) { // it names the struct's field only; the next line its variable
				continue
			}
			problems = append(problems, e.Error())
		}
		problems = append(problems, malformedIn(reflect.TypeFor[T]())...)
	} else if err != nil {
		problems = append(problems, err.Error())
	}
	if v, ok := any(&c).(interface{ Validate() error }); ok && err == nil {
		if err := v.Validate(); err != nil {
			problems = append(problems, strings.Split(err.Error(), "\n")...)
		}
	}
	problems = append(problems, checkSecrets(reflect.ValueOf(c))...)
	if len(problems) > 0 {
		return c, fmt.Errorf("the configuration is not usable:\n  - %s", strings.Join(problems, "\n  - "))
	}
	return c, nil
}

// malformedIn parses each variable of t alone, and names those that do not fit their type.
func malformedIn(t reflect.Type) (problems []string) {
	for i := range t.NumField() {
		f := t.Field(i)
		tag, isVariable := f.Tag.Lookup("env")
		if !isVariable {
			if f.Type.Kind() == reflect.Struct {
				problems = append(problems, malformedIn(f.Type)...)
			}
			continue
		}
		alone := reflect.New(reflect.StructOf([]reflect.StructField{{Name: f.Name, Type: f.Type, Tag: f.Tag}}))
		var malformed env.ParseError
		if err := env.Parse(alone.Interface()); errors.As(err, &malformed) {
			name, _, _ := strings.Cut(tag, ",")
			problems = append(problems, fmt.Sprintf("%s is malformed: %v", name, malformed.Err))
		}
	}
	return problems
}

// Common is embedded by every service's settings.
type Common struct {
	AppEnv    string `env:"APP_ENV" envDefault:"development"` // production refuses placeholder secrets
	LogLevel  string `env:"LOG_LEVEL" envDefault:"info"`
	DebugAddr string `env:"DEBUG_ADDR"` // serves pprof if set; a loopback address
}

// Secret is a setting that never appears in a log: it prints as ***.
type Secret string

func (Secret) String() string               { return "***" }
func (Secret) GoString() string             { return "***" }
func (Secret) LogValue() slog.Value         { return slog.StringValue("***") }
func (Secret) MarshalText() ([]byte, error) { return []byte("***"), nil }

// Reveal gives the secret itself.
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
