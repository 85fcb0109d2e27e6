package gate

import (
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"time"

	"github.com/google/uuid"
)

// repeats gives scans their ids where the device gives none, so that the repeat of a scan whose answer was not heard is the same scan.
//
// The id is derived from staff, hall, direction, payload and the time in steps of repeatStep, so that any replica finds the same. A scan
// that this replica has answered, or is about to answer, is not repeated by the next one with the same payload: that is someone else with
// the same picture.
type repeats struct {
	mu         sync.Mutex
	young, old map[scanKey]repeat // old: those of the step before
	rotated    time.Time
}

type scanKey [sha256.Size]byte

// repeat is what is known of a scan: the ids of its tries that were not heard. None: its tries were, or are about to be.
type repeat struct{ unheard []uuid.UUID }

// mostUnheard bounds what is kept for one scan.
const mostUnheard = 100

// repeatStep is also how long a scan is remembered, at least.
const repeatStep = 10 * time.Second

func repeatKey(staff uuid.UUID, s Scan) (k scanKey) {
	h := sha256.New()
	h.Write(staff[:])
	for _, text := range []string{s.Hall, s.Name, string(s.Direction), s.Payload} {
		h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(text))))
		h.Write([]byte(text))
	}
	return scanKey(h.Sum(nil))
}

// begin gives the id for a scan, and the one under which another replica may have admitted an earlier try of it; again tells that this
// replica tried it before and was not heard.
func (r *repeats) begin(k scanKey, now time.Time) (id, before uuid.UUID, again bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rotate(now)
	was, ok := r.young[k]
	if !ok {
		was, ok = r.old[k]
	}
	switch n := len(was.unheard); {
	case ok && n > 0:
		id, again = was.unheard[n-1], true
		was.unheard = was.unheard[:n-1]
	case ok:
		id = uuid.Must(uuid.NewV7())
	default:
		step := now.UnixNano() / int64(repeatStep)
		id, before = derived(k, step), derived(k, step-1)
	}
	r.young[k] = was
	return id, before, again
}

// end notes whether the answer to a try of the scan, which is logged under id, was not heard.
func (r *repeats) end(k scanKey, id uuid.UUID, unheard bool) {
	if !unheard {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	was, ok := r.young[k]
	if !ok {
		was = r.old[k]
	}
	if len(was.unheard) < mostUnheard {
		was.unheard = append(was.unheard, id)
	}
	r.young[k] = was
}

func (r *repeats) rotate(now time.Time) {
	if now.Sub(r.rotated) < repeatStep {
		return
	}
	r.old = r.young
	if now.Sub(r.rotated) > 2*repeatStep {
		r.old = nil
	}
	r.young, r.rotated = map[scanKey]repeat{}, now
}

func derived(k scanKey, step int64) uuid.UUID {
	return uuid.NewHash(sha256.New(), uuid.Nil, binary.BigEndian.AppendUint64(k[:], uint64(step)), 8)
}
