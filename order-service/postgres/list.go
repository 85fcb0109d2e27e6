package postgres

import (
	"context"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

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

// list returns one page and the number of rows in all. They are counted only where the page does not tell, so that a
// short list takes one round trip.
func list[T any](ctx context.Context, pool *pgxpool.Pool, table, columns, sort string, w where, page web.Page, scan pgx.RowToFunc[T]) ([]T, int, error) {
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
	var total int
	err = pool.QueryRow(ctx, "SELECT count(*)"+from, w.args...).Scan(&total)
	return found, total, err
}
