package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi2"
	"github.com/getkin/kin-openapi/openapi2conv"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers/gorillamux"
	"gopkg.in/yaml.v3"

	"ticketremaster/stack/client"
)

// Routes of kong.yml whose paths are not built yet: their service answers 404. Who describes one takes it off this
// list.
var ahead = []string{
	"event-seats", "event-geometry", "event-state", "event-changes", "event-waitlist", "gate-files", "console-page", "console-files",
	"bookings", "booking", "booking-cancel",
}

// Each route of kong.yml is described, each path described has a route, and a token is asked for where the document
// says so.
func TestTheGatewayServesWhatIsDescribed(t *testing.T) {
	text, err := os.ReadFile("../../api-gateway/kong.yml")
	if err != nil {
		t.Fatal(err)
	}
	var kong struct {
		Services []struct {
			Routes []struct {
				Name           string
				Methods, Paths []string
			}
			Plugins []struct{ Name string }
		}
	}
	if err := yaml.Unmarshal(text, &kong); err != nil {
		t.Fatal(err)
	}
	route := func(method, path string) (name string, asks bool) {
		for _, s := range kong.Services {
			for _, r := range s.Routes {
				for _, p := range r.Paths {
					if slices.Contains(r.Methods, method) && regexp.MustCompile("^"+strings.TrimPrefix(p, "~")).MatchString(path) {
						return r.Name, slices.ContainsFunc(s.Plugins, func(p struct{ Name string }) bool { return p.Name == "jwt" })
					}
				}
			}
		}
		return "", false
	}
	parameter := regexp.MustCompile(`\{\w+\}`)
	routed := map[string]bool{}
	for path, item := range described.doc.Paths.Map() {
		path = parameter.ReplaceAllString(strings.ReplaceAll(path, "{file}", "a.js"), "a-1")
		for method, op := range item.Operations() {
			asks := false
			for _, s := range *op.Security {
				_, asks = s["accessToken"]
			}
			name, token := route(method, path)
			if name == "" || token != asks {
				t.Errorf("%s %s: route %q, which asks for a token: %v", method, path, name, token)
			}
			routed[name] = true
		}
	}
	for _, s := range kong.Services {
		for _, r := range s.Routes {
			if routed[r.Name] == slices.Contains(ahead, r.Name) {
				t.Errorf("route %s is described: %v, and on the list of those that are ahead: %v", r.Name, routed[r.Name], !routed[r.Name])
			}
		}
	}
}

func TestTheServedDocumentIsTheOneInDocs(t *testing.T) {
	text, err := os.ReadFile(documentFile)
	if err != nil {
		t.Fatal(err)
	}
	var want, got any
	if err := yaml.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	plain, _ := json.Marshal(want)
	_ = json.Unmarshal(plain, &want)
	a, err := app.Do(t.Context(), client.Call{Method: http.MethodGet, Path: "/docs/openapi.json"})
	must(t, a, err, http.StatusOK)
	if err := json.Unmarshal(a.Raw, &got); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("they differ (%v)", err)
	}
}

var command = regexp.MustCompile(`(?s)<pre class="(tour|curl)">(.*?)</pre>`)

// The commands of the page run as they are, in bash, and no example is refused for its form.
func TestEveryCommandOfThePageRuns(t *testing.T) {
	a, err := app.Do(t.Context(), client.Call{Method: http.MethodGet, Path: "/docs"})
	must(t, a, err, http.StatusOK)
	caller := employee(t, "admin")
	environment := append(os.Environ(), "GATEWAY="+app.Gateway, "SANDBOX="+app.Sandbox, "TOKEN="+caller.Access, "REFRESH="+caller.Refresh)
	bash := func(t *testing.T, script string) string {
		cmd := exec.CommandContext(t.Context(), "bash", "-c", script)
		cmd.Env = environment
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%v: %s%s", err, out, stderr.Bytes())
		}
		return string(out)
	}
	found := map[string]int{}
	var logout []string
	for _, m := range command.FindAllStringSubmatch(string(a.Raw), -1) {
		found[m[1]]++
		script := html.UnescapeString(m[2])
		switch {
		case m[1] == "tour":
			if out := bash(t, "set -euo pipefail\n"+script); !strings.Contains(out, `"qr_payload"`) || !strings.Contains(out, `"CONFIRMED"`) {
				t.Errorf("the tour ends with %s", out)
			}
		case strings.Contains(script, "/auth/logout"):
			logout = append(logout, script)
		default:
			runExample(t, script, bash)
		}
	}
	for _, script := range logout { // it ends the caller's session
		runExample(t, script, bash)
	}
	operations := 0
	for _, item := range described.doc.Paths.Map() {
		operations += len(item.Operations())
	}
	if found["tour"] != 1 || found["curl"] != operations {
		t.Errorf("the page has %v of %d", found, operations)
	}
}

