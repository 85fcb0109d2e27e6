package postgres_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"ticketremaster/orchestrator-service/saga"
	"ticketremaster/platform/fault"
)

// The statements of docs/runbook.md#a-parked-saga do what they say: a parked saga goes on in the direction that it had.
func TestTheRunbookReopensAParkedSaga(t *testing.T) {
	text, err := os.ReadFile("../../docs/runbook.md")
	if err != nil {
		t.Fatal(err)
	}
	_, chapter, _ := strings.Cut(string(text), "## A parked saga")
	chapter, _, _ = strings.Cut(chapter, "\n## ")
	var statements []string
	for _, block := range strings.Split(chapter, "```sql\n")[1:] {
		block, _, _ = strings.Cut(block, "```")
		statements = append(statements, block)
	}
	if len(statements) != 2 {
		t.Fatalf("the runbook has %d statements about a parked saga", len(statements))
	}
	log := openLog(t)
	for _, from := range []saga.Status{saga.Running, saga.Compensating} {
		id := uuid.New()
		r := &saga.Record{ID: id, Kind: "trip", Subject: id.String(), Status: saga.Running, State: []byte(`{}`), Owner: uuid.New(), Epoch: 1}
		if err := log.Begin(t.Context(), r, time.Minute); err != nil {
			t.Fatal(err)
		}
		r.Refusal, r.Turned = fault.New(fault.Conflict, "NO", "no"), 1
		if from == saga.Compensating {
			r.Status = from
			if err := log.Turn(t.Context(), r); err != nil {
				t.Fatal(err)
			}
		}
		r.Status, r.ParkedFrom = saga.Parked, from
		if err := log.End(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		if tag, err := log.Pool.Exec(t.Context(), statements[0]); err != nil || tag.RowsAffected() != 1 {
			t.Fatalf("parked sagas: %v, %v", tag, err)
		}
		if _, err := log.Pool.Exec(t.Context(), strings.ReplaceAll(statements[1], "SAGA", id.String())); err != nil {
			t.Fatal(err)
		}
		claimed, err := log.Claim(t.Context(), uuid.New(), time.Minute, 10)
		if err != nil || len(claimed) != 1 {
			t.Fatalf("claimed %v, %v", claimed, err)
		}
		if c := claimed[0]; c.ID != id || c.Status != from || c.Epoch != 3 || (c.Refusal == nil) != (from == saga.Running) || c.Trail[len(c.Trail)-1].What != "resumed" {
			t.Errorf("from %s: %+v", from, c)
		}
	}
}
