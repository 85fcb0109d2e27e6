package metrics

import (
	"context"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"ticketremaster/platform/fault"
)

var (
	calls = New.NewCounterVec(prometheus.CounterOpts{Namespace: Namespace, Name: "calls_total",
		Help: "Calls of other services, by callee and outcome: ok, refused (by the callee's rules), unavailable, error (our own)."},
		[]string{"callee", "outcome"})
	callSeconds = New.NewHistogramVec(prometheus.HistogramOpts{Namespace: Namespace, Name: "call_duration_seconds",
		Help: "How long calls of other services took, repeats included.", Buckets: Buckets}, []string{"callee"})
)

// Called counts a call of another service, which has a plain name such as "the order service".
func Called(ctx context.Context, callee string, took time.Duration, err error) {
	callee = strings.TrimPrefix(callee, "the ")
	calls.WithLabelValues(callee, outcome(err)).Inc()
	Observe(ctx, callSeconds.WithLabelValues(callee), took)
}

func outcome(err error) string {
	switch {
	case err == nil:
		return "ok"
	case !fault.Unknown(err):
		return "refused"
	case fault.From(err).Kind == fault.Unavailable:
		return "unavailable"
	}
	return "error"
}
