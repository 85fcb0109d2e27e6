package saga_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"
	dto "github.com/prometheus/client_model/go"

	"ticketremaster/orchestrator-service/saga"
	"ticketremaster/orchestrator-service/saga/sagatest"
	"ticketremaster/platform/fault"
	"ticketremaster/platform/metrics/metricstest"
)

// A saga's beginning and end are counted, by kind and how it ended; a kind is shown before its first saga.
func TestSagasAreCounted(t *testing.T) {
	engine := saga.NewEngine(sagatest.NewLog(), "")
	refuse := ""
	step := func(name string) func(context.Context, *struct{}) error {
		return func(context.Context, *struct{}) error {
			if name == refuse {
				return fault.New(fault.Conflict, "NO", "no")
			}
			return nil
		}
	}
	flow := saga.Register(engine, "counted", []saga.Step[struct{}]{
		{Name: "first", Do: step("first"), Undo: saga.Nothing[struct{}]}, {Name: "pivot", Do: step("pivot")}, {Name: "last", Do: step("last")}})
	if !metricstest.Shown(t, "sagas_ended_total", "kind=counted", "status=PARKED") || !metricstest.Shown(t, "sagas_begun_total", "kind=counted") {
		t.Error("a kind without a saga is not shown")
	}
	for at, status := range map[string]string{"": "DONE", "first": "UNDONE", "last": "PARKED"} {
		refuse = at
		id := uuid.New()
		_, _ = flow.Settle(t.Context(), id, id.String(), struct{}{})
		if n := metricstest.Value(t, "sagas_ended_total", "kind=counted", "status="+status); n != 1 {
			t.Errorf("%v ended %s", n, status)
		}
	}
	if n := metricstest.Value(t, "sagas_begun_total", "kind=counted"); n != 3 {
		t.Errorf("%v began", n)
	}
}

func TestACensusIsShownWhole(t *testing.T) {
	engine := saga.NewEngine(sagatest.NewLog(), "")
	saga.Register(engine, "known", []saga.Step[struct{}]{{Name: "go", Do: saga.Nothing[struct{}]}})
	values, err := engine.Figures(func(context.Context) ([]saga.Census, error) {
		return []saga.Census{{Kind: "known", Status: saga.Running, Count: 3, Oldest: time.Minute}, {Kind: "of another version", Status: saga.Parked, Count: 1, Oldest: time.Hour}}, nil
	})(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, v := range values {
		var m dto.Metric
		if err := v.Write(&m); err != nil {
			t.Fatal(err)
		}
		got[m.GetLabel()[0].GetValue()+" "+m.GetLabel()[1].GetValue()] += m.GetGauge().GetValue()
	}
	for group, want := range map[string]float64{"known RUNNING": 3 + 60, "known PARKED": 0, "known COMPENSATING": 0, "of another version PARKED": 1 + 3600} {
		if n, shown := got[group]; !shown || n != want {
			t.Errorf("%s: %v, shown %t", group, n, shown)
		}
	}
	down := errors.New("down")
	if _, err := engine.Figures(func(context.Context) ([]saga.Census, error) { return nil, down })(t.Context()); !errors.Is(err, down) {
		t.Error(err)
	}
}
