package httpapi

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"

	"ticketremaster/orchestrator-service/saga"
	"ticketremaster/orchestrator-service/saga/sagatest"
	"ticketremaster/platform/fault"
)

// An administrator sees a parked saga and has it continue, with a reason that is recorded.
func TestAParkedSagaIsResumed(t *testing.T) {
	log := sagatest.NewLog()
	engine := saga.NewEngine(log, "")
	works := false
	flow := saga.Register(engine, "trip", []saga.Step[struct{}]{{Name: "go", Do: func(context.Context, *struct{}) error { return nil }},
		{Name: "arrive", Do: func(context.Context, *struct{}) error {
			if works {
				return nil
			}
			return fault.New(fault.Conflict, "NO", "no")
		}}})
	id := uuid.New()
	if _, err := flow.Settle(t.Context(), id, "a trip", struct{}{}); fault.Code(err) != fault.CodeInternal {
		t.Fatal(err)
	}
	s := &Server{Sagas: engine}
	router := chi.NewRouter()
	get(router, "/admin/sagas", s.listSagas)
	post(router, "/admin/sagas/{saga_id}/resume", s.reopenSaga(engine.Resume))
	post(router, "/admin/sagas/{saga_id}/compensate", s.reopenSaga(engine.Compensate))
	ask := func(method, path, body string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		router.ServeHTTP(w, httptest.NewRequest(method, path, strings.NewReader(body)))
		return w
	}
	if a := ask("GET", "/admin/sagas?status=PARKED", ""); a.Code != http.StatusOK || !strings.Contains(a.Body.String(), `"parked_from":"RUNNING"`) || !strings.Contains(a.Body.String(), id.String()) {
		t.Errorf("%d %s", a.Code, a.Body)
	}
	of := "/admin/sagas/" + id.String()
	for _, c := range []struct {
		path, body, code string
		status           int
	}{
		{of + "/resume", `{}`, fault.CodeValidation, 400},
		{of + "/resume", `{"reason":"` + strings.Repeat("x", maxReason+1) + `"}`, fault.CodeValidation, 400},
		{"/admin/sagas/A-1/resume", `{"reason":"x"}`, fault.CodeInvalidUUID, 400},
		{"/admin/sagas/" + uuid.NewString() + "/resume", `{"reason":"x"}`, fault.CodeNotFound, 404},
		{of + "/compensate", `{"reason":"x"}`, "SAGA_PAST_PIVOT", 409},
		{of + "/resume", `{"reason":"it was mended"}`, "", 202},
		{of + "/resume", `{"reason":"again"}`, "SAGA_NOT_PARKED", 409},
	} {
		if a := ask("POST", c.path, c.body); a.Code != c.status || !strings.Contains(a.Body.String(), c.code) {
			t.Errorf("%s %.30s: %d %s", c.path, c.body, a.Code, a.Body)
		}
	}
	works = true
	ctx, stop := context.WithTimeout(t.Context(), 10*time.Second)
	defer stop()
	recovered := make(chan struct{})
	recovering, stopRecovering := context.WithCancel(ctx)
	go func() { engine.Recover(recovering); close(recovered) }()
	end, ended := engine.Await(ctx, id)
	stopRecovering()
	<-recovered
	if !ended || end.Status != saga.Done || !strings.Contains(trailOf(end), "it was mended") {
		t.Errorf("%v: %+v", errors.Join(ctx.Err()), end)
	}
}

func trailOf(r *saga.Record) (text string) {
	for _, e := range r.Trail {
		text += e.What + " " + e.Step + "\n"
	}
	return text
}
