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
	event := "/events/" + uuid.NewString()
	for _, c := range []struct {
		method, path string
		in           any
	}{{http.MethodPost, "/events", concert(nil)}, {http.MethodPost, event + "/publish", nil}, {http.MethodDelete, event, nil}} {
		saga := uuid.New()
		for _, step := range []struct {
			epoch int64
			stale bool
		}{{1, false}, {2, false}, {1, true}, {2, false}, {4, false}, {2, true}} {
			ctx := fence.With(t.Context(), fence.Token{Saga: saga, Epoch: step.epoch})
			if err := s.Do(ctx, c.method, c.path, c.in, nil); (fault.Code(err) == fence.ErrStale.Code) != step.stale || fault.Unknown(err) {
				t.Errorf("%s %s at epoch %d: %v, want stale: %v", c.method, c.path, step.epoch, err, step.stale)
			}
		}
		if err := s.Do(t.Context(), c.method, c.path, c.in, nil); fault.Code(err) == fence.ErrStale.Code {
			t.Errorf("%s %s without a token: %v", c.method, c.path, err)
		}
	}
}
