package postgres

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"ticketremaster/platform/database"
	"ticketremaster/platform/money"
	user "ticketremaster/user-service"
)

// The credits_ functions stand in migrations/0003_credits.sql: each is one round trip and one commit, which bookings
// made at once share.

// book runs one of them. A step of a saga whose driver was replaced is STALE_DRIVER.
func book[T any](ctx context.Context, s *Store, read pgx.RowToFunc[T], sql string, args ...any) (booked T, err error) {
	statements, err := database.Fence(ctx, s.pool)
	if err == nil {
		booked, err = database.Commit(ctx, s.bookings, read, append(statements, database.Statement{SQL: sql, Args: args})...)
	}
	return booked, faulty(err)
}

// Deduct pays the platform from a user's credits under the id of an attempt to pay, and returns the balance after.
// USER_NOT_FOUND, INSUFFICIENT_CREDITS (nothing is recorded), OPERATION_VOIDED after Return, OPERATION_MISMATCH if the
// id is another operation's.
func (s *Store) Deduct(ctx context.Context, operation, userID uuid.UUID, amount money.Cents, reference *uuid.UUID) (balance money.Cents, err error) {
	return book(ctx, s, pgx.RowTo[money.Cents], `SELECT credits_take('purchase', $1, $2, $3, $4)`, operation, userID, amount, reference)
}

// Return returns a deduction, or leaves a mark that refuses one that has not arrived yet; returned is false then.
func (s *Store) Return(ctx context.Context, operation uuid.UUID) (returned bool, err error) {
	return book(ctx, s, pgx.RowTo[bool], `SELECT credits_return($1)`, operation)
}

// Escrow sets a user's credits aside under the id of a transfer. Refusals are Deduct's.
func (s *Store) Escrow(ctx context.Context, operation, userID uuid.UUID, amount money.Cents, reference *uuid.UUID) (balance money.Cents, err error) {
	return book(ctx, s, pgx.RowTo[money.Cents], `SELECT credits_take('escrow', $1, $2, $3, $4)`, operation, userID, amount, reference)
}

// ReturnEscrow undoes Escrow or FreezeToEscrow; ESCROW_RELEASED once it was paid out.
func (s *Store) ReturnEscrow(ctx context.Context, operation uuid.UUID) (returned bool, err error) {
	return book(ctx, s, pgx.RowTo[bool], `SELECT credits_escrow_return($1)`, operation)
}

// ReleaseEscrow pays an escrow, less the platform's fee, to a user and returns that user's balance. ESCROW_NOT_FOUND,
// OPERATION_VOIDED, OPERATION_MISMATCH if the fee is more than the escrow.
func (s *Store) ReleaseEscrow(ctx context.Context, operation, userID uuid.UUID, fee money.Cents) (balance money.Cents, err error) {
	return book(ctx, s, pgx.RowTo[money.Cents], `SELECT credits_escrow_release($1, $2, $3)`, operation, userID, fee)
}

// Freeze holds a user's credits under a dispute's id. What is short is owed, and frozen as soon as the user gets it.
func (s *Store) Freeze(ctx context.Context, dispute, userID uuid.UUID, amount money.Cents) (frozen, short money.Cents, err error) {
	parts, err := book(ctx, s, pgx.RowToStructByPos[struct{ Frozen, Short money.Cents }],
		`SELECT frozen, short FROM credits_freeze($1, $2, $3)`, dispute, userID, amount)
	return parts.Frozen, parts.Short, err
}

// Unfreeze undoes Freeze; FROZEN_TAKEN once a reversal has taken the credits.
func (s *Store) Unfreeze(ctx context.Context, dispute uuid.UUID) (returned bool, err error) {
	return book(ctx, s, pgx.RowTo[bool], `SELECT credits_unfreeze($1)`, dispute)
}

// FreezeToEscrow moves what a dispute froze into an escrow under the reversal's id and returns its amount. FROZEN_SHORT
// (details: short) unless coverShort, FREEZE_NOT_FOUND, FROZEN_TAKEN by another reversal, OPERATION_VOIDED.
func (s *Store) FreezeToEscrow(ctx context.Context, reversal, dispute uuid.UUID, coverShort bool) (amount money.Cents, err error) {
	return book(ctx, s, pgx.RowTo[money.Cents], `SELECT credits_freeze_escrow($1, $2, $3)`, reversal, dispute, coverShort)
}

// TicketRefund is a return of credits to a user for a ticket.
type TicketRefund struct {
	ID, UserID, OrderID uuid.UUID
	Amount              money.Cents
}

// RefundTickets returns credits for tickets: for all of them or, on a refusal, none. A repeat changes nothing.
// USER_NOT_FOUND, OPERATION_MISMATCH if a refund's id stands for another user or amount.
func (s *Store) RefundTickets(ctx context.Context, refunds []TicketRefund) error {
	ids, users, orders := make([]uuid.UUID, len(refunds)), make([]uuid.UUID, len(refunds)), make([]uuid.UUID, len(refunds))
	amounts := make([]money.Cents, len(refunds))
	for i, r := range refunds {
		ids[i], users[i], orders[i], amounts[i] = r.ID, r.UserID, r.OrderID, r.Amount
	}
	return faulty(database.BeginFenced(ctx, s.pool, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `SELECT credits_refund_tickets($1, $2, $3::numeric[], $4)`, ids, users, amounts, orders)
		return err
	}))
}

// Grant pays a user credits from the platform, once per operation: for demos and goodwill. USER_NOT_FOUND.
func (s *Store) Grant(ctx context.Context, operation, userID uuid.UUID, amount money.Cents) error {
	_, err := s.pool.Exec(ctx, `
		INSERT INTO movements AS m (kind, operation_id, source, target, target_id, amount)
		VALUES ('grant', $1, 'platform', 'user', $2, $3)
		ON CONFLICT ON CONSTRAINT movements_once DO UPDATE SET amount = m.amount WHERE false -- a repeat waits as the first did`, operation, userID, amount)
	return faulty(err)
}

// Balance returns a user's credits.
func (s *Store) Balance(ctx context.Context, userID uuid.UUID) (balance money.Cents, err error) {
	err = s.pool.QueryRow(ctx, `SELECT credit_balance FROM users WHERE user_id = $1`, userID).Scan(&balance)
	return balance, orNotFound(err)
}

// Movements returns one page of a user's movements, newest first, and how many there are. Those of nothing are left
// out.
func (s *Store) Movements(ctx context.Context, userID uuid.UUID, limit, offset int) ([]user.Movement, int, error) {
	batch := &pgx.Batch{}
	batch.Queue(`SELECT count(*) FROM movements WHERE user_id = $1 AND amount > 0`, userID)
	batch.Queue(`
		SELECT movement_id, kind::text, CASE source WHEN 'user' THEN -amount ELSE amount END, balance_after, reference_id, created_at
		FROM movements WHERE user_id = $1 AND amount > 0
		ORDER BY movement_id DESC LIMIT $2 OFFSET $3`, userID, limit, offset)
	res := s.pool.SendBatch(ctx, batch)
	defer res.Close()
	var total int
	if err := res.QueryRow().Scan(&total); err != nil {
		return nil, 0, faulty(err)
	}
	rows, err := res.Query()
	if err != nil {
		return nil, 0, faulty(err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[user.Movement])
	return list, total, faulty(err)
}
