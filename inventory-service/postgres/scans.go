package postgres

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	inventory "ticketremaster/inventory-service"
)

// RecordScan logs a scan that was decided without CheckIn, once per id. An unknown seat is logged as presented only.
func (s *Store) RecordScan(ctx context.Context, scan inventory.Scan) error {
	_, err := s.pool.Exec(ctx, `INSERT INTO entry_logs (log_id, seat_id, presented_seat_id, event_id, scanned_by_staff_id, hall_id_presented,
			hall_id_expected, result, hall_id_staff, device, reason, note, manual, decided_at, device_result, direction, entry)
		VALUES ($1, (SELECT seat_id FROM seats WHERE seat_id = $2), $3, $4, $5, $6, $7, $8::text::scan_result, $9, $10, $11, $12, $13, $14,
			$15::text::scan_result, $16::text::scan_direction, 0) ON CONFLICT (log_id) DO NOTHING`,
		scan.ID, orNull(scan.SeatID), orNull(scan.PresentedSeatID), orNull(scan.EventID), scan.StaffID, scan.HallPresented, scan.HallExpected,
		string(scan.Result), scan.HallStaff, scan.Device, scan.Reason, scan.Note, scan.Manual, timeOrNull(scan.DecidedAt),
		textOrNull(string(scan.DeviceResult)), string(scan.Direction))
	return translate(err)
}

const scanColumns = `log_id, seat_id, presented_seat_id, event_id, scanned_by_staff_id, result::text, hall_id_presented, hall_id_expected, scanned_at,
	hall_id_staff, direction::text, device, reason, note, manual, decided_at, coalesce(device_result::text, ''), conflicts_with, undoes, entry`

func readScan(row pgx.CollectableRow) (s inventory.Scan, err error) {
	var seat, presented, of, conflicts, undoes pgtype.UUID
	var decided pgtype.Timestamptz
	err = row.Scan(&s.ID, &seat, &presented, &of, &s.StaffID, (*string)(&s.Result), &s.HallPresented, &s.HallExpected, &s.At,
		&s.HallStaff, (*string)(&s.Direction), &s.Device, &s.Reason, &s.Note, &s.Manual, &decided, (*string)(&s.DeviceResult), &conflicts, &undoes, &s.Entry)
	s.SeatID, s.PresentedSeatID, s.EventID, s.ConflictsWith, s.Undoes = seat.Bytes, presented.Bytes, of.Bytes, conflicts.Bytes, undoes.Bytes
	s.DecidedAt = decided.Time
	return s, err
}

// Scans returns a page of an event's scans, newest first; an empty result asks for all. page counts from 1.
func (s *Store) Scans(ctx context.Context, event uuid.UUID, result inventory.Result, page, perPage int) (inventory.ScanPage, error) {
	var b pgx.Batch
	b.Queue(`SELECT result::text, count(*), count(*) FILTER (WHERE direction = 'IN') FROM entry_logs WHERE event_id = $1 GROUP BY result`, event)
	if result == "" {
		b.Queue(`SELECT `+scanColumns+` FROM entry_logs WHERE event_id = $1
			ORDER BY event_id, scanned_at DESC, log_id DESC LIMIT $2 OFFSET $3`, event, perPage, (page-1)*perPage)
	} else {
		b.Queue(`SELECT `+scanColumns+` FROM entry_logs WHERE event_id = $1 AND result = $4::text::scan_result
			ORDER BY event_id, result, scanned_at DESC, log_id DESC LIMIT $2 OFFSET $3`, event, perPage, (page-1)*perPage, string(result))
	}
	answers := s.pool.SendBatch(ctx, &b)
	defer answers.Close()
	p := inventory.ScanPage{Counts: map[inventory.Result]int{}}
	rows, err := answers.Query()
	if err != nil {
		return p, translate(err)
	}
	var r inventory.Result
	var all, in int
	if _, err := pgx.ForEachRow(rows, []any{(*string)(&r), &all, &in}, func() error {
		p.Counts[r] = in
		if result == "" || result == r {
			p.Total += all
		}
		return nil
	}); err != nil {
		return p, translate(err)
	}
	if rows, err = answers.Query(); err != nil {
		return p, translate(err)
	}
	p.Scans, err = pgx.CollectRows(rows, readScan)
	return p, translate(err)
}

// isConflict is a scan that a device admitted offline and the service could not, unless it was undone.
const isConflict = `c.event_id = $1 AND c.device_result = 'SUCCESS' AND c.result <> 'SUCCESS' AND c.direction <> 'UNDO'
	AND NOT EXISTS (SELECT FROM entry_logs u WHERE u.undoes = c.log_id)`

// Conflicts returns a page of an event's conflicts, newest first, with the admissions that they conflict with.
func (s *Store) Conflicts(ctx context.Context, event uuid.UUID, page, perPage int) (inventory.ScanPage, error) {
	var p inventory.ScanPage
	rows, err := s.pool.Query(ctx, `SELECT `+scanColumns+` FROM entry_logs c WHERE `+isConflict+`
		ORDER BY event_id, scanned_at DESC, log_id DESC LIMIT $2 OFFSET $3`, event, perPage, (page-1)*perPage)
	if err != nil {
		return p, translate(err)
	}
	if p.Scans, err = pgx.CollectRows(rows, readScan); err != nil {
		return p, translate(err)
	}
	with := make([]uuid.UUID, len(p.Scans))
	for i, c := range p.Scans {
		with[i] = c.ConflictsWith
	}
	if rows, err = s.pool.Query(ctx, `SELECT `+scanColumns+` FROM entry_logs WHERE log_id = ANY($1)`, with); err != nil {
		return p, translate(err)
	}
	standing, err := pgx.CollectRows(rows, readScan)
	if err != nil {
		return p, translate(err)
	}
	p.Standing = make(map[uuid.UUID]inventory.Scan, len(standing))
	for _, scan := range standing {
		p.Standing[scan.ID] = scan
	}
	err = s.pool.QueryRow(ctx, `SELECT count(*) FROM entry_logs c WHERE `+isConflict, event).Scan(&p.Total)
	return p, translate(err)
}
