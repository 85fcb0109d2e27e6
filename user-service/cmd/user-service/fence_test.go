package main

import (
	"testing"

	"github.com/google/uuid"

	"ticketremaster/platform/fence"
)

// Every step of a saga is refused to a driver that was replaced, whatever became of the later driver's own call: it may
// have been refused, as the first deduction here is.
func TestAReplacedDriverIsRefused(t *testing.T) {
	w := startWorld(t)
	p := w.join()
	take := obj{"operation_id": newID(), "user_id": p.id, "amount": 5, "reference_id": newID()}
	for path, in := range map[string]obj{
		"/credits/deduct": take, "/credits/return": take, "/credits/escrow": take, "/credits/escrow/return": take, "/credits/escrow/release": take,
		"/credits/freeze": take, "/credits/unfreeze": take, "/credits/freeze/escrow/return": take,
		"/credits/freeze/escrow": {"operation_id": newID(), "dispute_id": newID()},
	} {
		saga := uuid.New()
		for _, step := range []struct {
			epoch int64
			stale bool
		}{{1, false}, {2, false}, {1, true}, {2, false}, {4, false}, {2, true}} {
			token := fence.Token{Saga: saga, Epoch: step.epoch}
			a := w.call("POST", path, serviceToken, in, fence.Header, token.String())
			if (a.code() == fence.ErrStale.Code) != step.stale || a.status >= 500 {
				t.Errorf("%s at epoch %d: %d %s, want stale: %v", path, step.epoch, a.status, a.raw, step.stale)
			}
		}
		if a := w.internal("POST", path, in); a.code() == fence.ErrStale.Code {
			t.Errorf("%s without a token: %s", path, a.raw)
		}
	}
}
