package fault_test

import (
	"errors"
	"testing"

	"ticketremaster/platform/fault"
)

func TestWhatAPersonReads(t *testing.T) {
	down := errors.New("connection refused")
	for err, want := range map[error]string{
		fault.Unreachable("the order service", down):                             "The order service is not available right now, please try again shortly",
		fault.Field("amount", "must be above %d", 0):                             "amount: must be above 0",
		fault.New(fault.Gone, fault.CodeHoldExpired, "The time is over"):         "The time is over",
		fault.From(errors.New("a password, perhaps")):                            "Something went wrong on our side",
		fault.New(fault.Gone, fault.CodeHoldExpired, "It is over").Because(down): "It is over",
	} {
		if got := fault.From(err).Message; got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
