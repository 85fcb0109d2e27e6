package recovery

import (
	"syscall"
	"testing"
)

// Under CPU contention the gateway has priority: it refuses and admits promptly while the services are busy.
func TestTheServicesGiveWayToTheGateway(t *testing.T) {
	nice := func(part string) int {
		pid, ok := own.Running(part)
		if !ok {
			t.Fatalf("%s does not run", part)
		}
		raw, err := syscall.Getpriority(syscall.PRIO_PROCESS, pid)
		if err != nil {
			t.Fatal(err)
		}
		return 20 - raw // the system call's way to avoid negative numbers
	}
	gateway := nice("api-gateway")
	for _, service := range []string{"orchestrator-service", "inventory-service", "user-service", "order-service", "event-service"} {
		if n := nice(service); n <= gateway {
			t.Errorf("%s: nice %d, the gateway %d", service, n, gateway)
		}
	}
}
