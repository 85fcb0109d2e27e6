package postgres

import (
	"context"
	"errors"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	event "ticketremaster/event-service"
	"ticketremaster/platform/database"
	"ticketremaster/platform/web"
)

// Change applies change to the present state of an event and records what it changed. A change that changes nothing
// succeeds, whatever version its author has seen: it is a repeat. event.ErrVersion if the author has seen another
// version.
func (s Store) Change(ctx context.Context, id uuid.UUID, author event.Author, change func(*event.Event) error) (e event.Event, err error) {
	err = database.BeginFenced(ctx, s.Pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT FROM events WHERE event_id = $1 FOR UPDATE`, id); err != nil {
			return err
		}
		before, err := one(tx.Query(ctx, getEvent, id))
		if err != nil {
			return err
		}
		e = before
		if done, err := changed(ctx, tx, author); done || err != nil {
			return err
		}
		if err := change(&e); err != nil {
			return err
		}
		changes, err := event.Differences(before, e)
		if err != nil || len(changes) == 0 {
			return err
		}
		if author.Version != 0 && author.Version != before.Version {
			return event.ErrVersion
		}
		e.Version++
		if err := remember(ctx, tx, e, author, changes); err != nil {
			return err
		}
		var past bool
		err = tx.QueryRow(ctx, `
			UPDATE events SET version = $2, name = $3, image = $4, featured = $5, event_date = $6, ends_at = $7, doors_open_at = $8, sales_start = $9,
				sales_end = $10, refund_until = $11, pricing_tiers = $12::jsonb, max_per_customer = $13, transfers_count = $14, refund_hours_before = $15,
				refund_fee_percent = $16, includes = $17::jsonb, total_seats = $18, status = $19, reentry_allowed = $20, resale_cap_percent = $21,
				max_per_booking = $22, no_single_seats = $23,
				published_at = CASE WHEN $19 = 'DRAFT'::event_status THEN NULL ELSE coalesce(published_at, now()) END
			WHERE event_id = $1 RETURNING event_date <= now()`,
			id, e.Version, e.Name, e.Image, e.Featured, e.Date, e.EndsAt, e.DoorsOpenAt, e.SalesStart, e.SalesEnd, e.RefundUntil, e.Tiers,
			e.MaxPerCustomer, e.TransfersCount, e.RefundHoursBefore, e.RefundFeePercent, parts(e), e.TotalSeats, string(e.Status), e.ReentryAllowed, e.ResaleCapPercent,
			e.MaxPerBooking, e.NoSingleSeats).Scan(&past)
		if err != nil {
			return err
		}
		if past && !e.Date.Equal(before.Date) && !author.AllowPast {
			return errPast
		}
		if moved := !e.Date.Equal(before.Date) || !e.EndsAt.Equal(before.EndsAt); moved {
			e.Warnings, err = overlaps(ctx, tx, e)
		}
		return err
	})
	return e, err
}

// remember records a change in the history. A change without an author, such as the publication by the service that
// made the draft, is not recorded.
func remember(ctx context.Context, tx pgx.Tx, e event.Event, author event.Author, changes []event.FieldChange) error {
	if author.By == uuid.Nil {
		return nil
	}
	var b pgx.Batch
	for _, c := range changes {
		b.Queue(`INSERT INTO event_changes (event_id, version, field, old, new, changed_by, reason, operation_id)
			VALUES ($1, $2, $3, $4::jsonb, $5::jsonb, $6, $7, $8)`,
			e.ID, e.Version, c.Field, []byte(c.Old), []byte(c.New), author.By, author.Reason,
			pgtype.UUID{Bytes: author.Operation, Valid: author.Operation != uuid.Nil})
	}
	return tx.SendBatch(ctx, &b).Close()
}

// changed reports whether the author's operation is in the history already. The event's row is locked.
func changed(ctx context.Context, tx pgx.Tx, author event.Author) (done bool, err error) {
	if author.Operation != uuid.Nil {
		err = tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM event_changes WHERE operation_id = $1)`, author.Operation).Scan(&done)
	}
	return done, err
}

// Publish makes a draft public; a repeat changes nothing. It returns event.ErrNotFound for one that is not there or was
// deleted.
func (s Store) Publish(ctx context.Context, id uuid.UUID, author event.Author) (event.Event, error) {
	return s.Change(ctx, id, author, func(e *event.Event) error {
		if e.Status == event.StatusDraft {
			e.Status = event.StatusPublished
		}
		return nil
	})
}

// Note records a change that was made outside the catalogue, such as blocked seats, in an event's history.
func (s Store) Note(ctx context.Context, id uuid.UUID, author event.Author, changes []event.FieldChange) error {
	return database.BeginFenced(ctx, s.Pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT FROM events WHERE event_id = $1 FOR NO KEY UPDATE`, id); err != nil {
			return err
		}
		e, err := one(tx.Query(ctx, getEvent, id))
		if err != nil {
			return err
		}
		if done, err := changed(ctx, tx, author); done || err != nil {
			return err
		}
		return remember(ctx, tx, e, author, changes)
	})
}

// History returns a page of an event's changes, newest first, and how many there are in all; event.ErrNotFound for an
// unknown event.
func (s Store) History(ctx context.Context, id uuid.UUID, page web.Page) ([]event.Change, int, error) {
	var b pgx.Batch
	b.Queue(`SELECT count(*), EXISTS (SELECT FROM events WHERE event_id = $1) FROM event_changes WHERE event_id = $1`, id)
	b.Queue(`SELECT version, field, old, new, changed_by, changed_at, reason FROM event_changes WHERE event_id = $1
		ORDER BY change_id DESC LIMIT $2 OFFSET $3`, id, page.Size, page.Offset())
	results := s.Pool.SendBatch(ctx, &b)
	defer results.Close()
	var total int
	var stands bool
	if err := results.QueryRow().Scan(&total, &stands); err != nil {
		return nil, 0, err
	}
	if total == 0 && !stands {
		return nil, 0, event.ErrNotFound
	}
	rows, err := results.Query()
	if err != nil {
		return nil, 0, err
	}
	changes, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (c event.Change, err error) {
		err = row.Scan(&c.Version, &c.Field, &c.From, &c.To, &c.By, &c.At, &c.Reason)
		utc(&c.At)
		return c, err
	})
	return changes, total, errors.Join(err, results.Close())
}
