package standin

import (
	"sync/atomic"
	"time"
)

// crowd bounds the requests in flight of one route: those that the orchestrator would neither admit nor queue would
// only wait for the processor, and refusing them there costs several times what it costs here. Kong's bound is nginx's
// (crowd.conf).
type crowd struct {
	inside atomic.Int32
	calmAt atomic.Int64 // when few requests were last in flight, in ns
}

// The bounds are those of the orchestrator's own queue (httpapi/admission.go) with its slots: wide in a burst, narrow
// under lasting overload.
const (
	rushBound   = 296
	steadyBound = 164
	fewInside   = 104
	aRush       = 150 * time.Millisecond
)

// enter admits a request, which must then leave; false: the bound is reached.
func (c *crowd) enter(now time.Time) bool {
	n, bound := c.inside.Add(1), int32(rushBound)
	if n <= fewInside {
		c.calmAt.Store(now.UnixNano())
	} else if now.UnixNano()-c.calmAt.Load() > aRush.Nanoseconds() {
		bound = steadyBound
	}
	if n > bound {
		c.leave()
		return false
	}
	return true
}

func (c *crowd) leave() { c.inside.Add(-1) }
