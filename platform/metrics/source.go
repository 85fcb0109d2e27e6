package metrics

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	readWithin = 2 * time.Second // of one read; a scrape waits no longer
	keepFor    = 5 * time.Second // so that several scrapers ask a database no more often than one
)

var (
	sourceUp = prometheus.NewDesc(prometheus.BuildFQName(Namespace, "source", "up"),
		"1 if the values that live in this source could be read, 0 if not; then they are missing.", []string{"source"}, nil)
	sourceSeconds = prometheus.NewDesc(prometheus.BuildFQName(Namespace, "source", "read_seconds"),
		"How long the last read of this source took.", []string{"source"}, nil)
)

// Source has values that do not live in the process but in a database or at the broker. They are read when somebody
// scrapes, never by a request.
type Source struct {
	name string
	read func(context.Context) ([]prometheus.Metric, error)

	mu     sync.Mutex
	values []prometheus.Metric
	until  time.Time
	now    func() time.Time
}

// NewSource makes a source of that name. read asks it once, by statements that are cheap at any size of it, within two
// seconds; what it returns is kept for five.
func NewSource(name string, read func(context.Context) ([]prometheus.Metric, error)) *Source {
	return &Source{name: name, read: read, now: time.Now}
}

// Show registers a source of that name, with all of these reads; see NewSource.
func Show(name string, reads ...func(context.Context) ([]prometheus.Metric, error)) {
	Registry.MustRegister(NewSource(name, func(ctx context.Context) (values []prometheus.Metric, err error) {
		for _, read := range reads {
			more, failed := read(ctx)
			values, err = append(values, more...), errors.Join(err, failed)
		}
		return values, err
	}))
}

// Describe says nothing: what a source has is known when it is read.
func (s *Source) Describe(chan<- *prometheus.Desc) {}

// Collect gives the values, or says that they could not be read.
func (s *Source) Collect(to chan<- prometheus.Metric) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := s.now(); !now.Before(s.until) {
		s.values = s.ask()
		s.until = s.now().Add(keepFor)
	}
	for _, v := range s.values {
		to <- v
	}
}

func (s *Source) ask() []prometheus.Metric {
	ctx, cancel := context.WithTimeout(context.Background(), readWithin)
	defer cancel()
	start, up := time.Now(), 1.0
	type answer struct {
		values []prometheus.Metric
		err    error
	}
	answered := make(chan answer, 1)
	go func() { // what does not heed its context must not hold up the scrape
		values, err := s.read(ctx)
		answered <- answer{values, err}
	}()
	var values []prometheus.Metric
	var err error
	select {
	case a := <-answered:
		values, err = a.values, a.err
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		slog.Warn("metrics: a source cannot be read", "source", s.name, "error", err)
		values, up = nil, 0
	}
	return append(values,
		Gauge(sourceUp, up, s.name),
		Gauge(sourceSeconds, time.Since(start).Seconds(), s.name))
}

// Desc describes a metric that is made when somebody scrapes.
func Desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(Namespace+"_"+name, help, labels, nil)
}

// Gauge is a value of now.
func Gauge(desc *prometheus.Desc, value float64, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
}

// Counter is a value that only grows while the process lives.
func Counter(desc *prometheus.Desc, value float64, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(desc, prometheus.CounterValue, value, labels...)
}
