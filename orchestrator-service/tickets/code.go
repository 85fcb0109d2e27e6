package tickets

import (
	"context"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

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
	seat, event, err := f.usable(ctx, user, seatID)
	if err != nil {
		return Code{}, err
	}
	code, err := f.seal(seatID, event, seat.OwnershipVersion)
	if err != nil || seat.Status == inventoryv1.SeatStatus_CHECKED_IN { // the hash of the code that let them in stays
		return code, err
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

// Offline returns to a ticket's owner the secret that makes its codes without network. It is invalid after a transfer.
func (f *Flows) Offline(ctx context.Context, user, seatID uuid.UUID) (qr.OfflineTicket, error) {
	seat, event, err := f.usable(ctx, user, seatID)
	if err != nil {
		return qr.OfflineTicket{}, err
	}
	return f.QR.Offline(seatID, event.EventID, seat.OwnershipVersion), nil
}

// usable gives a user's own ticket that may still be shown at a gate. One that was used may, where who leaves may come
// in again; one that is bought at the marketplace may not.
func (f *Flows) usable(ctx context.Context, user, seatID uuid.UUID) (*inventoryv1.Seat, clients.Event, error) {
	var seat *inventoryv1.Seat
	var bought bool
	g, lookUp := errgroup.WithContext(ctx)
	g.Go(func() error {
		res, err := f.Inventory.GetSeatOwner(lookUp, &inventoryv1.GetSeatOwnerRequest{SeatId: seatID.String()})
		seat = res.GetSeat()
		return err
	})
	g.Go(func() (err error) { bought, err = f.Sales.Bought(lookUp, seatID); return err })
	if err := g.Wait(); err != nil {
		return nil, clients.Event{}, err
	}
	switch {
	case seat.Status == inventoryv1.SeatStatus_HELD && seat.HeldByUserId == user.String():
		return nil, clients.Event{}, errNotPaid
	case seat.OwnerUserId != user.String():
		return nil, clients.Event{}, errNotSeatOwner
	case seat.VoidId != "":
		return nil, clients.Event{}, errRefunded
	case bought:
		return nil, clients.Event{}, errBeingSold
	}
	event, err := f.Events.Recent(ctx, clients.ID(seat.EventId))
	switch {
	case err != nil:
		return nil, clients.Event{}, err
	case seat.Status != inventoryv1.SeatStatus_SOLD && !event.ReentryAllowed:
		return nil, clients.Event{}, errUsed
	}
	return seat, event, nil
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
