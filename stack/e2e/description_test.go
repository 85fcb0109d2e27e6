package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
	"gopkg.in/yaml.v3"

	"ticketremaster/stack/client"
)

// description checks every request and answer of the run against docs/openapi.yaml. It is stricter than the document:
// an answer may have no field that the document does not name.
type description struct {
	doc    *openapi3.T
	router routers.Router

	mu        sync.Mutex
	problems  map[string]int    // and how often each was seen
	seen      map[string]bool   // "POST /pay 402 INSUFFICIENT_CREDITS"
	succeeded map[string]string // operation to a path that answered 2xx
}

// described is set before the first request.
var described *description

const documentFile = "../../docs/openapi.yaml"

func readDescription() (*description, error) {
	text, err := os.ReadFile(documentFile)
	if err != nil {
		return nil, err
	}
	var tree map[string]any
	if err := yaml.Unmarshal(text, &tree); err != nil {
		return nil, err
	}
	closeObjects(tree["components"])
	for _, methods := range tree["paths"].(map[string]any) {
		for _, op := range methods.(map[string]any) {
			closeObjects(op.(map[string]any)["responses"])
		}
	}
	closed, err := json.Marshal(tree)
	if err != nil {
		return nil, err
	}
	d := &description{problems: map[string]int{}, seen: map[string]bool{}, succeeded: map[string]string{}}
	if d.doc, err = openapi3.NewLoader().LoadFromData(closed); err != nil {
		return nil, err
	}
	if err := d.doc.Validate(context.Background()); err != nil {
		return nil, fmt.Errorf("%s: %w", documentFile, err)
	}
	d.router, err = gorillamux.NewRouter(d.doc)
	openapi3filter.RegisterBodyDecoder("image/png", openapi3filter.FileBodyDecoder)
	openapi3filter.RegisterBodyDecoder("text/html", openapi3filter.FileBodyDecoder)
	return d, err
}

// closeObjects forbids fields that are not named, in every object below node. A part of an allOf stays open, as another
// part names the rest.
func closeObjects(node any) {
	switch n := node.(type) {
	case map[string]any:
		if _, named := n["properties"]; named && n["type"] == "object" {
			n["additionalProperties"] = false
		}
		for key, x := range n {
			closeObjects(x)
			if parts, ok := x.([]any); ok && key == "allOf" {
				for _, part := range parts {
					delete(part.(map[string]any), "additionalProperties")
				}
			}
		}
	case []any:
		for _, x := range n {
			closeObjects(x)
		}
	}
}

// saw checks one call and its answer. It is client.App's Seen.
func (d *description) saw(c client.Call, a client.Answer) {
	operation, problem := d.check(c, a)
	d.mu.Lock()
	defer d.mu.Unlock()
	if problem != "" {
		d.problems[problem]++
	}
	d.seen[strings.TrimSpace(fmt.Sprintf("%s %d %s", operation, a.Status, a.Code))] = true
	if a.Status < 300 && operation != "" {
		d.succeeded[operation] = c.Path
	}
}

func (d *description) check(c client.Call, a client.Answer) (operation, problem string) {
	var body []byte
	switch b := c.Body.(type) {
	case nil:
	case []byte:
		body = b
	default:
		body, _ = json.Marshal(b)
	}
	req, err := http.NewRequest(c.Method, "http://gateway"+c.Path, bytes.NewReader(body))
	if err != nil || c.Method == http.MethodOptions || c.Method == http.MethodHead {
		return "", ""
	}
	maps.Copy(req.Header, c.Header)
	if c.Body != nil && req.Header.Get("Content-Type") == "" {
		req.Header.Set("Content-Type", "application/json")
	}
	route, params, err := d.router.FindRoute(req)
	if err != nil {
		if a.Status == http.StatusNotFound && a.Code == "NOT_FOUND" {
			return "", "" // nor does the gateway know it
		}
		return "", fmt.Sprintf("%s %s is not described, and answers %d", c.Method, req.URL.Path, a.Status)
	}
	operation = route.Method + " " + route.Path
	input := &openapi3filter.RequestValidationInput{Request: req, PathParams: params, Route: route, Options: &openapi3filter.Options{
		AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, IncludeResponseStatus: true,
	}}
	if a.Status < 300 { // what is refused may be wrong in any way
		if err := openapi3filter.ValidateRequest(context.Background(), input); err != nil {
			return operation, fmt.Sprintf("%s takes what is not described: %s: %.200s", operation, brief(err), body)
		}
	}
	if err := openapi3filter.ValidateResponse(context.Background(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: input, Status: a.Status, Header: a.Header, Body: io.NopCloser(bytes.NewReader(a.Raw)), Options: input.Options,
	}); err != nil {
		return operation, fmt.Sprintf("%s answers %d %s as is not described: %s", operation, a.Status, a.Code, brief(err))
	}
	return operation, ""
}

// brief leaves out the schema, which the error quotes at length.
func brief(err error) string {
	text, _, _ := strings.Cut(err.Error(), "\nSchema:")
	return strings.Join(strings.Fields(text), " ")
}

// report returns the deviations.
func (d *description) report() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.problems) == 0 {
		return nil
	}
	var lines []string
	for _, p := range slices.Sorted(maps.Keys(d.problems)) {
		lines = append(lines, fmt.Sprintf("  %s (%d times)", p, d.problems[p]))
	}
	return fmt.Errorf("docs/openapi.yaml is not true:\n%s", strings.Join(lines, "\n"))
}

// notFromOutside are the operations that succeed only after a fault that no request can cause: recovery's
// TestAParkedSagaGoesOn and TestAParkedMessageIsDecided cause it and see them.
var notFromOutside = []string{"POST /admin/sagas/{saga_id}/compensate", "POST /admin/sagas/{saga_id}/resume", "POST /admin/messages/replay", "POST /admin/messages/drop"}

// neverSeen returns the operations of which no call succeeded.
func (d *description) neverSeen() (missing []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for path, item := range d.doc.Paths.Map() {
		for method := range item.Operations() {
			if name := method + " " + path; d.succeeded[name] == "" && !slices.Contains(notFromOutside, name) {
				missing = append(missing, name)
			}
		}
	}
	slices.Sort(missing)
	return missing
}
