package grpcapi

import (
	"context"
	"crypto/sha256"
	"encoding/hex"

	"github.com/google/uuid"

	"ticketremaster/platform/fault"
	inventoryv1 "ticketremaster/proto/inventory/v1"

	inventory "ticketremaster/inventory-service"
)

// maxPage bounds the offset of a page.
const maxPage = 100_000

// RecordQR stores the hash of the QR payload issued last.
func (s *Server) RecordQR(ctx context.Context, r *inventoryv1.RecordQRRequest) (*inventoryv1.RecordQRResponse, error) {
	var in ids
	seat, user := in.need("seat_id", r.SeatId), in.need("user_id", r.UserId)
	switch {
	case in.err != nil:
		return nil, in.err
	case len(r.Sha256) != sha256.Size:
		return nil, fault.Field("sha256", "must be %d bytes", sha256.Size)
	}
	return &inventoryv1.RecordQRResponse{}, s.store.RecordQR(ctx, seat, user, r.OwnershipVersion, hex.EncodeToString(r.Sha256))
}

// VerifyTicket returns what the gate's rules need of a seat.
func (s *Server) VerifyTicket(ctx context.Context, r *inventoryv1.VerifyTicketRequest) (*inventoryv1.VerifyTicketResponse, error) {
	var in ids
	id := in.need("seat_id", r.SeatId)
	if in.err != nil {
		return nil, in.err
	}
	t, err := s.store.Ticket(ctx, id)
	if err != nil {
		return nil, err
	}
	return &inventoryv1.VerifyTicketResponse{Seat: seatMessage(t.Seat), HasSuccessLog: t.Entered(), Left: t.Left, EntryScanId: text(t.ScanID),
		EnteredAt: moment(t.At), EntryAllowed: t.EntryAllowed}, nil
}

// MarkCheckedIn checks the owner of a ticket in, once.
func (s *Server) MarkCheckedIn(ctx context.Context, r *inventoryv1.MarkCheckedInRequest) (*inventoryv1.MarkCheckedInResponse, error) {
	var in ids
	c := inventory.CheckIn{Scan: readScan(&in, r.Scan), OwnerID: in.need("owner_user_id", r.OwnerUserId), OwnershipVersion: r.OwnershipVersion, Reentry: r.Reentry}
	c.SeatID = in.need("scan.seat_id", r.GetScan().GetSeatId())
	if in.err != nil {
		return nil, in.err
	}
	if err := c.Check(); err != nil {
		return nil, err
	}
	result, seat, err := s.store.CheckIn(ctx, c)
	return &inventoryv1.MarkCheckedInResponse{Result: results[result], Seat: knownSeat(seat)}, err
}

// MarkExited logs that the holder of a ticket leaves.
func (s *Server) MarkExited(ctx context.Context, r *inventoryv1.MarkExitedRequest) (*inventoryv1.MarkExitedResponse, error) {
	var in ids
	c := inventory.CheckIn{Scan: readScan(&in, r.Scan), OwnershipVersion: r.OwnershipVersion}
	c.SeatID = in.need("scan.seat_id", r.GetScan().GetSeatId())
	if in.err != nil {
		return nil, in.err
	}
	if err := c.Check(); err != nil {
		return nil, err
	}
	result, seat, err := s.store.Exit(ctx, c)
	return &inventoryv1.MarkExitedResponse{Result: results[result], Seat: knownSeat(seat)}, err
}

// knownSeat returns nil for the zero Seat.
func knownSeat(s inventory.Seat) *inventoryv1.Seat {
	if s.ID == uuid.Nil {
		return nil
	}
	return seatMessage(s)
}

// UndoCheckIn undoes the last admission of a seat.
func (s *Server) UndoCheckIn(ctx context.Context, r *inventoryv1.UndoCheckInRequest) (*inventoryv1.UndoCheckInResponse, error) {
	var in ids
	scan := readScan(&in, r.Scan)
	scan.SeatID, scan.Undoes = in.need("seat_id", r.SeatId), in.need("scan.undoes", r.GetScan().GetUndoes())
	switch err := scan.Check(); {
	case in.err != nil:
		return nil, in.err
	case err != nil:
		return nil, err
	case scan.Note == "":
		return nil, fault.Field("scan.note", "is required")
	}
	seat, err := s.store.UndoCheckIn(ctx, scan, r.ByAdmin)
	if err != nil {
		return nil, err
	}
	return &inventoryv1.UndoCheckInResponse{Seat: seatMessage(seat)}, nil
}

// RecordScan logs a scan that was decided elsewhere. Only MarkCheckedIn and MarkExited write SUCCESS.
func (s *Server) RecordScan(ctx context.Context, r *inventoryv1.RecordScanRequest) (*inventoryv1.RecordScanResponse, error) {
	var in ids
	scan := readScan(&in, r.Scan)
	if in.err != nil {
		return nil, in.err
	}
	if err := scan.Check(); err != nil {
		return nil, err
	}
	switch {
	case scan.Result == "" || scan.Result == inventory.Success:
		return nil, fault.Field("scan.result", "must be a result other than SUCCESS")
	case scan.Direction == inventory.Undo:
		return nil, fault.Field("scan.direction", "must be IN or OUT")
	}
	return &inventoryv1.RecordScanResponse{}, s.store.RecordScan(ctx, scan)
}

