package database

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"ticketremaster/platform/gather"
)

// GroupCommit runs small transactions of a kind, and lets those that are asked for at once be one: a round trip, a commit
// and a flush to disk for many. Within it each sees what those before it did, as if each had been committed by itself. When
// one fails, each runs again by itself, so that it alone fails.
type GroupCommit struct {
	pool  *pgxpool.Pool
	group gather.Group[transaction, outcome]
}

const (
	// CommitLanes is how many shared transactions of a kind are under way at once: while one is flushed, the next is at work.
	CommitLanes = 2
	// commitTime bounds one of them, its wait for a connection included.
	commitTime = 5 * time.Second
	// lockPatience is how long one waits for a lock: who must wait longer waits alone, so that nobody waits with him, and
	// two that wait for each other part.
	lockPatience = "20ms"
)

// NewGroupCommit makes a group for the transactions of one kind.
func NewGroupCommit(pool *pgxpool.Pool) *GroupCommit {
	g := &GroupCommit{pool: pool}
	g.group.Lanes = CommitLanes
	return g
}

// Statement is one of a transaction's.
type Statement struct {
	SQL  string
	Args []any
}

type transaction struct {
	statements []Statement
	read       func(pgx.Rows) (any, error) // of the last one's answer; nil: it has none
}

type outcome struct {
	value any
	err   error
}

// Commit runs the statements, in their order, as one transaction in one round trip, and gives what read makes of the last one's
// first row. pgx.ErrNoRows if there is none, which undoes nothing. A repeat must do no harm: when ctx ends first, its error
// comes back and the transaction's outcome is unknown.
func Commit[T any](ctx context.Context, g *GroupCommit, read pgx.RowToFunc[T], statements ...Statement) (T, error) {
	value, err := g.do(ctx, transaction{statements, func(rows pgx.Rows) (any, error) { return pgx.CollectOneRow(rows, read) }})
	v, _ := value.(T)
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

// together runs transactions as one. Their outcomes count once it is committed.
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
	if Unreachable(err) { // no use in trying each by itself
		for i := range outcomes {
			outcomes[i] = outcome{err: err}
		}
		err = nil
	}
	return outcomes, err
}

// answer takes the answers to a transaction's statements. An error is one that ends the transaction.
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

// Share runs what queue adds to a batch as one transaction, in one round trip, for that many callers at once; read takes the
// answers, which are true only once Share returns nil. Where there are several callers, it waits no longer than a moment for a
// lock (LockNotAvailable then), so that each can be tried by itself.
func Share(ctx context.Context, pool *pgxpool.Pool, callers int, queue func(*pgx.Batch), read func(pgx.BatchResults) error) error {
	ctx, cancel := context.WithTimeout(ctx, commitTime)
	defer cancel()
	var b pgx.Batch
	if callers > 1 {
		b.Queue(`SELECT set_config('lock_timeout', $1, true)`, lockPatience)
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