func runExample(t *testing.T, script string, bash func(*testing.T, string) string) {
	t.Run(strings.NewReplacer("/", "_", "$GATEWAY", "").Replace(strings.Fields(script)[len(strings.Fields(script))/8+1]), func(t *testing.T) {
		out := bash(t, script+` -w '\n%{http_code}'`)
		cut := strings.LastIndex(out, "\n")
		status, _ := strconv.Atoi(out[cut+1:])
		var answer struct {
			Code   string            `json:"error_code"`
			Errors map[string]string `json:"errors"`
		}
		_ = json.Unmarshal([]byte(out[:cut]), &answer)
		wrongForm := answer.Errors != nil && !strings.Contains(script, "totp/activate") // nothing waits for that one's code
		if status == 0 || status >= 500 || status == 401 || status == 403 && answer.Code == "UNAUTHORIZED" || wrongForm {
			t.Errorf("%s\n%s", script, out)
		}
	})
}

// docs/gatekeeper-swagger.json describes /verify as it is, and as docs/openapi.yaml has it.
func TestGatekeeperSwagger(t *testing.T) {
	text, err := os.ReadFile("../../docs/gatekeeper-swagger.json")
	if err != nil {
		t.Fatal(err)
	}
	var tree map[string]any
	if err := json.Unmarshal(text, &tree); err != nil {
		t.Fatal(err)
	}
	closeObjects(tree["definitions"])
	text, _ = json.Marshal(tree)
	var two openapi2.T
	if err := json.Unmarshal(text, &two); err != nil {
		t.Fatal(err)
	}
	doc, err := openapi2conv.ToV3(&two)
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if security := two.Paths["/verify"].Post.Security; security == nil || len(*security) != 1 || two.SecurityDefinitions["accessToken"] == nil {
		t.Error("it does not say who may call it")
	}
	router, err := gorillamux.NewRouter(doc)
	if err != nil {
		t.Fatal(err)
	}
	check := func(t *testing.T, p *client.Person, body object, want int) {
		t.Helper()
		c := client.Call{Method: http.MethodPost, Path: "/api/verify", Body: body, Header: http.Header{"Authorization": {"Bearer " + p.Access}}}
		a, err := app.Do(t.Context(), c)
		if err != nil || a.Status != want {
			t.Fatalf("%v %d %s, want %d", err, a.Status, a.Raw, want)
		}
		raw, _ := json.Marshal(body)
		req, _ := http.NewRequest(http.MethodPost, "http://localhost:8000/api/verify", bytes.NewReader(raw))
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Authorization", "Bearer "+p.Access)
		route, params, err := router.FindRoute(req)
		if err != nil {
			t.Fatal(err)
		}
		options := &openapi3filter.Options{IncludeResponseStatus: true, AuthenticationFunc: openapi3filter.NoopAuthenticationFunc}
		in := &openapi3filter.RequestValidationInput{Request: req, Route: route, PathParams: params, Options: options}
		if err := openapi3filter.ValidateRequest(t.Context(), in); err != nil {
			t.Error(err)
		}
		if err := openapi3filter.ValidateResponse(t.Context(), &openapi3filter.ResponseValidationInput{
			RequestValidationInput: in, Status: a.Status, Header: a.Header, Body: io.NopCloser(bytes.NewReader(a.Raw)), Options: options,
		}); err != nil {
			t.Error(err)
		}
	}
	e, p, staff := newEvent(t, 2), person(t, 100_00), employee(t, "staff")
	buy(t, p, e.Seats[0].ID)
	payload := qrOf(t, p, e.Seats[0].ID)
	check(t, staff, object{"qr_payload": payload, "hall_id": "H2", "staff_id": staff.ID}, 200) // WRONG_HALL
	check(t, staff, object{"qr_payload": payload, "hall_id": "H1"}, 200)                       // SUCCESS
	check(t, staff, object{"qr_payload": payload, "hall_id": "H1"}, 200)                       // DUPLICATE
	check(t, staff, object{"qr_payload": "no ticket", "hall_id": "H1"}, 400)
	check(t, p, object{"qr_payload": payload, "hall_id": "H1"}, 403)
	check(t, &client.Person{Access: "none"}, object{"qr_payload": payload, "hall_id": "H1"}, 401)

	// The two documents say the same of the fields and results.
	three := described.doc.Paths.Value("/verify").Post
	request := three.RequestBody.Value.Content["application/json"].Schema.Value
	data := three.Responses.Value("200").Value.Content["application/json"].Schema.Value.Properties["data"].Value
	scan, decision := two.Definitions["Scan"].Value, two.Definitions["Decision"].Value
	same := func(what string, a, b []string) {
		slices.Sort(a)
		slices.Sort(b)
		if !slices.Equal(a, b) {
			t.Errorf("%s: %v in the Swagger file, %v in the OpenAPI document", what, a, b)
		}
	}
	same("the request", slices.Collect(maps.Keys(scan.Properties)), slices.Collect(maps.Keys(request.Properties)))
	same("what is required", scan.Required, request.Required)
	same("the answer", slices.Collect(maps.Keys(decision.Properties)), slices.Collect(maps.Keys(data.Properties)))
	same("the results", texts(decision.Properties["result"].Value.Enum), texts(data.Properties["result"].Value.Enum))
	same("the statuses", slices.Collect(maps.Keys(doc.Paths.Value("/verify").Post.Responses.Map())), []string{"200", "400", "401", "403", "503"}) // docs/clients.md#the-gatekeeper-app: no other
}

func texts(values []any) (out []string) {
	for _, v := range values {
		out = append(out, fmt.Sprint(v))
	}
	return out
}
