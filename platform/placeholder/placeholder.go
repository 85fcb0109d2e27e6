// Package placeholder recognises the sample values of secrets. Anyone can read them, so they are logged as warnings at
// every start and refused in production (docs/architecture.md#configuration), by services and by the renderer of
// kong.yml and definitions.json alike.
package placeholder

import (
	"regexp"
	"strings"
)

// demo marks the secrets of .env.example, in any place: a Stripe key has to begin with sk_test_.
const demo = "demo-only"

var blank = regexp.MustCompile(`(?i)^(change[-_ ]?me.*|guest|password|secret|placeholder.*|your_.*|.*\.\.\.|.*_here|<.*>|todo|xxx+)$`)

// Is reports whether value is a sample: one that a demo works with, or a blank.
func Is(value string) bool { return strings.Contains(value, demo) || Blank(value) }

// Blank reports whether value only asks for one to be chosen, such as change_me, your_jwt_secret_here or sk_test_...:
// it is no usable value.
func Blank(value string) bool { return blank.MatchString(strings.TrimSpace(value)) }
