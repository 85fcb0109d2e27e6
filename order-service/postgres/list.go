package postgres

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"ticketremaster/platform/gather"
	"ticketremaster/platform/web"
)

// where collects the conditions of a list. Only the given ones are in the SQL, so that each combination has a
// statement, and a plan, of its own.
type where struct {
	conditions []string
	args       []any
}

// add adds a condition in which %d stands for its argument's number.
func (w *where) add(condition string, arg any) {
	w.args = append(w.args, arg)
	w.conditions = append(w.conditions, strings.ReplaceAll(condition, "%d", fmt.Sprint(len(w.args))))
}

func (w *where) id(column string, id *uuid.UUID) {
	if id != nil {
		w.add(column+" = $%d", *id)
	}
}

func (w *where) status(s string) {
	if s != "" {
		w.add("status = $%d", s)
	}
}

// list returns one page and the number of rows in all. They are counted, by count, only where the page does not tell,
// so that a short list takes one round trip.
func list[T any](ctx context.Context, pool *pgxpool.Pool, count counter, table, columns, sort string, w where, page web.Page, scan pgx.RowToFunc[T]) ([]T, int, error) {
	from := " FROM " + table + " WHERE " + strings.Join(w.conditions, " AND ")
	n := len(w.args)
	sql := fmt.Sprintf("SELECT %s%s ORDER BY %s LIMIT $%d OFFSET $%d", columns, from, sort, n+1, n+2)
	args := append(w.args[:n:n], page.Size, page.Offset())
	rows, err := pool.Query(ctx, sql, args...)
	if err != nil {
		return nil, 0, err
	}
	found, err := pgx.CollectRows(rows, scan)
	if err != nil {
		return nil, 0, err
	}
	if got := len(found); got < page.Size && (got > 0 || page.Number == 1) {
		return found, page.Offset() + got, nil
	}
	total, err := count(ctx, pool, "SELECT count(*)"+from, w.args)
	if len(found) > 0 {
		total = max(total, page.Offset()+len(found)) // it may have been counted before the last of them came
	}
	return found, total, err
}

// counter runs a statement that counts rows.
type counter func(ctx context.Context, pool *pgxpool.Pool, sql string, args []any) (int, error)

func countNow(ctx context.Context, pool *pgxpool.Pool, sql string, args []any) (n int, err error) {
	err = pool.QueryRow(ctx, sql, args...).Scan(&n)
	return n, err
}

// counts keeps what was counted for some seconds: counting 100,000 rows of a list that everyone may read takes a
// hundred times as long as reading a page of it.
type counts struct {
	mu     sync.Mutex
	cached map[string]recentCount
	reads  gather.Shared[int]
}

type recentCount struct {
	n     int
	until time.Time
}

const (
	countLife  = 3 * time.Second
	countTime  = 5 * time.Second // bounds one count, which callers share
	mostCounts = 1_000           // kept at once
)

func (c *counts) recent(ctx context.Context, pool *pgxpool.Pool, sql string, args []any) (int, error) {
	key := fmt.Sprint(sql, args)
	c.mu.Lock()
	known, ok := c.cached[key]
	c.mu.Unlock()
	if ok && time.Now().Before(known.until) {
		return known.n, nil
	}
	return c.reads.Do(ctx, key, "the order service", func(ctx context.Context) (int, error) {
		ctx, cancel := context.WithTimeout(ctx, countTime)
		defer cancel()
		n, err := countNow(ctx, pool, sql, args)
		if err != nil {
			return 0, err
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.cached == nil || len(c.cached) >= mostCounts {
			c.cached = map[string]recentCount{}
		}
		c.cached[key] = recentCount{n, time.Now().Add(countLife)}
		return n, nil
	})
}
