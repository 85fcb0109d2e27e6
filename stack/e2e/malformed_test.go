package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"golang.org/x/sync/errgroup"

	"ticketremaster/stack/client"
)

// wholeBodies are valid as the request body of no endpoint.
var wholeBodies = map[string]string{
	"nothing": "", "blanks": "  \n ", "no JSON": "seat_id=1", "cut off": `{"a":`, "an array": "[]", "null": "null", "a number": "5", "a string": `"x"`, "true": "true",
	"deep": strings.Repeat("[", 20_000), "deep objects": strings.Repeat(`{"a":`, 10_000), "no UTF-8": "\xff\xfe\x00", "two objects": "{} {}", "a NUL": "\x00",
	"an empty object": "{}", "too large": `{"a":"` + strings.Repeat("x", 65<<10) + `"}`,
}

// values are put in the place of each field in turn, as JSON.
var values = map[string]string{
	"null": "null", "a number": "12345", "a fraction": "0.001", "a negative number": "-1", "a huge number": "1e400", "a large number": "1e30", "many digits": strings.Repeat("9", 400),
	"true": "true", "an array": "[]", "nested arrays": strings.Repeat("[", 500) + strings.Repeat("]", 500), "an object": "{}", "an empty string": `""`, "a blank": `" "`,
	"a NUL": `"\u0000"`, "a NUL within": `"a\u0000b@example.com"`, "half a surrogate": `"\ud800"`, "no UTF-8": "\"\xff\xfe\"", "a long string": `"` + strings.Repeat("x", 50_000) + `"`,
	"control characters": `"\u0001\u001f\u007f"`, "SQL": `"' OR 1=1 --"`, "a UUID with braces": `"{0197a5c0-0000-7000-8000-000000000001}"`, "the nil UUID": `"00000000-0000-0000-0000-000000000000"`,
}

// Whatever is sent to whatever endpoint, the answer is never 5xx; a refusal of the form is in the envelope and names
// the field.
func TestMalformedInput(t *testing.T) {
	caller := employee(t, "admin")
	var mu sync.Mutex
	count := map[int]int{}
	var g errgroup.Group
	g.SetLimit(8)
	send := func(method, path string, body []byte, what, field string) {
		g.Go(func() error {
			header := http.Header{}
			if strings.HasSuffix(path, "/stripe") {
				header.Set("Stripe-Signature", what)
			}
			a, err := app.Do(t.Context(), client.Call{Method: method, Path: path, Token: caller.Access, Body: body, Header: header})
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Errorf("%s %s, %s: %v", method, path, what, err)
				return nil
			}
			count[a.Status]++
			named := field == "" || slices.ContainsFunc(slices.Collect(maps.Keys(a.Errors)), func(f string) bool {
				return f == field || strings.HasPrefix(f, field+".") || strings.HasPrefix(field, f+".")
			})
			switch {
			case a.Status >= 500, a.Status == http.StatusUnauthorized && a.Code != "OTP_INVALID" && !strings.HasPrefix(path, "/auth/"):
				t.Errorf("%s %s, %s: %d %s", method, path, what, a.Status, a.Raw)
			case a.Status >= 400 && (a.Code == "" || a.Message == "" || a.Success):
				t.Errorf("%s %s, %s: not in the envelope: %d %.200s", method, path, what, a.Status, a.Raw)
			case a.Code == "VALIDATION_ERROR" && !named, a.Code == "INVALID_UUID" && !named:
				t.Errorf("%s %s, %s: the answer does not name %s: %.300s", method, path, what, field, a.Raw)
			}
			return nil
		})
	}
	for path, item := range described.doc.Paths.Map() {
		for method, op := range item.Operations() {
			if path == "/auth/logout" {
				continue // it takes no input, and ends the session
			}
			address := path
			for _, p := range slices.Concat(item.Parameters, op.Parameters) {
				if p.Value.In == "path" {
					address = strings.ReplaceAll(address, "{"+p.Value.Name+"}", fmt.Sprint(p.Value.Example))
				}
			}
			for _, p := range op.Parameters {
				sendParameter(p.Value, method, path, address, send)
			}
			if op.RequestBody == nil {
				continue
			}
			media := op.RequestBody.Value.Content["application/json"]
			for what, body := range wholeBodies {
				send(method, address, []byte(body), what, "")
			}
			if path == "/webhooks/stripe" {
				continue // the signature is checked before anything is read
			}
			for field, optional := range fieldsOf(media.Schema.Value, "") {
				named := field
				if optional {
					named = "" // it may be left out; what is said then is said of another
				}
				send(method, address, altered(t, media.Example, field, nil), field+" left out", named)
				for what, value := range values {
					if value == "null" || value == `""` {
						send(method, address, altered(t, media.Example, field, []byte(value)), field+" is "+what, named)
					} else {
						send(method, address, altered(t, media.Example, field, []byte(value)), field+" is "+what, field)
					}
				}
			}
		}
	}
	_ = g.Wait()
	t.Logf("answers by status: %v", count)
	if count[400] < 500 {
		t.Errorf("only %d calls were refused for their form", count[400])
	}
}

func sendParameter(p *openapi3.Parameter, method, path, address string, send func(method, path string, body []byte, what, field string)) {
	bad := []string{"not-one", "-1", "1e9", "99999999999999999999", strings.Repeat("x", 2000), "null", "1.5", "2027-02-31", "00000000-0000-0000-0000-000000000000", "%00", "%ff%fe", "a%00b", "%27%20OR%201%3D1", "%5B%5D"}
	for _, value := range bad {
		switch {
		case p.In == "path" && !strings.Contains(value, "%") && !strings.Contains(value, "."): // the gateway has no such path
			send(method, strings.ReplaceAll(path, "{"+p.Name+"}", value), nil, p.Name+" is "+value, "")
		case p.In == "query":
			send(method, address+"?"+p.Name+"="+value, nil, p.Name+" is "+value, p.Name)
		}
	}
}

// fieldsOf returns the paths of a body's fields, those of objects within too, and whether each may be left out.
func fieldsOf(schema *openapi3.Schema, prefix string) map[string]bool {
	all := map[string]bool{}
	for name, s := range schema.Properties {
		all[prefix+name] = !slices.Contains(schema.Required, name)
		maps.Copy(all, fieldsOf(s.Value, prefix+name+"."))
	}
	return all
}

// altered is the example with one field replaced, or left out for nil.
func altered(t *testing.T, example any, field string, value []byte) []byte {
	raw, err := json.Marshal(example)
	if err != nil {
		t.Fatal(err)
	}
	name, rest, nested := strings.Cut(field, ".")
	var o map[string]json.RawMessage
	if err := json.Unmarshal(raw, &o); err != nil {
		t.Fatal(err)
	}
	if o == nil { // an object that the example leaves out
		o = map[string]json.RawMessage{}
	}
	switch {
	case nested:
		var inner any
		_ = json.Unmarshal(o[name], &inner)
		o[name] = altered(t, inner, rest, value)
	case value == nil:
		delete(o, name)
	default:
		o[name] = value
	}
	// Not by json.Marshal, which refuses what is no JSON.
	var parts []string
	for k, v := range o {
		key, _ := json.Marshal(k)
		parts = append(parts, string(key)+":"+string(v))
	}
	return []byte("{" + strings.Join(parts, ",") + "}")
}
