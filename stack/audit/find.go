package audit

import (
	"context"
	"maps"
	"math"
	"slices"
	"time"
)

// most is how many offenders of one invariant are kept. A system with more has one great fault, not many.
const most = 10_000

// chunk is how many ids are looked up at once.
const chunk = 5000

// rangeSize is how many ids are compared under one pair of snapshots. No longer snapshot keeps the databases from
// cleaning up behind their updates.
var rangeSize = 1_000_000

// offenders of one invariant: from an id to a text for people.
type offenders map[string]string

// note adds an offender; false: there are too many to go on.
func (o offenders) note(id, words string) bool {
	o[id] = words
	return len(o) < most
}

// finder finds offenders against one invariant.
type finder interface {
	// all looks at everything whose id is greater than after, and calls reached with the id up to which it has looked.
	all(ctx context.Context, b books, after string, found offenders, reached func(id string) error) error
	// among looks only at these ids.
	among(ctx context.Context, b books, ids []string, found offenders) error
	// changed looks at what has changed since then. What an invariant cannot tell, or is quick to look at, it looks at
	// as a whole.
	changed(ctx context.Context, b books, since time.Time, found offenders) error
}

// single is an invariant of one database: a query for the ids of offenders, with a text about each.
type single struct {
	side
	changes string // the ids that changed since $1; "": the query is quick
	whole   bool   // the query is not quick, and what changed cannot be told: only when all is looked at
}

func in(database, query string) single { return single{side: side{database, query}} }

// since gives a query for the ids that changed since $1.
func (s single) since(changes string) single { s.changes = changes; return s }

// onlyWhole excepts it from the looks at what changed.
func (s single) onlyWhole() single { s.whole = true; return s }

func (s single) read(ctx context.Context, b books, found offenders, where string, args ...any) error {
	rows, err := b.query(ctx, s.database, "SELECT * FROM ("+s.query+") AS q(id)"+where+" LIMIT 10000", args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		row := rows.RawValues()
		found.note(string(row[0]), string(row[1]))
	}
	return rows.Err()
}

func (s single) all(ctx context.Context, b books, _ string, found offenders, _ func(string) error) error {
	return s.read(ctx, b, found, "")
}

func (s single) among(ctx context.Context, b books, ids []string, found offenders) error {
	return s.read(ctx, b, found, " WHERE id::text = ANY($1)", ids)
}

func (s single) changed(ctx context.Context, b books, since time.Time, found offenders) error {
	switch {
	case s.whole:
		return nil
	case s.changes == "":
		return s.read(ctx, b, found, "")
	}
	return s.read(ctx, b, found, " WHERE id = ANY(ARRAY("+s.changes+"))", since)
}

// pair is an invariant about two databases.
type pair struct {
	relation
	left, right side
	or          []side // of within: where else a left id may be
	kind        string // of the ids: uuid or text
	changes     []side // queries for the ids that changed since $1; none: the left side is few
}

// mustBeSame is an invariant by which two queries give the same values for the same ids.
func mustBeSame(left, right side) pair {
	return pair{relation: equal, left: left, right: right, kind: "uuid"}
}

// mustBeWithin is an invariant by which each id of the left query is among those of one of the others.
func mustBeWithin(left, right side, or ...side) pair {
	return pair{relation: within, left: left, right: right, or: or, kind: "uuid"}
}

// mustBeApart is an invariant by which no id is in both queries.
func mustBeApart(left, right side) pair {
	return pair{relation: apart, left: left, right: right, kind: "uuid"}
}

// since gives queries for the ids that changed since $1.
func (p pair) since(changes ...side) pair { p.changes = changes; return p }

// texts says that its ids are texts, in the collation "C".
func (p pair) texts() pair { p.kind = "text"; return p }

