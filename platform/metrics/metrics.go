// Package metrics has the registry that every program shows at GET /metrics for Prometheus, and what its metrics have in
// common. Names begin with ticketremaster_, have base units, and end as Prometheus wants; the values of a label are
// bounded in number: routes and methods of ours, never a path, an id or a person (docs/adr/metrics.md).
package metrics

import (
	"context"
	"log/slog"
	"net/http"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"ticketremaster/platform/correlation"
)

// Namespace begins the name of every metric of ours.
const Namespace = "ticketremaster"

// MostSeries is the most series that a process may have: so many stay cheap to scrape and to keep.
const MostSeries = 2_000

// Registry has all metrics of the process.
var Registry = prometheus.NewRegistry()

// New makes metrics in Registry.
var New = promauto.With(Registry)

// Buckets are the upper bounds, in seconds, of durations of requests. The objectives of monitor/rules.yml are among them.
var Buckets = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5}

func init() {
	Registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	build := New.NewGaugeVec(prometheus.GaugeOpts{Namespace: Namespace, Name: "build_info", Help: "1; the labels say from what the program was built."},
		[]string{"program", "revision", "go_version"})
	program, revision := built()
	build.WithLabelValues(program, revision, runtime.Version()).Set(1)
}

// built returns the program's name and the commit it was built from, which in an image is the variable REVISION.
func built() (program, revision string) {
	revision = os.Getenv("REVISION")
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "", revision
	}
	program = info.Path[strings.LastIndex(info.Path, "/")+1:]
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			revision = s.Value
		}
	}
	return program, revision
}

// Handler answers with all metrics. What fails to be read is left out; the rest is answered.
func Handler() http.Handler {
	return promhttp.HandlerFor(Registry, promhttp.HandlerOpts{
		EnableOpenMetrics:   true, // exemplars need it
		ErrorHandling:       promhttp.ContinueOnError,
		ErrorLog:            problems{},
		MaxRequestsInFlight: 4,
		Timeout:             8 * time.Second,
	})
}

type problems struct{}

func (problems) Println(v ...any) { slog.Warn("metrics", "problem", v) }

// slow is from when a duration has an exemplar: what is faster nobody looks for, and most requests are spared the cost.
const slow = 25 * time.Millisecond

// Observe adds a duration to o. A slow request's correlation id is kept beside it as an exemplar, by which it is found in
// the logs.
func Observe(ctx context.Context, o prometheus.Observer, d time.Duration) {
	if d < slow {
		o.Observe(d.Seconds())
		return
	}
	id, _, _ := strings.Cut(correlation.ID(ctx), ",") // of several requests, one
	if e, ok := o.(prometheus.ExemplarObserver); ok && id != "" && len(id)+len(exemplar) <= prometheus.ExemplarMaxRunes {
		e.ObserveWithExemplar(d.Seconds(), prometheus.Labels{exemplar: id})
		return
	}
	o.Observe(d.Seconds())
}

const exemplar = "correlation_id"
