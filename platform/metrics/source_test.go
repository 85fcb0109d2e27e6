package metrics

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

var depth = Desc("depth", "Of a test.")

// scrape returns what the source gives, by name; up is -1 if it does not say.
func scrape(t *testing.T, s *Source) (values []float64, up float64) {
	t.Helper()
	r := prometheus.NewRegistry()
	r.MustRegister(s)
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	up = -1
	for _, f := range families {
		switch v := f.GetMetric()[0].GetGauge().GetValue(); f.GetName() {
		case "ticketremaster_source_up":
			up = v
		case "ticketremaster_depth":
			values = append(values, v)
		}
	}
	return values, up
}

// A source that fails has no values, says so, and has them again once it works; others are asked no more often than every five seconds.
func TestASourceIsReadByScrapesAndKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reads, broken := 0.0, false
		s := NewSource("test", func(context.Context) ([]prometheus.Metric, error) {
			reads++
			if broken {
				return []prometheus.Metric{Gauge(depth, 7)}, errors.New("down")
			}
			return []prometheus.Metric{Gauge(depth, reads)}, nil
		})
		check := func(when string, want []float64, wantUp float64) {
			t.Helper()
			if values, up := scrape(t, s); !slices.Equal(values, want) || up != wantUp {
				t.Errorf("%s: %v, up %v; want %v, %v", when, values, up, want, wantUp)
			}
		}
		check("first", []float64{1}, 1)
		check("at once again", []float64{1}, 1)
		time.Sleep(keepFor)
		check("later", []float64{2}, 1)
		broken = true
		time.Sleep(keepFor)
		check("broken", nil, 0)
		check("broken, at once again", nil, 0)
		broken = false
		time.Sleep(keepFor)
		check("mended", []float64{4}, 1)
	})
}

// What does not answer, and does not heed its context either, holds a scrape up for two seconds.
func TestASourceThatHangsDoesNotHoldUpTheScrape(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		free := make(chan struct{})
		s := NewSource("test", func(context.Context) ([]prometheus.Metric, error) { <-free; return nil, nil })
		start := time.Now()
		if values, up := scrape(t, s); values != nil || up != 0 || time.Since(start) != readWithin {
			t.Errorf("%v, up %v after %s", values, up, time.Since(start))
		}
		close(free)
	})
}

// An exemplar that is too long would panic.
func TestDurationsHaveTheCorrelationIDBesideThem(t *testing.T) {
	h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "h", Buckets: []float64{1}})
	for id, want := range map[string]string{"one": "one", "one,two": "one", long(128): "", long(110): long(110)} {
		Observe(withID(id), h, 2*time.Second)
		Observe(withID(id), h, slow)
		var m dto.Metric
		if err := h.Write(&m); err != nil {
			t.Fatal(err)
		}
		got := ""
		if e := m.GetHistogram().GetBucket()[0].GetExemplar(); e != nil {
			got = e.GetLabel()[0].GetValue()
		}
		if want != "" && got != want {
			t.Errorf("%q has exemplar %q", id, got)
		}
	}
}