func (p pair) all(ctx context.Context, b books, after string, found offenders, reached func(string) error) error {
	for p.relation != equal { // most have a left side that is few: its ids are looked up on the right, which is not read
		ids, err := p.first(ctx, b, after)
		if err != nil {
			return err
		}
		if len(ids) == chunk && p.or == nil {
			break
		}
		if err := p.among(ctx, b, ids, found); err != nil || len(ids) < chunk || len(found) >= most {
			return err
		}
		after = ids[chunk-1]
	}
	for {
		last, err := p.compare(ctx, b, found, rangeSize, func(s side) (*stream, error) { return s.ordered(ctx, b, after, rangeSize) })
		if err != nil || last == "" || len(found) >= most {
			return err
		}
		if err := reached(last); err != nil {
			return err
		}
		after = last
	}
}

// first reads the left side's first ids after that one.
func (p pair) first(ctx context.Context, b books, after string) (ids []string, err error) {
	left, err := p.left.ordered(ctx, b, after, chunk)
	if err != nil {
		return nil, err
	}
	defer left.close()
	for left.id != nil {
		ids = append(ids, string(left.id))
		if err := left.next(); err != nil {
			return nil, err
		}
	}
	return ids, nil
}

func (p pair) among(ctx context.Context, b books, ids []string, found offenders) error {
	for part := range slices.Chunk(ids, chunk) {
		_, err := p.compare(ctx, b, found, math.MaxInt, func(s side) (*stream, error) { return s.among(ctx, b, p.kind, part) })
		if err != nil || len(found) >= most {
			return err
		}
	}
	return nil
}

// compare merges both sides, and looks for those who offend where else they may be.
func (p pair) compare(ctx context.Context, b books, found offenders, limit int, read func(side) (*stream, error)) (last string, err error) {
	left, err := read(p.left)
	if err != nil {
		return "", err
	}
	defer left.close()
	right, err := read(p.right)
	if err != nil {
		return "", err
	}
	defer right.close()
	offend := offenders{}
	last, err = p.merge(left, right, limit, offend.note)
	if err != nil {
		return "", err
	}
	for _, other := range p.or {
		if err := p.except(ctx, b, other, offend); err != nil {
			return "", err
		}
	}
	maps.Copy(found, offend)
	return last, nil
}

// except removes those that a side has.
func (p pair) except(ctx context.Context, b books, s side, offend offenders) error {
	for part := range slices.Chunk(slices.Sorted(maps.Keys(offend)), chunk) {
		has, err := s.among(ctx, b, p.kind, part)
		if err != nil {
			return err
		}
		for has.id != nil && err == nil {
			delete(offend, string(has.id))
			err = has.next()
		}
		has.close()
		if err != nil {
			return err
		}
	}
	return nil
}

func (p pair) changed(ctx context.Context, b books, since time.Time, found offenders) error {
	if p.changes == nil {
		return p.all(ctx, b, "", found, func(string) error { return nil })
	}
	for _, s := range p.changes {
		if err := p.amongChanged(ctx, b, s, since, found); err != nil {
			return err
		}
	}
	return nil
}

// amongChanged looks at the ids that a query gives, as many as are looked up at once at a time.
func (p pair) amongChanged(ctx context.Context, b books, s side, since time.Time, found offenders) error {
	for after := ""; ; {
		sql, args := "SELECT DISTINCT id FROM ("+s.query+") AS q(id)", []any{since, chunk}
		if after != "" {
			sql += " WHERE id > $3"
			args = append(args, after)
		}
		ids, err := b.ids(ctx, s.database, sql+" ORDER BY id LIMIT $2", args...)
		if err != nil || len(ids) == 0 {
			return err
		}
		if err := p.among(ctx, b, ids, found); err != nil || len(ids) < chunk || len(found) >= most {
			return err
		}
		after = ids[len(ids)-1]
	}
}

// custom is an invariant that is found in a way of its own, as a whole.
type custom func(ctx context.Context, b books, found offenders) error

func (c custom) all(ctx context.Context, b books, _ string, found offenders, _ func(string) error) error {
	return c(ctx, b, found)
}

func (c custom) among(ctx context.Context, b books, ids []string, found offenders) error {
	if err := c(ctx, b, found); err != nil {
		return err
	}
	maps.DeleteFunc(found, func(id, _ string) bool { return !slices.Contains(ids, id) })
	return nil
}

func (c custom) changed(ctx context.Context, b books, _ time.Time, found offenders) error {
	return c(ctx, b, found)
}
