// Package bench is a benchmark of the whole system: how fast it is, as ratios taken in one run on one machine. It boots
// a native stack of its own with durable settings, seeds it, loads it with bounded numbers of requests over real HTTP
// and gRPC, and prints one table and one JSON file. docs/performance.md says how to read them.
package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"testing"
	"time"

	"ticketremaster/stack"
)

// options are the options of a run.
type options struct {
	Quick bool   // shorter rounds, fewer of them: under two minutes
	JSON  string // where the figures go
	Out   io.Writer
	Only  string // rows to measure, for example "HR"; empty: all
}

// plan is how long and how often each thing is measured.
type plan struct {
	round  time.Duration // of load per measurement
	rounds int           // of which the median counts
	// closeRounds are the rounds of loads that must differ by little: more, because the machine's own variation is
	// larger.
	closeRounds int
	warm        time.Duration
	clients     []int
	burst       time.Duration // of row B
	users       int
	seats       int // for H, R and P
	cancelled   int // tickets of the event that E cancels
}

func (o options) plan() plan {
	if o.Quick {
		return plan{round: time.Second, rounds: 1, closeRounds: 3, warm: 500 * time.Millisecond, clients: []int{8, 32, 128}, burst: 6 * time.Second,
			users: 20_000, seats: 50_000, cancelled: 4_000}
	}
	return plan{round: 2 * time.Second, rounds: 3, closeRounds: 5, warm: time.Second, clients: []int{1, 8, 32, 128}, burst: 30 * time.Second,
		users: 60_000, seats: 400_000, cancelled: 20_000}
}

// BenchmarkSystem measures every row and prints one table; a row that is not met is no failure. Make bench runs it
// once. BENCH_QUICK=1 takes under two minutes, and BENCH_ONLY=RV measures these rows alone. The figures go to .run/bench.json.
// BENCH_PROFILE=R (or P, V) takes CPU profiles under that load instead, into .run/profile.
func BenchmarkSystem(b *testing.B) {
	debug.SetGCPercent(400) // it runs on the processor that it measures
	const results = "../../.run"
	if kind := os.Getenv("BENCH_PROFILE"); kind != "" {
		if err := profileUnder(b.Context(), kind, filepath.Join(results, "profile"), os.Stdout); err != nil {
			b.Fatal(err)
		}
		return
	}
	met, err := measure(b.Context(), options{
		Quick: os.Getenv("BENCH_QUICK") != "", Only: os.Getenv("BENCH_ONLY"), JSON: filepath.Join(results, "bench.json"), Out: os.Stdout,
	})
	if err != nil {
		b.Fatal(err)
	}
	if !met {
		fmt.Println("\nNot every row is met: docs/performance.md says what the limit is.")
	}
}

// measure measures every row and reports whether all are met. A row that is not met is no error.
func measure(ctx context.Context, o options) (met bool, err error) {
	start := time.Now()
	// All requests come from one address, so the gateway's limits per address are raised; nothing else is.
	s, err := stack.Boot(ctx, stack.Options{Private: true, Progress: o.Out, Env: map[string]string{"LOG_LEVEL": "warn"}})
	if err != nil {
		return false, err
	}
	defer func() {
		if closeErr := s.Close(); err == nil {
			err = closeErr
		}
	}()
	b := &bench{stack: s, plan: o.plan(), only: o.Only, out: o.Out, start: start}
	if err := b.seed(ctx); err != nil {
		return false, fmt.Errorf("seeding: %w", err)
	}
	for _, m := range measurements {
		if o.Only != "" && !m.wanted(o.Only) {
			continue
		}
		b.say("measuring %s", m.what)
		if err := m.run(ctx, b); err != nil {
			return false, fmt.Errorf("%s: %w", m.what, err)
		}
	}
	b.print()
	if err := b.audit(ctx); err != nil {
		return false, err
	}
	return b.allMet(), b.write(o.JSON)
}

// bench is one run.
type bench struct {
	stack *stack.Stack
	plan  plan
	only  string // rows; empty: all
	out   io.Writer
	start time.Time
	world world
	Rows  []row    `json:"rows"`
	Loads []figure `json:"loads"`
}

func (b *bench) say(format string, args ...any) {
	fmt.Fprintf(b.out, "%6.1fs  %s\n", time.Since(b.start).Seconds(), fmt.Sprintf(format, args...))
}

// row is one line of the table: what is required, and what was measured.
type row struct {
	ID     string `json:"id"`
	What   string `json:"what"`
	Must   string `json:"must"`
	Showed string `json:"showed"`
	Met    bool   `json:"met"`
}

func (b *bench) row(id, what, must string, met bool, showed string, args ...any) {
	b.Rows = append(b.Rows, row{id, what, must, fmt.Sprintf(showed, args...), met})
}

func (b *bench) allMet() bool {
	for _, r := range b.Rows {
		if !r.Met {
			return false
		}
	}
	return true
}

func (b *bench) print() {
	fmt.Fprintf(b.out, "\n  %-4s %8s %10s %8s %8s %8s %7s  %s\n", "load", "clients", "per s", "p50 ms", "p95 ms", "p99 ms", "errors", "CPU ms per request, by process")
	for _, f := range b.Loads {
		fmt.Fprintf(b.out, "  %-4s %8d %10.0f %8.1f %8.1f %8.1f %7d  %s\n", f.ID, f.Clients, f.PerSecond, f.P50, f.P95, f.P99, f.Errors, f.cpu())
	}
	fmt.Fprintf(b.out, "\n  %-3s %-44s %-44s %s\n", "", "what", "must show", "showed")
	for _, r := range b.Rows {
		mark := "✗"
		if r.Met {
			mark = "✓"
		}
		fmt.Fprintf(b.out, "%s %-3s %-44s %-44s %s\n", mark, r.ID, r.What, r.Must, r.Showed)
	}
}

func (b *bench) write(file string) error {
	if file == "" {
		return nil
	}
	raw, err := json.MarshalIndent(b, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, append(raw, '\n'), 0o644)
}
