package httpapi

import (
	"github.com/prometheus/client_golang/prometheus"

	"ticketremaster/platform/metrics"
)

var (
	admissionSlots = metrics.New.NewGaugeVec(prometheus.GaugeOpts{Namespace: metrics.Namespace, Name: "admission_slots",
		Help: "How many requests of a queue are worked on at once (MAX_IN_FLIGHT)."}, []string{"queue"})
	admissionInFlight = metrics.New.NewGaugeVec(prometheus.GaugeOpts{Namespace: metrics.Namespace, Name: "admission_in_flight",
		Help: "Requests that have a slot. One that only waits for a saga has given its own back."}, []string{"queue"})
	admissionWaiting = metrics.New.NewGaugeVec(prometheus.GaugeOpts{Namespace: metrics.Namespace, Name: "admission_waiting",
		Help: "Requests that wait for a slot."}, []string{"queue"})
	admissionRefused = metrics.New.NewCounterVec(prometheus.CounterOpts{Namespace: metrics.Namespace, Name: "admission_refused_total",
		Help: "Requests that got no slot: too many waited, or it took too long."}, []string{"queue"})
)

// gauges show one admission's queue.
type gauges struct {
	inFlight, queued prometheus.Gauge
	refused          prometheus.Counter
}

func show(queue string, slots int) gauges {
	admissionSlots.WithLabelValues(queue).Set(float64(slots))
	return gauges{admissionInFlight.WithLabelValues(queue), admissionWaiting.WithLabelValues(queue), admissionRefused.WithLabelValues(queue)}
}
