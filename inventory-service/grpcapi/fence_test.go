package grpcapi_test

import (
	"testing"

	"github.com/google/uuid"

	"ticketremaster/inventory-service/inventorytest"
	"ticketremaster/platform/fault"
	"ticketremaster/platform/fence"
)

// A driver that was replaced is refused every step of the saga, whatever the outcome of its successor's call.
func TestAReplacedDriverIsRefused(t *testing.T) {
	s := inventorytest.Start(t)
	valid := requests(t)
	for _, method := range []string{"CreateSeats", "DeleteSeats", "PinHold", "UnpinHold", "ConfirmSeat", "UpdateOwner", "AddRows", "BlockSeats"} {
		t.Run(method, func(t *testing.T) {
			saga := uuid.New()
			do := func(epoch int64) error {
				return call(fence.With(t.Context(), fence.Token{Saga: saga, Epoch: epoch}), s, method, valid[method])
			}
			for _, step := range []struct {
				epoch int64
				stale bool
			}{{1, false}, {2, false}, {1, true}, {2, false}, {4, false}, {2, true}} {
				if err := do(step.epoch); (fault.Code(err) == fence.ErrStale.Code) != step.stale {
					t.Errorf("epoch %d: %v, want stale: %v", step.epoch, err, step.stale)
				}
			}
			if err := call(t.Context(), s, method, valid[method]); fault.Code(err) == fence.ErrStale.Code {
				t.Errorf("without a token: %v", err)
			}
		})
	}
}
