// Package postgres keeps orders and transfers in orders_db.
package postgres

import (
	"context"
	"embed"
	"errors"
	"io/fs"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	order "ticketremaster/order-service"
	"ticketremaster/platform/database"
	"ticketremaster/platform/fault"
	"ticketremaster/platform/money"
	"ticketremaster/platform/web"
)

//go:embed migrations/*.sql
var files embed.FS

// Migrations make orders_db.
var Migrations = database.Fenced(migrations)

var migrations, _ = fs.Sub(files, "migrations")

// Store keeps orders and transfers. A refusal is a fault of package order; any other error is the database's.
type Store struct {
	Pool     *pgxpool.Pool
	payments *database.GroupCommit
	counts   *counts
}

// New returns the store on an open, migrated pool.
func New(pool *pgxpool.Pool) Store { return Store{pool, database.NewGroupCommit(pool), &counts{}} }

const orderColumns = `order_id, user_id, seat_id, event_id, status, price, credits_charged, held_until, created_at, confirmed_at, failure_reason, attempt_id, includes, booking_id`

const getOrder = `SELECT ` + orderColumns + ` FROM orders WHERE order_id = $1`

// one reads the single row of a query; none is the error if there is none.
func one[T any](rows pgx.Rows, err, none error) (x T, _ error) {
	if err != nil {
		return x, err
	}
	x, err = pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[T])
	if errors.Is(err, pgx.ErrNoRows) {
		err = none
	}
	return x, err
}

// oneOrder reads the single order of a query, or returns order.ErrNotFound.
func oneOrder(rows pgx.Rows, err error) (order.Order, error) {
	return one[order.Order](rows, err, order.ErrNotFound)
}

// Order returns an order, or order.ErrNotFound.
func (s Store) Order(ctx context.Context, id uuid.UUID) (order.Order, error) {
	return oneOrder(s.Pool.Query(ctx, getOrder, id))
}

// Place records a pending order. One that exists already is returned as it is, whatever its state.
func (s Store) Place(ctx context.Context, r order.Request) (order.Order, error) {
	placed, err := s.PlaceAll(ctx, []order.Request{r})
	if err != nil {
		return order.Order{}, err
	}
	return placed[0], nil
}

// PlaceAll is Place for several orders, in one statement and one commit: all of them or, on an error, none. The answers
// are in the order of the requests.
func (s Store) PlaceAll(ctx context.Context, requests []order.Request) ([]order.Order, error) {
	return placeAll(ctx, s.Pool, requests, nil)
}

// unnested are requests as the first arguments, $1 to $6, of a statement.
const unnested = `unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::numeric[], $6::timestamptz[]`

func unnest(requests []order.Request) []any {
	ids, users, seats, events := make([]uuid.UUID, len(requests)), make([]uuid.UUID, len(requests)), make([]uuid.UUID, len(requests)), make([]uuid.UUID, len(requests))
	prices, ends := make([]money.Cents, len(requests)), make([]time.Time, len(requests))
	for i, r := range requests {
		ids[i], users[i], seats[i], events[i], prices[i], ends[i] = r.ID, r.UserID, r.SeatID, r.EventID, r.Price, r.HeldUntil
	}
	return []any{ids, users, seats, events, prices, ends}
}

// querier is a pool or a transaction.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// placeAll is PlaceAll, for a person if that is not nil.
func placeAll(ctx context.Context, db querier, requests []order.Request, person *uuid.UUID) ([]order.Order, error) {
	includes, bookings := make([]string, len(requests)), make([]*uuid.UUID, len(requests))
	for i, r := range requests {
		includes[i], bookings[i] = string(r.Includes), r.BookingID
	}
	byID := make(map[uuid.UUID]order.Order, len(requests))
	err := collect(ctx, db, byID, `
		INSERT INTO orders (order_id, user_id, seat_id, event_id, status, price, held_until, includes, booking_id, person_id)
		SELECT id, "user", seat, event, 'PENDING', price, held_until, nullif(includes, '')::jsonb, booking, $9
		FROM `+unnested+`, $7::text[], $8::uuid[]) AS r (id, "user", seat, event, price, held_until, includes, booking)
		ON CONFLICT (order_id) DO NOTHING RETURNING `+orderColumns, append(unnest(requests), includes, bookings, person)...)
	if err == nil && len(byID) < len(requests) { // some existed
		err = collect(ctx, db, byID, getOrders, idsOf(requests))
	}
	if err != nil {
		return nil, err
	}
	return inOrder(requests, byID), nil
}

