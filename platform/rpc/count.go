package rpc

import (
	"context"
	"path"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/codes"

	"ticketremaster/platform/metrics"
)

var (
	served = metrics.New.NewCounterVec(prometheus.CounterOpts{Namespace: metrics.Namespace, Name: "rpcs_total",
		Help: "Calls answered over gRPC, by method and status code."}, []string{"method", "code"})
	servedSeconds = metrics.New.NewHistogramVec(prometheus.HistogramOpts{Namespace: metrics.Namespace, Name: "rpc_duration_seconds",
		Help: "How long calls over gRPC took, by method.", Buckets: metrics.Buckets}, []string{"method"})
)

// count counts a call that was answered; the server's methods are few, and others never come here.
func count(ctx context.Context, method string, code codes.Code, took time.Duration) {
	method = path.Base(method)
	served.WithLabelValues(method, code.String()).Inc()
	metrics.Observe(ctx, servedSeconds.WithLabelValues(method), took)
}
