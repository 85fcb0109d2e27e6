package device

import (
	"time"

	"github.com/google/uuid"

	"ticketremaster/orchestrator-service/gate/rules"
	"ticketremaster/orchestrator-service/qr"
	"ticketremaster/platform/fault"
)

// Decided is what a device decided without network, as it is uploaded: POST /gate/{event_id}/scans.
type Decided struct {
	ScanID    uuid.UUID       `json:"scan_id"`
	SeatID    uuid.UUID       `json:"seat_id"`
	Version   int64           `json:"ownership_version"`
	Direction rules.Direction `json:"direction"` // IN, OUT, or UNDO
	Result    rules.Result    `json:"result"`
	Reason    rules.Reason    `json:"reason,omitempty"`
	Hall      string          `json:"hall_id,omitempty"`
	Device    string          `json:"device"`
	Manual    bool            `json:"manual,omitempty"`
	At        time.Time       `json:"decided_at"` // by the device's clock
	Undoes    uuid.UUID       `json:"undoes,omitzero"`
	Note      string          `json:"note,omitempty"` // of an undoing: why
}

// Undo is the direction of an undoing.
const Undo rules.Direction = "UNDO"

// Device decides scans of one event. It is not safe for use by several goroutines.
type Device struct {
	Name     string
	Hall     string
	Manifest *Manifest
	Log      []Kept // what was decided since the manifest was made, oldest first
}

// Kept is a decision and whether the service has it.
type Kept struct {
	Decided
	Uploaded bool `json:"uploaded,omitempty"`
}

// undoTime is how long the device lets its own admissions be undone.
const undoTime = 10 * time.Minute

// Reasons that only a device has.
const (
	NeedsNetwork rules.Reason = "NEEDS_NETWORK" // a 60-second code, which only the service opens
	NotOnList    rules.Reason = "NOT_ON_LIST"
)

// What a device answers for what is no ticket of the event. Neither is decided, and neither is logged.
var (
	ErrUnreadable   = fault.New(fault.Invalid, fault.CodeQRInvalid, "This QR code cannot be read: it is not a ticket of ours, or damaged")
	ErrNeedsNetwork = fault.New(fault.Unavailable, "NEEDS_NETWORK", "Without network only offline codes can be read: ask for the ticket's offline code, or search by seat")
	ErrNotPossible  = fault.New(fault.Conflict, fault.CodeUndoNotPossible, "This device has no check-in of this ticket from the last ten minutes, or its holder has left since")
)

// Scan decides a scanned code at a time and queues the decision.
func (d *Device) Scan(payload string, direction rules.Direction, now time.Time) (rules.Verdict, Ticket, error) {
	payload = rules.Scanned(payload)
	code, err := qr.ReadOffline(payload, now, func(id string, event uuid.UUID) (qr.EventKey, bool) {
		key, ok := d.Manifest.Keys[id]
		return key, ok && event == d.Manifest.Event.ID
	})
	switch {
	case err == nil:
		return d.decide(code, direction, now, false)
	case qr.LooksOnline(payload):
		return rules.Verdict{}, Ticket{}, ErrNeedsNetwork
	}
	return rules.Verdict{}, Ticket{}, ErrUnreadable
}

// ByHand decides a ticket that the staff found on the list.
func (d *Device) ByHand(seat uuid.UUID, direction rules.Direction, now time.Time) (rules.Verdict, Ticket, error) {
	code := qr.Ticket{SeatID: seat, EventID: d.Manifest.Event.ID, IssuedAt: now, OwnershipVersion: d.ticket(seat).Version}
	return d.decide(code, direction, now, true)
}

