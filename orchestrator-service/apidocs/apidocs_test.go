package apidocs

import (
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
	if outside := regexp.MustCompile(`(?i)<script|<link|<img|@import|url\(|(src|href)="(https?:)?//`).FindString(page); outside != "" {
		t.Errorf("the page takes something from outside: %s", outside)
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
