// Package audit reads all five databases and counts offenders against every invariant of the system. It reads a running
// stack: what one database has and the next has not yet looks like an offence for a moment, so an offender counts only
// if it still offends when read again after the grace period.
package audit

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// Databases are the names by which Run expects the connection strings.
var Databases = []string{"seats_db", "users_db", "orders_db", "events_db", "sagas_db"}

// Grace is how long a hold, a message or a saga may take to end after its time: sweeps come SWEEP_GRACE and
// SWEEP_INTERVAL after the time, and an abandoned saga is taken up when its lease is over.
const Grace = 15 * time.Second

// shown is how many offenders are named; the rest are only counted.
const shown = 5

// offenders of one invariant: from an id to a text for people.
type offenders map[string]string

// Run prints each invariant with its count of offenders, and gives their sum. dsns has a connection string for
// each of Databases. grace is waited only if the first reading found something; 0 means Grace.
func Run(ctx context.Context, dsns map[string]string, grace time.Duration, out io.Writer) (int, error) {
	if grace == 0 {
		grace = Grace
	}
	b := books{}
	for _, name := range Databases {
		conn, err := pgx.Connect(ctx, dsns[name])
		if err != nil {
			return 0, fmt.Errorf("%s cannot be read: %w", name, err)
		}
		defer conn.Close(context.WithoutCancel(ctx))
		b[name] = conn
	}
	first, err := read(ctx, b)
	if err != nil {
		return 0, err
	}
	if slices.ContainsFunc(first, func(o offenders) bool { return len(o) > 0 }) {
		fmt.Fprintf(out, "Something may only be on its way: reading again in %s.\n", grace)
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(grace):
		}
		second, err := read(ctx, b)
		if err != nil {
			return 0, err
		}
		for i := range first {
			still := second[i]
			maps.DeleteFunc(first[i], func(id, _ string) bool { _, offends := still[id]; return !offends })
		}
	}
	total := 0
	for i, inv := range invariants {
		total += len(first[i])
		mark := "✓"
		if len(first[i]) > 0 {
			mark = "✗"
		}
		fmt.Fprintf(out, "  %s %-66s %d\n", mark, inv.rule, len(first[i]))
		for n, id := range slices.Sorted(maps.Keys(first[i])) {
			if n == shown {
				fmt.Fprintf(out, "      … and %d more\n", len(first[i])-shown)
				break
			}
			fmt.Fprintf(out, "      %s\n", strings.TrimSpace(id+" "+first[i][id]))
		}
	}
	return total, nil
}

// books are the five databases.
type books map[string]*pgx.Conn

func read(ctx context.Context, b books) ([]offenders, error) {
	all := make([]offenders, len(invariants))
	for i, inv := range invariants {
		found, err := inv.find(ctx, b)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", inv.rule, err)
		}
		all[i] = found
	}
	return all, nil
}

// rows reads id and words of each row of a query whose columns are both text.
func (b books) rows(ctx context.Context, database, query string) (offenders, error) {
	rows, err := b[database].Query(ctx, query)
	if err != nil {
		return nil, err
	}
	found := offenders{}
	var id, words string
	_, err = pgx.ForEachRow(rows, []any{&id, &words}, func() error {
		found[id] = words
		return nil
	})
	return found, err
}

// in makes an invariant's finder from a query on one database, whose rows are the offenders.
func in(database, query string) func(context.Context, books) (offenders, error) {
	return func(ctx context.Context, b books) (offenders, error) { return b.rows(ctx, database, query) }
}

// side is a query on a database for ids and a text about each.
type side struct{ database, query string }

// same makes a finder from two queries that must give the same text for the same ids.
func same(left, right side) func(context.Context, books) (offenders, error) {
	return func(ctx context.Context, b books) (offenders, error) {
		l, err := b.rows(ctx, left.database, left.query)
		if err != nil {
			return nil, err
		}
		r, err := b.rows(ctx, right.database, right.query)
		if err != nil {
			return nil, err
		}
		found := offenders{}
		for id, words := range l {
			if other, ok := r[id]; !ok {
				found[id] = fmt.Sprintf("%s has it (%s), %s has not", left.database, words, right.database)
			} else if other != words {
				found[id] = fmt.Sprintf("%s: %s, %s: %s", left.database, words, right.database, other)
			}
		}
		for id, words := range r {
			if _, ok := l[id]; !ok {
				found[id] = fmt.Sprintf("%s has it (%s), %s has not", right.database, words, left.database)
			}
		}
		return found, nil
	}
}

// apart makes a finder from two queries that must have no id in common.
func apart(left, right side) func(context.Context, books) (offenders, error) {
	return func(ctx context.Context, b books) (offenders, error) {
		l, err := b.rows(ctx, left.database, left.query)
		if err != nil || len(l) == 0 {
			return l, err
		}
		r, err := b.rows(ctx, right.database, right.query)
		maps.DeleteFunc(l, func(id, _ string) bool { _, ok := r[id]; return !ok })
		return l, err
	}
}

// within makes a finder from two queries: the ids of the left one must be among those of the right one.
func within(left, right side) func(context.Context, books) (offenders, error) {
	return func(ctx context.Context, b books) (offenders, error) {
		l, err := b.rows(ctx, left.database, left.query)
		if err != nil || len(l) == 0 {
			return l, err
		}
		r, err := b.rows(ctx, right.database, right.query)
		if err != nil {
			return nil, err
		}
		maps.DeleteFunc(l, func(id, _ string) bool { _, ok := r[id]; return ok })
		return l, nil
	}
}
