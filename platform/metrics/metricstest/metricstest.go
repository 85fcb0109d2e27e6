// Package metricstest reads the metrics of a test's own process.
package metricstest

import (
	"net/http"
	"strings"
	"testing"

	"github.com/go-chi/chi/v5"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/grpc/codes"

	"ticketremaster/platform/metrics"
)

// Value returns the sum of a metric's series that have these labels, as name=value; of a histogram, how much was observed.
// It is 0 if there is none.
func Value(t testing.TB, name string, labels ...string) (sum float64) {
	t.Helper()
	for _, m := range family(t, name).GetMetric() {
		if has(m, labels) {
			sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return sum
}

// Shown reports whether a metric has a series with these labels.
func Shown(t testing.TB, name string, labels ...string) bool {
	t.Helper()
	for _, m := range family(t, name).GetMetric() {
		if has(m, labels) {
			return true
		}
	}
	return false
}

// Labels returns all values that a label of a metric has.
func Labels(t testing.TB, name, label string) []string {
	t.Helper()
	var values []string
	for _, m := range family(t, name).GetMetric() {
		for _, l := range m.GetLabel() {
			if l.GetName() == label {
				values = append(values, l.GetValue())
			}
		}
	}
	return values
}

// classes are the labels that package web makes of a status.
const classes = 6

// Bounded fails if a program with these routes, and that many methods over gRPC, could have more than metrics.MostSeries
// series: each route and method with every status, beside all that the process has now.
func Bounded(t testing.TB, routes chi.Routes, rpcs int) {
	t.Helper()
	perDuration := len(metrics.Buckets) + 3 // +Inf, sum, count
	most, found := 0, 1                     // what no route takes
	err := chi.Walk(routes, func(string, string, http.Handler, ...func(http.Handler) http.Handler) error { found++; return nil })
	if err != nil {
		t.Fatal(err)
	}
	most += found*(perDuration+classes) + rpcs*(perDuration+int(codes.Unauthenticated)+1)
	for _, f := range gather(t) {
		if strings.HasPrefix(f.GetName(), metrics.Namespace+"_http_") || strings.HasPrefix(f.GetName(), metrics.Namespace+"_rpc") {
			continue
		}
		for _, m := range f.GetMetric() {
			most++
			if h := m.GetHistogram(); h != nil {
				most += len(h.GetBucket()) + 2
			}
		}
	}
	t.Logf("%d routes, %d methods: %d series at the most", found-1, rpcs, most)
	if most > metrics.MostSeries {
		t.Errorf("there could be %d series; %d are too many", most, metrics.MostSeries)
	}
	if found < 3 {
		t.Errorf("only %d routes were found", found)
	}
}

func family(t testing.TB, name string) *dto.MetricFamily {
	t.Helper()
	for _, f := range gather(t) {
		if f.GetName() == metrics.Namespace+"_"+name {
			return f
		}
	}
	return nil
}

func gather(t testing.TB) []*dto.MetricFamily {
	t.Helper()
	all, err := metrics.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func has(m *dto.Metric, labels []string) bool {
	for _, want := range labels {
		name, value, _ := strings.Cut(want, "=")
		found := false
		for _, l := range m.GetLabel() {
			found = found || l.GetName() == name && l.GetValue() == value
		}
		if !found {
			return false
		}
	}
	return true
}