func (d *Device) decide(code qr.Ticket, direction rules.Direction, now time.Time, manual bool) (rules.Verdict, Ticket, error) {
	_, listed := d.Manifest.Tickets[code.SeatID]
	t := d.ticket(code.SeatID)
	v := rules.Decide(d.facts(t, listed, code, direction, now))
	if v.Reason == rules.NoSuchSeat {
		v.Reason, v.Message = NotOnList, "This ticket is not on the list of "+d.Manifest.MadeAt.UTC().Format("15:04")+" UTC: get a new list, or check it with network"
	}
	d.keep(Decided{
		ScanID: uuid.Must(uuid.NewV7()), SeatID: code.SeatID, Version: code.OwnershipVersion, Direction: direction, Result: v.Result, Reason: v.Reason,
		Hall: d.Hall, Device: d.Name, Manual: manual, At: now.UTC(),
	})
	return v, t, nil
}

// facts are what the manifest and the device's own decisions say. A code of a later ownership than the list's is genuine: only the
// service makes its secret, for the next owner.
func (d *Device) facts(t Ticket, listed bool, code qr.Ticket, direction rules.Direction, now time.Time) rules.Facts {
	f := rules.Facts{
		Now: now, Skew: d.Manifest.Skew, Direction: direction, StaffHall: d.Hall, StaffEvent: d.Manifest.Event.ID,
		Code: rules.Code{EventID: code.EventID, HallID: code.HallID, Version: code.OwnershipVersion, IssuedAt: code.IssuedAt},
		Paid: true, Entered: t.Entered, Left: t.Left, TakenBack: t.TakenBack && code.OwnershipVersion <= t.Version, Event: d.Manifest.Event,
	}
	if listed {
		f.Seat = &rules.Seat{EventID: d.Manifest.Event.ID, Status: rules.Sold, Version: max(t.Version, code.OwnershipVersion)}
	}
	return f
}

// ticket is a ticket as the list has it, after what this device has decided since.
func (d *Device) ticket(seat uuid.UUID) Ticket {
	t := d.Manifest.Tickets[seat]
	for i, q := range d.Log {
		if q.SeatID != seat || q.Result != rules.Success || q.Direction == Undo || d.undone(i) {
			continue
		}
		t.Version = max(t.Version, q.Version)
		t.Entered, t.Left = true, q.Direction == rules.Out
	}
	return t
}

func (d *Device) undone(i int) bool {
	for _, q := range d.Log[i:] {
		if q.Undoes == d.Log[i].ScanID {
			return true
		}
	}
	return false
}

// Undo takes back the last admission of a seat that this device made, if it is not older than ten minutes.
func (d *Device) Undo(seat uuid.UUID, note string, now time.Time) error {
	for i := len(d.Log) - 1; i >= 0; i-- {
		q := d.Log[i]
		if q.SeatID != seat || q.Result != rules.Success || q.Direction == Undo || d.undone(i) {
			continue
		}
		if q.Direction != rules.In || now.Sub(q.At) > undoTime {
			return ErrNotPossible
		}
		d.keep(Decided{
			ScanID: uuid.Must(uuid.NewV7()), SeatID: seat, Version: q.Version, Direction: Undo, Result: rules.Success, Device: d.Name, At: now.UTC(), Undoes: q.ScanID, Note: note,
		})
		return nil
	}
	return ErrNotPossible
}

func (d *Device) keep(x Decided) { d.Log = append(d.Log, Kept{Decided: x}) }

// Pending gives what is to be uploaded, oldest first.
func (d *Device) Pending() (pending []Decided) {
	for _, q := range d.Log {
		if !q.Uploaded {
			pending = append(pending, q.Decided)
		}
	}
	return pending
}

// Taken notes what the service has taken.
func (d *Device) Taken(scans map[uuid.UUID]bool) {
	for i := range d.Log {
		d.Log[i].Uploaded = d.Log[i].Uploaded || scans[d.Log[i].ScanID]
	}
}

// Sync takes a newer manifest. It knows what was uploaded; what was not stays.
func (d *Device) Sync(m *Manifest) {
	d.Manifest = m
	var rest []Kept
	for _, q := range d.Log {
		if !q.Uploaded {
			rest = append(rest, q)
		}
	}
	d.Log = rest
}
