// Package codes holds the programs to one declaration for each error code.
package codes

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// declared is a code that a fault is made with, or a constant that names one.
var declared = regexp.MustCompile(`fault\.New\([\w.]+,\s*"([A-Z_]+)"|^\s*Code\w+\s*=\s*"([A-Z_]+)"`)

func TestEachErrorCodeIsDeclaredOnce(t *testing.T) {
	const root = "../.."
	at := map[string]string{}
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			if d != nil && strings.HasPrefix(d.Name(), ".") && name != root || d != nil && d.Name() == "sagatest" {
				return filepath.SkipDir
			}
			return err
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		text, err := os.ReadFile(name)
		for line := range strings.Lines(string(text)) {
			for _, m := range declared.FindAllStringSubmatch(line, -1) {
				code := m[1] + m[2]
				if first, twice := at[code]; twice && first != name {
					t.Errorf("%s is declared in %s and in %s: what two know belongs to platform/fault/codes.go", code, first, name)
				}
				at[code] = name
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(at) < 60 {
		t.Errorf("only %d codes were found: does the test still read them?", len(at))
	}
}
