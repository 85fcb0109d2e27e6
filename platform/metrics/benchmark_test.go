package metrics

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"ticketremaster/platform/correlation"
)

func long(n int) string { return strings.Repeat("x", n) }

func withID(id string) context.Context { return correlation.WithJoined(context.Background(), id) }

// What one request costs: a counter, a duration with its exemplar, and a call of another service.
func BenchmarkRequest(b *testing.B) {
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "c"}, []string{"method", "route", "code"})
	seconds := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "h", Buckets: Buckets}, []string{"method", "route"})
	ctx := correlation.With(context.Background(), correlation.New())
	for name, took := range map[string]time.Duration{"fast": slow - 1, "slow": slow} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				requests.WithLabelValues("POST", "/reserve", "2xx").Inc()
				Observe(ctx, seconds.WithLabelValues("POST", "/reserve"), took)
				Called(ctx, "the order service", took, nil)
			}
		})
	}
}
