// Package citations finds links and citations in the repository that lead nowhere, so that documents and comments stay
// true when files move. `make check` runs it.
//
// Checked are, in Markdown, relative links with their anchors and names of files in backquotes; and, in every text
// file, citations of the form docs/<page>.md#<anchor>. Citing a section by its number is an error: numbers change.
package citations

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// read are the endings of files that are looked at; names without an ending (Makefile, Dockerfile, scripts) are too.
var read = []string{"", ".md", ".go", ".sql", ".yaml", ".yml", ".proto", ".conf", ".example", ".editorconfig", ".html", ".js"}

var (
	// A citation begins a word: /docs/openapi.json is an address, ../docs/openapi.yaml a path in code.
	citation = regexp.MustCompile("(?:^|[\\s(\\[,;:`'|])(docs/[A-Za-z0-9_./-]*\\.(?:md|sql|yaml|json))(#[A-Za-z0-9_-]+)?")
	link     = regexp.MustCompile(`\[[^\]]*\]\(([^)\s]+)\)`)
	quoted   = regexp.MustCompile("`[^`]*`")
	file     = regexp.MustCompile(`^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)+\.(go|sql|md|json|ya?ml|proto|conf)$`)
)

// self has dead ones as examples.
const self = "stack/citations/citations_test.go"

// Dead lists what in the tree under root leads nowhere, each as "file:line: what", in the order of files and lines.
func Dead(root string) ([]string, error) {
	t := tree{root: root, anchors: map[string][]string{}}
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			switch d.Name() {
			case ".git", ".run", "node_modules", "vendor": // vendor: others' files
				return filepath.SkipDir
			}
			return nil
		}
		if !d.Type().IsRegular() || !slices.Contains(read, ending(d.Name())) {
			return nil
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		t.look(filepath.ToSlash(relative), string(text))
		return nil
	})
	return t.dead, err
}

// ending of a file's name; .env.example and .editorconfig have theirs, Dockerfile.standin has none.
func ending(name string) string {
	if strings.HasPrefix(name, "Dockerfile") {
		return ""
	}
	return path.Ext(name)
}

type tree struct {
	root    string
	anchors map[string][]string // of the Markdown files read so far
	dead    []string
}

func (t *tree) look(name, text string) {
	markdown := path.Ext(name) == ".md"
	fenced, number := false, 0
	for line := range strings.Lines(text) {
		number++
		report := func(format string, args ...any) {
			t.dead = append(t.dead, fmt.Sprintf("%s:%d: ", name, number)+fmt.Sprintf(format, args...))
		}
		if markdown && strings.HasPrefix(strings.TrimSpace(line), "```") {
			fenced = !fenced
		}
		if fenced || name == self {
			continue
		}
		if strings.Contains(line, "\u00a7") {
			report("cites a section by its number; cite docs/<page>.md#<anchor>")
		}
		rest := line
		if markdown {
			rest = link.ReplaceAllString(line, "")
		}
		for _, m := range citation.FindAllStringSubmatch(rest, -1) {
			if why := t.follow(m[1], strings.TrimPrefix(m[2], "#")); why != "" {
				report("%s%s %s", m[1], m[2], why)
			}
		}
		if !markdown {
			continue
		}
		for _, code := range quoted.FindAllString(line, -1) {
			if code = strings.Trim(code, "`"); file.MatchString(code) && t.ours(code) && !t.exists(code) {
				report("%s does not exist", code)
			}
		}
		for _, m := range link.FindAllStringSubmatch(quoted.ReplaceAllString(line, ""), -1) {
			if strings.Contains(m[1], ":") || strings.HasPrefix(m[1], "/") {
				continue // another site, or the running system
			}
			target, anchor, _ := strings.Cut(m[1], "#")
			if target = path.Join(path.Dir(name), target); strings.HasPrefix(m[1], "#") {
				target = name
			}
			if why := t.follow(target, anchor); why != "" {
				report("%s %s", m[1], why)
			}
		}
	}
}

// ours reports whether a name begins with a folder of the repository; .run/ is there only when something ran.
func (t *tree) ours(name string) bool {
	first, _, _ := strings.Cut(name, "/")
	return first != ".run" && t.exists(first)
}

func (t *tree) exists(name string) bool {
	_, err := os.Stat(filepath.Join(t.root, filepath.FromSlash(name)))
	return err == nil
}

// follow says what is wrong with a target; empty if it is there.
func (t *tree) follow(name, anchor string) string {
	if !t.exists(name) {
		return "does not exist"
	}
	if anchor == "" || path.Ext(name) != ".md" {
		return ""
	}
	if t.anchors[name] == nil {
		text, err := os.ReadFile(filepath.Join(t.root, filepath.FromSlash(name)))
		if err != nil {
			return err.Error()
		}
		t.anchors[name] = anchors(string(text))
	}
	if !slices.Contains(t.anchors[name], anchor) {
		return "has no such heading"
	}
	return ""
}

// anchors of a Markdown text's headings, as GitHub makes them.
func anchors(text string) []string {
	found, fenced, seen := []string{}, false, map[string]int{}
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "```") {
			fenced = !fenced
		}
		heading := strings.TrimLeft(line, "#")
		if fenced || heading == line || !strings.HasPrefix(heading, " ") {
			continue
		}
		slug := strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-', r == '_', unicode.IsLetter(r), unicode.IsDigit(r):
				return unicode.ToLower(r)
			}
			return -1
		}, strings.TrimSpace(link.ReplaceAllStringFunc(heading, func(l string) string { return strings.SplitN(l[1:], "]", 2)[0] })))
		if n := seen[slug]; n > 0 {
			found = append(found, fmt.Sprintf("%s-%d", slug, n))
		} else {
			found = append(found, slug)
		}
		seen[slug]++
	}
	return found
}
