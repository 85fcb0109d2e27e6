package gate

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"ticketremaster/orchestrator-service/gate/rules"
	inventoryv1 "ticketremaster/proto/inventory/v1"
)

// Unheard remembers the tries of scans whose answers were not heard, for all replicas. What a try decided is in the entry
// log under its id. Where the device gives scans no ids, the next scan of the same code by the same device is taken for
// the repeat of such a try; if the try was heard, it is someone else with the same picture.
type Unheard interface {
	// Note remembers a try.
	Note(ctx context.Context, key ScanKey, try uuid.UUID) error
	// Claim takes the oldest try that was noted at most within ago; false if there is none. A try is given once.
	Claim(ctx context.Context, key ScanKey, within time.Duration) (try uuid.UUID, ok bool, err error)
}

// ScanKey is what is scanned by whom: staff, hall, device, direction and payload, hashed.
type ScanKey [sha256.Size]byte

const (
	repeatWithin = 20 * time.Second
	noteWithin   = 300 * time.Millisecond // bounds Note and Claim: a queue does not wait for them
)

func keyOf(staff uuid.UUID, s Scan) (k ScanKey) {
	h := sha256.New()
	h.Write(staff[:])
	for _, text := range []string{s.Hall, s.Name, string(s.Direction), s.Payload} {
		h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(text))))
		h.Write([]byte(text))
	}
	return ScanKey(h.Sum(nil))
}

// noteUnheard remembers that the answer to an attempt that may have been let through is not heard. If that fails, its
// repeat is refused as DUPLICATE: the safe side.
func (f *Flows) noteUnheard(ctx context.Context, a *attempt) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteWithin)
	defer cancel()
	if err := f.Unheard.Note(ctx, a.key, a.id); err != nil {
		slog.WarnContext(ctx, "it cannot be noted that the answer to a scan was not heard", "scan", a.id, "error", err)
	}
}

// passedUnheard reports whether an earlier try of this very scan was let through and not heard; a has that try's id then.
func (f *Flows) passedUnheard(ctx context.Context, a *attempt, scan func() *inventoryv1.Scan, x known) (bool, error) {
	switch {
	case a.own && a.direction == rules.In:
		return x.ticket.EntryScanId == a.id.String() && !x.ticket.Left, nil
	case a.own:
		result, err := f.mark(ctx, a, scan(), x) // the log knows if they left by this very scan
		return result == inventoryv1.ScanResult_SUCCESS, err
	}
	mine := a.id
	for a.key != (ScanKey{}) {
		try, ok, err := f.claimUnheard(ctx, a.key)
		if err != nil || !ok {
			a.id = mine
			return false, nil
		}
		a.id = try
		result, err := f.mark(ctx, a, scan(), x)
		if err != nil || result == inventoryv1.ScanResult_SUCCESS {
			return err == nil, err
		}
	}
	return false, nil
}

func (f *Flows) claimUnheard(ctx context.Context, k ScanKey) (uuid.UUID, bool, error) {
	ctx, cancel := context.WithTimeout(ctx, noteWithin)
	defer cancel()
	try, ok, err := f.Unheard.Claim(ctx, k, repeatWithin)
	if err != nil {
		slog.WarnContext(ctx, "it is not known whether an earlier answer to a scan was not heard", "error", err)
	}
	return try, ok, err
}
