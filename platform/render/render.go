// Package render fills the placeholders of a JSON or YAML file from the
// environment. Kong and RabbitMQ read their declarations literally, so
// secrets and addresses have to be put in before they start (docs/architecture.md#the-broker).
//
// RABBITMQ_PASS_HASH is derived from RABBITMQ_PASS by RabbitPasswordHash.
//
// A placeholder is written in one of these ways:
//
//	"${NAME}"           text, only inside double quotes
//	"${NAME|secret}"    the same, at least 32 bytes, never "change_me"
//	${NAME|number}      a whole number that is not negative
//	${NAME|limit:-N}    the same, and in production at most ten times its default
//	${NAME|list}        a comma list, becomes ["a", "b"]
//	${NAME|targets}     a comma list of http://host:port, becomes [{"target": "host:port"}, …]
//	${NAME|set}         true if NAME is set and not empty, else false
//
// Each but set may carry a default, `${NAME:-default}`, which
// stands in for a variable that is missing or empty. A line whose first
// character is # is a comment and stays as it is.
//
// Values are escaped as JSON strings, which YAML's double quotes read the same
// way, so that no value can end the string it stands in.
package render

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"ticketremaster/platform/placeholder"
)

// MinSecretBytes is the least length of a |secret value: the size of the hash
// that HS256 is keyed for.
const MinSecretBytes = 32

// references matches name, filter and default.
var references = regexp.MustCompile(`\$\{([A-Za-z_][A-Za-z0-9_]*)(?:\|([a-z]+))?(:-[^}]*)?\}`)

// Result is a filled file and what its reader should be told.
type Result struct {
	Text     []byte
	Warnings []string // one per variable that holds a placeholder, without its value
}

// Render fills template with the values that lookup knows, os.LookupEnv for
// instance. The error names every variable that is missing, empty or refused,
// and every placeholder that is written wrongly, all at once; it never shows a
// value. A variable that still holds a sample value is warned of, and refused
// when APP_ENV is production; as a |secret, "change_me" is refused always.
func Render(template []byte, lookup func(string) (string, bool)) (Result, error) {
	r := renderer{lookup: lookup, seen: map[string]bool{}}
	appEnv, _ := lookup("APP_ENV")
	r.production = appEnv == "production"

	lines := strings.SplitAfter(string(template), "\n")
	for i, line := range lines {
		if strings.HasPrefix(strings.TrimSpace(line), "#") {
			continue
		}
		lines[i] = r.line(i+1, line)
	}
	return Result{[]byte(strings.Join(lines, "")), r.warnings}, errors.Join(r.problems...)
}

type renderer struct {
	lookup     func(string) (string, bool)
	production bool
	seen       map[string]bool // what was already warned or complained of
	warnings   []string
	problems   []error
}

func (r *renderer) line(number int, line string) string {
	var out strings.Builder
	end := 0
	for _, m := range references.FindAllStringSubmatchIndex(line, -1) {
		out.WriteString(line[end:m[0]])
		end = m[1]
		p := reference{name: line[m[2]:m[3]], quoted: insideQuotes(line[:m[0]])}
		if m[4] >= 0 {
			p.filter = line[m[4]:m[5]]
		}
		if m[6] >= 0 {
			p.fallback = line[m[6]+len(":-") : m[7]]
		}
		text, err := r.value(p)
		if err != nil {
			r.complain(number, p.source(), err)
		}
		out.WriteString(text)
	}
	if strings.Contains(line[end:], "${") {
		r.problems = append(r.problems, fmt.Errorf("line %d: malformed placeholder", number))
	}
	out.WriteString(line[end:])
	return out.String()
}

// complain notes each fault of a variable once, at the line that has it first.
func (r *renderer) complain(line int, name string, err error) {
	if key := name + " " + err.Error(); !r.seen[key] {
		r.seen[key] = true
		r.problems = append(r.problems, fmt.Errorf("line %d: %s %w", line, name, err))
	}
}

// reference is one placeholder as the template writes it.
type reference struct {
	name, filter, fallback string
	quoted                 bool
}