// ListScans returns an event's scans, newest first, or those among them that are conflicts.
func (s *Server) ListScans(ctx context.Context, r *inventoryv1.ListScansRequest) (*inventoryv1.ListScansResponse, error) {
	var in ids
	event := in.need("event_id", r.EventId)
	switch {
	case in.err != nil:
		return nil, in.err
	case r.Page < 1 || r.Page > maxPage:
		return nil, fault.Field("page", "must be from 1 to %d", maxPage)
	case r.PerPage < 1 || r.PerPage > inventory.MaxScansPerPage:
		return nil, fault.Field("per_page", "must be from 1 to %d", inventory.MaxScansPerPage)
	}
	var page inventory.ScanPage
	var err error
	if r.ConflictsOnly {
		page, err = s.store.Conflicts(ctx, event, int(r.Page), int(r.PerPage))
	} else {
		page, err = s.store.Scans(ctx, event, resultOf(r.Result), int(r.Page), int(r.PerPage))
	}
	if err != nil {
		return nil, err
	}
	out := &inventoryv1.ListScansResponse{Total: int32(page.Total), Counts: map[string]int32{}, Standing: map[string]*inventoryv1.Scan{}}
	for result, n := range page.Counts {
		out.Counts[string(result)] = int32(n)
	}
	for _, s := range page.Scans {
		out.Scans = append(out.Scans, scanMessage(s))
	}
	for id, s := range page.Standing {
		out.Standing[id.String()] = scanMessage(s)
	}
	return out, nil
}

func scanMessage(s inventory.Scan) *inventoryv1.Scan {
	return &inventoryv1.Scan{ScanId: s.ID.String(), SeatId: text(s.SeatID), PresentedSeatId: text(s.PresentedSeatID),
		EventId: text(s.EventID), StaffId: text(s.StaffID), Result: results[s.Result], HallIdPresented: s.HallPresented,
		HallIdExpected: s.HallExpected, ScannedAt: moment(s.At), HallIdStaff: s.HallStaff, Direction: directions[s.Direction],
		Device: s.Device, Reason: s.Reason, Note: s.Note, Manual: s.Manual, DecidedAt: moment(s.DecidedAt),
		DeviceResult: results[s.DeviceResult], ConflictsWith: text(s.ConflictsWith), Undoes: text(s.Undoes), Entry: int32(s.Entry)}
}

// readScan reads a scan; the seat presented is its seat unless it names another.
func readScan(in *ids, m *inventoryv1.Scan) inventory.Scan {
	s := inventory.Scan{
		ID: in.need("scan.scan_id", m.GetScanId()), SeatID: in.may("scan.seat_id", m.GetSeatId()),
		PresentedSeatID: in.may("scan.presented_seat_id", m.GetPresentedSeatId()), EventID: in.may("scan.event_id", m.GetEventId()),
		StaffID: in.need("scan.staff_id", m.GetStaffId()), Result: resultOf(m.GetResult()),
		HallPresented: m.GetHallIdPresented(), HallExpected: m.GetHallIdExpected(), HallStaff: m.GetHallIdStaff(),
		Direction: inventory.Direction(m.GetDirection().String()), Device: m.GetDevice(), Reason: m.GetReason(), Note: m.GetNote(),
		Manual: m.GetManual(), DeviceResult: resultOf(m.GetDeviceResult()),
	}
	if m.GetDecidedAt() != nil {
		s.DecidedAt = m.DecidedAt.AsTime()
	}
	if m.GetPresentedSeatId() == "" {
		s.PresentedSeatID = s.SeatID
	}
	return s
}

var directions = map[inventory.Direction]inventoryv1.Direction{
	inventory.In: inventoryv1.Direction_IN, inventory.Out: inventoryv1.Direction_OUT, inventory.Undo: inventoryv1.Direction_UNDO,
}

var results = map[inventory.Result]inventoryv1.ScanResult{
	inventory.Success:   inventoryv1.ScanResult_SUCCESS,
	inventory.Duplicate: inventoryv1.ScanResult_DUPLICATE,
	inventory.WrongHall: inventoryv1.ScanResult_WRONG_HALL,
	inventory.Unpaid:    inventoryv1.ScanResult_UNPAID,
	inventory.NotFound:  inventoryv1.ScanResult_NOT_FOUND,
	inventory.Expired:   inventoryv1.ScanResult_EXPIRED,
}

// resultOf returns the result a message means, empty for none.
func resultOf(m inventoryv1.ScanResult) inventory.Result {
	for result, message := range results {
		if message == m {
			return result
		}
	}
	return ""
}
