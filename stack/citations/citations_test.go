package citations

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The target of every link and citation in the repository exists.
func TestNothingIsDead(t *testing.T) {
	dead, err := Dead("../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range dead {
		t.Error(d)
	}
}

func TestDead(t *testing.T) {
	root := t.TempDir()
	for name, text := range map[string]string{
		"README.md": "# Title\n[a](docs/a.md) [b](docs/a.md#the-first-one) [c](#title) [d](https://x.example/y.md)\n" +
			"[e](docs/b.md) [f](docs/a.md#nothing) [g](#nothing) `svc/a.go` `svc/gone.go` `other/gone.go`\n" +
			"```\n[h](docs/gone.md)\n```\n`[i](gone.md)`\n",
		"docs/a.md":  "# A\n## The first: `one`\n## The first: one\n[back](../README.md#title) [j](#the-first-one-1) [k](../gone/)\n",
		"svc/a.go":   "package a // docs/a.md#the-first-one\n\n// docs/a.md#gone, (docs/gone.md).\nvar x = \"/docs/gone.json ../docs/gone.md\"\n",
		"svc/a.sql":  "-- docs/gone.md\n",
		"svc/a.yaml": "x: y # design §2\n",
		"Makefile":   "# docs/gone.md\n",
		".run/a.md":  "[gone](gone.md)\n",
		"svc/a.png":  "docs/gone.md\n",
	} {
		file := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := Dead(root)
	want := []string{
		"Makefile:1: docs/gone.md does not exist",
		"README.md:3: svc/gone.go does not exist",
		"README.md:3: docs/b.md does not exist",
		"README.md:3: docs/a.md#nothing has no such heading",
		"README.md:3: #nothing has no such heading",
		"docs/a.md:4: ../gone/ does not exist",
		"svc/a.go:3: docs/a.md#gone has no such heading",
		"svc/a.go:3: docs/gone.md does not exist",
		"svc/a.sql:1: docs/gone.md does not exist",
		"svc/a.yaml:1: cites a section by its number; cite docs/<page>.md#<anchor>",
	}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%v\n%s\nwant\n%s", err, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
