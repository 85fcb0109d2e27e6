package rules

import (
	"strings"
	_ "time/tzdata" // an image of the service has no zones of its own
)

// SameHall compares the names of halls as people type them: capitals do not matter, nor blanks, hyphens and underscores
// between words.
func SameHall(a, b string) bool { return hall(a) == hall(b) }

func hall(name string) string {
	return strings.Join(strings.FieldsFunc(strings.ToUpper(name), func(r rune) bool {
		return r == ' ' || r == '-' || r == '_' || r == '\t' || r == '\u00a0' || r == '\u2010' || r == '\u2011' || r == '\u2013'
	}), " ")
}

// Scanned gives a code as it was printed, from what a scanner types: without the blanks and line ends around it, and without the
// name of the symbology (AIM's "]Q1") that some put in front.
func Scanned(text string) string {
	text = strings.TrimSpace(text)
	if len(text) > 3 && strings.HasPrefix(text, "]Q") && text[2] >= '0' && text[2] <= '9' {
		return text[3:]
	}
	return text
}
