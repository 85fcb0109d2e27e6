// Package placeholder knows the values that sample files carry in a secret's place. Anyone can read them, so they
// are warned of at every start and refused in production (docs/architecture.md#configuration), by services and by what fills in
// kong.yml and definitions.json alike.
package placeholder

import (
	"regexp"
	"strings"
)

// demo marks the secrets of .env.example, in any place: a Stripe key has to begin with sk_test_.
const demo = "demo-only"

var blank = regexp.MustCompile(`(?i)^(change[-_ ]?me.*|guest|password|secret|placeholder.*|your_.*|.*\.\.\.|.*_here|<.*>|todo|xxx+)$`)

// Is reports whether value is a sample: one with which a demo works, or none at all.
func Is(value string) bool { return strings.Contains(value, demo) || Blank(value) }

// Blank reports whether value only says that one is to be chosen, such as change_me, your_jwt_secret_here or
// sk_test_...: nothing works with it as it should.
func Blank(value string) bool { return blank.MatchString(strings.TrimSpace(value)) }
