package tickets

import (
	"context"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"ticketremaster/orchestrator-service/clients"
	"ticketremaster/orchestrator-service/qr"
	"ticketremaster/platform/fault"
	inventoryv1 "ticketremaster/proto/inventory/v1"
)

// Code is a ticket's QR code, valid until ExpiresAt.
type Code struct {
	Payload             string
	IssuedAt, ExpiresAt time.Time
}

// QRCode makes a fresh QR code for a ticket's owner; earlier codes stay valid to their own end. The hash of the first
// that an owner gets is recorded.
func (f *Flows) QRCode(ctx context.Context, user, seatID uuid.UUID) (Code, error) {
	res, err := f.Inventory.GetSeatOwner(ctx, &inventoryv1.GetSeatOwnerRequest{SeatId: seatID.String()})
	if err != nil {
		return Code{}, err
	}
	seat := res.Seat
	switch {
	case seat.Status == inventoryv1.SeatStatus_HELD && seat.HeldByUserId == user.String():
		return Code{}, errNotPaid
	case seat.OwnerUserId != user.String():
		return Code{}, errNotSeatOwner
	case seat.VoidId != "":
		return Code{}, errRefunded
	case seat.Status != inventoryv1.SeatStatus_SOLD:
		return Code{}, errUsed
	}
	event, err := f.Events.Recent(ctx, clients.ID(seat.EventId))
	if err != nil {
		return Code{}, err
	}
	code, err := f.seal(seatID, event, seat.OwnershipVersion)
	if err != nil {
		return Code{}, err
	}
	if seat.QrRecorded {
		return code, nil
	}
	_, err = f.Inventory.RecordQR(ctx, &inventoryv1.RecordQRRequest{
		SeatId: seatID.String(), UserId: user.String(), OwnershipVersion: seat.OwnershipVersion, Sha256: qr.Hash(code.Payload),
	})
	if fault.Unknown(err) { // the next look records one
		slog.WarnContext(ctx, "the hash of a QR code was not recorded", "seat", seatID, "error", err)
		return code, nil
	}
	return code, err
}

func (f *Flows) seal(seat uuid.UUID, event clients.Event, version int64) (Code, error) {
	now := time.Now().UTC().Truncate(time.Second)
	payload, err := f.QR.Seal(qr.Ticket{SeatID: seat, EventID: event.EventID, HallID: event.HallID, IssuedAt: now, OwnershipVersion: version})
	return Code{payload, now, now.Add(qr.Life)}, err
}

// FirstQR makes the QR code in the answer of a payment, "" if it cannot be made: the ticket is paid all the same, and
// the app asks for another code. version is the seat's ownership version once it is sold.
func (f *Flows) FirstQR(ctx context.Context, seat, eventID uuid.UUID, version int64) string {
	event, err := f.Events.Recent(ctx, eventID)
	if err != nil {
		return ""
	}
	code, err := f.seal(seat, event, version)
	if err != nil {
		slog.ErrorContext(ctx, "no QR could be made", "seat", seat, "error", err)
	}
	return code.Payload
}
