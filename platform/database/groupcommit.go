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
	// commitLanes is how many shared transactions are under way at once.
	commitLanes = 2
	// commitTime bounds one of them, its wait for a connection included.
	commitTime = 5 * time.Second
	// lockPatience is how long one waits for a lock: who must wait longer waits alone, so that nobody waits with him, and
	// two that wait for each other part.
	lockPatience = "20ms"
)

// NewGroupCommit makes a group for the transactions of one kind.
func NewGroupCommit(pool *pgxpool.Pool) *GroupCommit {
	g := &GroupCommit{pool: pool}
	g.group.Lanes = commitLanes
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
	ctx, cancel := context.WithTimeout(ctx, commitTime)
	defer cancel()
	outcomes, err := g.send(ctx, all)
	if Unreachable(err) { // no use in trying each by itself
		for i := range outcomes {
			outcomes[i] = outcome{err: err}
		}
		err = nil
	}
	return outcomes, err
}

func (g *GroupCommit) send(ctx context.Context, all []transaction) ([]outcome, error) {
	outcomes := make([]outcome, len(all))
	var b pgx.Batch
	shared := len(all) > 1
	if shared {
		b.Queue(`SELECT set_config('lock_timeout', $1, true)`, lockPatience)
	}
	for _, t := range all {
		for _, s := range t.statements {
			b.Queue(s.SQL, s.Args...)
		}
	}
	answers := g.pool.SendBatch(ctx, &b)
	err := func() error {
		if shared {
			if _, err := answers.Exec(); err != nil {
				return err
			}
		}
		for i, t := range all {
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
				continue
			}
			rows, err := answers.Query()
			if err == nil {
				outcomes[i].value, err = t.read(rows)
			}
			if outcomes[i].err = err; err != nil && !errors.Is(err, pgx.ErrNoRows) {
				return err
			}
		}
		return nil
	}()
	// The commit happens with the batch's end: only then the answers are true.
	if end := answers.Close(); err == nil {
		err = end
	}
	return outcomes, err
}
