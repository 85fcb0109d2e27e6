// Command render makes the page and the JSON form of openapi.yaml, all in the current directory. `make generate` runs
// it, so that the service does neither.
package main

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"os"

	"gopkg.in/yaml.v3"
)

var (
	//go:embed page.tmpl
	pageTemplate string
	//go:embed page.js
	script string
)

func main() {
	if err := write(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func write() error {
	source, err := os.ReadFile("openapi.yaml")
	if err != nil {
		return err
	}
	page, asJSON, err := render(source)
	if err != nil {
		return err
	}
	if err := os.WriteFile("page.html", page, 0o644); err != nil {
		return err
	}
	return os.WriteFile("openapi.json", asJSON, 0o644)
}

// render returns the description's two forms, in lines, so that a change of one operation changes few of them.
func render(source []byte) (page, asJSON []byte, err error) {
	var whole any
	var shown document
	if err := yaml.Unmarshal(source, &whole); err != nil {
		return nil, nil, err
	}
	if err := yaml.Unmarshal(source, &shown); err != nil {
		return nil, nil, err
	}
	if asJSON, err = json.MarshalIndent(whole, "", " "); err != nil {
		return nil, nil, err
	}
	t, err := template.New("page").Funcs(template.FuncMap{"words": words}).Parse(pageTemplate)
	if err != nil {
		return nil, nil, err
	}
	view, err := shown.view()
	if err != nil {
		return nil, nil, err
	}
	view.Script = template.JS(script)
	var b bytes.Buffer
	err = t.Execute(&b, view)
	return b.Bytes(), append(asJSON, '\n'), err
}
