package gate

import (
	"github.com/prometheus/client_golang/prometheus"

	"ticketremaster/orchestrator-service/gate/rules"
	"ticketremaster/platform/metrics"
	inventoryv1 "ticketremaster/proto/inventory/v1"
)

// unreadable is the result of what is no code of ours.
const unreadable = "QR_INVALID"

var scans = metrics.New.NewCounterVec(prometheus.CounterOpts{Namespace: metrics.Namespace, Name: "gate_scans_total",
	Help: "Tickets decided at the gate, by code or by hand, by direction and result; SUCCESS with direction in is a check-in. A repeat counts again."},
	[]string{"direction", "result"})

func init() {
	for result := range inventoryv1.ScanResult_value {
		if result != inventoryv1.ScanResult_SCAN_RESULT_UNSPECIFIED.String() {
			scans.WithLabelValues("in", result) // 0 is a value, too
		}
	}
}

func count(d rules.Direction, result string) {
	direction := "in"
	if d == rules.Out {
		direction = "out"
	}
	scans.WithLabelValues(direction, result).Inc()
}