// source is the variable that a person sets.
func (p reference) source() string {
	if p.name == passHash {
		return passSource
	}
	return p.name
}

func (r *renderer) value(p reference) (string, error) {
	source := p.source()
	value, _ := r.lookup(source)
	if p.filter == "set" {
		return strconv.FormatBool(value != ""), quoting(p, false)
	}
	if value == "" {
		value = p.fallback
	}
	if value == "" {
		return "", errors.New("is missing or empty")
	}
	if !utf8.ValidString(value) || strings.ContainsFunc(value, unicode.IsControl) {
		return "", errors.New("has a control character or is not UTF-8")
	}
	if placeholder.Is(value) {
		if r.production || p.filter == "secret" && placeholder.Blank(value) {
			return "", errors.New("still holds a placeholder, not a value of its own")
		}
		if !r.seen[source] {
			r.seen[source] = true
			r.warnings = append(r.warnings, source+" still holds a placeholder: anyone who read the sample file knows it")
		}
	}
	if p.name == passHash {
		value = RabbitPasswordHash(value)
	}
	switch p.filter {
	case "":
		return escape(value), quoting(p, true)
	case "secret":
		if len(value) < MinSecretBytes {
			return "", fmt.Errorf("has %d bytes, a secret needs at least %d", len(value), MinSecretBytes)
		}
		return escape(value), quoting(p, true)
	case "number":
		if _, err := strconv.ParseUint(value, 10, 31); err != nil {
			return "", errors.New("is not a whole number")
		}
		return value, quoting(p, false)
	case "limit":
		usual, err := strconv.ParseUint(p.fallback, 10, 27)
		if err != nil {
			return "", errors.New("with |limit has no number as its default")
		}
		n, err := strconv.ParseUint(value, 10, 31)
		if err != nil {
			return "", errors.New("is not a whole number")
		}
		if most := 10 * usual; r.production && n > most {
			return "", fmt.Errorf("is %d, and in production at most %d: more is no limit", n, most)
		}
		return value, quoting(p, false)
	case "list":
		return list(value), quoting(p, false)
	case "targets":
		text, err := targets(value)
		return text, cmp.Or(err, quoting(p, false))
	default:
		return "", fmt.Errorf("has the unknown filter %q", p.filter)
	}
}

// quoting refuses a placeholder that stands inside quotes when its value
// brings its own syntax, and one outside when it is text.
func quoting(p reference, want bool) error {
	if p.quoted == want {
		return nil
	}
	if want {
		return errors.New("is text and must stand inside double quotes")
	}
	return fmt.Errorf("with |%s must not stand inside quotes", p.filter)
}

// insideQuotes reports whether text ends within a double-quoted string.
func insideQuotes(text string) bool {
	inside := false
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '"':
			inside = !inside
		case text[i] == '\\' && inside:
			i++
		}
	}
	return inside
}

// escape returns value as the inside of a JSON string.
func escape(value string) string {
	quoted, _ := json.Marshal(value) // a string always marshals
	return string(quoted[1 : len(quoted)-1])
}

func list(value string) string {
	text, _ := json.Marshal(items(value)) // strings always marshal
	return string(text)
}

// items returns the parts of a comma list that are not empty.
func items(value string) []string {
	all := []string{}
	for item := range strings.SplitSeq(value, ",") {
		if item = strings.TrimSpace(item); item != "" {
			all = append(all, item)
		}
	}
	return all
}

// targets returns the hosts of http addresses as Kong's upstreams list them.
func targets(value string) (string, error) {
	type target struct {
		Target string `json:"target"`
	}
	var all []target
	for _, address := range items(value) {
		host, ok := strings.CutPrefix(strings.TrimSuffix(address, "/"), "http://")
		name, port, err := net.SplitHostPort(host)
		if _, bad := strconv.ParseUint(port, 10, 16); !ok || err != nil || name == "" || bad != nil {
			return "", errors.New("is not a comma list of http://host:port")
		}
		all = append(all, target{host})
	}
	text, err := json.Marshal(all)
	return string(text), err
}
