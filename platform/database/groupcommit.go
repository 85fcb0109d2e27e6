package database

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"ticketremaster/platform/gather"
)

// GroupCommit runs small transactions of one kind and groups concurrent ones into one: one round trip, one commit and
// one flush to disk for many (docs/adr/group-commit.md). Within the group each sees the effects of those before it, as
// if each had been committed by itself. If one fails, each runs again by itself, so that it alone fails.
type GroupCommit struct {
	pool  *pgxpool.Pool
	group gather.Group[transaction, outcome]
}

const (
	// CommitLanes is how many groups of a kind run at once: while one is flushed, the next one works.
	CommitLanes = 2
	// commitTime bounds one group, its wait for a connection included.
	commitTime = 5 * time.Second
	// lockWait is how long a group waits for a lock. A transaction that must wait longer runs alone, so that the others
	// do not wait with it, and two groups that wait for each other are separated.
	lockWait = "20ms"
)

// NewGroupCommit makes a GroupCommit for transactions of one kind.
func NewGroupCommit(pool *pgxpool.Pool) *GroupCommit {
	g := &GroupCommit{pool: pool}
	g.group.Lanes = CommitLanes
	return g
}

// Statement is a statement of a transaction.
type Statement struct {
	SQL  string
	Args []any
}

type transaction struct {
	statements []Statement
	read       func(pgx.Rows) (any, error) // of the last statement's answer; nil: it has none
}

type outcome struct {
	value any
	err   error
}

// Commit runs the statements, in their order, as one transaction in one round trip, and returns what read makes of the
// last one's first row; pgx.ErrNoRows if there is none, which does not roll back. Statements must be idempotent: when
// ctx ends first, its error is returned and the transaction's outcome is unknown.
func Commit[T any](ctx context.Context, g *GroupCommit, read pgx.RowToFunc[T], statements ...Statement) (T, error) {
	value, err := g.do(ctx, transaction{statements, func(rows pgx.Rows) (any, error) { return pgx.CollectOneRow(rows, read) }})
	v, _ := value.(T)
	return v, err
}

// CommitAll is Commit for a last statement that answers any number of rows.
func CommitAll[T any](ctx context.Context, g *GroupCommit, read pgx.RowToFunc[T], statements ...Statement) ([]T, error) {
	value, err := g.do(ctx, transaction{statements, func(rows pgx.Rows) (any, error) { return pgx.CollectRows(rows, read) }})
	v, _ := value.([]T)
	return v, err
}

// Exec is Commit for statements that answer nothing.
func (g *GroupCommit) Exec(ctx context.Context, statements ...Statement) error {
	_, err := g.do(ctx, transaction{statements: statements})
	return err
}

func (g *GroupCommit) do(ctx context.Context, t transaction) (any, error) {
	o, err := g.group.Do(ctx, t, g.together)
	if err == nil {
		err = o.err
	}
	return o.value, err
}

// together runs transactions as one. Their outcomes are valid once it is committed.
func (g *GroupCommit) together(ctx context.Context, all []transaction) ([]outcome, error) {
	outcomes := make([]outcome, len(all))
	err := Share(ctx, g.pool, len(all), func(b *pgx.Batch) {
		for _, t := range all {
			for _, s := range t.statements {
				b.Queue(s.SQL, s.Args...)
			}
		}
	}, func(answers pgx.BatchResults) error {
		for i, t := range all {
			if err := t.answer(answers, &outcomes[i]); err != nil {
				return err
			}
		}
		return nil
	})
	if Unreachable(err) { // retrying each by itself is pointless
		for i := range outcomes {
			outcomes[i] = outcome{err: err}
		}
		err = nil
	}
	return outcomes, err
}

// answer reads the answers to a transaction's statements. An error is one that aborts the transaction.
func (t transaction) answer(answers pgx.BatchResults, o *outcome) error {
	plain := len(t.statements)
	if t.read != nil {
		plain--
	}
	for range plain {
		if _, err := answers.Exec(); err != nil {
			return err
		}
	}
	if t.read == nil {
		return nil
	}
	rows, err := answers.Query()
	if err == nil {
		o.value, err = t.read(rows)
	}
	if o.err = err; errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	return err
}

// Share runs what queue adds to a batch as one transaction, in one round trip, for that many callers; read reads the
// answers, which are valid only once Share returns nil. With several callers it waits only briefly for a lock
// (LockNotAvailable), so that each can then run by itself.
func Share(ctx context.Context, pool *pgxpool.Pool, callers int, queue func(*pgx.Batch), read func(pgx.BatchResults) error) error {
	ctx, cancel := context.WithTimeout(ctx, commitTime)
	defer cancel()
	var b pgx.Batch
	if callers > 1 {
		b.Queue(`SELECT set_config('lock_timeout', $1, true)`, lockWait)
	}
	queue(&b)
	answers := pool.SendBatch(ctx, &b)
	var err error
	if callers > 1 {
		_, err = answers.Exec()
	}
	if err == nil {
		err = read(answers)
	}
	if end := answers.Close(); err == nil {
		err = end // the commit's
	}
	return err
}
