// Package apidocs serves the description of the public API, openapi.yaml, as JSON and as a page for people. Both are
// made by `make generate`.
package apidocs

import (
	_ "embed"
	"net/http"
)

//go:generate go run ./render

var (
	//go:embed page.html
	page []byte
	//go:embed openapi.json
	document []byte
)

// Page answers with the description as a page, which loads nothing from elsewhere.
func Page(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
	_, _ = w.Write(page)
	return nil
}

// JSON answers with the description as an OpenAPI document.
func JSON(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(document)
	return nil
}
