package database

import (
	"context"
	"sync/atomic"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"ticketremaster/platform/metrics"
)

// opened is the pool whose figures are shown: the last one that was opened, since a program has one.
var opened atomic.Pointer[pgxpool.Pool]

func init() { metrics.Registry.MustRegister(poolFigures{}) }

// Show says in the metrics, under the database's name, whether it answers.
func Show(name string, pool *pgxpool.Pool) {
	metrics.Show(name, func(ctx context.Context) ([]prometheus.Metric, error) { return nil, pool.Ping(ctx) })
}

// poolFigures shows the pool's own counters when somebody scrapes; they cost a request nothing.
type poolFigures struct{}

var (
	connections    = metrics.Desc("db_connections", "Connections to the database, by state: acquired, idle, constructing.", "state")
	connectionsMax = metrics.Desc("db_connections_max", "The most connections that the pool opens (DB_MAX_CONNS).")
	acquires       = metrics.Desc("db_acquires_total", "Connections taken from the pool.")
	acquireWaits   = metrics.Desc("db_acquire_waits_total", "Connections that had to be waited for.")
	acquireWaited  = metrics.Desc("db_acquire_wait_seconds_total", "Time spent waiting for connections.")
	acquireGivenUp = metrics.Desc("db_acquires_canceled_total", "Waits for a connection that ended without one.")
)

// Describe names the figures.
func (poolFigures) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{connections, connectionsMax, acquires, acquireWaits, acquireWaited, acquireGivenUp} {
		to <- d
	}
}

// Collect reads the figures; before a pool is open there are none.
func (poolFigures) Collect(to chan<- prometheus.Metric) {
	pool := opened.Load()
	if pool == nil {
		return
	}
	s := pool.Stat()
	to <- metrics.Gauge(connections, float64(s.AcquiredConns()), "acquired")
	to <- metrics.Gauge(connections, float64(s.IdleConns()), "idle")
	to <- metrics.Gauge(connections, float64(s.ConstructingConns()), "constructing")
	to <- metrics.Gauge(connectionsMax, float64(s.MaxConns()))
	to <- metrics.Counter(acquires, float64(s.AcquireCount()))
	to <- metrics.Counter(acquireWaits, float64(s.EmptyAcquireCount()))
	to <- metrics.Counter(acquireWaited, s.EmptyAcquireWaitTime().Seconds())
	to <- metrics.Counter(acquireGivenUp, float64(s.CanceledAcquireCount()))
}
