package audit

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"ticketremaster/platform/web"
)

// Watch audits again and again, and tells it as metrics: all when it starts and every Whole, and what changed every
// Interval. Who offended stays known until it is seen mended.
type Watch struct {
	dsns            map[string]string
	options         Options
	interval, whole time.Duration
	known           []offenders // one for each invariant
	ready           atomic.Bool // it has looked at all once

	metrics   *prometheus.Registry
	offenders *prometheus.GaugeVec
	looked    *prometheus.GaugeVec
	took      *prometheus.GaugeVec
	failures  prometheus.Counter
}

// overlap is how much earlier than its last look a look at what changed begins: a change bears the time of its
// transaction's begin and is seen after its end.
const overlap = time.Minute

// NewWatch makes a watch; options has the grace period.
func NewWatch(dsns map[string]string, options Options, interval, whole time.Duration) *Watch {
	w := &Watch{dsns: dsns, options: options, interval: interval, whole: whole, known: make([]offenders, len(invariants)),
		metrics: prometheus.NewRegistry(),
		offenders: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "ticketremaster_audit_offenders",
			Help: "Offenders against an invariant that still offended after the grace period."}, []string{"invariant"}),
		looked: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "ticketremaster_audit_last_success_timestamp_seconds",
			Help: "When the audit last looked at all, or at what changed, without an error."}, []string{"scope"}),
		took: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "ticketremaster_audit_duration_seconds",
			Help: "How long its last look took, with the grace period."}, []string{"scope"}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{Name: "ticketremaster_audit_failures_total",
			Help: "Looks that could not be made: a database was not there."}),
	}
	w.metrics.MustRegister(w.offenders, w.looked, w.took, w.failures)
	return w
}

// Serve watches, and serves /metrics and /health on addr, until ctx ends. It is healthy once it has looked at all.
func (w *Watch) Serve(ctx context.Context, addr string) error {
	b, err := open(ctx, w.dsns)
	if err != nil {
		return err
	}
	defer b.close()
	router := web.NewRouter(func(context.Context) error {
		if !w.ready.Load() {
			return errors.New("the first audit is not done yet")
		}
		return nil
	})
	router.Method("GET", "/metrics", promhttp.HandlerFor(w.metrics, promhttp.HandlerOpts{}))
	ctx, stop := context.WithCancel(ctx)
	served := make(chan error, 1)
	go func() { served <- web.Serve(ctx, addr, router, 0); stop() }()
	w.run(ctx, b)
	stop()
	return <-served
}

func (w *Watch) run(ctx context.Context, b books) {
	var looked, whole time.Time // when the last looks that succeeded began
	for ctx.Err() == nil {
		start, since, scope := time.Now(), looked.Add(-overlap), "changed"
		if whole.IsZero() || start.Sub(whole) >= w.whole {
			since, scope = time.Time{}, "all"
		}
		switch err := w.look(ctx, b, since, scope); {
		case ctx.Err() != nil:
			return
		case err != nil:
			w.failures.Inc()
			slog.Error("the audit could not look", "scope", scope, "error", err)
		default:
			w.looked.WithLabelValues(scope).SetToCurrentTime()
			w.took.WithLabelValues(scope).Set(time.Since(start).Seconds())
			if looked = start; scope == "all" {
				whole = start
				w.ready.Store(true)
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Until(start.Add(w.interval))):
		}
	}
}

// look looks at all, or at what changed, and at those who offended before.
func (w *Watch) look(ctx context.Context, b books, since time.Time, scope string) error {
	suspects := make([]offenders, len(invariants))
	err := each(ctx, func(ctx context.Context, i int, f finder) error {
		suspects[i] = offenders{}
		maps.Copy(suspects[i], w.known[i])
		if scope == "all" {
			return f.all(ctx, b, "", suspects[i], func(string) error { return nil })
		}
		return f.changed(ctx, b, since, suspects[i])
	})
	if err != nil {
		return err
	}
	report, err := b.confirm(ctx, suspects, w.options)
	if err != nil {
		return err
	}
	for i, x := range report.Results {
		for id, words := range x.Offenders {
			if _, before := w.known[i][id]; !before {
				slog.Error("ALARM: an invariant is broken", "invariant", x.Rule, "id", id, "how", words)
			}
		}
		w.known[i] = x.Offenders
		w.offenders.WithLabelValues(x.Rule).Set(float64(len(x.Offenders)))
	}
	return nil
}
