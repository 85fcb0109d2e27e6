package main

import (
	"bytes"
	"os"
	"testing"
)

// The page that is served is rendered from the description.
func TestThePageIsRenderedFromTheDescription(t *testing.T) {
	source, err := os.ReadFile("../openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	page, asJSON, err := render(source)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]byte{"../page.html": page, "../openapi.json": asJSON} {
		if got, err := os.ReadFile(name); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is stale (%v): make generate", name, err)
		}
	}
}

func TestADescriptionThatCannotBeRendered(t *testing.T) {
	for name, source := range map[string]string{
		"no YAML":          "a: [",
		"an unknown tag":   "info: {description: x}\npaths: {/x: {get: {tags: [Nowhere]}}}",
		"a wrong response": "info: {description: x}\ntags: [{name: A}]\npaths: {/x: {get: {tags: [A], responses: {200: [1]}}}}",
	} {
		if page, _, err := render([]byte(source)); err == nil {
			t.Errorf("%s: %.200s", name, page)
		}
	}
}