const getOrders = `SELECT ` + orderColumns + ` FROM orders WHERE order_id = ANY($1)`

func idsOf(requests []order.Request) []uuid.UUID {
	ids := make([]uuid.UUID, len(requests))
	for i, r := range requests {
		ids[i] = r.ID
	}
	return ids
}

// inOrder returns orders in the order of their requests.
func inOrder(requests []order.Request, byID map[uuid.UUID]order.Order) []order.Order {
	orders := make([]order.Order, len(requests))
	for i, r := range requests {
		orders[i] = byID[r.ID]
	}
	return orders
}

// counted are the orders and tickets of an event ($1) that a person ($2) has, the account $3 included, without the orders $4.
const counted = `
SELECT (SELECT count(*) FROM orders WHERE event_id = $1 AND (person_id = $2 OR user_id = $3) AND order_id <> ALL ($4::uuid[])
	AND (status = 'CONFIRMED' OR status = 'PENDING' AND held_until > now()))
+ CASE WHEN $5 THEN (SELECT count(*) FROM transfers t
	WHERE t.event_id = $1 AND t.status IN ('COMPLETED', 'DISPUTED')
	AND (t.buyer_user_id = $3 OR t.buyer_user_id IN (SELECT user_id FROM orders WHERE event_id = $1 AND person_id = $2))
	AND NOT EXISTS (SELECT FROM transfers later WHERE later.seat_id = t.seat_id AND later.status IN ('COMPLETED', 'DISPUTED') AND later.created_at > t.created_at))
ELSE 0 END`

