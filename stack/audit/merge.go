package audit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// side is a query on a database. Its first column is an id that stands in one row only (rows that are alike count as
// one); the others are what is to be the same on the other side, or worth telling.
type side struct{ database, query string }

// ordered reads the rows whose id is greater than after, in the order of their ids, at most limit of them. "" is before
// all ids.
func (s side) ordered(ctx context.Context, b books, after string, limit int) (*stream, error) {
	sql, args := "SELECT * FROM ("+s.query+") AS q(id)", []any{limit}
	if after != "" {
		sql += " WHERE id > $2"
		args = append(args, after)
	}
	return s.stream(ctx, b, sql+" ORDER BY id LIMIT $1", args...)
}

// among reads the rows with these ids, in their order.
func (s side) among(ctx context.Context, b books, kind string, ids []string) (*stream, error) {
	return s.stream(ctx, b, "SELECT * FROM ("+s.query+") AS q(id) WHERE id = ANY($1::text[]::"+kind+"[]) ORDER BY id", ids)
}

func (s side) stream(ctx context.Context, b books, sql string, args ...any) (*stream, error) {
	ctx, cancel := context.WithCancel(ctx)
	rows, err := b.query(ctx, s.database, sql, args...)
	if err != nil {
		cancel()
		return nil, err
	}
	x := &stream{side: s, rows: rows, cancel: cancel}
	return x, x.next()
}

// stream is the rows of a side, one at a time: the server sends as fast as they are read.
type stream struct {
	side   side
	rows   pgx.Rows
	cancel context.CancelFunc
	id     []byte // of the present row; nil: there is none
	rest   [][]byte
	last   []byte
	count  int // of rows that came
}

// next goes to the next row with another id or other values.
func (s *stream) next() error {
	for s.rows.Next() {
		s.count++
		row := s.rows.RawValues()
		if row[0] == nil {
			return fmt.Errorf("%s: a row has no id: %s", s.side.database, s.side.query)
		}
		if s.id != nil && same(row[1:], s.rest) && bytes.Equal(row[0], s.id) {
			continue
		}
		s.id = append(s.id[:0], row[0]...)
		s.keep(row[1:])
		return nil
	}
	s.last, s.id = s.id, nil
	return s.rows.Err()
}

// keep copies a row's values over those of the last one.
func (s *stream) keep(values [][]byte) {
	if s.rest == nil {
		s.rest = make([][]byte, len(values))
	}
	for i, value := range values {
		if value == nil {
			s.rest[i] = nil
		} else {
			s.rest[i] = append(s.rest[i][:0], value...)
		}
	}
}

// close ends the query; what it did not send is not waited for.
func (s *stream) close() {
	if s.id != nil {
		s.cancel()
	}
	s.rows.Close()
	s.cancel()
}

// words tells the present row to people.
func (s *stream) words() string {
	var parts []string
	for i, field := range s.rows.FieldDescriptions()[1:] {
		if s.rest[i] != nil {
			parts = append(parts, field.Name+" "+string(s.rest[i]))
		}
	}
	return strings.Join(parts, ", ")
}

// same compares as many values as both have; a missing value is like none.
func same(a, b [][]byte) bool {
	for i := range min(len(a), len(b)) {
		if !bytes.Equal(a[i], b[i]) || (a[i] == nil) != (b[i] == nil) {
			return false
		}
	}
	return true
}

// relation says which rows offend when two sides are merged.
type relation int

const (
	equal  relation = iota // the same ids on both sides, with the same values
	within                 // each id of the left is on the right, with the same values as far as both have any
	apart                  // no id is on both sides
)

// merge walks through two streams in the order of their ids and notes who offends. It holds one row of each. It returns
// the last id that was compared, if it stopped because one of them reached limit; else "".
func (r relation) merge(left, right *stream, limit int, note func(id, words string) bool) (last string, err error) {
	for left.id != nil || right.id != nil && r == equal {
		order := bytes.Compare(left.id, right.id)
		switch { // the side without a row is the greater one
		case left.id == nil:
			order = 1
		case right.id == nil:
			order = -1
		}
		// Beyond the end of a side that may have more, nothing is known.
		if order < 0 && right.id == nil && right.count >= limit {
			return string(right.last), nil
		}
		if order > 0 && left.id == nil && left.count >= limit {
			return string(left.last), nil
		}
		goOn := true
		switch {
		case order < 0 && r != apart:
			goOn = note(string(left.id), fmt.Sprintf("%s has it (%s), %s has not", left.side.database, left.words(), right.side.database))
		case order > 0 && r == equal:
			goOn = note(string(right.id), fmt.Sprintf("%s has it (%s), %s has not", right.side.database, right.words(), left.side.database))
		case order == 0 && r == apart:
			goOn = note(string(left.id), fmt.Sprintf("%s: %s, and %s has it", left.side.database, left.words(), right.side.database))
		case order == 0 && !same(left.rest, right.rest):
			goOn = note(string(left.id), fmt.Sprintf("%s: %s, %s: %s", left.side.database, left.words(), right.side.database, right.words()))
		}
		if !goOn {
			return "", nil
		}
		if order <= 0 {
			err = left.next()
		}
		if order >= 0 && (order > 0 || r == equal) { // of two rows on the left, both may be within one on the right
			err = errors.Join(err, right.next())
		}
		if err != nil {
			return "", err
		}
	}
	switch {
	case left.count >= limit:
		return string(left.last), nil
	case r == equal && right.count >= limit:
		return string(right.last), nil
	}
	return "", nil
}
