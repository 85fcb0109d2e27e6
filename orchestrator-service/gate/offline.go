package gate

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/types/known/timestamppb"

	"ticketremaster/orchestrator-service/clients"
	"ticketremaster/orchestrator-service/gate/device"
	"ticketremaster/orchestrator-service/gate/rules"
	"ticketremaster/platform/fault"
	"ticketremaster/platform/web"
	inventoryv1 "ticketremaster/proto/inventory/v1"
)

// Signed is a manifest and its Ed25519 signature.
type Signed struct {
	Text      []byte
	KeyID     string
	Signature []byte
}

// Manifest makes the list with which a device decides scans of an event without network.
func (f *Flows) Manifest(ctx context.Context, staff Staff, id uuid.UUID) (Signed, error) {
	event, err := f.at(ctx, staff, id)
	if err != nil {
		return Signed{}, err
	}
	madeAt, debt := time.Now().UTC(), f.Users.DebtSince(ctx)
	var lines []byte
	n, portion := 0, &inventoryv1.ListTicketsRequest{EventId: id.String()}
	for {
		res, err := f.Inventory.ListTickets(ctx, portion)
		if err != nil {
			return Signed{}, err
		}
		for _, t := range res.Tickets {
			lines = device.AppendTicket(lines, device.Ticket{Seat: clients.ID(t.SeatId), Row: t.RowNumber, Number: int(t.SeatNumber),
				Version: t.OwnershipVersion, Entered: t.Entered, Left: t.Left, TakenBack: takenBack(t, debt)})
		}
		n += len(res.Tickets)
		if !res.More {
			break
		}
		last := res.Tickets[len(res.Tickets)-1]
		portion.AfterRow, portion.AfterNumber = last.RowNumber, last.SeatNumber
	}
	text, err := device.Begin(device.Header{Event: f.event(event), MadeAt: madeAt, Skew: f.ClockSkew, Keys: f.QR.EventKeys(id), Tickets: n})
	if err != nil {
		return Signed{}, err
	}
	text = append(text, lines...)
	keyID, signature := f.QR.Sign(text)
	return Signed{text, keyID, signature}, nil
}

// Outcome is what became of an uploaded decision.
type Outcome string

// The outcomes.
const (
	Merged   Outcome = "MERGED"   // it is in the log, as the device decided; a repeat is this too
	Conflict Outcome = "CONFLICT" // it is in the log, and collides with what the service knows
	Waiting  Outcome = "WAITING"  // an undoing whose admission has not come: to be uploaded again
	Refused  Outcome = "REFUSED"  // an undoing that is not possible
)

// Upload is the answer to one uploaded decision.
type Upload struct {
	ScanID  uuid.UUID    `json:"scan_id"`
	Outcome Outcome      `json:"outcome"`
	Result  rules.Result `json:"result,omitempty"`  // as it is in the log
	Message string       `json:"message,omitempty"` // of one that is not merged
}

// MostUploaded is how many decisions one call takes.
const MostUploaded = 200

// atOnce is how many seats an upload merges at once.
const atOnce = 16

// TakeIn merges what a device decided without network into the log, in the order of its clock, and answers in the order given. It may come
// in any order, any number of times, and from several devices.
func (f *Flows) TakeIn(ctx context.Context, staff Staff, id uuid.UUID, decided []device.Decided) ([]Upload, error) {
	event, err := f.at(ctx, staff, id)
	if err != nil {
		return nil, err
	}
	var seats []string
	order := make([]int, len(decided))
	for i, d := range decided {
		order[i] = i
		seats = append(seats, d.SeatID.String())
	}
	res, err := f.Inventory.FindTickets(ctx, &inventoryv1.FindTicketsRequest{EventId: id.String(), SeatIds: seats})
	if err != nil {
		return nil, err
	}
	tickets := map[uuid.UUID]*inventoryv1.GateTicket{}
	for _, t := range res.Tickets {
		tickets[clients.ID(t.SeatId)] = t
	}
	slices.SortStableFunc(order, func(a, b int) int { return decided[a].At.Compare(decided[b].At) })
	bySeat := map[uuid.UUID][]int{}
	for _, i := range order {
		bySeat[decided[i].SeatID] = append(bySeat[decided[i].SeatID], i)
	}
	uploads := make([]Upload, len(decided))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	for seat, mine := range bySeat {
		g.Go(func() error {
			for _, i := range mine {
				u, err := f.takeIn(ctx, staff, event, tickets[seat], decided[i])
				if err != nil {
					return err
				}
				uploads[i] = u
			}
			return nil
		})
	}
	return uploads, g.Wait()
}

