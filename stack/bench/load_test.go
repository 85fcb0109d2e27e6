package bench

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// figure is one measurement of load.
type figure struct {
	ID        string             `json:"id"`
	Clients   int                `json:"clients"`
	PerSecond float64            `json:"per_second"`
	P50       float64            `json:"p50_ms"`
	P95       float64            `json:"p95_ms"`
	P99       float64            `json:"p99_ms"`
	Errors    int                `json:"errors"`
	CPU       map[string]float64 `json:"cpu_ms_per_request"`
	first     string             // error, for a person
}

// cpu prints the busiest processes, the busiest first.
func (f figure) cpu() string {
	names := make([]string, 0, len(f.CPU))
	for name, ms := range f.CPU {
		if ms >= 0.02 {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, func(a, b string) int { return int(1e6 * (f.CPU[b] - f.CPU[a])) })
	var parts []string
	for _, name := range names {
		parts = append(parts, fmt.Sprintf("%s %.2f", name, f.CPU[name]))
	}
	return strings.Join(parts, ", ")
}

// load runs action from a number of clients for a time and measures it. action gets a number that is unique per call.
func (b *bench) load(ctx context.Context, id string, clients int, duration time.Duration, action func(ctx context.Context, n int) error) figure {
	var next, failed atomic.Int64
	var first atomic.Pointer[string]
	times := make([][]time.Duration, clients)
	before, start := b.cpuTimes(), time.Now()
	var all sync.WaitGroup
	for c := range clients {
		all.Go(func() {
			for time.Since(start) < duration && ctx.Err() == nil {
				at := time.Now()
				if err := action(ctx, int(next.Add(1)-1)); err != nil {
					failed.Add(1)
					text := err.Error()
					first.CompareAndSwap(nil, &text)
					continue
				}
				times[c] = append(times[c], time.Since(at))
			}
		})
	}
	all.Wait()
	took, after := time.Since(start), b.cpuTimes()
	done := slices.Concat(times...)
	f := summarize(id, clients, done, took)
	f.Errors = int(failed.Load())
	if text := first.Load(); text != nil {
		f.first = *text
	}
	f.CPU = map[string]float64{}
	for name := range after {
		f.CPU[name] = (after[name] - before[name]) / float64(max(1, len(done)))
	}
	return f
}

func summarize(id string, clients int, done []time.Duration, took time.Duration) figure {
	slices.Sort(done)
	at := func(q float64) float64 {
		if len(done) == 0 {
			return 0
		}
		return float64(done[min(len(done)-1, int(q*float64(len(done))))].Microseconds()) / 1000
	}
	return figure{ID: id, Clients: clients, PerSecond: float64(len(done)) / took.Seconds(), P50: at(.50), P95: at(.95), P99: at(.99)}
}

// median of several rounds, by rate.
func median(rounds []figure) figure {
	slices.SortFunc(rounds, func(a, b figure) int { return int(1000 * (a.PerSecond - b.PerSecond)) })
	return rounds[len(rounds)/2]
}

// best of several loads, by rate.
func best(loads []figure) figure {
	return slices.MaxFunc(loads, func(a, b figure) int { return int(1000 * (a.PerSecond - b.PerSecond)) })
}

// clockTick is what /proc counts CPU time in: 100 a second on every Linux that Go runs on.
const clockTick = 10 // ms

// cpuTimes is the CPU time that each part has used, in ms: a database's with all its backends.
func (b *bench) cpuTimes() map[string]float64 {
	times := map[string]float64{"bench": processTime(os.Getpid())}
	children := childrenOf()
	for _, part := range b.stack.Status() {
		if part.Pid != 0 {
			total := 0.0
			for _, pid := range family(part.Pid, children) {
				total += processTime(pid)
			}
			times[part.Name] = total
		}
	}
	return times
}

// stat reads the fields of /proc/PID/stat after the name, which may hold spaces.
func stat(pid int) []string {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil // it ended
	}
	_, rest, _ := strings.Cut(string(raw), ") ")
	return strings.Fields(rest)
}

func processTime(pid int) float64 {
	fields := stat(pid)
	if len(fields) < 15 {
		return 0
	}
	total := 0
	for _, f := range fields[11:15] { // own user and system time, and that of children that ended
		n, _ := strconv.Atoi(f)
		total += n
	}
	return float64(total * clockTick)
}

func childrenOf() map[int][]int {
	children := map[int][]int{}
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			if fields := stat(pid); len(fields) > 1 {
				parent, _ := strconv.Atoi(fields[1])
				children[parent] = append(children[parent], pid)
			}
		}
	}
	return children
}

func family(pid int, children map[int][]int) []int {
	all := []int{pid}
	for _, child := range children[pid] {
		all = append(all, family(child, children)...)
	}
	return all
}

// resident is a process's memory in MB.
func resident(pid int) float64 {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(raw)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, _ := strconv.Atoi(strings.Fields(rest)[0])
			return float64(kb) / 1024
		}
	}
	return 0
}
