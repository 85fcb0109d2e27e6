package fence_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/uuid"

	"ticketremaster/platform/fence"
	"ticketremaster/platform/gather"
	"ticketremaster/platform/web"
)

func TestATokenIsReadAsItIsWritten(t *testing.T) {
	want := fence.Token{Saga: uuid.New(), Epoch: 12}
	if got, err := fence.Parse(want.String()); err != nil || got != want {
		t.Errorf("%s: %v, %v", want, got, err)
	}
	id := want.Saga.String()
	for _, s := range []string{"", "/", id, id + "/", id + "/0", id + "/-1", id + "/+1", id + "/01", id + "/1/1", id + "/1 ", "x/1", id + "/99999999999999999999", "{" + id + "}/1"} {
		if got, err := fence.Parse(s); err == nil {
			t.Errorf("%q was read as %s", s, got)
		}
	}
}

// Only services' tokens count, and a call without one is served as before.
func TestOnlyServicesBringATokenIn(t *testing.T) {
	token := fence.Token{Saga: uuid.New(), Epoch: 2}
	var seen bool
	router := web.NewRouter(func(context.Context) error { return nil })
	look := func(_ http.ResponseWriter, r *http.Request) { _, seen = fence.From(r.Context()) }
	router.Get("/people", look)
	router.With(web.RequireService("its secret")).Get("/services", look)
	for _, c := range []struct {
		path, token string
		status      int
		seen        bool
	}{{"/people", token.String(), 200, false}, {"/services", token.String(), 200, true}, {"/services", "", 200, false}, {"/services", "nonsense", 400, false}} {
		r := httptest.NewRequest(http.MethodGet, c.path, nil)
		r.Header.Set("Authorization", "Bearer its secret")
		r.Header.Set(fence.Header, c.token)
		w := httptest.NewRecorder()
		seen = false
		router.ServeHTTP(w, r)
		if w.Code != c.status || seen != c.seen {
			t.Errorf("%s with %q: %d, token %v", c.path, c.token, w.Code, seen)
		}
	}
}

// A call that is shared with others is made without a token.
func TestACoalescedCallHasNobodysToken(t *testing.T) {
	var g gather.Group[int, int]
	_, err := g.Do(fence.With(t.Context(), fence.Token{Saga: uuid.New(), Epoch: 1}), 1, func(ctx context.Context, in []int) ([]int, error) {
		if token, ok := fence.From(ctx); ok {
			t.Errorf("it has %s", token)
		}
		return in, nil
	})
	if err != nil {
		t.Error(err)
	}
}
