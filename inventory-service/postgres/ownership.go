package postgres

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"ticketremaster/platform/database"
	"ticketremaster/platform/fault"

	inventory "ticketremaster/inventory-service"
)

const handOver = `
WITH done AS (
	SELECT seat_id = $1 AND from_user_id = $2 AND to_user_id = $3 AND cause = $5::text::ownership_cause AS same
	FROM seat_ownership WHERE operation_id = $4
), moved AS (
	UPDATE seats SET owner_user_id = $3, ownership_version = ownership_version + 1, qr_code_hash = NULL,
		sold_at = clock_timestamp(), updated_at = clock_timestamp()
	WHERE seat_id = $1 AND status = 'SOLD' AND owner_user_id = $2 AND void_id IS NULL AND NOT EXISTS (SELECT FROM done)
	RETURNING *
), noted AS (
	INSERT INTO seat_ownership (operation_id, seat_id, from_user_id, to_user_id, cause, version, at)
	SELECT $4, seat_id, $2, owner_user_id, $5::text::ownership_cause, ownership_version, sold_at FROM moved
), seat AS (
	SELECT * FROM moved UNION ALL SELECT * FROM seats WHERE seat_id = $1 AND NOT EXISTS (SELECT FROM moved)
)
SELECT EXISTS (SELECT FROM moved), (SELECT same FROM done), ` + columns + ` FROM seat`

// HandOver transfers a SOLD seat from its expected owner to another. A repeat returns the seat as it is now, whoever
// owns it.
func (s *Store) HandOver(ctx context.Context, h inventory.Handover) (inventory.Seat, error) {
	type answer struct {
		moved  bool
		repeat *bool // nil: the operation is new
		row    seatRow
	}
	a, err := decide(ctx, s, lockSeat, h.SeatID, handOver, func(row pgx.CollectableRow) (a answer, err error) {
		err = row.Scan(a.row.into(&a.moved, &a.repeat)...)
		return a, err
	}, h.SeatID, h.From, h.To, h.OperationID, string(h.Cause))
	switch {
	case database.Violates(err, "seat_ownership_pkey"), err == nil && a.repeat != nil && !*a.repeat:
		return inventory.Seat{}, fault.Field("operation_id", "was used for another change of owner")
	case err != nil:
		return inventory.Seat{}, err
	case a.moved || a.repeat != nil:
		return a.row.seat(), nil
	}
	return inventory.Seat{}, h.Refusal(a.row.seat())
}

// Custody returns a seat and its chain of custody, oldest first, or SEAT_NOT_FOUND.
func (s *Store) Custody(ctx context.Context, seat uuid.UUID) (inventory.Seat, []inventory.Ownership, error) {
	var b pgx.Batch
	b.Queue(`SELECT `+columns+` FROM seats WHERE seat_id = $1`, seat)
	b.Queue(`SELECT operation_id, from_user_id, to_user_id, cause::text, at, version FROM seat_ownership WHERE seat_id = $1 ORDER BY version`, seat)
	answers := s.pool.SendBatch(ctx, &b)
	defer answers.Close()
	var row seatRow
	if err := answers.QueryRow().Scan(row.into()...); err != nil {
		return inventory.Seat{}, nil, translate(err)
	}
	rows, err := answers.Query()
	if err != nil {
		return inventory.Seat{}, nil, translate(err)
	}
	chain, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (o inventory.Ownership, err error) {
		var from, to pgtype.UUID
		err = r.Scan(&o.OperationID, &from, &to, (*string)(&o.Cause), &o.At, &o.Version)
		o.From, o.To = from.Bytes, to.Bytes
		return o, err
	})
	return row.seat(), chain, translate(err)
}

// recordQR stores the hash for the present owner of an unused ticket.
const recordQR = `
WITH kept AS (
	UPDATE seats SET qr_code_hash = $4, updated_at = clock_timestamp()
	WHERE seat_id = $1 AND status = 'SOLD' AND owner_user_id = $2 AND ownership_version = $3 AND void_id IS NULL RETURNING seat_id
)
SELECT EXISTS (SELECT FROM kept), (status = 'CHECKED_IN' OR void_id IS NOT NULL) AND owner_user_id = $2 AND ownership_version = $3 FROM seats WHERE seat_id = $1`

// RecordQR keeps the hash (hex) of the QR payload issued last. NOT_SEAT_OWNER unless user owns the seat at that version,
// SEAT_UNAVAILABLE once it is checked in or refunded.
func (s *Store) RecordQR(ctx context.Context, seat, user uuid.UUID, version int64, hash string) error {
	var kept, used bool
	err := s.pool.QueryRow(ctx, recordQR, seat, user, version, hash).Scan(&kept, &used)
	switch {
	case err != nil:
		return translate(err)
	case kept:
		return nil
	case used:
		return inventory.ErrSeatUnavailable
	}
	return inventory.ErrNotOwner
}
