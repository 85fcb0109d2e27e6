package httpapi_test

import (
	"net/http"
	"testing"

	"github.com/google/uuid"

	"ticketremaster/platform/fault"
	"ticketremaster/platform/fence"
)

// A driver that was replaced is refused every step of the saga, whatever the outcome of its successor's call.
func TestAReplacedDriverIsRefused(t *testing.T) {
	s := start(t)
	transfer := "/transfers/" + newID()
	paid := pendingOrder().with(body{"status": "CONFIRMED", "attempt_id": newID(), "credits_charged": 5})
	for path, in := range map[string]body{
		"/orders":                              paid,
		"/orders/" + newID() + "/undo-confirm": {"attempt_id": newID(), "reason": "x"},
		transfer + "/begin-swap":               {},
		transfer + "/complete":                 {},
		transfer + "/abort-swap":               {"reason": "x"},
		transfer + "/dispute":                  {"dispute_id": newID(), "by": newID(), "reason": "x"},
		transfer + "/end-dispute":              {"dispute_id": newID()},
		transfer + "/begin-reversal":           {"reversal_id": newID()},
		transfer + "/abort-reversal":           {"reversal_id": newID()},
		transfer + "/reverse":                  {"reversal_id": newID()},
	} {
		saga := uuid.New()
		for _, step := range []struct {
			epoch int64
			stale bool
		}{{1, false}, {2, false}, {1, true}, {2, false}, {4, false}, {2, true}} {
			ctx := fence.With(t.Context(), fence.Token{Saga: saga, Epoch: step.epoch})
			if err := s.Do(ctx, http.MethodPost, path, in, nil); (fault.Code(err) == fence.ErrStale.Code) != step.stale || fault.Unknown(err) {
				t.Errorf("%s at epoch %d: %v, want stale: %v", path, step.epoch, err, step.stale)
			}
		}
		if err := s.post(path, in, nil); fault.Code(err) == fence.ErrStale.Code {
			t.Errorf("%s without a token: %v", path, err)
		}
	}
}
