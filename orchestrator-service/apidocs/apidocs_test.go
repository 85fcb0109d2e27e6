package apidocs

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"ticketremaster/platform/web"
)

func TestDocs(t *testing.T) {
	w := httptest.NewRecorder()
	web.Handler(Page).ServeHTTP(w, httptest.NewRequest("GET", "/docs", nil))
	page := w.Body.String()
	if w.Code != 200 || !strings.Contains(page, "$GATEWAY/api/reserve -H") || !strings.Contains(page, `href="#schema-Order"`) {
		t.Errorf("%d: %.300s", w.Code, page)
	}
	if outside := regexp.MustCompile(`(?i)<img|@import|url\(| src=|import\(|fetch\(|href="(https?:)?//`).FindString(page); outside != "" {
		t.Errorf("the page takes something from outside: %s", outside)
	}
	// Its style and its script are those that the policy allows, each in one element.
	for _, element := range []string{"style", "script"} {
		text := regexp.MustCompile(`(?s)<`+element+`>(.*?)</`+element+`>`).FindAllStringSubmatch(page, -1)
		if len(text) != 1 || strings.Count(page, "<"+element) != 1 {
			t.Fatalf("%d of %s", len(text), element)
		}
		sum := sha256.Sum256([]byte(text[0][1]))
		if policy := w.Header().Get("Content-Security-Policy"); !strings.Contains(policy, element+"-src 'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'") ||
			!strings.HasPrefix(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") {
			t.Errorf("the policy is %s", policy)
		}
	}
	w = httptest.NewRecorder()
	web.Handler(JSON).ServeHTTP(w, httptest.NewRequest("GET", "/docs/openapi.json", nil))
	var doc struct {
		OpenAPI string         `json:"openapi"`
		Paths   map[string]any `json:"paths"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &doc); err != nil || doc.OpenAPI != "3.1.0" || len(doc.Paths) < 40 {
		t.Errorf("%v: %.300s", err, w.Body.String())
	}
}

// A schema describes every field that it requires: client generators ignore a bare "required".
func TestWhatIsRequiredIsDescribedBesideIt(t *testing.T) {
	var whole any
	if err := json.Unmarshal(document, &whole); err != nil {
		t.Fatal(err)
	}
	seen := 0
	var look func(path string, node any)
	look = func(path string, node any) {
		switch n := node.(type) {
		case map[string]any:
			if required, ok := n["required"].([]any); ok && !strings.HasSuffix(path, "/properties") {
				properties, _ := n["properties"].(map[string]any)
				seen++
				for _, name := range required {
					if properties[name.(string)] == nil {
						t.Errorf("%s requires %v, and does not describe it", path, name)
					}
				}
			}
			for key, child := range n {
				look(path+"/"+key, child)
			}
		case []any:
			for _, child := range n {
				look(path, child)
			}
		}
	}
	look("", whole)
	if seen < 100 {
		t.Errorf("%d schemas", seen)
	}
}
