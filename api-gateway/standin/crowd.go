package standin

import (
	"sync/atomic"
	"time"
)

// crowd bounds the requests of one route that are not answered yet: what the orchestrator neither takes in nor lets wait would
// only wait for the processor, and to refuse it there costs several times what it costs here. Kong's bound is nginx's (crowd.conf).
type crowd struct {
	inside atomic.Int32
	calmAt atomic.Int64 // when few were inside last, in ns
}

// The bounds are those of the orchestrator's own queue (httpapi/admission.go) with its slots: wide in a rush, and narrow when the
// rush does not end.
const (
	rushBound   = 296
	steadyBound = 164
	fewInside   = 104
	aRush       = 150 * time.Millisecond
)

// enter lets a request in, who must leave; false: it is one too many.
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