// PlaceWithin is PlaceAll for one booking of a person who may have a limited number of orders of the event; order.ErrLimit. A
// person's orders take turns.
func (s Store) PlaceWithin(ctx context.Context, requests []order.Request, limit order.Limit) (placed []order.Order, err error) {
	first, ids := requests[0], idsOf(requests)
	err = pgx.BeginFunc(ctx, s.Pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtextextended($1::uuid::text || $2::uuid::text, 1))`, first.EventID, limit.PersonID); err != nil {
			return err
		}
		existing := map[uuid.UUID]order.Order{}
		if err := collect(ctx, tx, existing, getOrders, ids); err != nil {
			return err
		}
		if len(existing) == len(requests) {
			placed = inOrder(requests, existing)
			return nil
		}
		var has int
		if err := tx.QueryRow(ctx, counted, first.EventID, limit.PersonID, first.UserID, ids, limit.Received).Scan(&has); err != nil {
			return err
		}
		if has+len(requests) > limit.Most {
			return order.ErrLimit.With("limit", strconv.Itoa(limit.Most))
		}
		placed, err = placeAll(ctx, tx, requests, &limit.PersonID)
		return err
	})
	return placed, err
}

func collect(ctx context.Context, db querier, byID map[uuid.UUID]order.Order, sql string, args ...any) error {
	rows, err := db.Query(ctx, sql, args...)
	if err != nil {
		return err
	}
	orders, err := pgx.CollectRows(rows, pgx.RowToStructByName[order.Order])
	for _, o := range orders {
		byID[o.ID] = o
	}
	return err
}

// Confirmed returns those of the seats that have a CONFIRMED order.
func (s Store) Confirmed(ctx context.Context, seats []uuid.UUID) ([]uuid.UUID, error) {
	rows, err := s.Pool.Query(ctx, `SELECT seat_id FROM orders WHERE seat_id = ANY($1) AND status = 'CONFIRMED'`, seats)
	if err != nil {
		return nil, err
	}
	sold, err := pgx.AppendRows([]uuid.UUID{}, rows, pgx.RowTo[uuid.UUID]) // never nil: a list on the wire
	return sold, err
}

// confirm pays all orders of a booking, or none: a booking of several must have been placed whole, and be locked.
const confirm = `
WITH asked AS MATERIALIZED (
	SELECT * FROM ` + unnested + `, $7::numeric[]) AS asked (id, "user", seat, event, price, held_until, charged)
), ready AS (
	SELECT FROM asked JOIN orders o ON o.order_id = asked.id WHERE o.status = 'PENDING' AND o.user_id = asked."user" AND o.seat_id = asked.seat
), confirmed AS (
	INSERT INTO orders AS o (order_id, user_id, seat_id, event_id, status, price, held_until, attempt_id, credits_charged, confirmed_at)
	SELECT id, "user", seat, event, 'CONFIRMED', price, held_until, $8::uuid, charged, now() FROM asked
	WHERE cardinality($1::uuid[]) = 1 OR (SELECT count(*) FROM ready) = cardinality($1::uuid[])
	ON CONFLICT (order_id) DO UPDATE
		SET status = 'CONFIRMED', attempt_id = excluded.attempt_id, credits_charged = excluded.credits_charged, confirmed_at = now()
		WHERE o.status = 'PENDING' AND o.user_id = excluded.user_id AND o.seat_id = excluded.seat_id
	RETURNING ` + orderColumns + `
), mark AS (
	INSERT INTO order_attempts (attempt_id, order_id, outcome) SELECT $8::uuid, $9::uuid, 'CONFIRMED' WHERE EXISTS (SELECT FROM confirmed)
)
SELECT ` + orderColumns + ` FROM confirmed`

const lockOrders = `SELECT FROM orders WHERE order_id = ANY ($1) ORDER BY order_id FOR NO KEY UPDATE`

// Confirm marks the orders of a booking as paid by this attempt; concurrent payments share a commit. A single order is made if
// need be. A repeat by the same attempt returns the orders as they are. It returns order.ErrVoided for an attempt that was
// undone, and order.ErrInvalidState if one of the orders is not pending, or of another user or seat, or its seat was sold under
// another order.
//
// An order's row is locked before the attempt's mark is set, and UndoConfirm does it the other way round; they do not
// wait for each other, because UndoConfirm touches only orders that this attempt has confirmed already.
func (s Store) Confirm(ctx context.Context, requests []order.Request, p order.Payment) ([]order.Order, error) {
	statements, err := database.Fence(ctx, s.Pool)
	if err != nil {
		return nil, err
	}
	booking := requests[0].ID
	if requests[0].BookingID != nil {
		booking = *requests[0].BookingID
	}
	if len(requests) > 1 {
		statements = append(statements, database.Statement{SQL: lockOrders, Args: []any{idsOf(requests)}})
	}
	orders, err := database.CommitAll(ctx, s.payments, pgx.RowToStructByName[order.Order],
		append(statements, database.Statement{SQL: confirm, Args: append(unnest(requests), p.CreditsCharged, p.AttemptID, booking)})...)
	if err == nil && len(orders) == 0 || // one is not pending any more
		database.Violates(err, "order_attempts_pkey") || // the attempt was undone
		database.Violates(err, "orders_one_owner_per_seat") {
		return s.whyNotConfirmed(ctx, requests, p.AttemptID)
	}
	byID := make(map[uuid.UUID]order.Order, len(orders))
	for _, o := range orders {
		byID[o.ID] = o
	}
	return inOrder(requests, byID), err
}

// whyNotConfirmed tells a repeat from a refusal.
func (s Store) whyNotConfirmed(ctx context.Context, requests []order.Request, attempt uuid.UUID) ([]order.Order, error) {
	var b pgx.Batch
	b.Queue(`SELECT EXISTS (SELECT FROM order_attempts WHERE attempt_id = $1 AND outcome = 'VOIDED')`, attempt)
	b.Queue(getOrders, idsOf(requests))
	results := s.Pool.SendBatch(ctx, &b)
	defer results.Close()
	var voided bool
	if err := results.QueryRow().Scan(&voided); err != nil {
		return nil, err
	}
	rows, err := results.Query()
	if err != nil {
		return nil, err
	}
	orders, err := pgx.CollectRows(rows, pgx.RowToStructByName[order.Order])
	switch {
	case err != nil:
		return nil, err
	case voided:
		return nil, order.ErrVoided
	case len(orders) < len(requests): // made in one go, on a seat that is sold
		return nil, order.InvalidState(order.Pending)
	}
	byID := make(map[uuid.UUID]order.Order, len(orders))
	state := order.Pending // if all are: of another user or seat, or a seat is sold
	repeat := true
	for _, o := range orders {
		byID[o.ID] = o
		// Confirmed by it; a refund since does not change that.
		repeat = repeat && (o.Status == order.Confirmed || o.Status == order.Refunded) && *o.AttemptID == attempt
		if o.Status != order.Pending {
			state = o.Status
		}
	}
	if repeat {
		return inOrder(requests, byID), nil
	}
	return nil, order.InvalidState(state)
}

// UndoConfirm refunds the order, or the orders of the booking, that this attempt confirmed, and marks the attempt so that it can
// no longer confirm. It returns the order as it is then, nil if there is none of that id. An attempt of another is a fault.
func (s Store) UndoConfirm(ctx context.Context, id, attempt uuid.UUID, reason string) (*order.Order, error) {
	b, err := database.FencedBatch(ctx, s.Pool)
	if err != nil {
		return nil, err
	}
	fenced := b.Len()
	b.Queue(`
		INSERT INTO order_attempts AS a (attempt_id, order_id, outcome) VALUES ($1, $2, 'VOIDED')
		ON CONFLICT (attempt_id) DO UPDATE SET outcome = 'VOIDED' WHERE a.order_id = excluded.order_id`, attempt, id)
	b.Queue(`UPDATE orders SET status = 'REFUNDED', failure_reason = $3
		WHERE (order_id = $1 OR booking_id = $1) AND attempt_id = $2 AND status = 'CONFIRMED'`, id, attempt, reason)
	b.Queue(getOrder, id)
	results := s.Pool.SendBatch(ctx, b)
	defer results.Close()
	for range fenced {
		if _, err := results.Exec(); err != nil {
			return nil, err
		}
	}
	mark, err := results.Exec()
	if err != nil {
		return nil, err
	}
	if mark.RowsAffected() == 0 {
		return nil, fault.Field("attempt_id", "belongs to another order")
	}
	if _, err := results.Exec(); err != nil {
		return nil, err
	}
	o, err := oneOrder(results.Query())
	if errors.Is(err, order.ErrNotFound) {
		return nil, results.Close()
	}
	return &o, errors.Join(err, results.Close())
}

// Fail ends an order that nobody paid; a repeat returns it as it is. It returns order.ErrNotFound, or
// order.ErrInvalidState for one that was paid.
func (s Store) Fail(ctx context.Context, id uuid.UUID, reason string) (order.Order, error) {
	o, err := oneOrder(s.Pool.Query(ctx,
		`UPDATE orders SET status = 'FAILED', failure_reason = $2 WHERE order_id = $1 AND status = 'PENDING' RETURNING `+orderColumns, id, reason))
	if !errors.Is(err, order.ErrNotFound) {
		return o, err
	}
	if o, err = s.Order(ctx, id); err == nil && o.Status != order.Failed {
		err = order.InvalidState(o.Status)
	}
	return o, err
}

// Extend notes that an order's hold lasts longer, by an hour at most; a repeat, or an earlier time, leaves it as it is. It
// returns order.ErrNotFound, or order.ErrInvalidState for an order that is over or paid.
func (s Store) Extend(ctx context.Context, id uuid.UUID, until time.Time) (order.Order, error) {
	o, err := oneOrder(s.Pool.Query(ctx,
		`UPDATE orders SET held_until = $2 WHERE order_id = $1 AND status = 'PENDING' AND held_until < $2 RETURNING `+orderColumns, id, until))
	if database.Violates(err, "orders_transition") {
		err = fault.Field("held_until", "must be at most an hour after the present end")
	}
	if !errors.Is(err, order.ErrNotFound) {
		return o, err
	}
	if o, err = s.Order(ctx, id); err == nil && o.Status != order.Pending {
		err = order.InvalidState(o.Status)
	}
	return o, err
}

// Orders returns a page of the orders that f lets through, newest first, and how many there are in all.
func (s Store) Orders(ctx context.Context, f order.Filter, page web.Page) ([]order.Order, int, error) {
	var w where
	w.id("user_id", f.UserID)
	w.id("seat_id", f.SeatID)
	w.id("event_id", f.EventID)
	if f.BookingID != nil {
		w.add("(booking_id = $%d OR order_id = $%d AND booking_id IS NULL)", *f.BookingID)
	}
	w.status(string(f.Status))
	return list(ctx, s.Pool, countNow, "orders", orderColumns, "created_at DESC, order_id DESC", w, page, pgx.RowToStructByName[order.Order])
}

// Overdue returns up to limit pending orders whose hold ended at least that long ago, oldest first.
func (s Store) Overdue(ctx context.Context, olderThan time.Duration, limit int) ([]order.Order, error) {
	rows, err := s.Pool.Query(ctx, `SELECT `+orderColumns+` FROM orders
		WHERE status = 'PENDING' AND held_until < now() - make_interval(secs => $1) ORDER BY held_until LIMIT $2`, olderThan.Seconds(), limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[order.Order])
}