// takeIn merges one decision; ticket is nil if the event has no such ticket.
func (f *Flows) takeIn(ctx context.Context, staff Staff, event clients.Event, ticket *inventoryv1.GateTicket, d device.Decided) (Upload, error) {
	scan := &inventoryv1.Scan{
		ScanId: d.ScanID.String(), SeatId: d.SeatID.String(), EventId: event.EventID.String(), StaffId: staff.ID.String(), HallIdExpected: event.HallID,
		HallIdStaff: d.Hall, Device: d.Device, Reason: string(d.Reason), Note: d.Note, Manual: d.Manual, Direction: directions[d.Direction],
		DecidedAt: timestamppb.New(d.At), DeviceResult: inventoryv1.ScanResult(inventoryv1.ScanResult_value[string(d.Result)]),
	}
	out := Upload{ScanID: d.ScanID, Outcome: Merged, Result: d.Result}
	switch {
	case d.Direction == device.Undo:
		scan.Undoes, scan.Direction = d.Undoes.String(), inventoryv1.Direction_UNDO
		_, err := f.Inventory.UndoCheckIn(ctx, &inventoryv1.UndoCheckInRequest{Scan: scan, SeatId: d.SeatID.String(), ByAdmin: staff.Admin})
		return undone(out, err)
	case d.Result != rules.Success:
		scan.Result = scan.DeviceResult
		_, err := f.Inventory.RecordScan(ctx, &inventoryv1.RecordScanRequest{Scan: scan})
		return out, err
	case ticket == nil: // let in with what is no ticket of this event, or no more
		scan.Result, scan.Reason = inventoryv1.ScanResult_NOT_FOUND, string(rules.NoSuchSeat)
		out.Outcome, out.Result, out.Message = Conflict, rules.NotFound, "This event has no such ticket, or no more"
		_, err := f.Inventory.RecordScan(ctx, &inventoryv1.RecordScanRequest{Scan: scan})
		return out, err
	}
	var result inventoryv1.ScanResult
	var err error
	if d.Direction == rules.Out {
		var res *inventoryv1.MarkExitedResponse
		res, err = f.Inventory.MarkExited(ctx, &inventoryv1.MarkExitedRequest{Scan: scan, OwnershipVersion: d.Version})
		result = res.GetResult()
	} else {
		var res *inventoryv1.MarkCheckedInResponse
		res, err = f.Inventory.MarkCheckedIn(ctx, &inventoryv1.MarkCheckedInRequest{
			Scan: scan, OwnerUserId: ticket.OwnerUserId, OwnershipVersion: d.Version, Reentry: event.ReentryAllowed})
		result = res.GetResult()
	}
	if err == nil && result != inventoryv1.ScanResult_SUCCESS {
		lost := rules.Lost(d.Direction, rules.Result(result.String()))
		out.Outcome, out.Result, out.Message = Conflict, lost.Result, lost.Message
	}
	return out, err
}

func undone(out Upload, err error) (Upload, error) {
	switch code := fault.Code(err); {
	case err == nil:
		return out, nil
	case code == fault.CodeScanNotFound:
		out.Outcome = Waiting
	case fault.Unknown(err):
		return out, err
	default:
		out.Outcome = Refused
	}
	out.Result, out.Message = "", fault.From(err).Message
	return out, nil
}

// Collision is a scan that a device without network let through and the service could not, and the admission that stood already.
type Collision struct {
	Scan     *inventoryv1.Scan
	Standing *inventoryv1.Scan // nil: none; the ticket was not valid any more
}

// Conflicts gives a page of an event's collisions, newest first.
func (f *Flows) Conflicts(ctx context.Context, staff Staff, id uuid.UUID, page web.Page) ([]Collision, int, error) {
	if _, err := f.at(ctx, staff, id); err != nil {
		return nil, 0, err
	}
	res, err := f.Inventory.ListScans(ctx, &inventoryv1.ListScansRequest{EventId: id.String(), Page: int32(page.Number), PerPage: int32(page.Size), ConflictsOnly: true})
	if err != nil {
		return nil, 0, err
	}
	all := make([]Collision, len(res.Scans))
	for i, s := range res.Scans {
		all[i] = Collision{s, res.Standing[s.ConflictsWith]}
	}
	return all, int(res.Total), nil
}
