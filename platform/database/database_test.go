package database_test

import (
	"sync"
	"testing"
	"testing/fstest"

	"ticketremaster/platform/database"
	"ticketremaster/platform/testenv"
)

// A database that was killed and started leaves a pool full of dead connections. Nobody's request meets one.
func TestAfterARestartNoRequestMeetsADeadConnection(t *testing.T) {
	server := testenv.PrivatePostgres(t)
	pool, err := database.Open(t.Context(), server.URL, fstest.MapFS{"0001_none.sql": {Data: []byte("-- +goose Up\nSELECT 1;\n")}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	ask := func(at string) {
		t.Helper()
		var all sync.WaitGroup
		for range 8 { // at once, so that the pool has several connections
			all.Go(func() {
				if _, err := pool.Exec(t.Context(), `SELECT pg_sleep(0.02)`); err != nil {
					t.Errorf("%s: %v", at, err)
				}
			})
		}
		all.Wait()
	}
	ask("before")
	server.Kill()
	server.Start()
	ask("after")
}
