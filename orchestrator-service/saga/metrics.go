package saga

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"ticketremaster/platform/metrics"
)

var (
	begun = metrics.New.NewCounterVec(prometheus.CounterOpts{Namespace: metrics.Namespace, Name: "sagas_begun_total",
		Help: "Sagas that this process began."}, []string{"kind"})
	takenUp = metrics.New.NewCounterVec(prometheus.CounterOpts{Namespace: metrics.Namespace, Name: "sagas_taken_up_total",
		Help: "Sagas that this process took up after their driver had died or rested."}, []string{"kind"})
	ended = metrics.New.NewCounterVec(prometheus.CounterOpts{Namespace: metrics.Namespace, Name: "sagas_ended_total",
		Help: "Sagas that ended in this process, by how: DONE, UNDONE, PARKED."}, []string{"kind", "status"})
	kept = metrics.Desc("sagas", "Sagas that have not ended or are parked, as the saga log has them.", "kind", "status")
	age  = metrics.Desc("saga_oldest_seconds", "How long ago the oldest of those sagas began; 0 if there is none.", "kind", "status")
)

// open are the statuses of a saga that somebody or something has to go on with.
var open = []Status{Running, Compensating, Parked}

// showKind has a kind shown before its first saga.
func showKind(kind string) {
	begun.WithLabelValues(kind)
	takenUp.WithLabelValues(kind)
	for _, status := range []Status{Done, Undone, Parked} {
		ended.WithLabelValues(kind, string(status))
	}
}

// Census is how many sagas of a kind and a status there are, and how old the oldest is.
type Census struct {
	Kind   string
	Status Status
	Count  int
	Oldest time.Duration
}

// Figures makes what operators see of a census of the log, which counts the sagas that have not ended or are parked.
func (e *Engine) Figures(census func(context.Context) ([]Census, error)) func(context.Context) ([]prometheus.Metric, error) {
	return func(ctx context.Context) ([]prometheus.Metric, error) {
		found, err := census(ctx)
		if err != nil {
			return nil, err
		}
		type group struct {
			kind   string
			status Status
		}
		all := map[group]Census{}
		for kind := range e.kinds {
			for _, status := range open {
				all[group{kind, status}] = Census{Kind: kind, Status: status}
			}
		}
		for _, c := range found { // also of kinds that only another version knows
			all[group{c.Kind, c.Status}] = c
		}
		var values []prometheus.Metric
		for _, c := range all {
			values = append(values,
				metrics.Gauge(kept, float64(c.Count), c.Kind, string(c.Status)),
				metrics.Gauge(age, c.Oldest.Seconds(), c.Kind, string(c.Status)))
		}
		return values, nil
	}
}
