package database_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"

	"ticketremaster/platform/database"
	"ticketremaster/platform/metrics"
	"ticketremaster/platform/testenv"
)

// The page is answered while the database is down, and says that it is.
func TestMetricsAreAnsweredWithoutTheDatabase(t *testing.T) {
	server := testenv.PrivatePostgres(t)
	pool, err := database.Open(t.Context(), server.URL, fstest.MapFS{"0001_none.sql": {Data: []byte("-- +goose Up\nSELECT 1;\n")}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	shown := func(name string) string {
		t.Helper()
		database.Show(name, pool) // under another name it is read anew
		w := httptest.NewRecorder()
		metrics.Handler().ServeHTTP(w, httptest.NewRequestWithContext(context.Background(), http.MethodGet, "/metrics", nil))
		if w.Code != http.StatusOK {
			t.Fatalf("%d: %s", w.Code, w.Body)
		}
		return w.Body.String()
	}
	check := func(name string, values ...string) {
		t.Helper()
		page := shown(name)
		for _, value := range values {
			if !strings.Contains(page, value) {
				t.Errorf("%s: no %s in\n%s", name, value, page)
			}
		}
	}
	check("up", `ticketremaster_source_up{source="up"} 1`, `ticketremaster_db_connections{state="idle"} `, "ticketremaster_db_connections_max ", "ticketremaster_db_acquires_total ")
	server.Kill()
	check("down", `ticketremaster_source_up{source="down"} 0`, "ticketremaster_db_connections_max ")
}
