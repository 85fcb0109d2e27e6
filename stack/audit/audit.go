// Package audit reads all five databases and counts offenders against every invariant of the system. It reads a running
// system without a lock: the databases are looked at some moments apart, so that what one has and the next has not yet
// looks like an offence. Therefore an offender counts only if it still offends when it is looked at again after the
// grace period (docs/adr/audit.md).
//
// Its memory does not grow with the system: two databases are compared by reading both in the order of their ids, one
// row at a time.
package audit

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// Grace is how long a hold, a message or a saga may take to end after its time: sweeps come SWEEP_GRACE and
// SWEEP_INTERVAL after the time, and an abandoned saga is taken up when its lease is over.
const Grace = 15 * time.Second

// shown is how many offenders are named; the rest are only counted.
const shown = 5

// Options say what is looked at, and how.
type Options struct {
	// Grace is waited before what looks like an offence is looked at again; 0 means Grace.
	Grace time.Duration
	// Since, if not zero, has only what changed since then looked at. Some invariants cannot be seen broken by that.
	Since time.Time
	// Progress, if not "", is a file that says how far an audit came: one that was interrupted goes on from there. It is
	// removed at the end. Not with Since.
	Progress string
	// Waiting, if not nil, is called before the grace period is waited.
	Waiting func(grace time.Duration)
}

// Result is what an audit found against one invariant.
type Result struct {
	Rule      string            `json:"rule"`
	Offenders map[string]string `json:"offenders"` // from an id to a text for people; at most 10,000
}

// Report is what an audit found.
type Report struct {
	Results []Result      `json:"results"` // of every invariant, the ones without offenders too
	Took    time.Duration `json:"-"`
}

// Offenders is their number over all invariants.
func (r Report) Offenders() (n int) {
	for _, x := range r.Results {
		n += len(x.Offenders)
	}
	return n
}

// Audit looks for offenders against every invariant. dsns has a connection string for each of Databases.
func Audit(ctx context.Context, dsns map[string]string, o Options) (Report, error) {
	b, err := open(ctx, dsns)
	if err != nil {
		return Report{}, err
	}
	defer b.close()
	return b.audit(ctx, o)
}

func (b books) audit(ctx context.Context, o Options) (Report, error) {
	start := time.Now()
	p := newProgress("")
	if o.Since.IsZero() {
		var err error
		if p, err = readProgress(o.Progress); err != nil {
			return Report{}, err
		}
	}
	err := each(ctx, func(ctx context.Context, i int, f finder) error {
		found, after, done := p.of(invariants[i].rule)
		switch {
		case done:
			return nil
		case !o.Since.IsZero():
			if err := f.changed(ctx, b, o.Since, found); err != nil {
				return err
			}
		default:
			if err := f.all(ctx, b, after, found, func(id string) error { return p.reached(invariants[i].rule, found, id) }); err != nil {
				return err
			}
		}
		return p.ended(invariants[i].rule, found)
	})
	if err != nil {
		return Report{}, err
	}
	suspects := make([]offenders, len(invariants))
	for i, inv := range invariants {
		suspects[i], _, _ = p.of(inv.rule)
	}
	report, err := b.confirm(ctx, suspects, o)
	if err == nil {
		err = p.remove()
	}
	report.Took = time.Since(start)
	return report, err
}

// confirm looks at suspects again after the grace period.
func (b books) confirm(ctx context.Context, suspects []offenders, o Options) (Report, error) {
	report := Report{Results: make([]Result, len(invariants))}
	for i, inv := range invariants {
		report.Results[i] = Result{Rule: inv.rule, Offenders: offenders{}}
	}
	if !slices.ContainsFunc(suspects, func(o offenders) bool { return len(o) > 0 }) {
		return report, nil
	}
	if o.Grace == 0 {
		o.Grace = Grace
	}
	if o.Waiting != nil {
		o.Waiting(o.Grace)
	}
	select {
	case <-ctx.Done():
		return report, ctx.Err()
	case <-time.After(o.Grace):
	}
	err := each(ctx, func(ctx context.Context, i int, f finder) error {
		if len(suspects[i]) == 0 {
			return nil
		}
		found := offenders{}
		err := f.among(ctx, b, slices.Sorted(maps.Keys(suspects[i])), found)
		report.Results[i].Offenders = found
		return err
	})
	return report, err
}

// each calls do for all invariants, some at the same time.
func each(ctx context.Context, do func(ctx context.Context, i int, f finder) error) error {
	all, ctx := errgroup.WithContext(ctx)
	all.SetLimit(jobs)
	for i, inv := range invariants {
		all.Go(func() error {
			if err := do(ctx, i, inv.find); err != nil {
				return fmt.Errorf("%s: %w", inv.rule, err)
			}
			return nil
		})
	}
	return all.Wait()
}

// Run prints each invariant with its count of offenders, and gives their sum; see Audit.
func Run(ctx context.Context, dsns map[string]string, grace time.Duration, out io.Writer) (int, error) {
	report, err := Audit(ctx, dsns, Options{Grace: grace, Waiting: Tell(out)})
	if err != nil {
		return 0, err
	}
	report.Print(out)
	return report.Offenders(), nil
}

// Tell makes an Options.Waiting that tells people.
func Tell(out io.Writer) func(time.Duration) {
	return func(grace time.Duration) {
		fmt.Fprintf(out, "Something may only be on its way: reading again in %s.\n", grace)
	}
}

// Print prints each invariant with its count of offenders, and names the first of them.
func (r Report) Print(out io.Writer) {
	for _, x := range r.Results {
		mark, more := "✓", ""
		if len(x.Offenders) > 0 {
			mark = "✗"
		}
		if len(x.Offenders) >= most {
			more = " or more"
		}
		fmt.Fprintf(out, "  %s %-66s %d%s\n", mark, x.Rule, len(x.Offenders), more)
		for n, id := range slices.Sorted(maps.Keys(x.Offenders)) {
			if n == shown {
				fmt.Fprintf(out, "      … and %d more\n", len(x.Offenders)-shown)
				break
			}
			fmt.Fprintf(out, "      %s\n", strings.TrimSpace(id+" "+x.Offenders[id]))
		}
	}
}
