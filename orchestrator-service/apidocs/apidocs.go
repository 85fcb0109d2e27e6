// Package apidocs serves the description of the public API, openapi.yaml, as JSON and as a page for people. Both are
// made by `make generate`.
package apidocs

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"net/http"

	"ticketremaster/platform/web"
)

//go:generate go run ./render

var (
	//go:embed page.html
	page []byte
	//go:embed openapi.json
	document []byte
)

// policy lets the page use its own style, script and icon, and nothing else.
var policy = "default-src 'none'; img-src data:; style-src " + hashOf("style") + "; script-src " + hashOf("script") +
	"; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// hashOf is the source expression of the page's only element of that name.
func hashOf(element string) string {
	_, rest, _ := bytes.Cut(page, []byte("<"+element+">"))
	text, _, _ := bytes.Cut(rest, []byte("</"+element+">"))
	sum := sha256.Sum256(text)
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// Page answers with the description as a page, which loads nothing.
func Page(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Content-Security-Policy", policy)
	return web.Document(w, "text/html; charset=utf-8", page)
}

// JSON answers with the description as an OpenAPI document.
func JSON(w http.ResponseWriter, _ *http.Request) error {
	return web.Document(w, "application/json", document)
}
