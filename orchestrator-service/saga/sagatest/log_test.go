package sagatest_test

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"ticketremaster/orchestrator-service/saga"
	"ticketremaster/orchestrator-service/saga/sagatest"
)

func TestLog(t *testing.T) {
	sagatest.Contract(t, func(*testing.T) saga.Log { return sagatest.NewLog() })
}

func TestLeasesEndWhenTheTestSaysSo(t *testing.T) {
	log := sagatest.NewLog()
	r := &saga.Record{ID: uuid.New(), Kind: "trip", Status: saga.Running, Owner: uuid.New(), Epoch: 1}
	if err := log.Begin(t.Context(), r, 10*time.Second); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		advance time.Duration
		claimed int
	}{{0, 0}, {10 * time.Second, 0}, {time.Millisecond, 1}, {0, 0}} {
		log.Advance(c.advance)
		if got, err := log.Claim(t.Context(), uuid.New(), 10*time.Second, 5); err != nil || len(got) != c.claimed {
			t.Errorf("after %s: %d claimed, %v", c.advance, len(got), err)
		}
	}
}
